//! Which endpoints are known, and what becomes of that when something else is said of them.

use super::*;
use crate::request::{Failure, HttpReply};
use bytes::Bytes;

fn known(count: usize, now: Instant) -> Known {
    let mut known = Known::default();
    (0..count).for_each(|number| drop(known.or_new(&format!("{number}.example:80"), now, None)));
    known
}

#[test]
fn an_endpoint_is_the_same_each_time_it_is_asked_for() {
    let now = Instant::now();
    let mut known = known(2, now);
    let first = known.or_new("a.b:80", now, None);
    assert!(Arc::ptr_eq(&first, &known.or_new("a.b:80", now, None)));
    assert!(!Arc::ptr_eq(&first, &known.or_new("a.b:81", now, None)));
}

#[test]
fn beyond_the_bound_those_that_are_not_in_use_are_forgotten_and_not_looked_for_at_each_request() {
    let now = Instant::now();
    let mut known = known(MOST, now);
    for number in 0..1_000 {
        let one = known.or_new(&format!("new-{number}.example:80"), now, None);
        assert_eq!(one.name, format!("new-{number}.example:80"));
    }
    assert_eq!((known.endpoints.len(), known.swept), (MOST, Some(now)), "all are in use");
    let soon = now + SWEEP - Duration::from_millis(1);
    drop(known.or_new("soon.example:80", soon, None));
    assert_eq!(known.swept, Some(now));
    let later = now + IDLE + SWEEP;
    drop(known.or_new("later.example:80", later, None));
    assert_eq!((known.endpoints.len(), known.swept), (1, Some(later)));
}

const SECOND: Duration = Duration::from_secs(1);

/// All of whose endpoints this is said of.
fn said(endpoint: config::Endpoint) -> BTreeMap<String, config::Endpoint> {
    [("*".to_owned(), endpoint)].into()
}

fn fragile() -> config::Endpoint {
    let breaker = config::Breaker { failures: 1, share: 0.1, window: SECOND * 60, pause: SECOND * 60 };
    config::Endpoint { breaker: Some(breaker), ..config::Endpoint::default() }
}

async fn pass(limits: &Limits) -> Result<Option<Pass>, Held> {
    limits.pass("http://a.b/").await
}

async fn answered(limits: &Limits, reply: Result<HttpReply, Failure>) {
    pass(limits).await.unwrap().unwrap().answered(&reply);
}

fn asks_for_a_pause() -> HttpReply {
    HttpReply { status: 429, headers: vec![("retry-after".into(), "30".into())], body: Bytes::new() }
}

fn shown(limits: &Limits) -> Shown {
    limits.shown().remove(0)
}

#[tokio::test]
async fn what_is_known_of_a_server_stays_known_when_it_is_reached_in_another_way() {
    let limits = Limits::default();
    limits.configure(said(fragile()));
    answered(&limits, Err(Failure::Unreachable("no".into()))).await;
    assert!(pass(&limits).await.is_err());
    let times = config::Endpoint { connect_timeout: SECOND, first_byte_timeout: Some(SECOND), ..fragile() };
    limits.configure(said(times.clone()));
    assert_eq!((shown(&limits).circuit, shown(&limits).failures), (Circuit::Open, 1));
    assert!(pass(&limits).await.is_err());
    // By another proxy it may answer; that is seen by one request.
    let proxy = Some(config::Proxy { host: "p".into(), port: 1, login: None });
    limits.configure(said(config::Endpoint { proxy, ..times }));
    let probe = pass(&limits).await.unwrap();
    assert!(pass(&limits).await.is_err());
    drop(probe);
}

#[tokio::test]
async fn a_pause_that_a_server_asks_for_holds_whatever_is_said_of_it_anew() {
    let limits = Limits::default();
    answered(&limits, Ok(asks_for_a_pause())).await;
    let rate = config::Rate { per_second: 100.0, burst: 1, ramp: Duration::ZERO, scope: config::Scope::Node };
    let other = config::Endpoint { rate: Some(rate), in_flight: 3, ..fragile() };
    for endpoint in [other, config::Endpoint::default()] {
        limits.configure(said(endpoint));
        assert!(pass(&limits).await.unwrap_err().after > SECOND * 20);
    }
    limits.configure(BTreeMap::new());
    assert!(pass(&limits).await.is_err());
}

#[tokio::test]
async fn another_bound_on_requests_at_once_holds_at_once() {
    let limits = Limits::default();
    let bounded = |in_flight| said(config::Endpoint { in_flight, ..config::Endpoint::default() });
    limits.configure(bounded(2));
    let first = [pass(&limits).await.unwrap(), pass(&limits).await.unwrap()];
    let one_more = || async { tokio::time::timeout(SECOND / 10, pass(&limits)).await };
    assert!(one_more().await.is_err(), "it waits");
    limits.configure(bounded(3));
    let third = one_more().await.expect("there is a place").unwrap();
    limits.configure(bounded(1));
    drop(first);
    assert!(one_more().await.is_err(), "there is one still");
    drop(third);
    assert!(one_more().await.is_ok());
    assert_eq!((shown(&limits).limit, shown(&limits).in_flight), (1, 0));
}

#[tokio::test]
async fn what_came_of_requests_is_counted_by_class_and_a_flood_of_hosts_is_not_shown() {
    let limits = Limits::default();
    let reply = |status| HttpReply { status, headers: Vec::new(), body: Bytes::new() };
    for reply in [Ok(reply(204)), Ok(reply(200)), Ok(reply(503)), Err(Failure::Unreachable("gone".to_owned()))] {
        answered(&limits, reply).await;
    }
    let seen = shown(&limits);
    assert_eq!(seen.classes, [("1xx", 0), ("2xx", 2), ("3xx", 0), ("4xx", 0), ("5xx", 1), ("none", 1)]);
    assert_eq!(seen.waits, 0);
    for number in 0..2_000 {
        drop(limits.pass(&format!("http://host-{number}.example/")).await);
    }
    assert_eq!(limits.shown().len(), SHOWN);
}
