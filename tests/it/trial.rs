//! `gristmill try` as an author meets it: messages in, verdicts and changes out, with neither Redis nor network.

mod batches;
mod watch;

use crate::programs::{program, say};
use gristmill_tests::{Finished, Mill, built, eventually, mill::replace_file, process::finish};
use serde_json::Value;
use std::{fs, process::Command, time::Duration};

const SOON: Duration = Duration::from_secs(30);

/// A mill without a Redis: nothing here may need one.
fn mill() -> Mill<()> {
    let cache = built::target_dir().join("cache");
    Mill::at("redis://127.0.0.1:1".to_owned(), ()).env("XDG_CACHE_HOME", &cache.display().to_string())
}

/// Feeds `input` to `gristmill try` with these words.
#[track_caller]
fn tried(words: &[&str], input: &str) -> Finished {
    mill().feed(&[&["try"], words].concat(), input)
}

fn plugin(name: &str) -> String {
    built::plugin(name).display().to_string()
}

fn guest(name: &str) -> String {
    built::guest(name).display().to_string()
}

/// The objects that `--json` prints.
fn objects(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The output without the figures, which differ from run to run.
fn without_figures(text: &str) -> String {
    let without = |line: &str| match line.split_once("  (") {
        Some((head, _)) if line.starts_with("try-") => format!("{head}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(without).collect()
}

#[test]
fn a_filter_shows_its_verdicts_what_it_changed_and_why_it_rejected() {
    let input = "{\"agent\":\"Firefox\"}\n{\"agent\":\"searchbot\"}\nnonsense\n";
    let finished = tried(&[&plugin("first-filter")], input);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let expected = "try-1  replace\n  + header audience: people\ntry-2  drop: a bot\n\
                    try-3  reject: payload: expected ident at line 1 column 2\n";
    assert_eq!(without_figures(&finished.stdout), expected, "{}", finished.stdout);
    assert!(finished.stderr.starts_with("filter `first-filter` "), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("3 messages: 1 replace, 1 drop, 1 reject; in the plugin p50 "),
        "{}",
        finished.stderr
    );
}

#[test]
fn changes_of_a_json_payload_are_shown_by_path() {
    let input = r#"{"ip":"192.0.2.1","user":{"email":"mia@example.org","name":"Mia"}}"#;
    let finished = tried(&[&plugin("anonymize"), "--set", r#"fields=["ip","user.email"]"#], input);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let changes: Vec<&str> = finished.stdout.lines().skip(1).collect();
    assert_eq!(changes, [r#"  - payload ip: "192.0.2.1""#, r#"  - payload user.email: "mia@example.org""#]);
}

#[test]
fn a_program_reads_one_object_for_each_message() {
    let finished =
        tried(&[&plugin("first-filter"), "--json", "-H", "a: b"], "{\"agent\":\"x\"}\n{\"agent\":\"bot\"}\n");
    let [first, second] = &objects(&finished)[..] else { panic!("two objects in {}", finished.stdout) };
    assert_eq!(first["verdict"], "replace");
    assert_eq!(first["messages"][0]["headers"], serde_json::json!([["a", "b"], ["audience", "people"]]));
    assert_eq!(first["messages"][0]["payload"], r#"{"agent":"x"}"#);
    assert_eq!(
        first["messages"][0]["changes"],
        serde_json::json!({"headers": [{"name": "audience", "after": "people"}]})
    );
    assert!(first["start_us"].as_f64().unwrap() > 0.0 && second.get("start_us").is_none(), "{}", finished.stdout);
    assert_eq!((second["verdict"].as_str(), second["reason"].as_str()), (Some("drop"), Some("a bot")));
    assert!(second["time_us"].as_f64().unwrap() > 0.0);
    assert!(second["memory_bytes"].as_u64().unwrap() >= 1 << 16);
}

#[test]
fn a_publisher_shows_what_it_would_send_and_how_it_judges_the_reply() {
    let http = plugin("http");
    let words = |reply: &[&'static str]| {
        let all = [&[&*http, "--set", "url=http://127.0.0.1:1/{topic}", "--topic", "news"], reply].concat();
        without_figures(&tried(&all, "{}\n").stdout)
    };
    let request =
        "  → POST http://127.0.0.1:1/news\n      content-type: application/json\n      (the payload, 2 bytes)\n";
    assert_eq!(words(&[]), format!("try-1  done\n{request}  ← 200\n"));
    let busy = words(&["--reply", "503", "--reply-header", "retry-after: 7"]);
    assert!(busy.starts_with("try-1  retry after 7 s: ") && busy.ends_with("  ← 503\n"), "{busy}");
    let refused = words(&["--reply", "404 no such hook"]);
    assert!(refused.starts_with("try-1  reject: ") && refused.contains("404"), "{refused}");
    let away = words(&["--reply", "unreachable"]);
    assert!(away.starts_with("try-1  retry: ") && away.ends_with("  ← unreachable: as `--reply` says\n"), "{away}");
}

#[test]
fn a_publisher_that_asks_again_gets_a_reply_for_each_round() {
    let words = [&*guest("two-rounds"), "--set", r#"urls=["http://a/","http://b/"]"#, "--json"];
    let rounds = |replies: &[&'static str]| {
        let finished = tried(&[&words, replies].concat(), "x\n");
        let [object] = &objects(&finished)[..] else { panic!("{}", finished.stdout) };
        (object["verdict"].as_str().unwrap().to_owned(), object["rounds"].as_array().unwrap().len())
    };
    assert_eq!(rounds(&[]), ("done".to_owned(), 2));
    assert_eq!(rounds(&["--reply", "200", "--reply", "500"]), ("retry".to_owned(), 2));
    assert_eq!(rounds(&["--reply", "400"]), ("reject".to_owned(), 1));
}

#[test]
fn a_plugin_that_breaks_is_told_with_its_last_words_and_the_next_message_gets_a_fresh_one() {
    let finished = tried(&[&guest("misbehave"), "--set", "mode=panic", "--set", "when=bad"], "good\nbad\ngood\n");
    assert_eq!(finished.code, 1);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("try-1  pass  ("), "{}", finished.stdout);
    assert!(lines[1].starts_with("try-2  broken: trapped: unreachable: "), "{}", finished.stdout);
    assert!(lines[2].starts_with("  log warn  ") && lines[2].contains("panicked"), "{}", finished.stdout);
    assert!(finished.stdout.contains("\ntry-3  pass  (") && lines.last().unwrap().contains(" after a start of "));
    assert!(finished.stderr.ends_with("gristmill: the plugin broke over 1 of 3 messages\n"), "{}", finished.stderr);
}

#[test]
fn everything_a_plugin_says_stands_below_the_message_it_is_about() {
    let words =
        [&*guest("misbehave"), "--set", "mode=log-flood", "--set", "amount=200", "--set", "when=loud", "--json"];
    let finished = tried(&words, "loud\nquiet\n");
    let lines: Vec<usize> = objects(&finished).iter().map(|object| object["log"].as_array().unwrap().len()).collect();
    assert_eq!(lines, [200, 0], "an allowance for operators is none for authors");
}

#[test]
fn verdicts_that_are_not_wanted_end_with_code_1() {
    let filter = plugin("first-filter");
    let input = "{\"agent\":\"bot\"}\nnonsense\n";
    assert_eq!(tried(&[&filter], input).code, 0);
    let finished = tried(&[&filter, "--fail-on", "reject", "--fail-on", "retry"], input);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.ends_with("gristmill: 1 of 2 messages ended with `reject`\n"), "{}", finished.stderr);
    assert_eq!(tried(&[&filter, "--fail-on", "sometimes"], input).code, 2);
}

#[test]
fn settings_come_from_a_configuration_that_needs_no_redis_either() {
    let mill = mill();
    mill.write_config(
        "[plugin.loud]\nfile = \"misbehave.wasm\"\ntimeout = \"20ms\"\nconfig = { mode = \"loop\", when = \"bad\" }\n",
    );
    let words = ["try", &guest("misbehave"), "--config", "gristmill.toml"];
    let finished = mill.feed(&words, "bad\n");
    assert!(finished.stdout.contains("broken: ran longer than its timeout of 20ms"), "{}", finished.stdout);
    assert!(finished.stderr.contains("\nfilter `loud` "), "{}", finished.stderr);
    let wrong = mill.feed(&[&words[..], &["--plugin", "lowd"]].concat(), "");
    assert!(wrong.stderr.contains("did you mean `loud`?"), "{}", wrong.stderr);
}

#[test]
fn a_config_that_a_plugin_refuses_is_a_bad_configuration() {
    let finished = tried(&[&plugin("http"), "--plugin-config", "{}"], "");
    assert_eq!(finished.code, 78);
    let told =
        "gristmill: with the config that `--set` and `--plugin-config` give it: plugin `http` refused its config: ";
    assert!(finished.stderr.contains(told) && finished.stderr.contains("url"), "{}", finished.stderr);
    assert_eq!(tried(&[&plugin("http"), "--plugin-config", "{"], "").code, 1);
}

#[test]
fn a_plain_program_is_tried_like_a_plugin() {
    let mill = mill();
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\0e\00\00\00") (data (i32.const 16) "not my message")
        (func (export "_start")
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $exit (i32.const 65))))"#;
    replace_file(&mill.plugin_file("program"), &wat::parse_str(text).unwrap());
    let finished = mill.feed(&["try", "plugins/program.wasm"], "x\n");
    assert!(finished.stderr.starts_with("filter (WASI program) `program` "), "{}", finished.stderr);
    let expected = "try-1  reject: not my message\n  log warn  not my message\n";
    assert_eq!(without_figures(&finished.stdout), expected, "{}", finished.stdout);
}

#[test]
fn what_a_plain_program_takes_of_memory_and_time_is_shown_whether_it_is_run_afresh_or_fed_lines() {
    const PAGE: u64 = 64 << 10;
    let grow = "(if (i32.eq (memory.grow (i32.const 128)) (i32.const -1)) (then (unreachable)))";
    let pass = "{\"pass\":true}\n";
    let once = format!("(if (i32.eq (memory.size) (i32.const 1)) (then {grow}))");
    let fed = format!("(loop $more (if (call $hear) (then {once} {} (br $more))))", say(1, pass));
    for (mode, wasm, pages, memory) in [
        ("auto", program("", grow), 129, "8.06 MiB"),
        ("lines", program(pass, &fed), 129, "8.06 MiB"),
        ("auto", program("", ""), 1, "64 KiB"),
    ] {
        let mill = mill();
        replace_file(&mill.plugin_file("program"), &wasm);
        mill.write_config(&format!("[plugin.program]\nmode = \"{mode}\"\n"));
        let words = ["try", "plugins/program.wasm", "--config", "gristmill.toml"];
        let finished = mill.feed(&[&words[..], &["--json"]].concat(), "x\ny\n");
        let objects = objects(&finished);
        assert_eq!((finished.code, objects.len()), (0, 2), "{}", finished.stderr);
        for object in &objects {
            assert_eq!(object["memory_bytes"].as_u64(), Some(pages * PAGE), "{mode}: {object}");
            assert!(object["time_us"].as_f64().unwrap() > 0.0, "{mode}: {object}");
        }
        let finished = mill.feed(&words, "x\n");
        assert!(finished.stdout.contains(&format!(", {memory} of memory)\n")), "{mode}: {}", finished.stdout);
        assert!(finished.stderr.contains(&format!("; {memory} of memory at most\n")), "{mode}: {}", finished.stderr);
    }
}

#[test]
fn commands_of_redis_are_shown_and_not_sent() {
    let words = [&*guest("commander"), "--set", "url=http://127.0.0.1:1/"];
    let input = "[[\"RPUSH\",\"out\",\"two words\"]]\n";
    let finished = tried(&words, input);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stdout.contains("  → Redis RPUSH out \"two words\"\n  ← OK\n"), "{}", finished.stdout);
    let denied = tried(&[&words[..], &["--reply", "denied"]].concat(), input);
    assert!(denied.stdout.contains("  ← denied: as `--reply` says\n"), "{}", denied.stdout);
}

#[test]
fn a_store_is_one_in_memory_for_as_long_as_the_messages_last() {
    let mill = mill();
    mill.write_config("[plugin.lookups]\nallow_store = \"redis\"\nconfig = { mode = \"dedupe\" }\n");
    let words = ["try", &guest("lookups"), "--config", "gristmill.toml"];
    for _ in 0..2 {
        let finished = mill.feed(&words, "one\ntwo\none\n");
        assert!(finished.stderr.contains("3 messages: 2 pass, 1 drop; "), "{}{}", finished.stdout, finished.stderr);
    }
}

#[test]
fn what_the_operator_does_not_grant_is_missed_when_a_plugin_is_tried_as_he_runs_it() {
    let mill = mill();
    mill.write_config("[plugin.http]\nconfig = { url = \"http://127.0.0.1:1/\" }\n");
    let finished = mill.feed(&["try", &plugin("http"), "--config", "gristmill.toml"], "x\n");
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("allow_http"), "{}", finished.stderr);
}

#[test]
fn a_request_that_a_node_would_refuse_is_refused_by_what_the_configuration_grants() {
    let mill = mill();
    mill.write_config(
        "[pipeline.p]\nfrom = { list = \"jobs\" }\npublish = [\"commander\", \"courier\"]\n\
         [plugin.commander]\nconfig = { url = \"http://granted/\" }\nallow_http = [\"granted\"]\n\
         allow_redis = [\"SET out\", \"RPUSH *\"]\n\
         [plugin.courier]\nconfig = { url = \"http://hooks.example.com/x\", text = \"t\" }\nallow_http = [\"granted\"]\n",
    );
    let shown = |name: &str, message: &str, more: &[&'static str]| {
        let file = guest(name);
        let words = [&["try", &*file, "--config", "gristmill.toml"], more].concat();
        mill.feed(&words, message).stdout
    };
    let why = "POST http://hooks.example.com/x: `allow_http` does not name `hooks.example.com:80`";
    for reply in ["200", "unreachable"] {
        let refused = shown("courier", "x\n", &["--reply", reply]);
        assert!(refused.starts_with(&format!("try-1  reject: {why}  (")), "{refused}");
        assert!(refused.ends_with(&format!("\n  ← denied: {why}\n")), "{refused}");
    }
    for (command, why) in [
        (r#"["SET","elsewhere","x"]"#, "`allow_redis` does not grant `SET` of `elsewhere`"),
        (r#"["GET","out"]"#, "`allow_redis` does not name `GET`"),
        (r#"["RPUSH","jobs","x"]"#, "`jobs` belongs to Gristmill or to what it takes from"),
    ] {
        let refused = shown("commander", &format!("[{command}]\n"), &[]);
        assert!(refused.starts_with(&format!("try-1  reject: {why}")), "{refused}");
        assert!(refused.contains(&format!("\n  ← denied: {why}")), "{refused}");
    }
    let granted = shown("commander", "[[\"SET\",\"out\",\"x\"]]\n", &[]);
    assert!(granted.starts_with("try-1  done  (") && granted.contains("→ POST http://granted/\n"), "{granted}");
}

#[test]
fn what_is_no_plugin_is_told_in_one_sentence() {
    let mill = mill();
    replace_file(&mill.plugin_file("core"), b"\0asm\x01\0\0\0");
    let finished = mill.feed(&["try", "plugins/text.wasm"], "");
    assert_eq!((finished.code, finished.stderr.lines().count()), (1, 1), "{}", finished.stderr);
    assert!(finished.stderr.contains("there is no file `plugins/text.wasm`; "), "{}", finished.stderr);
    replace_file(&mill.plugin_file("text"), b"no wasm");
    assert!(mill.feed(&["try", "plugins/text.wasm"], "").stderr.contains("is not WebAssembly"));
}

#[test]
fn a_dead_letter_can_be_tried_as_it_lies() {
    let mill = Mill::new().guests(&["misbehave"]).config(
        "[pipeline.p]\nfrom = { list = \"jobs\" }\nfilters = [\"misbehave\"]\n[plugin.misbehave]\nconfig = { mode = \"reject\" }\n",
    );
    let node = mill.node();
    mill.redis.push("jobs", ["the payload"]);
    let entry = eventually(SOON, "it is dead", || {
        mill.run(&["dead", "list"]).stdout.split("  ").next().filter(|entry| !entry.is_empty()).map(str::to_owned)
    });
    drop(node);
    let letter = mill.run(&["dead", "show", &entry, "--json"]).stdout;
    let words = ["try", &guest("misbehave"), "--envelopes", "--set", "mode=envelope"];
    let finished = mill.feed(&words, &letter);
    let id = serde_json::from_str::<Value>(&letter).unwrap()["id"].as_str().unwrap().to_owned();
    assert!(finished.stdout.starts_with(&format!("{id}  replace")), "{}", finished.stdout);
    assert!(finished.stdout.contains("jobs") && finished.stdout.contains("the payload"), "{}", finished.stdout);
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let mill = mill();
    fs::write(mill.dir().join("input"), "x\n".repeat(20_000)).unwrap();
    let (program, guest) = (built::gristmill(), guest("misbehave"));
    let script = format!("set -o pipefail; '{}' try '{guest}' --set mode=pass < input | head -n 1", program.display());
    let finished = finish(Command::new("bash").args(["-c", &script]).current_dir(mill.dir()), SOON);
    assert_eq!((finished.code, finished.stdout.lines().count()), (0, 1), "{}", finished.stderr);
}
