//! Plain WASI programs: what their exits and their output mean, and every way in which they misbehave.

use super::{Bench, guests, message, settings};
use crate::{
    config::{self, Isolation, Mode},
    message::{Change, Fault, Verdict},
    plugin::{Cause, Kind, Version},
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Copies stdin to stdout.
const CAT: &str = "(local $n i32)
    (loop $more (local.set $n (call $hear))
      (if (local.get $n) (then (call $say (i32.const 1) (i32.const 4096) (local.get $n)) (br $more))))";

/// A core module that is a program: `body`, over bytes that lie at 2048.
///
/// `$hear` reads at most 4 KiB to 4096 and says how many bytes; `$say` writes so many from there to a descriptor.
fn program(data: &str, body: &str) -> Vec<u8> {
    let data = data.escape_default();
    let module = format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 2048) "{data}")
             (func $hear (result i32)
               (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 4096))
               (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
               (i32.load (i32.const 8)))
             (func $say (param $to i32) (param $from i32) (param $bytes i32)
               (i32.store (i32.const 0) (local.get $from)) (i32.store (i32.const 4) (local.get $bytes))
               (if (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable))))
             (func $start (export "_start") {body}))"#
    );
    wat::parse_str(module).unwrap()
}

/// Says `text` on stderr and exits with `code`.
fn exiting(text: &str, code: i32) -> Vec<u8> {
    program(text, &format!("{} (call $exit (i32.const {code}))", say(2, text)))
}

/// Writes `text`, which lies at 2048.
fn say(to: u8, text: &str) -> String {
    format!("(call $say (i32.const {to}) (i32.const 2048) (i32.const {}))", text.len())
}

/// Answers every line with `text`.
fn answering(text: &str) -> Vec<u8> {
    program(text, &format!("(loop $more (if (call $hear) (then {} (br $more))))", say(1, text)))
}

fn with(mode: Mode) -> config::Plugin {
    config::Plugin { mode, ..settings() }
}

async fn loaded(wasm: &[u8], settings: &config::Plugin) -> Arc<Version> {
    Bench::new().load_with(wasm, settings).await.unwrap()
}

/// What `wasm` says to the payload `hello`.
async fn verdict(wasm: &[u8], mode: Mode) -> Result<Verdict, Fault> {
    ask(&loaded(wasm, &with(mode)).await, "hello").await
}

async fn ask(version: &Arc<Version>, payload: &str) -> Result<Verdict, Fault> {
    version.lend().await.unwrap().filter(&message(payload)).await
}

