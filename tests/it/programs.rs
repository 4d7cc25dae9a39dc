//! Plain WASI programs in a pipeline: they do their work, have limits, are swapped, and lose nothing when the node dies.

use crate::jobs::{SOON, all_arrive, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Answer, Dead, Mill, built, eventually, eventually::pause, replace_file};
use std::{fs, time::Duration};

/// The example in Wasm text, as its second command makes it.
fn notification() -> Vec<u8> {
    let text = fs::read_to_string(built::repository().join("examples/languages/wat/notification.wat")).unwrap();
    wat::parse_str(text).unwrap()
}

/// A program that can `$hear` at most 4 KiB of its input, to 4096, and `$say` bytes to a descriptor; `text` lies at 2048.
pub(crate) fn program(text: &str, body: &str) -> Vec<u8> {
    let text = text.escape_default();
    wat::parse_str(format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (data (i32.const 2048) "{text}")
             (func $hear (result i32)
               (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 4096))
               (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
               (i32.load (i32.const 8)))
             (func $say (param $to i32) (param $from i32) (param $bytes i32)
               (i32.store (i32.const 0) (local.get $from)) (i32.store (i32.const 4) (local.get $bytes))
               (if (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable))))
             (func (export "_start") (local $n i32) {body}))"#
    ))
    .unwrap()
}

/// Says `text` to a descriptor.
pub(crate) fn say(to: u8, text: &str) -> String {
    format!("(call $say (i32.const {to}) (i32.const 2048) (i32.const {}))", text.len())
}

/// Puts `version` into a header, and lets the payload through.
fn stamp(version: u32) -> Vec<u8> {
    let head = format!("version: {version}\n\n");
    let copy = "(loop $more (local.set $n (call $hear))
        (if (local.get $n) (then (call $say (i32.const 1) (i32.const 4096) (local.get $n)) (br $more))))";
    program(&head, &format!("{} {copy}", say(1, &head)))
}

/// Answers every line with `text`, and says why on stderr.
fn answering(text: &str) -> Vec<u8> {
    program(text, &format!("(loop $more (if (call $hear) (then {} (br $more))))", say(1, text)))
}

/// A mill whose jobs go through `wasm`, and then to an address with the header `header` in it.
fn through(wasm: &[u8], mode: &str, header: &str) -> Mill {
    let keys =
        "filters = [\"program\"]\nin_flight = 128\nretry = { attempts = 3, first = \"20ms\", longest = \"20ms\" }";
    let table = format!("[plugin.program]\nmode = \"{mode}\"\ntimeout = \"2s\"\n");
    let config = pipeline(keys, &table).replace("{topic}", header);
    let mill = Mill::new().plugins(&["http"]).config(&config);
    replace_file(&mill.plugin_file("program"), wasm);
    mill
}

/// Why a job is buried that this program gets.
#[track_caller]
fn buried(wasm: &[u8], mode: &str) -> String {
    let mill = through(wasm, mode, "{topic}");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..1));
    let dead = Dead::of(&mill, "jobs");
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert_eq!(node.ended(), None);
    assert!(!node.log().contains("fd_write"), "how a program calls WASI is no news: {}", node.log());
    letters[0].to_string()
}

#[test]
fn a_program_written_by_hand_does_its_work() {
    let mill = through(&notification(), "cgi", "{header:user}");
    let _node = mill.node();
    let long = format!("{{\"text\" : \"{}\", \"ip\":[\"}}\"], \"user\" : \"eve\" }}", "x".repeat(1 << 20));
    let good = ["{\"user\":\"mia\",\"text\":\"a, \\\"b\\\"\",\"ip\":\"192.0.2.1\"}", &long];
    mill.redis.push("jobs", good);
    mill.redis.push("jobs", ["{\"user\":\"mia\",", "{\"user\":7,\"text\":\"x\"}"]);
    eventually(SOON, "both arrive", || (mill.sink.count() >= 2).then_some(()));
    for received in mill.sink.received() {
        let job = received.json();
        let user = job["user"].as_str().unwrap();
        assert_eq!(received.path, format!("/hooks/{user}"));
        assert_eq!((job.get("ip"), job.as_object().unwrap().len()), (None, 2));
        assert_eq!(job["text"].as_str().unwrap().len(), if user == "mia" { 6 } else { 1 << 20 });
    }
    let dead = Dead::of(&mill, "jobs");
    let letters = eventually(SOON, "two dead letters", || Some(dead.list()).filter(|letters| letters.len() == 2));
    let told: String = letters.iter().map(ToString::to_string).collect();
    assert!(told.contains("not JSON") && told.contains("`user` and `text` are to be strings"), "{told}");
    assert!(letters.iter().all(|letter| letter["attempts"] == 1), "{told}");
}

#[test]
fn what_a_program_does_wrong_is_told_in_the_dead_letters() {
    let exit = buried(&program("no luck", &format!("{} (call $exit (i32.const 3))", say(2, "no luck"))), "auto");
    assert!(exit.contains("exited with 3: no luck"), "{exit}");
    let endless = buried(&program("", "(loop (br 0))"), "auto");
    assert!(endless.contains("ran longer than its timeout of 2s"), "{endless}");
    let eater = buried(
        &program("", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)"),
        "auto",
    );
    assert!(eater.contains("memory_mib = 32"), "{eater}");
    let flood = buried(&program("", "(loop (call $say (i32.const 1) (i32.const 0) (i32.const 65536)) (br 0))"), "auto");
    assert!(flood.contains("limits.answer_kib"), "{flood}");
    let garbage = buried(&answering("well\n"), "lines");
    assert!(garbage.contains("a line that is no verdict") && garbage.contains("`well`"), "{garbage}");
}

