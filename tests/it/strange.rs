//! Messages, names and files of every odd kind: they harm nobody, and nothing of them leaks into logs, headers or keys.

use crate::jobs::{PATIENT, SOON, all_arrive, direct, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Answer, Dead, Mill, Redis, eventually};
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn json_of_every_odd_kind_is_read_or_rejected_in_words() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let read: [(&str, Option<&str>); 8] = [
        ("{\"ip\":1,\"ip\":2,\"id\":1}", Some("{\"id\":1}")),
        ("{\"id\":1e400,\"ip\":1}", Some("{\"id\":1e400}")),
        ("{\"id\":\"\\ud800\",\"ip\":1}", Some("{\"id\":\"\\ud800\"}")),
        (" \n{\"ip\":1}\n ", None),
        ("{\"\\u0069p\":1}", Some("{}")),
        ("{\"id\":NaN,\"ip\":1}", None),
        ("\u{feff}{\"ip\":1}", None),
        ("{\"ip\":1}{\"ip\":2}", None),
    ];
    let mill = Mill::new().plugins(&["anonymize", "http"]).config(&pipeline(
        "filters = [\"anonymize\"]",
        &format!("{PATIENT}[plugin.anonymize]\nconfig = {{ fields = [\"ip\"] }}\n{PATIENT}"),
    ));
    let mut node = mill.node();
    let mut odd: Vec<Vec<u8>> = read.iter().map(|(text, _)| text.as_bytes().to_vec()).collect();
    odd.extend([Vec::new(), b"\0".to_vec(), b"{\"ip\":\"\xff\"}".to_vec(), b"{\"ip\":\"\0\"}".to_vec()]);
    odd.push(deep("[", "]").into_bytes());
    odd.push(deep("{\"a\":", "}").into_bytes());
    odd.push(format!("{{\"ip\":\"{}\"}}", "x".repeat(10 << 20)).into_bytes());
    mill.redis.push("jobs", &odd);
    let dead = Dead::of(&mill, "jobs");
    eventually(SOON, "each was delivered or buried", || {
        (mill.sink.count() + dead.list().len() >= odd.len()).then_some(())
    });
    let bodies = mill.sink.bodies();
    for wanted in read.iter().filter_map(|(_, wanted)| *wanted) {
        assert!(bodies.contains_key(wanted.as_bytes()), "{wanted} in {:?}", bodies.keys().collect::<Vec<_>>());
    }
    assert!(bodies.keys().all(|body| !String::from_utf8_lossy(body).contains("\"ip\"")), "{:?}", bodies.keys());
    for letter in dead.list() {
        let letter = dead.show(&Dead::entry(&letter)).to_string();
        assert!(!letter.contains("\"broke\":true"), "the plugin did not break: {letter:.2000}");
    }
    assert_eq!(node.terminate(), 0);
}

/// What somebody who may choose an id could try.
fn odd_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "a b",
        "\"quoted\" '{}'",
        "{{id}} ${HOME} %s %00",
        "x\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1",
        "x\nINJECTED line of the log",
        "\u{1b}[31mred\u{1b}[0m",
        "nul\0behind",
        "../../etc/passwd",
        "é\u{202e}\u{2028}",
        "",
    ]
    .map(str::to_owned)
    .into();
    ids.push("long".repeat(128 << 10));
    ids
}

