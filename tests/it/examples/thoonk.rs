//! `thoonk-push-stream`: what Thoonk's own library puts into queues gets through nchan to an EventSource, into files, and back into a queue.

use super::{Example, SOON};
use crate::push_stream::has_nchan;
use gristmill_tests::{eventually, peers, process::Process, redis::free_port};
use serde_json::{Value, json};
use std::fs;

const PLUGINS: [&str; 7] = ["json", "anonymize", "encrypt", "decrypt", "push-stream", "file", "redis"];
const NGINX: &str = "examples/thoonk-push-stream/nginx.conf";

/// The example with ports and directories of this test's own; nothing where its peers are missing.
fn example() -> Option<Example> {
    let all = [has_nchan(), peers::python("thoonk").is_some(), peers::has_eventsource()];
    if all.contains(&false) {
        return None;
    }
    let port = free_port().to_string();
    let example = Example::of("thoonk-push-stream", &PLUGINS);
    let (nginx, posts, plugins) = (example.path("nginx"), example.path("posts"), example.path("plugins"));
    let config = fs::read_to_string(gristmill_tests::built::repository().join(NGINX)).unwrap();
    assert!(config.contains("listen 127.0.0.1:8088;"));
    fs::write(example.path("nginx.conf"), config.replace("8088", &port)).unwrap();
    let config = example.path("nginx.conf").display().to_string();
    let example = example
        .instead(&format!("../../{NGINX}"), &config)
        .instead("target/nginx", &nginx.display().to_string())
        .instead("target/posts", &posts.display().to_string())
        .instead("target/plugins/", &format!("{}/", plugins.display()))
        .env("OUT_DIR", &posts.display().to_string())
        .env("FIRST_PAUSE", "200ms")
        .env("NGINX_URL", &format!("http://127.0.0.1:{port}"));
    Some(example)
}

/// The first event of this kind that the page has shown, behind its first `seen` lines.
#[track_caller]
fn event(page: &Process, kind: &str, seen: usize) -> Value {
    eventually(SOON, &format!("the page shows an event of `{kind}`"), || {
        let log = page.log();
        let line = log.lines().skip(seen).find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        Some(serde_json::from_str(line).unwrap())
    })
}

fn lines(page: &Process) -> usize {
    page.log().lines().count()
}

/// What `command` prints, as soon as that is something.
#[track_caller]
fn printed(example: &Example, command: &str) -> String {
    eventually(SOON, &format!("`{command}` prints something"), || {
        Some(example.run(command)).filter(|printed| !printed.is_empty())
    })
}

#[test]
fn posts_of_thoonk_reach_a_page_and_files_and_what_fails_reaches_the_queue_backlogs() {
    let Some(example) = example() else { return };
    let [places, nginx, run, listen, post, firehose, open, bad, letters, backlogs, away, again] = &example.commands();
    example.run(places);
    let mut server = example.start("nginx", nginx, "epoll");
    let _node = example.node("node", run);
    let page = example.start("page", listen, "listens to 42");

    example.run(post);
    let clean = json!({"pipelineId": 42, "user": {"name": "Mia"}, "ip": "203.0.113.0", "text": "First!"});
    assert_eq!(event(&page, "posts", 0), clean);
    let sealed = event(&page, "private", 0);
    assert_eq!(sealed["text"]["alg"], "XC20P", "{sealed}");
    assert_eq!((&sealed["user"], &sealed["ip"]), (&clean["user"], &clean["ip"]));
    let file = |name: &str| {
        eventually(SOON, &format!("there is the file `{name}`"), || {
            fs::read_to_string(example.path("posts").join(name)).ok().filter(|text| text.ends_with('\n'))
        })
    };
    let written = file("firehose.ndjson");
    assert_eq!(example.run(firehose), written);
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), clean, "JSON-Anon-File");
    let kept = serde_json::from_str::<Value>(&file("private.ndjson")).unwrap();
    assert_eq!(kept, sealed, "the same is in the file beside");
    let opened = example.run(open);
    assert!(opened.contains("→ \"First!\""), "{opened}");

    example.run(bad);
    let letter = printed(&example, letters);
    assert!(letter.contains("pipelineId") && letter.contains("JSON-Anon-HTTP"), "{letter}");
    assert_eq!(printed(&example, backlogs), "{\"text\":\"about what?\"}\n", "as it came");
    assert_eq!(example.run(backlogs), "", "and once");

    // A restart of nginx costs nothing.
    let seen = lines(&page);
    server.kill9();
    example.run(away);
    eventually(SOON, "it waits for another attempt", || (example.redis.keys("*:delayed").len() == 1).then_some(()));
    let mut server = example.start("nginx", nginx, "epoll");
    let late = json!({"pipelineId": 42, "text": "Still there?"});
    assert_eq!(event(&page, "posts", seen), late);

    // One that is away for longer does.
    let seen = lines(&page);
    server.kill9();
    example.run(away);
    eventually(SOON, "it is given up", || (example.redis.len("feed.ids:backlogs") == 1).then_some(()));
    let _server = example.start("nginx", nginx, "epoll");
    example.run(again);
    assert_eq!(event(&page, "posts", seen), late);
    assert_eq!(example.run(backlogs), "");
    let letters = example.run(letters);
    let given_up = letters.lines().filter(|line| line.contains("JSON-Anon-HTTP")).count();
    assert_eq!((given_up, letters.contains("connection refused")), (2, true), "{letters}");
}
