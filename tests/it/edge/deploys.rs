//! A node is replaced while others publish: clients come back and have missed nothing.

use super::{Events, SOON, mill, post, started};
use gristmill_tests::eventually;
use std::{collections::BTreeSet, net::TcpStream, thread};

const POSTS: u32 = 2_000;

/// Reads until it has every post, coming back wherever it is sent away; returns how often it was.
fn faithful(port: u16) -> (usize, Vec<u32>) {
    let (mut times, mut seen, mut id) = (0, Vec::new(), String::new());
    loop {
        let mut client = Events::open(port, "/sse/user-1?last=10000", &id);
        while let Some(data) = client.next() {
            let post: serde_json::Value = serde_json::from_str(&data).unwrap();
            seen.push(u32::try_from(post["n"].as_u64().unwrap()).unwrap());
            if seen.len() == POSTS as usize {
                return (times, seen);
            }
        }
        (times, id) = (times + 1, client.id);
    }
}

#[test]
fn clients_lose_nothing_when_a_node_gives_way_to_another() {
    let (mill, port) = mill("");
    let mut node = started(&mill, port);
    let clients: Vec<_> = (0..20).map(|_| thread::spawn(move || faithful(port))).collect();
    let (early, late, last) = (POSTS / 4, POSTS / 2, POSTS / 4 * 3);
    // Those who are not there yet find these in the history.
    mill.redis.push("posts", (0..early).map(|number| post(1, number)));
    let mut witness = Events::open(port, "/sse/user-1?last=10000", "");
    for _ in 0..early {
        witness.next().unwrap();
    }
    for first in (early..late).step_by(50) {
        mill.redis.push("posts", (first..first + 50).map(|number| post(1, number)));
    }
    drop(witness);
    node.sigterm();
    for first in (late..last).step_by(50) {
        mill.redis.push("posts", (first..first + 50).map(|number| post(1, number)));
    }
    // However long a busy machine takes to end it, some are for the next one.
    eventually(SOON, "nobody is accepted any more", || TcpStream::connect(("127.0.0.1", port)).err());
    mill.redis.push("posts", (last..POSTS).map(|number| post(1, number)));
    assert_eq!(node.exit_code(SOON * 3), 0);
    let _next = started(&mill, port);
    let expected: BTreeSet<u32> = (0..POSTS).collect();
    for client in clients {
        let (times, seen) = client.join().unwrap();
        assert!(times > 0, "every client was sent away");
        assert_eq!(seen.iter().copied().collect::<BTreeSet<u32>>(), expected, "each post once: {} came", seen.len());
    }
}