#[test]
fn ids_that_others_choose_are_injected_nowhere() {
    let config = pipeline("retry = { attempts = 2, first = \"50ms\", longest = \"50ms\" }", "")
        .replace("{ list = \"jobs\" }", "{ thoonk = \"jobs\", kind = \"queue\" }")
        .replace("hooks/{topic}", "hooks/{topic}?id={id}");
    // So that every id is told.
    let mill = Mill::new().plugins(&["http"]).env("GRISTMILL_LOG", "debug").config(&config);
    let mut node = mill.node();
    let push = |ids: &[String]| {
        let mut connection = mill.redis.connect();
        for (number, id) in ids.iter().enumerate() {
            let item = format!("{{\"id\":{number}}}");
            redis::cmd("HSET").arg("feed.items:jobs").arg(id).arg(item).exec(&mut connection).unwrap();
            redis::cmd("LPUSH").arg("feed.ids:jobs").arg(id).exec(&mut connection).unwrap();
        }
    };
    let ids = odd_ids();
    for answer in [Answer::Status(200), Answer::Status(400)] {
        mill.sink.answer(answer);
        push(&ids);
        eventually(SOON, "none waits any more", || (mill.redis.len("feed.ids:jobs") == 0).then_some(()));
        nothing_waits(&mill);
    }
    let received = mill.sink.received();
    assert!(received.len() >= ids.len(), "{} requests", received.len());
    for one in &received {
        assert!(one.method == "POST" && one.path.starts_with("/hooks/jobs?id="), "{} {:.200}", one.method, one.path);
        assert!(one.header("x-injected").is_none(), "{:?}", one.headers);
        assert!(!one.path.contains("/.."), "{:.200}", one.path);
    }
    let log = node.log();
    let leaks = |text: &str| text.lines().any(|line| line.starts_with("INJECTED")) || text.contains(['\u{1b}', '\0']);
    assert!(!leaks(&log), "{log:.20000}");
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 20_000, "a line of {longest} bytes");
    let shown = mill.run(&["dead", "list"]).stdout;
    assert!(!leaks(&shown), "{shown:.5000}");
    assert_eq!(node.terminate(), 0);
}

/// Waits until all is settled; dead letters may be left.
#[track_caller]
fn nothing_waits(mill: &Mill) {
    eventually(SOON, "nothing is in flight", || {
        let lanes =
            mill.redis.keys("*:lane:*").iter().map(|key| mill.redis.ask::<String>(&["TYPE", key])).collect::<Vec<_>>();
        let delayed: usize = mill.redis.keys("*:delayed").len();
        (lanes.iter().all(|kind| kind != "list") && delayed == 0).then_some(())
    });
}

#[test]
fn a_list_may_have_any_name() {
    for name in ["a b\\\"c\\\"", "{", "}{", "{}x", "new\\nline", "\\u0000\\u0001", "é*?[x]", "long"] {
        let name = if name == "long" { "long".repeat(10_000) } else { name.to_owned() };
        let key: String = toml_string(&name);
        let mill = Mill::new().plugins(&["http"]).config(
            &pipeline("", "").replace("list = \"jobs\"", &format!("list = \"{name}\"")).replace("/{topic}", ""),
        );
        let mut node = mill.node();
        mill.redis.push(&key, jobs(0..50));
        assert_eq!(all_arrive(&mill.sink, 0..50), 0, "{name:.100}");
        nothing_is_left(&mill.redis);
        assert_eq!(node.terminate(), 0);
        assert!(
            node.log().lines().all(|line| line.starts_with("20")),
            "every line begins with its time:\n{}",
            node.log()
        );
    }
}

/// What this basic string of TOML stands for, which JSON writes alike.
fn toml_string(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap()
}

#[test]
fn a_config_or_plugins_that_cannot_be_read_leave_the_old_ones_in_force() {
    let mill = direct(Redis::start(), "");
    let mut node = mill.node();
    let mut pushed = 0;
    let mut works = || {
        mill.redis.push("jobs", jobs(pushed..pushed + 20));
        pushed += 20;
        assert_eq!(all_arrive(&mill.sink, 0..pushed), 0);
    };
    let good = fs::read(mill.config_file()).unwrap();
    fs::remove_file(mill.config_file()).unwrap();
    fs::create_dir(mill.config_file()).unwrap();
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["cannot be read"]);
    works();
    fs::remove_dir(mill.config_file()).unwrap();
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["there is no such file"]);
    works();
    fs::write(mill.config_file(), &good[..good.len() / 2]).unwrap();
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["gristmill.toml"]);
    works();
    gristmill_tests::replace_file(&mill.config_file(), &good);

    // The directory of plugins is moved away, another is nobody's to read, and the first comes back.
    let (plugins, aside) = (mill.dir().join("plugins"), mill.dir().join("aside"));
    fs::rename(&plugins, &aside).unwrap();
    node.sighup();
    works();
    fs::create_dir(&plugins).unwrap();
    fs::set_permissions(&plugins, fs::Permissions::from_mode(0o000)).unwrap();
    node.sighup();
    works();
    fs::remove_dir(&plugins).unwrap();
    fs::rename(&aside, &plugins).unwrap();
    node.sighup();
    works();
    assert!(!node.log().contains("panicked"), "{}", node.log());
    assert_eq!(node.terminate(), 0);
}
