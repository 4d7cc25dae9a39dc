//! Publishers that take many messages at once, tried with as many as they get in a node.

use super::{guest, mill, objects, plugin, tried};
use gristmill_tests::Finished;
use serde_json::{Value, json};

/// Events for so many channels.
fn events(count: usize) -> String {
    (0..count).map(|n| format!("{{\"channel\":\"gauge-{n}\",\"event\":\"hit\",\"data\":{n}}}\n")).collect()
}

/// Tries the plugin `pusher` on 23 events.
fn pushed(words: &[&str]) -> Finished {
    let pusher = plugin("pusher");
    let config = r#"{"app_id":"3","key":"k","secret":"s","url":"http://127.0.0.1:1"}"#;
    tried(&[&[&*pusher, "--plugin-config", config], words].concat(), &events(23))
}

#[test]
fn each_batch_is_one_request_and_each_message_has_its_verdict() {
    let finished = pushed(&["--batch", "10"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let sent = |line: &&&str| line.starts_with("  → POST http://127.0.0.1:1/apps/3/batch_events?");
    assert_eq!(lines.iter().filter(sent).count(), 3, "{}", finished.stdout);
    let heads: Vec<&str> = lines.iter().filter(|line| line.starts_with("try-")).copied().collect();
    let size = |number| if number <= 20 { 10 } else { 3 };
    assert_eq!(heads.len(), 23, "{}", finished.stdout);
    for (number, head) in (1..).zip(heads) {
        assert!(head.starts_with(&format!("try-{number}  done  (")), "{head}");
        assert!(head.contains(&format!(" each in a batch of {}", size(number))), "{head}");
    }
    assert!(finished.stdout.contains("\n      (for try-21, try-22, try-23)\n  ← 200\n"), "{}", finished.stdout);
    assert!(finished.stderr.contains("23 messages: 23 done; "), "{}", finished.stderr);

    let alone = pushed(&[]);
    assert_eq!(alone.stdout.matches("  → POST http://127.0.0.1:1/apps/3/").count(), 23, "{}", alone.stdout);
    assert!(!alone.stdout.contains("in a batch"), "{}", alone.stdout);
}

#[test]
fn what_the_server_says_to_a_batch_is_judged_for_each_of_its_messages() {
    let finished = pushed(&["--batch", "10", "--reply", "503", "--reply-header", "retry-after: 7"]);
    assert_eq!(finished.stdout.matches("  retry after 7 s: ").count(), 23, "{}", finished.stdout);
    assert_eq!(finished.stdout.matches("\n  ← 503\n").count(), 3, "{}", finished.stdout);
}

/// Tries the guest `bulk` on messages that say so what is to happen to them.
fn bulk(orders: &[&str], words: &[&str]) -> Finished {
    let input: String = orders.iter().map(|order| format!("{{\"do\":\"{order}\"}}\n")).collect();
    tried(&[&[&*guest("bulk"), "--set", "url=http://h/", "--batch", "9"], words].concat(), &input)
}

fn verdicts(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["verdict"].as_str().unwrap()).collect()
}

#[test]
fn messages_of_a_batch_come_to_different_ends() {
    let finished = bulk(&["", "reject", "alone", "", ""], &["--json", "--reply", "200 [200,404,200]"]);
    let objects = objects(&finished);
    assert_eq!(verdicts(&objects), ["done", "reject", "done", "reject", "done"], "{}", finished.stdout);
    let carried = |object: &Value| object["rounds"][0]["requests"][0]["carries"].clone();
    assert_eq!(carried(&objects[0]), json!(["try-1", "try-4", "try-5"]), "{}", finished.stdout);
    assert_eq!(carried(&objects[2]), json!(["try-3"]));
    assert!(objects[1].get("rounds").is_none() && objects[3].get("rounds").is_none(), "{}", finished.stdout);
    assert!(objects.iter().all(|object| object["batch"] == 5), "{}", finished.stdout);
}

#[test]
fn a_message_that_breaks_its_batch_is_found() {
    for trap in ["trap", "trap late"] {
        let finished = bulk(&["", trap, ""], &[]);
        assert_eq!(finished.code, 1, "{}", finished.stderr);
        let told = "  broke over a batch of 3, of which each message was tried alone then: trapped: unreachable: ";
        assert_eq!(finished.stdout.matches(told).count(), 1, "{}", finished.stdout);
        assert!(finished.stdout.contains("\ntry-2  broken: trapped: unreachable: "), "{}", finished.stdout);
        assert!(finished.stderr.contains("3 messages: 2 done, 1 broken; "), "{}", finished.stderr);
    }
    // Only the batch as a whole is to blame.
    let finished = bulk(&["", "astray"], &["--json"]);
    let objects = objects(&finished);
    assert_eq!((finished.code, verdicts(&objects)), (1, vec!["done", "broken"]), "{}", finished.stdout);
    assert_eq!(objects[0]["batch_broke"]["messages"], 2, "{}", finished.stdout);
}

#[test]
fn a_configuration_says_how_many_go_together() {
    let mill = mill();
    let config = r#"config = { url = "http://127.0.0.1:1" }"#;
    mill.write_config(&format!("[plugin.bulk]\n{config}\nallow_http = [\"127.0.0.1:1\"]\nbatch = {{ size = 4 }}\n"));
    let bulk = guest("bulk");
    let words = ["try", &bulk, "--config", "gristmill.toml"];
    let finished = mill.feed(&words, &"{}\n".repeat(6));
    assert_eq!(finished.stdout.matches("each in a batch of 4").count(), 4, "{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.stdout.matches("each in a batch of 2").count(), 2, "{}", finished.stdout);
    let finished = mill.feed(&[&words[..], &["--batch", "1"]].concat(), &"{}\n".repeat(6));
    assert!(!finished.stdout.contains("in a batch"), "{}", finished.stdout);
}

#[test]
fn what_takes_no_batches_gets_none() {
    let finished = tried(&[&plugin("first-filter"), "--batch", "10"], "x\n");
    assert_eq!(finished.code, 1);
    assert!(
        finished.stderr.contains("takes batches") && finished.stderr.contains("this is a filter"),
        "{}",
        finished.stderr
    );
    assert_eq!(tried(&[&plugin("first-filter"), "--batch", "0"], "x\n").code, 2);
}
