//! Messages go from the list through filters to the sink, whatever they hold.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Dead, Mill, Redis, eventually};

#[test]
fn messages_reach_the_sink_as_they_were_pushed() {
    let mill = direct(Redis::start(), "");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    assert_eq!(all_arrive(&mill.sink, 0..200), 0);
    let bodies = mill.sink.bodies();
    for job in jobs(0..200) {
        assert_eq!(bodies.get(job.as_bytes()), Some(&1), "{job}");
    }
    let received = mill.sink.received();
    assert!(received.iter().all(|one| one.method == "POST" && one.path == "/hooks/jobs"), "{:?}", received[0]);
    nothing_is_left(&mill.redis);
}

#[test]
fn messages_pushed_before_the_start_are_delivered_too() {
    let mill = direct(Redis::start(), "");
    mill.redis.push("jobs", jobs(0..50));
    let _node = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..50), 0);
}

#[test]
fn each_message_carries_its_own_idempotency_key() {
    let mill = direct(Redis::start(), "");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    all_arrive(&mill.sink, 0..20);
    let keys = mill.sink.tally(|received| received.header("idempotency-key").map(str::to_owned));
    assert_eq!(keys.len(), 20, "{keys:?}");
    assert!(!keys.contains_key(&None));
}

#[test]
fn payloads_of_any_kind_pass_through_the_host_unharmed() {
    let mill = direct(Redis::start(), "");
    let _node = mill.node();
    let payloads: Vec<Vec<u8>> = vec![
        b"not JSON".to_vec(),
        Vec::new(),
        b"NUL \0 in the \0\0 middle\0".to_vec(),
        vec![0xff, 0xfe, 0x80, 0xc3],
        b"{\"unfinished\": ".to_vec(),
        (0..10 * 1024 * 1024).map(|n: u32| (n % 251) as u8).collect(),
    ];
    mill.redis.push("jobs", payloads.iter().map(Vec::as_slice));
    eventually(SOON, "all of them arrive", || (mill.sink.count() >= payloads.len()).then_some(()));
    let bodies = mill.sink.bodies();
    for payload in &payloads {
        assert_eq!(bodies.get(payload.as_slice()), Some(&1), "{} bytes: {:?}", payload.len(), payload.get(..20));
    }
    nothing_is_left(&mill.redis);
}

#[test]
fn private_fields_do_not_reach_the_sink() {
    let anonymize = "[plugin.anonymize]\nconfig = { fields = [\"ip\", \"user.email\"], mode = \"drop\" }\n";
    let mill = Mill::new().plugins(&["anonymize", "http"]).config(&pipeline("filters = [\"anonymize\"]", anonymize));
    let _node = mill.node();
    mill.redis
        .push("jobs", ["{\"id\":1,\"ip\":\"192.0.2.1\",\"user\":{\"name\":\"Mia\",\"email\":\"mia@example.org\"}}"]);
    all_arrive(&mill.sink, 1..2);
    let expected = serde_json::json!({"id": 1, "user": {"name": "Mia"}});
    assert_eq!(mill.sink.received()[0].json(), expected);
}

#[test]
fn what_a_filter_cannot_read_is_buried_and_the_rest_goes_on() {
    let anonymize = "[plugin.anonymize]\nconfig = { fields = [\"ip\"], mode = \"drop\" }\n";
    let mill = Mill::new().plugins(&["anonymize", "http"]).config(&pipeline("filters = [\"anonymize\"]", anonymize));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    mill.redis.push("jobs", ["not JSON", "", "{\"id\":"]);
    mill.redis.push("jobs", jobs(50..100));
    assert_eq!(all_arrive(&mill.sink, 0..100), 0);
    let dead = Dead::of(&mill, "jobs");
    let letters = eventually(SOON, "three dead letters", || Some(dead.list()).filter(|letters| letters.len() == 3));
    assert!(letters.iter().all(|letter| letter.to_string().contains("anonymize")), "{letters:?}");
    assert!(mill.sink.received().iter().all(|received| received.json().get("ip").is_none()));
}

#[test]
fn pipelines_side_by_side_do_not_mix() {
    let other = "\n[pipeline.others]\nfrom = { list = \"others\" }\npublish = [\"http\"]\n";
    let mill = Mill::new().plugins(&["http"]).config(&pipeline("", other));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..30));
    mill.redis.push("others", jobs(30..60));
    assert_eq!(all_arrive(&mill.sink, 0..60), 0);
    let wrong = mill.sink.received().into_iter().find(|received| {
        let expected = if received.json()["id"].as_u64() < Some(30) { "/hooks/jobs" } else { "/hooks/others" };
        received.path != expected
    });
    assert!(wrong.is_none(), "{wrong:?}");
}

#[test]
fn what_a_filter_drops_is_done() {
    let mill = Mill::new().plugins(&["first-filter", "http"]).config(&pipeline("filters = [\"first-filter\"]", ""));
    let mut node = mill.node();
    let hit =
        |id: u64| format!("{{\"id\":{id},\"agent\":\"{}\"}}", if id.is_multiple_of(2) { "Firefox" } else { "a bot" });
    mill.redis.push("jobs", (0..100).map(hit));
    nothing_is_left(&mill.redis);
    assert_eq!(node.terminate(), 0);
    assert_eq!(mill.sink.count(), 50);
    assert!(mill.sink.received().iter().all(|received| received.json()["agent"] == "Firefox"));
}
