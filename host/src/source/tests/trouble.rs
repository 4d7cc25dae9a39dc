//! A Redis that does not do what it is asked.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_lose_nothing_and_repeat_nothing() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 64);
    let seen = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let count = Arc::clone(&seen);
    let shutdown = node.shutdown.clone();
    let collector = shutdown.track(async move {
        while let Some(delivery) = node.taken.recv().await {
            let payload = String::from_utf8(delivery.message.payload.to_vec()).unwrap();
            *count.lock().unwrap().entry(payload).or_default() += 1;
            delivery.settle(Outcome::Done);
        }
        node.source
    });
    for round in 0..20 {
        server.push((0..200).map(|n| format!("{round}-{n}"))).await;
        let mut redis = server.redis().await;
        let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes").to_owned();
        kill.exec_async(&mut redis).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("all have come", || async { seen.lock().unwrap().len() == 4000 }).await;
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert_eq!(seen.lock().unwrap().values().filter(|times| **times > 1).count(), 0);
    collector.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_is_waited_out() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    redis::cmd("SET").arg(LIST).arg("no list").exec_async(&mut redis).await.unwrap();
    let mut node = Node::start(&server, "a", 8);
    assert!(tokio::time::timeout(Duration::from_millis(300), node.taken.recv()).await.is_err());
    redis::cmd("DEL").arg(LIST).exec_async(&mut redis).await.unwrap();
    server.push(["x".to_owned()]).await;
    node.next().await.settle(Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_is_drained() {
    let server = Server::start().await;
    server.push((0..300).map(|n| n.to_string())).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let mut node = Node::start(&server, "a", 64);
    let mut failing = Vec::new();
    for n in 0..300 {
        let delivery = node.next().await;
        let reason = if n % 100 == 0 { "no good" } else { "busy" };
        match n % 10 {
            0 if n % 100 == 0 => {
                delivery.settle(Outcome::Dead { trouble: trouble(1, reason), succeeded: Vec::new() });
            }
            0 => {
                failing.push(delivery.message.id.clone());
                let after = Duration::from_millis(100);
                delivery.settle(Outcome::Retry { after, trouble: trouble(1, reason), succeeded: Vec::new() });
            }
            _ => delivery.settle(Outcome::Done),
        }
    }
    for _ in 0..27 {
        let again = node.next().await;
        assert!(again.message.attempt == 2 && failing.contains(&again.message.id));
        again.settle(Outcome::Done);
    }
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert_eq!(server.ask::<usize>(&["XLEN", &Keys::new(LIST).dead()]).await, 3);
    // A living node keeps its lease though Redis takes no new key.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(server.ask::<usize>(&["EXISTS", &Keys::new(LIST).lease("a")]).await, 1);
    node.end().await;
    assert_eq!(server.lanes().await, HashMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_payloads_are_bounded_in_memory_and_come_whole() {
    const LONG: usize = 20 << 20;
    let server = Server::start().await;
    let most = MOST_BYTES / LONG + 2;
    for n in 0..20 {
        server.push([format!("{n:02}{}", "x".repeat(LONG))]).await;
    }
    let mut node = Node::start(&server, "a", 256);
    let mut held = Vec::new();
    while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(2), node.taken.recv()).await {
        assert_eq!(delivery.message.payload.len(), LONG + 2);
        held.push(delivery);
    }
    assert!(held.len() < 20 && held.len() <= most, "{} are held", held.len());
    let mut seen: HashSet<_> = held.iter().map(|delivery| delivery.message.payload.slice(..2)).collect();
    held.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
    while seen.len() < 20 {
        let delivery = node.next().await;
        seen.insert(delivery.message.payload.slice(..2));
        delivery.settle(Outcome::Done);
    }
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}
