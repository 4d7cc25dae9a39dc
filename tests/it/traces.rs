//! Traces of messages, as a collector gets them: real protobuf over HTTP.

use crate::jobs::{SOON, all_arrive, jobs, pipeline};
use gristmill_tests::{
    Answer, Mill,
    collector::{Collector, Span},
    eventually,
};
use std::collections::BTreeSet;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Two filters and a publisher, whose messages are traced as `traces` says.
fn mill(collector: &Collector, traces: &str) -> Mill {
    let tables = format!(
        "secrets = {{ KEY = \"marked-secret\" }}\n\n[plugin.misbehave]\nconfig = {{ mode = \"reject\", when = \"\\\"n\\\":7}}\" }}\n\n\
         [traces]\nendpoint = \"{}\"\n{traces}\n",
        collector.url()
    );
    let keys = "filters = [\"misbehave\", \"stamp\"]";
    let bearer = "method = \"POST\", headers = { authorization = \"Bearer ${secret:KEY}\" } }";
    let config = pipeline(keys, &tables).replace("method = \"POST\" }", bearer);
    Mill::new().guests(&["misbehave", "stamp"]).plugins(&["http"]).config(&config)
}

/// The spans, once there are so many for messages.
fn spans(collector: &Collector, messages: usize) -> Vec<Span> {
    eventually(SOON, "the spans have come", || {
        let spans = collector.spans();
        (spans.iter().filter(|span| span.name == "process jobs").count() >= messages).then_some(spans)
    })
}

#[test]
fn a_message_is_a_span_and_its_filters_and_requests_are_below_it() {
    let collector = Collector::start();
    let mill = mill(&collector, "");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    let spans = spans(&collector, 20);
    assert_eq!(spans.len(), 80, "a message, two filters and a request each");
    assert_eq!(spans.iter().map(|span| &span.trace).collect::<BTreeSet<_>>().len(), 20);
    for root in spans.iter().filter(|span| span.name == "process jobs") {
        assert_eq!((&*root.parent, root.failed), ("", false), "{root:?}");
        assert_eq!((&*root.said["messaging.destination.name"], &*root.said["gristmill.outcome"]), ("jobs", "done"));
        assert_eq!((&*root.said["gristmill.attempt"], &*root.resource["service.name"]), ("1", "gristmill"));
        let below: Vec<&Span> = spans.iter().filter(|span| span.parent == root.id).collect();
        let names: BTreeSet<&str> = below.iter().map(|span| &*span.name).collect();
        assert_eq!(names, BTreeSet::from(["POST", "filter misbehave", "filter stamp"]));
        for span in below {
            assert_eq!(span.trace, root.trace);
            assert!(
                root.began <= span.began && span.began <= span.ended && span.ended <= root.ended,
                "{span:?} {root:?}"
            );
        }
    }
    let request = spans.iter().find(|span| span.name == "POST").unwrap();
    assert_eq!((&*request.said["http.response.status_code"], &*request.said["gristmill.plugin"]), ("200", "http"));
    // The server is told of which span its request is a part.
    let ids: BTreeSet<String> = mill
        .sink
        .received()
        .iter()
        .map(|received| received.header("traceparent").unwrap().split('-').nth(2).unwrap().to_owned())
        .collect();
    let sent: BTreeSet<String> = spans.iter().filter(|span| span.name == "POST").map(|span| span.id.clone()).collect();
    assert_eq!(ids, sent);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_message_goes_on_with_the_trace_that_it_names_and_others_are_sampled() {
    let collector = Collector::start();
    let mill = mill(
        &collector,
        "sample = 0.000001\ntraceparent = [\"header:traceparent\", \"json:/trace\"]\nservice = \"mine\"",
    );
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    let named =
        |number: u64, flags: &str| format!("{{\"id\":{number},\"trace\":\"00-{TRACE}-b7ad6b7169203331-{flags}\"}}");
    mill.redis.push("jobs", [named(50, "01"), named(51, "00"), "{\"id\":52,\"trace\":\"00-nonsense\"}".to_owned()]);
    assert_eq!(all_arrive(&mill.sink, 0..53), 0);
    let spans = spans(&collector, 1);
    let root = spans.iter().find(|span| span.name == "process jobs").unwrap();
    assert_eq!((&*root.trace, &*root.parent), (TRACE, "b7ad6b7169203331"));
    assert_eq!(root.resource["service.name"], "mine");
    assert!(spans.iter().all(|span| span.trace == TRACE), "no other is sampled: {spans:?}");
    let handed_on = |number: u64| {
        let received = mill.sink.received().into_iter().find(|received| received.json()["id"] == number).unwrap();
        received.header("traceparent").map(str::to_owned)
    };
    assert_eq!(handed_on(51), Some(format!("00-{TRACE}-b7ad6b7169203331-00")), "it is not recorded here either");
    assert!(handed_on(50).is_some_and(|parent| parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01")));
    assert_eq!((handed_on(0), handed_on(52)), (None, None));
}

#[test]
fn spans_tell_of_failures_and_never_of_what_messages_and_secrets_are() {
    let collector = Collector::start();
    let mill = mill(&collector, "");
    let mut node = mill.node();
    mill.redis
        .push("jobs", ["{\"id\":1,\"text\":\"marked-payload\",\"n\":7}", "{\"id\":2,\"text\":\"marked-payload\"}"]);
    all_arrive(&mill.sink, 2..3);
    let secret = mill.sink.received()[0].header("authorization").map(str::to_owned);
    assert_eq!(secret.as_deref(), Some("Bearer marked-secret"), "the server has seen it");
    let spans = spans(&collector, 2);
    let dead = spans.iter().find(|span| span.said.get("gristmill.outcome").is_some_and(|came| came == "dead")).unwrap();
    assert!(dead.failed);
    let rejected = spans.iter().find(|span| span.parent == dead.id).unwrap();
    assert_eq!(
        (&*rejected.name, &*rejected.said["gristmill.verdict"], rejected.failed),
        ("filter misbehave", "reject", true)
    );
    assert!(!format!("{spans:?}").contains("marked"), "{spans:?}");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_collector_that_fails_stops_no_message_and_what_is_left_is_sent_at_the_end() {
    let collector = Collector::start();
    collector.answer(Answer::Status(503));
    let mill = mill(&collector, "");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    node.says(&["collector did not take these spans", "503"]);
    collector.answer(Answer::Status(200));
    let before = collector.exports();
    mill.redis.push("jobs", jobs(20..40));
    all_arrive(&mill.sink, 20..40);
    assert_eq!(node.terminate(), 0);
    assert!(collector.exports() > before, "{}", node.log());
    assert!(spans(&collector, 40).len() >= 160);
}
