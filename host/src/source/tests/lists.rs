//! Several lists, either end, and a bound on what waits.

use super::*;
use crate::config::{Backlog, End, From, Lists, Take};

fn lists(names: &[&str], weights: Option<&[u32]>) -> From {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    From::Lists(Lists { names, weights: weights.map(<[u32]>::to_vec), pushed: End::Right })
}

/// The payloads of the next messages, one after the other.
async fn take(node: &mut Node, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let delivery = node.next().await;
        taken.push(String::from_utf8(delivery.message.payload.to_vec()).unwrap());
        delivery.settle(Outcome::Done);
    }
    taken
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_can_be_taken_first() {
    let server = Server::start().await;
    server.push(numbers(0..20)).await;
    let mut node = Node::with(&server, "a", &config::Pipeline { take: Take::Newest, ..pipeline(1) });
    let mut expected = numbers(0..20);
    expected.reverse();
    assert_eq!(take(&mut node, 20).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_may_be_pushed_at_its_left() {
    let server = Server::start().await;
    for number in numbers(0..20) {
        server.ask::<()>(&["LPUSH", LIST, &number]).await;
    }
    let From::Lists(lists) = from() else { unreachable!() };
    let from = From::Lists(Lists { pushed: End::Left, ..lists });
    let mut node = Node::with(&server, "a", &config::Pipeline { from, ..pipeline(1) });
    assert_eq!(take(&mut node, 20).await, numbers(0..20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_before_those_behind_it() {
    let server = Server::start().await;
    server.push_to("low", numbers(0..30)).await;
    server.push_to("high", numbers(100..130)).await;
    let config = config::Pipeline { from: lists(&["high", "low"], None), ..pipeline(4) };
    let mut node = Node::with(&server, "a", &config);
    let taken = take(&mut node, 60).await;
    // Up to four are handed out side by side.
    let last_high = taken.iter().rposition(|payload| payload.len() == 3).unwrap();
    assert!(last_high < 30 + 4, "{taken:?}");
    // A list further back is woken as fast as the first.
    server.push_to("low", numbers(0..1)).await;
    assert_eq!(take(&mut node, 1).await, ["0"]);
    server.push_to("high", numbers(0..1)).await;
    assert_eq!(take(&mut node, 1).await, ["0"]);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_share_by_weight_while_both_hold_messages() {
    let server = Server::start().await;
    server.push_to("much", (0..3_000).map(|_| "much".to_owned())).await;
    server.push_to("little", (0..3_000).map(|_| "little".to_owned())).await;
    let config = config::Pipeline { from: lists(&["much", "little"], Some(&[4, 1])), ..pipeline(8) };
    let mut node = Node::with(&server, "a", &config);
    let taken = take(&mut node, 2_500).await;
    let much = taken.iter().filter(|payload| *payload == "much").count();
    assert!((1_900..=2_100).contains(&much), "{much} of 2500");
    take(&mut node, 3_500).await;
    eventually("all have been taken", || async { server.ask::<usize>(&["EXISTS", "much", "little"]).await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_which_list_it_came_from_over_retries_too() {
    let server = Server::start().await;
    let config = config::Pipeline { from: lists(&["a", "b"], None), ..pipeline(4) };
    let mut node = Node::with(&server, "a", &config);
    server.push_to("b", numbers(0..1)).await;
    let first = node.next().await;
    assert_eq!((&*first.message.source, &*first.message.topic), ("b", "b"));
    first.settle(Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    let again = node.next().await;
    assert_eq!((&*again.message.source, again.message.attempt), ("b", 2));
    again.settle(Outcome::Done);
}

async fn waiting_with(drop: Take) -> Vec<String> {
    let server = Server::start().await;
    server.push(numbers(0..4)).await;
    let backlog = Some(Backlog { keep: 10, drop });
    let mut node = Node::with(&server, "a", &config::Pipeline { backlog, ..pipeline(4) });
    let mut in_flight = Vec::new();
    for _ in 0..4 {
        in_flight.push(node.next().await);
    }
    server.push(numbers(4..104)).await;
    eventually("ten wait", || async { server.ask::<usize>(&["LLEN", LIST]).await == 10 }).await;
    for delivery in in_flight {
        delivery.settle(Outcome::Done);
    }
    let mut taken = take(&mut node, 10).await;
    taken.sort_by_key(|payload| payload.parse::<u32>().unwrap());
    assert!(tokio::time::timeout(Duration::from_millis(100), node.taken.recv()).await.is_err());
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_that_wait_are_dropped_and_none_in_flight() {
    assert_eq!(waiting_with(Take::Oldest).await, numbers(94..104));
    assert_eq!(waiting_with(Take::Newest).await, numbers(4..14));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_a_list_evenly() {
    let server = Server::start().await;
    let mut nodes = [Node::start(&server, "a", 8), Node::start(&server, "b", 8)];
    let mut counts = [0_usize; 2];
    // Both are equally fast: 8 in flight, 2 ms each.
    while counts.iter().sum::<usize>() < 4_000 {
        server.push(numbers(0..32)).await;
        for (node, count) in nodes.iter_mut().zip(&mut counts) {
            while let Ok(delivery) = node.taken.try_recv() {
                delivery.settle(Outcome::Done);
                *count += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let [one, other] = counts;
    assert!(one.min(other) * 10 > one.max(other) * 6, "{one} and {other}");
}
