use super::*;
use crate::config::Slow;
use crate::{command::Pattern, config::HistoryBounds};

fn settings() -> config::Edge {
    config::Edge { slow: Slow::Close, ..config::Edge::default() }
}

fn with(history: HistoryBounds) -> config::Edge {
    let channel = config::Channel { open: true, history };
    config::Edge { channels: vec![(Pattern::new("*"), channel)], ..settings() }
}

fn keeping(messages: usize) -> config::Edge {
    with(HistoryBounds { messages, ..config::Channel::default().history })
}

async fn published(hub: &Hub, channel: &str, count: usize) -> String {
    let mut id = String::new();
    for number in 0..count {
        id = hub.publish(channel, None, Bytes::from(number.to_string())).await.expect("is published");
    }
    id
}

fn joined(hub: &Hub, channels: &[&str], start: &Start) -> Joined {
    let channels: Vec<Arc<str>> = channels.iter().map(|name| (*name).into()).collect();
    hub.join(0, &channels, start).expect("joins")
}

fn sequences(joined: &Joined) -> Vec<u64> {
    joined.missed.iter().map(|message| message.sequence).collect()
}

#[tokio::test]
async fn who_comes_back_gets_what_it_has_missed_of_all_its_channels_in_order() {
    let (hub, _shards) = Hub::new(1, &settings());
    let seen = published(&hub, "a", 1).await;
    published(&hub, "b", 1).await;
    published(&hub, "other", 1).await;
    published(&hub, "a", 2).await;
    let back = joined(&hub, &["a", "b"], &Start::After(seen));
    assert_eq!((sequences(&back), back.recovered, back.sequence), (vec![2, 4, 5], Some(true), 5));
    let fresh = joined(&hub, &["a"], &Start::Now);
    assert_eq!((sequences(&fresh), fresh.recovered), (Vec::new(), None));
    assert_eq!(sequences(&joined(&hub, &["a"], &Start::Last(2))), [4, 5]);
}

#[tokio::test]
async fn what_is_no_longer_kept_is_not_said_to_be_recovered() {
    let (hub, _shards) = Hub::new(1, &keeping(2));
    let seen = published(&hub, "a", 1).await;
    published(&hub, "a", 2).await;
    assert_eq!(joined(&hub, &["a"], &Start::After(seen.clone())).recovered, Some(true));
    published(&hub, "a", 1).await;
    let back = joined(&hub, &["a"], &Start::After(seen));
    assert_eq!((sequences(&back), back.recovered), (vec![3, 4], Some(false)));
    let strange = joined(&hub, &["a"], &Start::After("another-1".to_owned()));
    assert_eq!((sequences(&strange), strange.recovered), (vec![3, 4], Some(false)));
}

#[tokio::test]
async fn a_channel_that_was_forgotten_is_not_said_to_be_whole() {
    let (hub, _shards) = Hub::new(1, &keeping(0));
    let seen = published(&hub, "a", 1).await;
    published(&hub, "a", 1).await;
    assert_eq!(hub.size(), (0, 0), "nobody listens and nothing is kept");
    assert_eq!(joined(&hub, &["a"], &Start::After(seen)).recovered, Some(false));
}

#[tokio::test]
async fn only_shards_that_listen_are_told_and_each_in_the_order_of_publishing() {
    let (hub, mut shards) = Hub::new(2, &settings());
    joined(&hub, &["a", "b"], &Start::Now);
    published(&hub, "a", 1).await;
    published(&hub, "b", 1).await;
    published(&hub, "c", 1).await;
    let mut told = Vec::new();
    while let Ok(Order::Deliver(message, _)) = shards[0].try_recv() {
        told.push(message.sequence);
    }
    assert_eq!(told, [1, 2]);
    assert!(shards[1].try_recv().is_err());
    hub.leave(0, "a");
    published(&hub, "a", 1).await;
    assert!(shards[0].try_recv().is_err());
}

#[tokio::test]
async fn all_histories_together_are_bounded_and_the_oldest_goes_first() {
    let (hub, _shards) = Hub::new(1, &settings());
    published(&hub, "a", 1).await;
    let one = hub.size().1;
    let mut tight = settings();
    tight.limits.history_bytes = 3 * one;
    hub.configure(&tight);
    published(&hub, "b", 3).await;
    assert_eq!(hub.size(), (1, 3 * one), "nothing of `a` is left");
}

#[tokio::test]
async fn there_are_no_more_channels_than_allowed() {
    let mut few = settings();
    few.limits.channels = 2;
    let (hub, _shards) = Hub::new(1, &few);
    joined(&hub, &["a"], &Start::Now);
    assert_eq!(hub.join(0, &["b".into(), "c".into()], &Start::Now).expect_err("too many"), Refused::Full);
    joined(&hub, &["b"], &Start::Now);
    assert_eq!(hub.publish("c", None, Bytes::new()).await, Err(Refused::Full));
    hub.leave(0, "b");
    assert!(hub.publish("c", None, Bytes::new()).await.is_ok());
}

#[tokio::test]
async fn names_that_no_channel_can_have_are_refused() {
    let (hub, _shards) = Hub::new(1, &settings());
    for name in ["", "a\nb", &"x".repeat(LONGEST_NAME + 1)] {
        assert_eq!(hub.publish(name, None, Bytes::new()).await, Err(Refused::Name), "{name}");
    }
}

#[tokio::test]
async fn what_is_too_old_goes_even_where_nothing_happens() {
    let (hub, _shards) = Hub::new(1, &settings());
    published(&hub, "a", 3).await;
    hub.sweep();
    assert_eq!(hub.size().0, 1);
    let age = config::Channel::default().history.age;
    hub.lock().sweep(Instant::now() + age + Duration::from_secs(1));
    assert_eq!(hub.size(), (0, 0));
}

#[tokio::test]
async fn publishers_wait_while_too_much_is_under_way() {
    let (hub, mut shards) = Hub::new(1, &settings());
    joined(&hub, &["a"], &Start::Now);
    let whole = Bytes::from(vec![b'x'; UNDER_WAY as usize * 1_024]);
    hub.publish("a", None, whole).await.expect("there is room for one, however long");
    let mut second = Box::pin(hub.publish("a", None, Bytes::new()));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(shards[0].try_recv());
    assert!(second.await.is_ok());
}