#[test]
fn a_module_for_wasi_0_1_says_by_its_exit_code_whether_another_attempt_may_help() {
    for (code, attempts) in [(65, 1), (75, 3)] {
        let letter =
            buried(&program("no luck", &format!("{} (call $exit (i32.const {code}))", say(2, "no luck\n"))), "auto");
        assert!(letter.contains(&format!("\"attempts\":{attempts},")) && letter.contains("no luck"), "{letter}");
    }
}

#[test]
fn a_component_that_rust_makes_of_a_main_does_its_work_afresh_or_line_by_line() {
    for mode in ["auto", "lines"] {
        let mill = through(&gristmill_tests::guest_bytes("answerer"), mode, "{topic}");
        let mut node = mill.node();
        let todo = ["pass", "wait", "drop", "reject", "pass"];
        mill.redis.push("jobs", (0..).zip(todo).map(|(id, todo)| format!("{{\"do\":\"{todo}\",\"id\":{id}}}")));
        mill.redis.push("jobs", ["garbage"]);
        let dead = Dead::of(&mill, "jobs");
        let letters = eventually(SOON, "two dead letters", || Some(dead.list()).filter(|letters| letters.len() == 2));
        let told: String = letters.iter().map(ToString::to_string).collect();
        assert!(told.contains("nobody can do this") && told.contains("this is no job"), "{mode}: {told}");
        assert!(letters.iter().all(|letter| letter["attempts"] == 1), "{mode}: {told}");
        eventually(SOON, "the others arrive", || (mill.sink.count() >= 3).then_some(()));
        let mut attempts: Vec<(u64, u64)> =
            mill.sink.received().iter().map(|received| id_and_attempt(&received.json())).collect();
        attempts.sort_unstable();
        assert_eq!(attempts, [(0, 1), (1, 2), (4, 1)], "{mode}");
        for letter in &letters {
            assert_eq!(dead.discard(&Dead::entry(letter)).code, 0);
        }
        assert_eq!(node.terminate(), 0);
        nothing_is_left(&mill.redis);
    }
}

fn id_and_attempt(job: &serde_json::Value) -> (u64, u64) {
    (job["id"].as_u64().unwrap(), job["attempt"].as_u64().unwrap())
}

#[test]
fn a_program_is_swapped_under_load_without_loss() {
    let mill = through(&stamp(1), "cgi", "{header:version}");
    let _node = mill.node();
    let mut pushed = 0;
    for version in 2..=6 {
        replace_file(&mill.plugin_file("program"), &stamp(version));
        eventually(SOON, &format!("version {version} takes over"), || {
            mill.redis.push("jobs", jobs(pushed..pushed + 100));
            pushed += 100;
            pause(Duration::from_millis(20));
            let path = format!("/hooks/{version}");
            mill.sink.received().iter().any(|received| received.path == path).then_some(())
        });
    }
    assert_eq!(all_arrive(&mill.sink, 0..pushed), 0, "none came twice");
    nothing_is_left(&mill.redis);
}

#[test]
fn killing_the_node_loses_nothing_that_programs_have_in_hand() {
    const KILLS: usize = 3;
    for (mode, wasm) in [("cgi", stamp(1)), ("lines", answering("{\"headers\":{\"version\":\"1\"}}\n"))] {
        let mill = through(&wasm, mode, "{header:version}");
        mill.sink.answer(Answer::Late(Duration::from_millis(10)));
        mill.redis.push("jobs", jobs(0..2_000));
        for _ in 0..KILLS {
            let mut node = mill.node();
            let before = mill.sink.count();
            eventually(SOON, "some have arrived", || (mill.sink.count() >= before + 200).then_some(()));
            node.kill9();
        }
        let _last = mill.node();
        let twice = all_arrive(&mill.sink, 0..2_000);
        assert!(twice <= 128 * KILLS, "{twice} came twice in mode {mode}");
        nothing_is_left(&mill.redis);
    }
}

#[test]
fn check_knows_programs_and_where_they_cannot_be() {
    let mill = through(&stamp(1), "cgi", "{topic}");
    let checked = mill.run(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("program: filter (WASI program)"), "{}", checked.stdout);
    mill.write_config(&pipeline("", "[pipeline.more]\nfrom = { list = \"more\" }\npublish = [\"program\"]\n"));
    let checked = mill.run(&["check"]);
    assert_eq!(checked.code, 78);
    assert!(
        checked.stderr.contains("it is a WASI program") && checked.stderr.contains("`filters`"),
        "{}",
        checked.stderr
    );
    let http = pipeline("", "").replace("[plugin.http]", "[plugin.http]\nmode = \"lines\"");
    mill.write_config(&http);
    let checked = mill.run(&["check"]);
    assert_eq!(checked.code, 78);
    assert!(checked.stderr.contains("leave `mode` out"), "{}", checked.stderr);
}
