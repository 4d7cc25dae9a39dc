//! How a group comes to be, and comes to be again.

use super::*;
use std::time::Instant;

fn starting(start: Start) -> Pipeline {
    pipeline_of(config::From::Stream(config::Stream { start, ..stream() }), 8)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_begins_where_the_configuration_says() {
    let server = Server::start().await;
    let ids = add(&server, ["one".to_owned(), "two".to_owned()]).await;
    let starts = [
        (Start::Oldest, vec!["one", "two", "three"]),
        (Start::After(ids[0].clone()), vec!["two", "three"]),
        (Start::Newest, vec!["three"]),
    ];
    let mut nodes = Vec::new();
    for (index, (start, wanted)) in starts.into_iter().enumerate() {
        let group = format!("g{index}");
        let from = config::Stream { start, group: group.clone(), ..stream() };
        nodes.push((Node::with(&server, "a", &pipeline_of(config::From::Stream(from), 1)), wanted));
        eventually("a group", || async { groups(&server).await.contains(&group) }).await;
    }
    add(&server, ["three".to_owned()]).await;
    for (mut node, wanted) in nodes {
        for payload in wanted {
            let delivery = node.next().await;
            assert_eq!(delivery.message.payload, payload);
            delivery.settle(Outcome::Done);
        }
        comes_nothing(&mut node).await;
    }
}

async fn groups(server: &Server) -> Vec<String> {
    let all: Vec<HashMap<String, Value>> = ask(server, &format!("XINFO GROUPS {STREAM}")).await;
    all.into_iter().map(|mut one| redis::from_redis_value(one.remove("name").unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_vanished_is_made_again() {
    for command in [format!("XGROUP DESTROY {STREAM} {GROUP}"), "FLUSHALL".to_owned(), format!("DEL {STREAM}")] {
        let started = Instant::now();
        let server = Server::start().await;
        let mut node = Node::with(&server, "a", &starting(Start::Oldest));
        add(&server, ["before".to_owned()]).await;
        node.next().await.settle(Outcome::Done);
        nothing_is_pending(&server).await;
        ask::<Value>(&server, &command).await;
        add(&server, ["after".to_owned()]).await;
        let mut came = false;
        // With a group that begins anew, what was before comes again, perhaps behind it.
        while !came || pending(&server).await > 0 {
            if let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(50), node.taken.recv()).await {
                came |= delivery.message.payload == "after";
                delivery.settle(Outcome::Done);
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{command}: came: {came}");
        }
        node.end().await;
        assert_eq!(consumers(&server).await, Vec::<String>::new(), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_group_for_new_entries_goes_on_where_it_was() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &starting(Start::Newest));
    eventually("readers", || async { registers(&server).await == 3 }).await;
    for round in 0..5 {
        add(&server, [format!("{round} first")]).await;
        let first = node.next().await;
        assert_eq!(first.message.payload, format!("{round} first"), "nothing comes twice or is left out");
        first.settle(Outcome::Done);
        nothing_is_pending(&server).await;
        // In one transaction, so that no node can make the group in between.
        let mut both = redis::pipe();
        both.atomic().cmd("XGROUP").arg("DESTROY").arg(STREAM).arg(GROUP);
        both.cmd("XADD").arg(STREAM).arg("*").arg("data").arg(format!("{round} second"));
        both.exec_async(&mut server.redis().await).await.unwrap();
        let second = node.next().await;
        assert_eq!(second.message.payload, format!("{round} second"));
        second.settle(Outcome::Done);
        nothing_is_pending(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream_under_an_old_name_is_read_whole() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &starting(Start::Newest));
    eventually("readers", || async { registers(&server).await == 3 }).await;
    add(&server, ["old".to_owned()]).await;
    node.next().await.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    let mut both = redis::pipe();
    both.atomic().cmd("DEL").arg(STREAM);
    both.cmd("XADD").arg(STREAM).arg("1-1").arg("data").arg("new");
    both.exec_async(&mut server.redis().await).await.unwrap();
    let delivery = node.next().await;
    assert_eq!((&*delivery.message.id, delivery.message.received_ms), ("1-1", 1));
    delivery.settle(Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_one_stream_keep_their_retries_apart() {
    let server = Server::start().await;
    let mut one = Node::with(&server, "a", &pipeline(8));
    let from = config::Stream { group: "h".into(), ..stream() };
    let mut other = Node::with(&server, "a", &pipeline_of(config::From::Stream(from), 8));
    add(&server, ["x".to_owned()]).await;
    one.next().await.settle(Outcome::Again { after: Duration::ZERO, succeeded: Vec::new() });
    other.next().await.settle(Outcome::Done);
    let again = one.next().await;
    assert_eq!((again.message.payload.as_ref(), again.message.attempt), (&b"x"[..], 1));
    again.settle(Outcome::Done);
    comes_nothing(&mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_waits_for_a_key_that_is_no_stream_any_more() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(8));
    add(&server, ["x".to_owned()]).await;
    let held = node.next().await;
    ask::<()>(&server, &format!("SET {STREAM} x")).await;
    held.settle(Outcome::Dead { trouble: trouble(1, "no good"), succeeded: Vec::new() });
    comes_nothing(&mut node).await;
    ask::<()>(&server, &format!("DEL {STREAM}")).await;
    eventually("a dead letter", || async { dead(&server).await.count().await.unwrap() > 0 }).await;
    add(&server, ["y".to_owned()]).await;
    node.next().await.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    assert_eq!(dead(&server).await.count().await.unwrap(), 1, "tried several times, carried out once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_stream_is_waited_out() {
    let server = Server::start().await;
    ask::<()>(&server, &format!("SET {STREAM} x")).await;
    let mut node = Node::with(&server, "a", &pipeline(8));
    comes_nothing(&mut node).await;
    ask::<()>(&server, &format!("DEL {STREAM}")).await;
    add(&server, ["x".to_owned()]).await;
    node.next().await.settle(Outcome::Done);
    nothing_is_pending(&server).await;
}