fn broken(verdict: Result<Verdict, Fault>) -> String {
    match verdict {
        Err(Fault::Broken { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn payload(bytes: impl Into<Bytes>) -> Verdict {
    Verdict::Replace(Change { payload: Some(bytes.into()), ..Change::default() })
}

#[tokio::test]
async fn what_a_program_writes_is_the_new_payload() {
    let version = loaded(&program("", CAT), &settings()).await;
    assert_eq!((version.kind(), version.title(), version.api()), (Kind::Filter, "filter (WASI program)", None));
    for text in ["hello".to_owned(), "x".repeat(100_000)] {
        assert_eq!(ask(&version, &text).await, Ok(payload(text)));
    }
    assert_eq!(version.idle_instances(), 0);
}

#[tokio::test]
async fn exit_codes_are_verdicts() {
    assert_eq!(verdict(&program("", ""), Mode::Auto).await, Ok(Verdict::Drop(None)));
    assert_eq!(verdict(&exiting("a bot", 0), Mode::Auto).await, Ok(Verdict::Drop(Some("a bot".to_owned()))));
    let reject = Fault::Reject { reason: "no id".to_owned() };
    assert_eq!(verdict(&exiting("looking\nno id\n", 65), Mode::Auto).await, Err(reject));
    let retry = Fault::Retry { after: None, reason: "exited with 75 and no word on stderr".to_owned() };
    assert_eq!(verdict(&exiting("", 75), Mode::Auto).await, Err(retry));
    assert_eq!(broken(verdict(&exiting("no luck", 1), Mode::Auto).await), "exited with 1: no luck");
    assert_eq!(broken(verdict(&exiting("", 2), Mode::Auto).await), "exited with 2");
    let words = verdict(&exiting("reject: no luck", 1), Mode::Auto).await;
    assert_eq!(broken(words), "exited with 1: reject: no luck", "who has codes is not asked for words");
}

#[tokio::test]
async fn a_program_finds_the_envelope_in_its_environment() {
    let expected = "GRISTMILL_CONFIG={\"fields\":[\"ip\"]}\0GRISTMILL_ID=m-1\0GRISTMILL_SOURCE=jobs\0\
                    GRISTMILL_TOPIC=news\0GRISTMILL_ATTEMPT=1\0GRISTMILL_HEADER_USER=ann\0";
    // Writes as many bytes of its environment as there should be, and one more.
    let body = format!(
        "(drop (call $environ (i32.const 1024) (i32.const 4096)))
         (call $say (i32.const 1) (i32.const 4096) (i32.const {}))",
        expected.len() + 1
    );
    let mut settings = settings();
    settings.config = serde_json::json!({"fields": ["ip"]});
    let version = loaded(&program("", &body), &settings).await;
    assert_eq!(ask(&version, "").await, Ok(payload(format!("{expected}\0"))));
}

#[tokio::test]
async fn in_cgi_mode_headers_and_topic_come_before_the_payload() {
    let text = "audience: people\n:topic: hits\n\n";
    let guest = program(text, &CAT.replace("(loop $more", &format!("{} (loop $more", say(1, text))));
    let change = Change {
        topic: Some("hits".to_owned()),
        headers: vec![("audience".to_owned(), Some("people".to_owned()))],
        payload: Some(Bytes::from_static(b"hello")),
    };
    assert_eq!(verdict(&guest, Mode::Cgi).await, Ok(Verdict::Replace(change)));
    assert_eq!(verdict(&program("", ""), Mode::Cgi).await, Ok(Verdict::Drop(None)));
    let reason = broken(verdict(&program("", CAT), Mode::Cgi).await);
    assert_eq!(
        reason,
        "answered with what does not begin with headers and an empty line: there is no empty line: `hello`"
    );
}

#[tokio::test]
async fn a_component_that_runs_is_a_program_too() {
    for (answer, expected) in [(0, Ok(Verdict::Drop(None))), (1, Err("exited with 1"))] {
        let module = format!(
            r#"(module (memory (export "memory") 1)
                 (func (export "wasi:cli/run@0.2.0#run") (result i32) (i32.const {answer})))"#
        );
        let guest = guests::component("package test:run; world run { export wasi:cli/run@0.2.0; }", "run", &module);
        let version = loaded(&guest, &settings()).await;
        assert_eq!(version.title(), "filter (WASI program)");
        let verdict = ask(&version, "x").await;
        assert_eq!(verdict.map_err(|fault| fault.reason().to_owned()), expected.map_err(str::to_owned));
    }
}

#[tokio::test]
async fn what_is_no_program_is_refused_in_one_sentence() {
    let bench = Bench::new();
    let refusal = bench.refusal(&wat::parse_str("(module (func (export \"run\")))").unwrap()).await;
    assert!(refusal.contains("no WASI program either, as it exports no `_start`"), "{refusal}");
    let foreign = r#"(module (import "env" "abort" (func)) (func (export "_start")))"#;
    let refusal = bench.refusal(&wat::parse_str(foreign).unwrap()).await;
    assert!(refusal.contains("it imports `env.abort`, which plugins do not get"), "{refusal}");
    let unknown = r#"(module (import "wasi_snapshot_preview1" "fork" (func)) (func (export "_start")))"#;
    let refusal = bench.refusal(&wat::parse_str(unknown).unwrap()).await;
    assert!(refusal.contains("does not fit this host") && refusal.contains("fork"), "{refusal}");
    let whole = program("", CAT);
    let refusal = bench.refusal(whole.get(..whole.len() / 2).unwrap()).await;
    assert!(refusal.contains("it does not compile"), "{refusal}");
    let refusal = bench.load_with(&guests::pass(""), &with(Mode::Lines)).await.unwrap_err();
    assert_eq!(refusal.cause, Cause::NoProgram);
}

#[tokio::test]
async fn a_program_cannot_publish() {
    let bench = Bench::new();
    bench.put("it", &program("", CAT));
    let refused = bench.plugins.prepare(bench.wanted(&[("it", Kind::Publisher)])).await.unwrap_err();
    let [refusal] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(refusal.cause, Cause::ProgramPublishes);
}

#[tokio::test]
async fn a_program_takes_the_place_of_a_plugin_and_gives_it_back() {
    let bench = Bench::new();
    let file = bench.put("it", &guests::pass(""));
    let prepared = bench.plugins.prepare(bench.wanted(&[("it", Kind::Filter)])).await.unwrap();
    bench.plugins.commit(prepared);
    let slot = bench.plugins.slot("it").unwrap();
    assert_eq!(ask(&slot.current(), "x").await, Ok(Verdict::Pass));
    bench.put("it", &program("", CAT));
    assert!(bench.plugins.refresh(std::slice::from_ref(&file)).await.is_empty());
    assert_eq!(ask(&slot.current(), "x").await, Ok(payload("x")));
    bench.put("it", b"\0asm\x01\0\0\0");
    assert_eq!(bench.plugins.refresh(std::slice::from_ref(&file)).await.len(), 1);
    assert_eq!(ask(&slot.current(), "x").await, Ok(payload("x")), "the old one goes on");
}

#[tokio::test]
async fn a_compiled_program_is_kept() {
    let bench = Bench::new();
    bench.load(&program("", CAT)).await.unwrap();
    assert_eq!(super::names(&bench.cache()).len(), 1);
    let again =
        crate::plugin::Plugins::new(&bench.cache(), &super::compile(), crate::lookup::Lookups::alone()).unwrap();
    let file = bench.put("it", &program("", CAT));
    let version = again.load("it", &file, &settings()).await.unwrap();
    assert_eq!(ask(&version, "x").await, Ok(payload("x")));
    assert_eq!(super::names(&bench.cache()).len(), 1);
}

#[tokio::test]
async fn a_program_has_the_limits_of_a_plugin() {
    let start = Instant::now();
    let endless = "(loop (br 0))";
    assert_eq!(broken(verdict(&program("", endless), Mode::Auto).await), "ran longer than its timeout of 50ms");
    assert!(start.elapsed() < Duration::from_secs(20));
    let grow = "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then (unreachable)))";
    assert_eq!(broken(verdict(&program("", grow), Mode::Auto).await), "needed more than memory_mib = 2");
    let deep = broken(verdict(&program("", "(call $start)"), Mode::Auto).await);
    assert_eq!(deep, "trapped: call stack exhausted");
    let trap = format!("{} (unreachable)", say(2, "no luck"));
    assert_eq!(broken(verdict(&program("no luck", &trap), Mode::Auto).await), "trapped: unreachable: no luck");
    let flood = "(loop (call $say (i32.const 1) (i32.const 0) (i32.const 65536)) (br 0))";
    let mut patient = settings();
    patient.timeout = Duration::from_secs(10);
    let reason = broken(ask(&loaded(&program("", flood), &patient).await, "x").await);
    assert_eq!(reason, "answered with more bytes than `limits.answer_kib` = 16384 allows");
    let huge = message(&"x".repeat(3 << 20));
    let version = loaded(&program("", CAT), &settings()).await;
    let fault = version.lend().await.unwrap().filter(&huge).await.unwrap_err();
    assert_eq!(fault.reason(), "a payload of 3145728 bytes does not fit into memory_mib = 2");
}

#[tokio::test]
async fn a_program_that_starts_with_more_memory_than_it_may_have_is_refused() {
    let large = wat::parse_str(r#"(module (memory (export "memory") 100) (func (export "_start")))"#).unwrap();
    let refusal = Bench::new().refusal(&large).await;
    assert!(refusal.contains("needed more than memory_mib = 2"), "{refusal}");
    let endless = wat::parse_str("(module (func $f (loop (br 0))) (start $f) (func (export \"_start\")))").unwrap();
    let refusal = Bench::new().refusal(&endless).await;
    assert!(refusal.contains("ran longer than its timeout of 1s"), "{refusal}");
}

/// Waits for a minute: one subscription at 3000, to the monotonic clock.
const SLEEP: &str = "(i32.store8 (i32.const 3008) (i32.const 0)) (i32.store (i32.const 3016) (i32.const 1))
    (i64.store (i32.const 3024) (i64.const 60000000000))
    (drop (call $poll (i32.const 3000) (i32.const 3100) (i32.const 1) (i32.const 3200)))";

#[tokio::test]
async fn waiting_ends_at_the_timeout_too_and_blocks_nobody() {
    let version = loaded(&program("", SLEEP), &settings()).await;
    let (answer, ()) = tokio::join!(ask(&version, "x"), tokio::task::yield_now());
    assert_eq!(broken(answer), "ran longer than its timeout of 50ms");
}

#[tokio::test]
async fn a_program_sees_nothing_of_the_message_before() {
    // Says how often it has been here, which is always the first time.
    let count = "(i32.store8 (i32.const 3000) (i32.add (i32.load8_u (i32.const 3000)) (i32.const 49)))
                 (call $say (i32.const 1) (i32.const 3000) (i32.const 1))";
    let version = loaded(&program("", count), &settings()).await;
    for _ in 0..3 {
        assert_eq!(ask(&version, "x").await, Ok(payload("1")));
    }
}

#[tokio::test]
async fn thousands_of_failing_programs_leave_room_for_others() {
    let version = loaded(&exiting("", 1), &settings()).await;
    for _ in 0..3_000 {
        assert_eq!(broken(ask(&version, "x").await), "exited with 1");
    }
}

#[tokio::test]
async fn lines_are_answered_by_one_instance() {
    let version = loaded(&answering("{\"pass\":true}\n"), &with(Mode::Lines)).await;
    assert_eq!(version.idle_instances(), 1);
    for _ in 0..100 {
        assert_eq!(ask(&version, "hello").await, Ok(Verdict::Pass));
    }
    assert_eq!(version.idle_instances(), 1);
    let reject = answering("{\"reject\":\"no id\"}\n");
    let version = loaded(&reject, &with(Mode::Lines)).await;
    assert_eq!(ask(&version, "x").await, Err(Fault::Reject { reason: "no id".to_owned() }));
    assert_eq!(version.idle_instances(), 1, "a fault in its own words breaks nothing");
}

#[tokio::test]
async fn a_deadline_is_each_lines_own() {
    let version = loaded(&answering("{\"pass\":true}\n"), &with(Mode::Lines)).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(ask(&version, "x").await, Ok(Verdict::Pass), "what it rested does not count");
    }
    assert_eq!(version.idle_instances(), 1);
}

/// What is told about a program that answers a line with this, and what it leaves behind.
async fn misanswer(text: &str, after: &str) -> String {
    let guest = program(text, &format!("(loop $more (if (call $hear) (then {} {after} (br $more))))", say(1, text)));
    let version = loaded(&guest, &with(Mode::Lines)).await;
    let reason = broken(ask(&version, "x").await);
    assert_eq!(version.idle_instances(), 0, "it is not asked again");
    assert_eq!(broken(ask(&version, "x").await), reason, "a fresh one goes on");
    reason
}

#[tokio::test]
async fn bad_answers_are_told_with_what_was_said() {
    let garbage = misanswer("hello\n", "").await;
    assert!(garbage.starts_with("answered with a line that is no verdict: expected value"), "{garbage}");
    assert!(garbage.ends_with(": `hello`"), "{garbage}");
    assert_eq!(misanswer("{\"pass\":true}\nx\n", "").await, "answered one line with more than one: `x\u{fffd}`");
    assert_eq!(
        misanswer("{\"pass\"", "").await,
        "ran longer than its timeout of 50ms; its answer is no whole line: `{\"pass\"`"
    );
    let silent = misanswer("", "").await;
    assert!(silent.contains("waits for the next line before it has answered this one"), "{silent}");
    assert_eq!(misanswer("", "(loop (br 0))").await, "ran longer than its timeout of 50ms");
    assert_eq!(misanswer("", "(unreachable)").await, "trapped: unreachable");
    assert_eq!(misanswer("", "(call $exit (i32.const 3))").await, "exited with 3 instead of waiting for lines");
    assert_eq!(misanswer("{\"pass\":true}\n", "(loop (br 0))").await, "ran longer than its timeout of 50ms");
}

#[tokio::test]
async fn a_program_that_answers_and_ends_is_started_again() {
    let guest = program("{\"pass\":true}\n", &format!("(drop (call $hear)) {}", say(1, "{\"pass\":true}\n")));
    let version = loaded(&guest, &with(Mode::Lines)).await;
    for _ in 0..3 {
        assert_eq!(ask(&version, "x").await, Ok(Verdict::Pass));
        assert_eq!(version.idle_instances(), 0);
    }
}

#[tokio::test]
async fn a_program_that_does_not_wait_for_lines_is_refused() {
    let bench = Bench::new();
    for (wasm, why) in [
        (
            program("hello", &format!("{} (drop (call $hear))", say(1, "hello"))),
            "wrote to stdout before it was given a line: `hello`",
        ),
        (exiting("no fields", 78), "plugin `it` refused its config: no fields ("),
        (exiting("no luck", 3), "it did not start: exited with 3 instead of waiting for lines: no luck"),
        (program("", ""), "it did not start: exited with 0 instead of waiting for lines"),
        (program("", "(loop (br 0))"), "it did not start: ran longer than its timeout of 1s"),
        (program("", "(unreachable)"), "it did not start: trapped: unreachable"),
    ] {
        let refusal = bench.load_with(&wasm, &with(Mode::Lines)).await.unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
}

#[tokio::test]
async fn chance_that_is_good_for_keys_is_granted_or_denied_by_name() {
    let chance = r#"(module (import "wasi_snapshot_preview1" "random_get" (func $get (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (if (call $get (i32.const 0) (i32.const 8)) (then (unreachable)))))"#;
    let wasm = wat::parse_str(chance).unwrap();
    let denied = broken(ask(&loaded(&wasm, &settings()).await, "x").await);
    assert!(denied.contains("allow = [\"random\"]"), "{denied}");
    let granted = config::Plugin { allow: [config::Ambient::Random].into(), ..settings() };
    assert_eq!(ask(&loaded(&wasm, &granted).await, "x").await, Ok(Verdict::Drop(None)));
}

#[tokio::test]
async fn more_headers_than_are_compared_are_refused() {
    let headers: String = (0..1_001).map(|n| format!("h{n}:x\n")).collect();
    let text = format!("{headers}\n");
    let guest = program(&text, &say(1, &text));
    let reason = broken(verdict(&guest, Mode::Cgi).await);
    assert_eq!(reason, "answered with 1001 headers for one message, more than the 1000 that are allowed");
}

#[tokio::test]
async fn with_isolation_each_line_meets_a_fresh_program() {
    let settings = config::Plugin { isolation: Isolation::Message, ..with(Mode::Lines) };
    let version = loaded(&answering("{\"pass\":true}\n"), &settings).await;
    assert_eq!(ask(&version, "x").await, Ok(Verdict::Pass));
    assert_eq!(version.idle_instances(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_share_a_program_in_every_mode() {
    for (mode, wasm) in [(Mode::Auto, program("", CAT)), (Mode::Lines, answering("{\"pass\":true}\n"))] {
        let version = loaded(&wasm, &with(mode)).await;
        let calls = (0..8).map(|_| {
            let version = Arc::clone(&version);
            async move {
                for _ in 0..200 {
                    assert!(ask(&version, "x").await.is_ok());
                }
            }
        });
        futures_util::future::join_all(calls).await;
    }
}
