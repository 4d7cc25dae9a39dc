//! Lanes that somebody else has laid hands on.

use super::*;
use crate::source::Delivery;

/// What is done to a lane of four messages, and what the command has behind the key.
const HARM: [(&str, &[&str]); 3] = [("DEL", &[]), ("LTRIM", &["2", "-1"]), ("LTRIM", &["0", "1"])];

/// From two lists, so that each is taken from through one lane.
fn two_lists(in_flight: usize) -> config::Pipeline {
    let config::From::Lists(lists) = from() else { unreachable!("these tests take from lists") };
    let names = vec![LIST.to_owned(), "other".to_owned()];
    pipeline_of(config::From::Lists(config::Lists { names, ..lists }), in_flight)
}

/// The lane that holds something.
async fn lane(server: &Server) -> String {
    for lane in server.lanes().await.into_keys() {
        if server.ask::<bool>(&["EXISTS", &lane]).await {
            return lane;
        }
    }
    panic!("no lane holds anything");
}

async fn take(node: &mut Node, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(node.next().await);
    }
    taken
}

#[tokio::test]
async fn what_came_into_a_damaged_lane_later_survives_its_node_and_the_damage_is_told() {
    let (log, _guard) = Log::capture();
    for (command, rest) in HARM {
        let told = log.lines("messages in flight are gone from this lane").len();
        let server = Server::start().await;
        let mut node = Node::with(&server, "a", &two_lists(16));
        server.push((0..4).map(|n| n.to_string())).await;
        let early = take(&mut node, 4).await;
        let key = lane(&server).await;
        server.ask::<redis::Value>(&[&[command, &key], rest].concat()).await;
        server.push((4..8).map(|n| n.to_string())).await;
        let late = take(&mut node, 4).await;
        early.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
        eventually("it is told", || async {
            log.lines("messages in flight are gone from this lane").len() == told + 1
        })
        .await;
        let mut missing: HashSet<_> = late.iter().map(|delivery| delivery.message.id.clone()).collect();
        server.push(["next".to_owned()]).await;
        let next = node.next().await;
        assert_eq!(next.message.payload, "next", "{command} {rest:?}");
        next.settle(Outcome::Done);
        late.into_iter().for_each(std::mem::forget);
        drop(node.die().await);
        let mut heir = Node::with(&server, "b", &two_lists(16));
        while !missing.is_empty() {
            let again = heir.next().await;
            missing.remove(&again.message.id);
            again.settle(Outcome::Done);
        }
        heir.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lives_on_settles_what_it_has_of_a_damaged_lane() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &two_lists(16));
    server.push((0..4).map(|n| n.to_string())).await;
    let mut held = take(&mut node, 4).await;
    let key = lane(&server).await;
    server.ask::<()>(&["DEL", &key]).await;
    held.pop().unwrap().settle(Outcome::Done);
    let failing = held.pop().unwrap();
    let id = failing.message.id.clone();
    failing.settle(Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    let again = node.next().await;
    assert_eq!((&again.message.id, again.message.attempt), (&id, 2));
    again.settle(Outcome::Done);
    held.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    node.end().await;
    assert_eq!(server.lanes().await, HashMap::new());
}
