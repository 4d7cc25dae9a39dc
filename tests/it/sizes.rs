//! Messages of any size and content, and very many that wait for another attempt.

use crate::{
    harm::{nothing_was_slow, resident_mib, size, told_of_slow_commands},
    jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline},
};
use gristmill_tests::{Dead, Mill, Redis, eventually};
use std::collections::HashSet;

#[test]
fn a_payload_of_any_size_and_content_arrives_as_it_was_pushed() {
    let mill = direct(Redis::start(), "");
    let node = mill.node();
    let mut odd: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0],
        b"\xff\xfe\0\x80 not text".to_vec(),
        b"*1\r\n$4\r\nPING\r\n".to_vec(),
        b"{\"id\":\"a\"}\n1\n2".to_vec(),
        "[".repeat(100_000).into_bytes(),
        (0..=255).collect(),
    ];
    odd.push(vec![b'l'; 4 << 20]);
    mill.redis.push("jobs", &odd);
    eventually(SOON, "all have arrived", || (mill.sink.count() >= odd.len()).then_some(()));
    let arrived: HashSet<Vec<u8>> = mill.sink.received().into_iter().map(|one| one.body.to_vec()).collect();
    assert_eq!(arrived, odd.into_iter().collect());
    nothing_is_left(&mill.redis);
    drop(node);
}

#[test]
fn payloads_larger_than_a_plugin_may_hold_are_buried_and_disturb_nobody() {
    let mill = direct(Redis::start(), "retry = { attempts = 2, first = \"50ms\", longest = \"50ms\" }");
    let mut node = mill.node();
    for huge in 0..4_u8 {
        mill.redis.push("jobs", [vec![b'0' + huge; 64 << 20]]);
    }
    mill.redis.push("jobs", jobs(0..500));
    assert_eq!(all_arrive(&mill.sink, 0..500), 0);
    let letters = eventually(SOON, "all of them are buried", || {
        Some(Dead::of(&mill, "jobs").list()).filter(|letters| letters.len() == 4)
    });
    assert!(letters[0].to_string().contains("memory_mib"), "{}", letters[0]);
    assert_eq!(node.ended(), None);
    assert!(resident_mib(&node) < 1_024, "{} MiB", resident_mib(&node));
}

/// What a node may take in memory of one message, while it is read, shown to a plugin and sealed to be buried: the client
/// library has buffers of its own for each step.
const COPIES: usize = 6;

#[test]
fn the_longest_payloads_are_buried_with_a_reason_and_others_go_on() {
    // Redis allows 512 by itself.
    let mib = size("GRISTMILL_LONGEST_MIB", 128) as usize;
    let mill = direct(
        Redis::with_args(&["--proto-max-bulk-len", "600mb"]),
        "retry = { attempts = 2, first = \"50ms\", longest = \"50ms\" }",
    );
    let mut node = mill.node();
    for number in 0..2 {
        // Made in the server: a client has to hold it, too.
        let make = "redis.call('RPUSH', 'jobs', string.rep('x', tonumber(ARGV[1])))";
        mill.redis.ask::<()>(&["EVAL", make, "0", &(mib << 20).to_string()]);
        mill.redis.push("jobs", jobs(number..number + 1));
    }
    let mut most = 0;
    eventually(SOON * 2, "both are buried", || {
        most = resident_mib(&node).max(most);
        let dead: usize = mill.redis.ask(&["XLEN", "gristmill:{jobs}:jobs:dead"]);
        (dead == 2).then_some(())
    });
    all_arrive(&mill.sink, 0..2);
    assert_eq!(node.ended(), None);
    assert!(most < 2 * COPIES * mib + 100, "{most} MiB");
    // Read in the server, without the payload.
    let why = "local letter = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][2] \
               for at = 1, #letter, 2 do if letter[at] == 'envelope' then return letter[at + 1] end end";
    let story: String = mill.redis.ask(&["EVAL", why, "1", "gristmill:{jobs}:jobs:dead"]);
    assert!(story.contains("memory_mib"), "{story}");
}

#[test]
fn a_message_with_a_million_fields_is_delivered_or_buried_and_disturbs_nobody() {
    let stream = pipeline("retry = { attempts = 2, first = \"50ms\", longest = \"50ms\" }", "")
        .replace("{ list = \"jobs\" }", "{ stream = \"jobs\", group = \"g\" }");
    let mill = Mill::new().plugins(&["http"]).config(&stream);
    let mut node = mill.node();
    let job = |number: u64| {
        mill.redis.ask::<String>(&["XADD", "jobs", "*", "payload", &format!("{{\"id\":{number}}}")]);
    };
    job(0);
    let mut wide = redis::cmd("XADD");
    wide.arg("jobs").arg("*").arg("payload").arg("{\"id\":1}");
    for field in 0..1_000_000 {
        wide.arg(format!("field-{field}")).arg(field);
    }
    wide.exec(&mut mill.redis.connect()).unwrap();
    (2..100).for_each(job);
    let mut most = 0;
    eventually(SOON, "all have gone their ways", || {
        most = resident_mib(&node).max(most);
        let dead: usize = mill.redis.ask(&["XLEN", "gristmill:{jobs}:jobs:group:g:dead"]);
        (mill.sink.count() + dead >= 100).then_some(())
    });
    assert!(most < 700, "{most} MiB");
    assert_eq!(node.ended(), None);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn very_many_that_wait_for_another_attempt_are_taken_in_their_time() {
    const DUE: u64 = 20_000;
    let many = size("GRISTMILL_DELAYED", 1_000_000);
    let mill = direct(told_of_slow_commands(), "in_flight = 256");
    let mut connection = mill.redis.connect();
    for first in (0..many).step_by(1_000) {
        let mut add = redis::cmd("ZADD");
        add.arg("gristmill:{jobs}:jobs:delayed");
        for (number, job) in (first..).zip(jobs(first..first + 1_000)) {
            // Due long ago, or in a hundred years.
            let due = if number < DUE { 1 } else { 4_000_000_000_000_u64 };
            add.arg(due)
                .arg(format!("{{\"id\":\"{number}\",\"attempts\":1,\"received_ms\":1,\"troubles\":[]}}\n{job}"));
        }
        add.exec(&mut connection).unwrap();
    }
    mill.redis.ask::<()>(&["SLOWLOG", "RESET"]);
    let mut node = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..DUE), 0);
    assert!(resident_mib(&node) < 200, "{} MiB", resident_mib(&node));
    let waiting: u64 = mill.redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]);
    assert_eq!(waiting, many - DUE);
    assert_eq!(node.terminate(), 0);
    nothing_was_slow(&mill.redis);
}
