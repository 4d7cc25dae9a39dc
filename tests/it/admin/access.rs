//! Who may do what: by the way, by the token, and by what a browser says of the page that asks.

use super::{
    caller::{Caller, FULL, READ},
    mill,
};
use crate::jobs::{SOON, jobs, pipeline};
use gristmill_tests::{Answer, Mill, eventually, redis::free_port};

/// The statuses of a look, of a letter, and of an order.
fn statuses(caller: &Caller) -> [u16; 3] {
    let order = caller.ask("POST", "/api/pipelines/jobs/resume", "").status;
    [caller.get("/status").status, caller.get("/api/dead").status, order]
}

#[test]
fn a_token_allows_what_its_line_says() {
    let mill = mill("");
    let node = mill.node();
    let caller = Caller::of(&mill);
    assert_eq!(statuses(&caller), [401, 401, 401]);
    assert!(caller.get("/status").head.contains("www-authenticate: bearer"));
    assert_eq!(statuses(&caller.clone().with("nobody-knows-this-token")), [401, 401, 401]);
    assert_eq!(statuses(&caller.clone().with(READ)), [200, 200, 403]);
    assert_eq!(statuses(&caller.clone().with(FULL)), [200, 200, 200]);
    for probe in ["/health/live", "/health/ready"] {
        assert_eq!(caller.get(probe).status, 200, "{probe}");
    }
    // Verbs find the token where the node does.
    assert_eq!(mill.run(&["status"]).code, 0);
    std::fs::write(mill.dir().join("tokens"), "full another-token-from-now-on\n").unwrap();
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["configuration reloaded"]);
    assert_eq!(statuses(&caller.clone().with(FULL)), [401, 401, 401]);
    assert_eq!(statuses(&caller.with("another-token-from-now-on")), [200, 200, 200]);
}

#[test]
fn pages_of_others_are_turned_away_and_nothing_is_said_of_origins() {
    let mill = mill("");
    let _node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    let own = caller.clone().header("origin", &format!("http://{}", caller.address()));
    assert_eq!(statuses(&own), [200, 200, 200]);
    assert!(!own.get("/status").head.contains("access-control"));
    let foreign = caller.clone().header("origin", "http://evil.example");
    assert_eq!(statuses(&foreign), [403, 403, 403]);
    assert_eq!(foreign.get("/health/ready").status, 403);
    assert_eq!(caller.ask("OPTIONS", "/api/reload", "").status, 405);
}

#[test]
fn at_a_port_without_tokens_one_looks_and_nothing_else() {
    let tables = format!("\n[admin]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    let mill = Mill::new().plugins(&["http"]).config(&pipeline("", &tables));
    let _node = mill.node();
    let caller = Caller::of(&mill);
    assert_eq!(statuses(&caller), [200, 403, 403]);
    assert!(caller.get("/api/dead").json()["error"].as_str().unwrap().contains("tokens"));
    assert_eq!(statuses(&caller.header("host", "evil.example")), [403, 403, 403]);
    let paused = mill.run(&["pause", "jobs"]);
    assert!(paused.code == 1 && paused.stderr.contains("[admin] tokens"), "{}", paused.stderr);
}

#[test]
fn whoever_only_reads_sees_nothing_of_what_is_redacted() {
    let mill = mill("");
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    let caller = Caller::of(&mill);
    let (read, full) = (caller.clone().with(READ), caller.with(FULL));
    let entry = eventually(SOON, "a dead letter", || {
        Some(read.get("/api/dead").json()["letters"][0]["entry"].as_str()?.to_owned())
    });
    let payload = |caller: &Caller| caller.get(&format!("/api/dead/{entry}")).json()["payload"].to_string();
    assert!(payload(&full).contains("203.0.113.7"));
    assert!(payload(&read).contains("•••") && !payload(&read).contains("203.0.113.7"), "{}", payload(&read));
    let found = |caller: &Caller, text: &str| {
        caller.get(&format!("/api/dead?search={text}")).json()["letters"].as_array().unwrap().len()
    };
    assert_eq!((found(&full, "203.0.113.7"), found(&read, "203.0.113.7")), (1, 0), "nor can it be searched for");
    assert_eq!((found(&read, "job%201"), found(&read, "job+2")), (1, 0));
}

#[test]
fn an_address_that_others_reach_goes_with_tokens_only() {
    let listen = |tokens: &str| format!("\n[admin]\nlisten = \"0.0.0.0:{}\"\n{tokens}", free_port());
    let mill = Mill::new().plugins(&["http"]).config(&pipeline("", &listen("")));
    let refused = mill.run(&["check"]);
    assert!(refused.code == 78 && refused.stderr.contains("set `tokens` too"), "{}", refused.stderr);
    mill.write_config(&pipeline("", &listen("tokens = \"tokens\"\n")));
    let missing = mill.run(&["run"]);
    assert!(missing.code == 78 && missing.stderr.contains("cannot be read"), "{}", missing.stderr);
    std::fs::write(mill.dir().join("tokens"), format!("full {FULL}\n")).unwrap();
    let _node = mill.node();
    let config = std::fs::read_to_string(mill.config_file()).unwrap();
    let port = config.split("0.0.0.0:").nth(1).unwrap().split('"').next().unwrap();
    let client = ["status", "--at", &format!("127.0.0.1:{port}"), "--tokens", "tokens"];
    assert_eq!(mill.run_bare(&client).code, 0);
    assert_eq!(mill.run_bare(&client[..3]).code, 1, "without the token");
}

#[test]
fn whoever_asks_too_often_waits() {
    let mill = mill("");
    let _node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    let often = eventually(SOON, "it is too often", || {
        let answer = caller.get("/api/pipelines");
        (answer.status == 429).then_some(answer)
    });
    assert!(often.head.contains("retry-after: 1"), "{}", often.head);
    eventually(SOON, "it is forgiven", || (caller.get("/api/pipelines").status == 200).then_some(()));
}
