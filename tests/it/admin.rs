//! A node is looked at and steered over HTTP, and everything that is answered is as its OpenAPI file says.

mod access;
mod caller;
mod dashboard;
mod letters;
mod schema;
mod steer;
mod tap;

use crate::jobs::{SOON, all_arrive, jobs, pipeline};
use caller::{Answer, Caller, FULL, READ};
use gristmill_tests::{Mill, eventually, guest_bytes, replace_file};
use schema::Contract;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
};

/// A node that answers at a port to those with a token, with the pipeline `jobs`, whose dead letters come at once.
fn mill(keys: &str) -> Mill {
    let tables = "\n[admin]\nlisten = \"127.0.0.1:$PORT\"\ntokens = \"tokens\"\nredact = [\"ip\"]\n";
    let keys = format!("filters = [\"stamp\"]\nretry = {{ attempts = 1 }}\n{keys}");
    let config = pipeline(&keys, tables).replace("$PORT", &gristmill_tests::redis::free_port().to_string());
    let mill = Mill::new().guests(&["stamp"]).plugins(&["http"]).config(&config);
    std::fs::write(mill.dir().join("tokens"), format!("# ours\nread {READ}\nfull {FULL}\n")).unwrap();
    mill
}

#[test]
fn whatever_is_asked_is_answered_as_the_openapi_file_says() {
    let mill = mill("");
    let mut node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    let contract = Contract::of(&caller);
    mill.redis.push("jobs", jobs(0..20));
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    mill.sink.answer(gristmill_tests::Answer::Status(400));
    let tap = caller.open("GET", "/api/tap?stage=dead", "");
    mill.redis.push("jobs", jobs(20..24));
    let letters = eventually(SOON, "the dead letters", || {
        let letters = caller.get("/api/dead").json();
        (letters["letters"].as_array().unwrap().len() == 4).then_some(letters)
    });
    contract.check("GET", "/api/tap", &first_line(tap));
    let entry = |index: usize| letters["letters"][index]["entry"].as_str().unwrap().to_owned();
    let seen = node.log().len();
    replace_file(&mill.plugin_file("stamp"), &guest_bytes("splitter"));
    node.says_after(seen, &["plugin swapped"]);
    std::fs::write(mill.plugin_file("stamp"), b"no plugin at all").unwrap();
    node.says_after(seen, &["the version in force stays"]);

    for (method, template, path, body, status) in [
        ("GET", "/health/live", "/health/live", "", 200),
        ("GET", "/health/ready", "/health/ready", "", 200),
        ("GET", "/openapi.json", "/openapi.json", "", 200),
        ("GET", "/metrics", "/metrics", "", 200),
        ("GET", "/status", "/status", "", 200),
        ("GET", "/api/pipelines", "/api/pipelines", "", 200),
        ("GET", "/api/plugins", "/api/plugins", "", 200),
        ("GET", "/api/endpoints", "/api/endpoints", "", 200),
        ("GET", "/api/nodes", "/api/nodes", "", 200),
        ("GET", "/api/whoami", "/api/whoami", "", 200),
        ("GET", "/api/dead", "/api/dead?pipeline=jobs&limit=2&newer=1h", "", 200),
        ("GET", "/api/dead", "/api/dead?limit=0", "", 400),
        ("GET", "/api/dead", "/api/dead?pipeline=none", "", 404),
        ("GET", "/api/dead/{entry}", &format!("/api/dead/{}", entry(0)), "", 200),
        ("GET", "/api/dead/{entry}", "/api/dead/1-1", "", 404),
        ("POST", "/api/dead/{entry}/replay", &format!("/api/dead/{}/replay", entry(0)), "", 200),
        ("POST", "/api/dead/{entry}/replay", &format!("/api/dead/{}/replay", entry(1)), r#"{"payload":"{}"}"#, 200),
        ("POST", "/api/dead/{entry}/replay", &format!("/api/dead/{}/replay", entry(2)), "{nothing", 400),
        ("POST", "/api/dead/{entry}/replay", "/api/dead/1-1/replay", "", 404),
        ("DELETE", "/api/dead/{entry}", &format!("/api/dead/{}", entry(2)), "", 200),
        ("DELETE", "/api/dead/{entry}", &format!("/api/dead/{}", entry(2)), "", 404),
        ("POST", "/api/pipelines/{pipeline}/pause", "/api/pipelines/jobs/pause", "", 200),
        ("POST", "/api/pipelines/{pipeline}/pause", "/api/pipelines/none/pause", "", 404),
        ("POST", "/api/pipelines/{pipeline}/resume", "/api/pipelines/jobs/resume", "", 200),
        ("POST", "/api/pipelines/{pipeline}/resume", "/api/pipelines/none/resume", "", 404),
        // What is at the plugin's place by now is none.
        ("POST", "/api/reload", "/api/reload", "", 422),
        ("POST", "/api/drain", "/api/drain", "", 202),
    ] {
        let answer = caller.ask(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        contract.check(method, template, &answer);
    }
    contract.is_exhausted();
    assert_eq!(node.exit_code(SOON), 0);
}

/// The head of an answer that does not end, and the first line that says something.
fn first_line(stream: TcpStream) -> Answer {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let body = lines.find(|line| line.starts_with('{')).unwrap();
    Answer { status: 200, head: head.join("\r\n").to_lowercase(), body }
}

#[test]
fn plugins_are_told_with_what_they_replaced_and_why_a_newer_one_was_refused() {
    let mill = mill("");
    let node = mill.node();
    let seen = node.log().len();
    replace_file(&mill.plugin_file("stamp"), &guest_bytes("splitter"));
    node.says_after(seen, &["plugin swapped"]);
    replace_file(&mill.plugin_file("stamp"), b"no plugin at all");
    node.says_after(seen, &["the version in force stays"]);
    replace_file(&mill.plugin_file("other"), b"neither");
    node.says_after(seen, &["`other` cannot be used"]);

    let told = Caller::of(&mill).with(READ).get("/api/plugins").json();
    let stamp = told["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == "stamp").unwrap().clone();
    let turns: Vec<&Value> = stamp["history"].as_array().unwrap().iter().map(|step| &step["turn"]).collect();
    assert_eq!(turns, ["loaded", "replaced", "refused"]);
    assert_eq!(stamp["replaced"], stamp["history"][0]["digest"]);
    assert_eq!(stamp["digest"], stamp["history"][1]["digest"]);
    assert!(stamp["refused"]["reason"].as_str().unwrap().contains("not WebAssembly"), "{stamp}");
    assert_eq!(told["without_version"][0]["name"], "other");

    let page = mill.run(&["plugins"]).stdout;
    assert!(page.contains("other: no version in force") && page.contains("refused: plugin `stamp`"), "{page}");
    let json = mill.run(&["plugins", "--json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["plugins"], told["plugins"]);
    let status = mill.run(&["status"]).stdout;
    assert!(status.contains("was refused"), "{status}");
}

#[test]
fn nodes_are_told_as_redis_knows_them() {
    let mill = mill("");
    let other = mill.node();
    let nodes = || Caller::of(&mill).with(READ).get("/api/nodes").json().as_array().unwrap().clone();
    eventually(SOON, "the node has its lanes", || (nodes().len() == 1 && nodes()[0]["lanes"] != 0).then_some(()));
    let this = &nodes()[0];
    assert!(this["this"] == true && this["alive"] == true && this["sources"][0] == "jobs", "{this}");
    // Its log says that the port is taken, so the first one answers.
    let mut second = mill.node();
    let both = eventually(SOON, "both are there", || Some(nodes()).filter(|nodes| nodes.len() == 2));
    assert!(both.iter().all(|node| node["alive"] == true), "{both:?}");
    assert_eq!(both.iter().filter(|node| node["this"] == true).count(), 1);
    second.kill9();
    eventually(SOON, "the dead one is taken over", || (nodes().len() == 1).then_some(()));
    drop(other);
}
