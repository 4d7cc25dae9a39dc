//! Calls that end well, and every way in which they do not.

use super::{
    Bench, guests,
    guests::{Guest, PLAIN},
    message, settings,
};
use crate::{
    config::Isolation,
    message::{Change, Fault, Limit, Verdict},
    request::{Failure, HttpReply, HttpRequest, Reply, Request},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// What `wasm` says to one message.
async fn verdict(wasm: &[u8]) -> Result<Verdict, Fault> {
    let version = Bench::new().load(wasm).await.unwrap();
    version.lend().await.unwrap().filter(&message("hello")).await
}

/// Why `wasm` broke over one message.
async fn broken(wasm: &[u8]) -> String {
    match verdict(wasm).await {
        Err(Fault::Broken { limit: None, reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The limit that `wasm` goes beyond over one message, and in which words.
async fn beyond(wasm: &[u8]) -> (Limit, String) {
    match verdict(wasm).await {
        Err(Fault::Broken { limit: Some(limit), reason }) => (limit, reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_filter_passes_and_replaces() {
    assert_eq!(verdict(&guests::pass("")).await, Ok(Verdict::Pass));
    let change = Change { payload: Some(Bytes::from_static(b"bye")), ..Change::default() };
    assert_eq!(verdict(&guests::replace("bye")).await, Ok(Verdict::Replace(change)));
}

#[tokio::test]
async fn a_filter_drops_and_faults_in_its_own_words() {
    let drop = Guest {
        body: "(i32.store8 (i32.const 1028) (i32.const 3)) (i32.store8 (i32.const 1032) (i32.const 1))
               (i32.store (i32.const 1036) (i32.const 2048)) (i32.store (i32.const 1040) (i32.const 4)) (i32.const 1024)",
        data: "spam",
        ..PLAIN
    };
    assert_eq!(verdict(&drop.filter()).await, Ok(Verdict::Drop(Some("spam".to_owned()))));
    let retry = Guest {
        body: "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 1))
               (i32.store (i32.const 1036) (i32.const 1500)) (i32.store (i32.const 1040) (i32.const 2048))
               (i32.store (i32.const 1044) (i32.const 4)) (i32.const 1024)",
        data: "busy",
        ..PLAIN
    };
    let fault = Fault::Retry { after: Some(Duration::from_millis(1500)), reason: "busy".to_owned() };
    assert_eq!(verdict(&retry.filter()).await, Err(fault));
}

#[tokio::test]
async fn a_filter_reads_the_envelope() {
    // Puts the value of the header `user`, in whatever case, where the payload was.
    let guest = Guest {
        imports: r#"(import "gristmill:plugin/envelope@0.1.0" "header" (func $header (param i32 i32 i32)))
                    (import "gristmill:plugin/envelope@0.1.0" "attempt" (func $attempt (result i32)))
                    (import "gristmill:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        body: "(call $header (i32.const 2048) (i32.const 4) (i32.const 1052))
               (if (i32.ne (call $attempt) (i32.const 1)) (then (unreachable)))
               (call $log (i32.const 0) (i32.const 2048) (i32.const 4))
               (i32.store8 (i32.const 1028) (i32.const 1))
               (i32.const 1024)",
        data: "uSeR",
        ..PLAIN
    };
    let change = Change { payload: Some(Bytes::from_static(b"ann")), ..Change::default() };
    let version = Bench::new().load(&guest.filter()).await.unwrap();
    let mut lent = version.lend().await.unwrap();
    assert_eq!(lent.filter(&message("x")).await, Ok(Verdict::Replace(change)));
    let mut bare = message("x");
    bare.headers.clear();
    assert_eq!(lent.filter(&bare).await, Ok(Verdict::Replace(Change::default())));
}

#[tokio::test]
async fn a_publisher_describes_requests_and_judges_replies() {
    let version = Bench::new().load(&guests::publisher()).await.unwrap();
    let mut lent = version.lend().await.unwrap();
    let message = message("hello");
    let request = Request::Http(HttpRequest {
        method: "POST".to_owned(),
        url: "http://sink/".to_owned(),
        headers: Vec::new(),
        body: message.payload.clone(),
        template: false,
        timeout: Some(Duration::from_millis(250)),
    });
    assert_eq!(lent.publish(&message).await, Ok(vec![request]));
    let reply = |status| {
        Reply::Http(Ok(HttpReply { status, headers: vec![("a".into(), "b".into())], body: Bytes::from_static(b"ok") }))
    };
    assert_eq!(lent.answered(&message, &[reply(200)], 1).await, Ok(Vec::new()));
    let rejected = Err(Fault::Reject { reason: "POST".to_owned() });
    assert_eq!(lent.answered(&message, &[reply(503)], 1).await, rejected);
    let failed = [Reply::Http(Err(Failure::Unreachable("refused".to_owned())))];
    assert_eq!(lent.answered(&message, &failed, 1).await, rejected);
    assert!(matches!(lent.filter(&message).await, Err(Fault::Reject { .. })));
}

#[tokio::test]
async fn a_trap_says_what_it_was() {
    assert_eq!(broken(&guests::filter("(unreachable)")).await, "trapped: unreachable");
    let far = "(drop (i32.load (i32.const -8))) (i32.const 1024)";
    assert_eq!(broken(&guests::filter(far)).await, "trapped: out of bounds memory access");
    let deep = "(call $call (local.get $ptr) (local.get $len))";
    assert_eq!(beyond(&guests::filter(deep)).await, (Limit::Stack, "trapped: call stack exhausted".to_owned()));
}

#[tokio::test]
async fn a_loop_ends_at_the_timeout() {
    let start = std::time::Instant::now();
    let overrun = beyond(&guests::filter("(loop (br 0)) (i32.const 1024)")).await;
    assert_eq!(overrun, (Limit::Time, "ran longer than its timeout of 50ms".to_owned()));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn waiting_ends_at_the_timeout_too_and_blocks_nobody() {
    let guest = Guest {
        wit: "import wasi:io/poll@0.2.0; import wasi:clocks/monotonic-clock@0.2.0;",
        imports: r#"(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
                    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $soon (param i64) (result i32)))"#,
        body: "(call $block (call $soon (i64.const 60000000000))) (i32.const 1024)",
        ..PLAIN
    };
    let version = Bench::new().load(&guest.filter()).await.unwrap();
    let mut lent = version.lend().await.unwrap();
    let message = message("x");
    let (answer, ()) = tokio::join!(lent.filter(&message), tokio::task::yield_now());
    let reason = "ran longer than its timeout of 50ms".to_owned();
    assert_eq!(answer, Err(Fault::Broken { limit: Some(Limit::Time), reason }));
    drop(lent);
    assert_eq!(version.idle_instances(), 0);
}

#[tokio::test]
async fn a_short_wait_is_no_fault() {
    let guest = Guest {
        wit: "import wasi:io/poll@0.2.0; import wasi:clocks/monotonic-clock@0.2.0;",
        imports: r#"(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
                    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $soon (param i64) (result i32)))"#,
        body: "(call $block (call $soon (i64.const 1000000))) (i32.const 1024)",
        ..PLAIN
    };
    assert_eq!(verdict(&guest.filter()).await, Ok(Verdict::Pass));
}

#[tokio::test]
async fn a_dropped_call_ends_the_instance() {
    let guest = Guest {
        wit: "import wasi:io/poll@0.2.0; import wasi:clocks/monotonic-clock@0.2.0;",
        imports: r#"(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
                    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $soon (param i64) (result i32)))"#,
        body: "(call $block (call $soon (i64.const 60000000000))) (i32.const 1024)",
        ..PLAIN
    };
    let version = Bench::new().load(&guest.filter()).await.unwrap();
    let mut lent = version.lend().await.unwrap();
    let message = message("x");
    let call = tokio::time::timeout(Duration::from_millis(5), lent.filter(&message));
    assert!(call.await.is_err());
    drop(lent);
    assert_eq!(version.idle_instances(), 0);
}

#[tokio::test]
async fn the_last_words_explain_a_trap() {
    let guest = Guest {
        wit: "import wasi:io/streams@0.2.0; import wasi:cli/stderr@0.2.0;",
        imports: r#"(import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
                      (func $write (param i32 i32 i32 i32)))
                    (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))"#,
        body: "(call $write (call $stderr) (i32.const 2048) (i32.const 7) (i32.const 1100)) (unreachable)",
        data: "no luck",
        ..PLAIN
    };
    assert_eq!(broken(&guest.filter()).await, "trapped: unreachable: no luck");
}

#[tokio::test]
async fn memory_beyond_the_limit_is_refused_by_name() {
    let grow = "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then (unreachable))) (i32.const 1024)";
    assert_eq!(beyond(&guests::filter(grow)).await, (Limit::Memory, "needed more than memory_mib = 2".to_owned()));
}

#[tokio::test]
async fn a_payload_that_cannot_fit_is_rejected_and_the_instance_lives() {
    let version = Bench::new().load(&guests::pass("")).await.unwrap();
    let mut lent = version.lend().await.unwrap();
    let huge = message(&"x".repeat(3 << 20));
    let reason = "a payload of 3145728 bytes does not fit into memory_mib = 2".to_owned();
    assert_eq!(lent.filter(&huge).await, Err(Fault::Reject { reason }));
    drop(lent);
    assert_eq!(version.idle_instances(), 1);
    let mut lent = version.lend().await.unwrap();
    let tight = message(&"x".repeat(2 << 20));
    let reason = "needed more than memory_mib = 2".to_owned();
    assert_eq!(lent.filter(&tight).await, Err(Fault::Broken { limit: Some(Limit::Memory), reason }));
}

#[tokio::test]
async fn an_answer_has_its_limits() {
    let split = "(i32.store8 (i32.const 1028) (i32.const 2)) (i32.store (i32.const 1032) (i32.const 16384))
                 (i32.store (i32.const 1036) (i32.const 1001)) (i32.const 1024)";
    let reason = "made 1001 messages of one, more than the 1000 that `limits.children` allows".to_owned();
    assert_eq!(beyond(&guests::filter(split)).await, (Limit::Children, reason));
    // Claims more bytes than it has memory for.
    let lie = "(i32.store8 (i32.const 1028) (i32.const 1)) (i32.store8 (i32.const 1052) (i32.const 1))
               (i32.store (i32.const 1060) (i32.const -1)) (i32.const 1024)";
    assert!(broken(&guests::filter(lie)).await.starts_with("broke the plugin API: "));
}

#[tokio::test]
async fn an_answer_longer_than_allowed_is_refused() {
    let long = "(drop (memory.grow (i32.const 300))) (i32.store8 (i32.const 1028) (i32.const 1))
                (i32.store8 (i32.const 1052) (i32.const 1)) (i32.store (i32.const 1060) (i32.const 16777217)) (i32.const 1024)";
    let bench = Bench::new();
    let mut settings = settings();
    settings.memory_mib = 32;
    let version = bench.load_with(&guests::filter(long), &settings).await.unwrap();
    let reason = "answered with 16777217 bytes, more than `limits.answer_kib` = 16384 allows".to_owned();
    let fault = Fault::Broken { limit: Some(Limit::Answer), reason };
    assert_eq!(version.lend().await.unwrap().filter(&message("x")).await, Err(fault));
    // It grew beyond half of what it may have, so it does not come back.
    assert_eq!(version.idle_instances(), 0);
}

#[tokio::test]
async fn an_instance_is_used_again_unless_it_broke() {
    // Traps on the payload "!" alone.
    let picky = "(if (i32.eq (i32.load8_u (local.get $ptr)) (i32.const 33)) (then (unreachable))) (i32.const 1024)";
    let version = Bench::new().load(&guests::filter(picky)).await.unwrap();
    assert_eq!(version.idle_instances(), 1);
    let mut lent = version.lend().await.unwrap();
    assert_eq!(version.idle_instances(), 0);
    assert!(lent.filter(&message("fine")).await.is_ok());
    drop(lent);
    assert_eq!(version.idle_instances(), 1);
    let mut lent = version.lend().await.unwrap();
    assert!(lent.filter(&message("!")).await.is_err());
    assert_eq!(lent.filter(&message("fine")).await, Ok(Verdict::Pass), "a loan outlives its first instance");
    assert!(lent.filter(&message("!")).await.is_err());
    drop(lent);
    assert_eq!(version.idle_instances(), 0);
}

#[tokio::test]
async fn idle_instances_are_bounded() {
    let version = Bench::new().load(&guests::pass("")).await.unwrap();
    let mut lent = Vec::new();
    for _ in 0..100 {
        lent.push(version.lend().await.unwrap());
    }
    drop(lent);
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(version.idle_instances(), processors);
}

#[tokio::test]
async fn more_instances_than_there_is_room_for_heal_with_time() {
    let mut settings = settings();
    settings.limits.instances = 2_000;
    let version = Bench::new().load_with(&guests::pass(""), &settings).await.unwrap();
    let mut lent = Vec::new();
    let fault = loop {
        match version.lend().await {
            Ok(one) => lent.push(one),
            Err(fault) => break fault,
        }
        assert!(lent.len() < 2_000);
    };
    let reason = "all instances of plugins are in use".to_owned();
    assert_eq!(fault, Fault::Retry { after: None, reason });
    lent.truncate(10);
    assert!(version.lend().await.is_ok());
}

#[tokio::test]
async fn with_isolation_each_message_meets_a_fresh_instance() {
    // Counts its calls at 1200 and traps on the second.
    let once = "(if (i32.load (i32.const 1200)) (then (unreachable))) (i32.store (i32.const 1200) (i32.const 1)) (i32.const 1024)";
    let bench = Bench::new();
    let shared = bench.load(&guests::filter(once)).await.unwrap();
    let mut lent = shared.lend().await.unwrap();
    assert!(lent.filter(&message("a")).await.is_ok());
    assert!(lent.filter(&message("a")).await.is_err());

    let mut settings = settings();
    settings.isolation = Isolation::Message;
    let isolated = bench.load_with(&guests::filter(once), &settings).await.unwrap();
    let mut lent = isolated.lend().await.unwrap();
    for id in ["m-1", "m-2", "m-3"] {
        let mut message = message("a");
        message.id = id.into();
        assert_eq!(lent.filter(&message).await, Ok(Verdict::Pass));
    }
    drop(lent);
    assert_eq!(isolated.idle_instances(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_share_a_version() {
    let version = Bench::new().load(&guests::replace("bye")).await.unwrap();
    let calls = (0..8).map(|_| {
        let version = Arc::clone(&version);
        async move {
            for _ in 0..500 {
                assert!(version.lend().await.unwrap().filter(&message("x")).await.is_ok());
            }
        }
    });
    futures_util::future::join_all(calls).await;
}
