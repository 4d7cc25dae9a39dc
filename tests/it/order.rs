//! Messages that have something in common are delivered in order, whatever fails, and whoever ends.

use crate::{
    jobs::{SOON, all_arrive, number, pipeline},
    kinds::all_is_settled,
};
use gristmill_tests::{Answer, Mill, Node, Received, Redis, eventually};
use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const USERS: u64 = 30;
const EACH: u64 = 30;
const ALL: u64 = USERS * EACH;
/// One request of so many is refused at first.
const FAILS: usize = 7;
const LEADS: &[&str] = &["taking in order"];

/// What each user was sent: its messages are numbered from 0.
type Sent = BTreeMap<u64, Vec<u64>>;

/// A mill that keeps the messages of each user in order.
fn mill(keys: &str) -> Mill {
    Mill::on(Redis::start()).plugins(&["http"]).config(&ordered(keys))
}

fn ordered(keys: &str) -> String {
    let keys =
        format!("in_flight = 64\norder_by = \"json:/user\"\nretry = {{ attempts = 20, first = \"50ms\" }}\n{keys}");
    pipeline(&keys, "")
}

/// Messages of all users in turn.
fn messages() -> impl Iterator<Item = String> {
    (0..ALL).map(|id| format!("{{\"id\":{id},\"user\":\"user {}\"}}", id % USERS))
}

fn push(mill: &Mill) {
    mill.redis.push("jobs", messages());
}

/// What has arrived, first tries and others, in the order of arrival.
fn sent(received: &[Received]) -> Sent {
    let mut sent = Sent::new();
    for id in received.iter().map(number) {
        sent.entry(id % USERS).or_default().push(id / USERS);
    }
    sent
}

/// Waits until it is this node that takes.
#[track_caller]
fn leads(node: &Node) {
    node.says(LEADS);
}

/// Lets one request of `FAILS` fail, after a pause that keeps messages in flight.
fn fail_now_and_then(mill: &Mill) {
    let count = AtomicUsize::new(0);
    mill.sink.answer_by(move |_| match count.fetch_add(1, Ordering::Relaxed) % FAILS {
        0 => Answer::Status(503),
        _ => Answer::Late(Duration::from_millis(10)),
    });
}

/// Wants each number to be the one before or the next one.
#[track_caller]
fn in_order(sent: &Sent) {
    for (user, numbers) in sent {
        let follows = numbers.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1);
        assert!(numbers[0] == 0 && follows, "user {user} was sent {numbers:?}");
    }
}

#[test]
fn what_fails_holds_back_what_is_behind_it() {
    let mill = mill("");
    fail_now_and_then(&mill);
    let (_one, _other) = (mill.node(), mill.node());
    push(&mill);
    let again = all_arrive(&mill.sink, 0..ALL);
    assert!(again >= ALL as usize / FAILS, "{again} tries failed");
    all_is_settled(&mill.redis);
    in_order(&sent(&mill.sink.received()));
}

/// Kills the node that takes when a third has been sent by it.
fn kill_the_leader(mill: &Mill, push: impl FnOnce()) {
    fail_now_and_then(mill);
    let mut leader = mill.node();
    leads(&leader);
    let other = mill.node();
    push();
    eventually(SOON, "a third is sent", || (mill.sink.count() as u64 >= ALL / 3).then_some(()));
    assert!(!other.log().contains(LEADS[0]), "one takes at a time");
    leader.kill9();
    // Nobody sends before the lease of the dead one is over.
    let before = mill.sink.count();
    all_arrive(&mill.sink, 0..ALL);
    leads(&other);
    all_is_settled(&mill.redis);
    let received = mill.sink.received();
    let (first, second) = received.split_at(before);
    let (first, second) = (sent(first), sent(second));
    in_order(&first);
    for (user, numbers) in &second {
        let follows = numbers.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1);
        let next = first.get(user).and_then(|numbers| numbers.last()).map_or(0, |last| last + 1);
        assert!(follows, "user {user} was sent {numbers:?}");
        assert!(numbers[0] <= next, "user {user} was sent {} where {next} was next", numbers[0]);
    }
}

#[test]
fn when_the_leader_is_killed_the_other_goes_on_in_order() {
    let mill = mill("");
    kill_the_leader(&mill, || push(&mill));
}

