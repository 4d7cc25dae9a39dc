//! What is known in Redis of messages that have been delivered in part.

use super::*;
use crate::source::Delivery;

impl Server {
    async fn journal(&self) -> HashMap<String, String> {
        self.ask(&["HGETALL", &Keys::new(LIST).journal()]).await
    }
}

/// The next two, in the order of their payloads: two takers may have one each.
async fn both(node: &mut Node) -> [Delivery; 2] {
    let mut both = [node.next().await, node.next().await];
    both.sort_by_key(|delivery| delivery.message.payload.clone());
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_message_over_knows_which_publishers_have_succeeded() {
    let server = Server::start().await;
    server.push(["x".to_owned(), "y".to_owned()]).await;
    let mut node = Node::start(&server, "a", 8);
    let [first, second] = both(&mut node).await;
    for publisher in ["one", "0/two"] {
        first.note(publisher);
    }
    let id = first.message.id.to_string();
    let expected = HashMap::from([(id.clone(), "one,0/two".to_owned())]);
    eventually("the journal knows", || async { server.journal().await == expected }).await;
    std::mem::forget((first, second));
    drop(node.die().await);
    let mut node = Node::start(&server, "b", 8);
    let [first, second] = both(&mut node).await;
    assert_eq!((&*first.message.id, first.succeeded()), (&*id, &["one".to_owned(), "0/two".to_owned()][..]));
    assert_eq!(second.succeeded(), &[] as &[String]);
    // Also where this attempt is given up: it stays known in the envelope, and the journal is rid of it.
    let succeeded = [first.succeeded(), &["three".to_owned()]].concat();
    first.settle(Outcome::Retry { after: Duration::ZERO, trouble: trouble(2, "busy"), succeeded });
    let again = node.next().await;
    assert_eq!(again.succeeded(), ["one", "0/two", "three"]);
    assert_eq!(server.journal().await, HashMap::new());
    // In an attempt from an envelope it is the same.
    again.note("four");
    eventually("the journal knows", || async {
        server.journal().await == HashMap::from([(id.clone(), "four".to_owned())])
    })
    .await;
    std::mem::forget((again, second));
    drop(node.die().await);
    let mut node = Node::start(&server, "c", 8);
    let [first, second] = both(&mut node).await;
    assert_eq!(first.succeeded(), ["one", "0/two", "three", "four"]);
    first.settle(Outcome::Done);
    second.settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert_eq!(server.journal().await, HashMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_into_the_journal_of_a_message_that_is_no_longer_his() {
    let server = Server::start().await;
    server.push(["x".to_owned()]).await;
    let mut node = Node::start(&server, "a", 8);
    let held = node.next().await;
    // As if another node had taken the lane over.
    server.ask::<usize>(&["DEL", &Keys::new(LIST).lanes()]).await;
    held.note("one");
    // What lies in the lane comes again, as that of nobody.
    let again = node.next().await;
    assert_ne!(again.message.id, held.message.id);
    assert_eq!(server.journal().await, HashMap::new());
    again.note("two");
    eventually("the journal knows", || async { server.journal().await.into_values().eq(["two".to_owned()]) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_are_written_down_and_struck_out_together() {
    let server = Server::start().await;
    server.push((0..2_500).map(|number| number.to_string())).await;
    let mut node = Node::start(&server, "a", 2_500);
    let mut held = Vec::new();
    for _ in 0..2_500 {
        held.push(node.next().await);
    }
    held.iter().for_each(|delivery| delivery.note("one"));
    held.iter().for_each(|delivery| delivery.note("two"));
    eventually("the journal knows of all", || async {
        let journal = server.journal().await;
        journal.len() == 2_500 && journal.values().all(|noted| noted == "one,two")
    })
    .await;
    held.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert_eq!(server.journal().await, HashMap::new());
}