#[test]
fn when_the_leader_of_a_stream_is_killed_the_other_goes_on_in_order() {
    let config = ordered("").replace("{ list = \"jobs\" }", "{ stream = \"events\", group = \"workers\" }");
    let mill = Mill::on(Redis::start()).plugins(&["http"]).config(&config);
    kill_the_leader(&mill, || {
        let mut pipe = redis::pipe();
        for message in messages() {
            pipe.cmd("XADD").arg("events").arg("*").arg("payload").arg(message);
        }
        pipe.exec(&mut mill.redis.connect()).unwrap();
    });
}

#[test]
fn when_the_leader_of_a_thoonk_queue_is_killed_the_other_goes_on_in_order() {
    let config = ordered("").replace("{ list = \"jobs\" }", "{ thoonk = \"queued\", kind = \"queue\" }");
    let mill = Mill::on(Redis::start()).plugins(&["http"]).config(&config);
    kill_the_leader(&mill, || {
        let mut pipe = redis::pipe();
        for (number, message) in messages().enumerate() {
            // Ids of items say nothing about their order.
            let id = format!("{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            pipe.cmd("LPUSH")
                .arg("feed.ids:queued")
                .arg(&id)
                .cmd("HSET")
                .arg("feed.items:queued")
                .arg(&id)
                .arg(message);
        }
        pipe.exec(&mut mill.redis.connect()).unwrap();
    });
}

#[test]
fn with_overtake_others_pass_what_waits_for_another_attempt() {
    let mill = mill("order_retries = \"overtake\"");
    let failed = Mutex::new(HashSet::new());
    // The first message of each user fails once.
    mill.sink.answer_by(move |received| {
        let id = number(received);
        let fails = id < USERS && failed.lock().unwrap().insert(id);
        Answer::Status(if fails { 503 } else { 200 })
    });
    let _node = mill.node();
    push(&mill);
    // Some second tries may come before the last first one.
    all_arrive(&mill.sink, 0..ALL);
    eventually(SOON, "all second tries", || (mill.sink.count() as u64 == ALL + USERS).then_some(()));
    all_is_settled(&mill.redis);
    let sent = sent(&mill.sink.received());
    let overtaken = sent.values().filter(|numbers| numbers[..2] == [0, 1]).count() as u64;
    assert!(overtaken > USERS / 2, "only {overtaken} were overtaken: {sent:?}");
    for (user, numbers) in &sent {
        // But for the one that failed, in order.
        let others: Vec<u64> = numbers.iter().copied().filter(|number| *number > 0).collect();
        assert!(others.is_sorted(), "user {user} was sent {numbers:?}");
    }
}

#[test]
fn one_key_with_thousands_waiting_leaves_room_for_the_others() {
    const NOISE: u64 = 3_000;
    let mill = mill("");
    let noisy = |received: &Received| number(received) < NOISE;
    mill.sink.answer_by(move |received| match noisy(received) {
        true => Answer::Late(Duration::from_millis(40)),
        false => Answer::Status(200),
    });
    let count = |mine: bool| mill.sink.received().iter().filter(|one| noisy(one) == mine).count();
    let quiet = |ids: Range<u64>| ids.map(|id| format!("{{\"id\":{id},\"user\":\"user {}\"}}", id % USERS));
    mill.redis.push("jobs", (0..NOISE).map(|id| format!("{{\"id\":{id},\"user\":\"noisy\"}}")));
    mill.redis.push("jobs", quiet(NOISE..NOISE + 200));
    let mut first = mill.node();
    eventually(SOON, "the others have come", || (count(false) == 200).then_some(()));
    // Behind all of it they would have waited for two minutes.
    let before = count(true);
    assert!(before < NOISE as usize / 6, "{before} of the noisy key came first");
    // Also those that come later, and after the end of a node.
    mill.redis.push("jobs", quiet(NOISE + 200..NOISE + 220));
    eventually(SOON, "later ones have come", || (count(false) == 220).then_some(()));
    first.kill9();
    let after = count(true);
    let _second = mill.node();
    mill.redis.push("jobs", quiet(NOISE + 220..NOISE + 240));
    eventually(SOON, "those have come", || (count(false) >= 240).then_some(()));
    eventually(SOON, "the noisy one goes on", || (count(true) >= after + 100).then_some(()));
    let noise: Vec<u64> = mill.sink.received().iter().filter(|one| noisy(one)).map(number).collect();
    let follows = noise.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1);
    assert!(noise[0] == 0 && follows, "{noise:?}");
}
