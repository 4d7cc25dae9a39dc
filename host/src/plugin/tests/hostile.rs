//! Guests that lie, dig and cling: nothing of what they do reaches beyond their own instance and their own message.

use super::{
    Bench, guests,
    guests::{Guest, PLAIN},
    message, settings,
};
use crate::{
    config::Isolation,
    message::{Fault, Limit, Message, Verdict},
    plugin::{engine::TICK, usage::thread_time},
};
use bytes::Bytes;
use std::{
    future::poll_fn,
    sync::Arc,
    time::{Duration, Instant},
};
use wit_component::StringEncoding;

const LOG: &str = r#"(import "gristmill:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
const HEADER: &str = r#"(import "gristmill:plugin/envelope@0.1.0" "header" (func $header (param i32 i32 i32)))"#;

/// Pointers and lengths that do not lie in a memory of one page.
const LIES: [(u32, u32); 8] = [
    (0, u32::MAX),
    (u32::MAX, 1),
    (u32::MAX, u32::MAX),
    (65_535, 2),
    (0, 65_537),
    (1 << 31, 1 << 31),
    (3 << 30, 1),
    (0, 3 << 30),
];

/// Wants `wasm` to break over one message, however often it is asked, and in no worse way.
#[track_caller]
fn breaks(answer: Result<Verdict, Fault>, what: &str) {
    let harmless = matches!(
        &answer,
        Err(Fault::Broken { limit: None, reason }) if reason.starts_with("broke the plugin API: ") || reason.starts_with("trapped: ")
    );
    assert!(harmless, "{what}: {answer:?}");
}

async fn verdict(wasm: &[u8]) -> Result<Verdict, Fault> {
    let version = Bench::new().load(wasm).await.unwrap();
    let answer = version.lend().await.unwrap().filter(&message("hello")).await;
    assert_eq!(version.idle_instances(), usize::from(answer.is_ok()), "what broke is not lent again");
    answer
}

#[tokio::test]
async fn lengths_that_lie_are_seen_before_anything_is_copied() {
    let bench = Bench::new();
    // The places of a pointer and its length in an answer, behind the bytes that lead there.
    let places = [
        ("payload", "(i32.store8 (i32.const 1028) (i32.const 1)) (i32.store8 (i32.const 1052) (i32.const 1))", 1056),
        ("topic", "(i32.store8 (i32.const 1028) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 1))", 1036),
        ("headers", "(i32.store8 (i32.const 1028) (i32.const 1))", 1044),
        ("children", "(i32.store8 (i32.const 1028) (i32.const 2))", 1032),
        ("reason", "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 1))", 1032),
    ];
    for (name, start, place) in places {
        for (pointer, length) in LIES {
            let body = format!(
                "{start} (i32.store (i32.const {place}) (i32.const {pointer}))
                 (i32.store (i32.const {}) (i32.const {length})) (i32.const 1024)",
                place + 4
            );
            let version = bench.load(&guests::filter(&body)).await.unwrap();
            let answer = version.lend().await.unwrap().filter(&message("x")).await;
            breaks(answer, &format!("{name} at {pointer}, {length} long"));
        }
    }
}

#[tokio::test]
async fn the_hosts_functions_do_not_believe_lengths_either() {
    let bench = Bench::new();
    for (pointer, length) in LIES {
        for (imports, call) in [
            (LOG, format!("(call $log (i32.const 0) (i32.const {pointer}) (i32.const {length}))")),
            (HEADER, format!("(call $header (i32.const {pointer}) (i32.const {length}) (i32.const 1100))")),
            // Where the answer of the host is to go.
            (HEADER, format!("(call $header (i32.const 2048) (i32.const 1) (i32.const {}))", pointer | 0xffff_fff8)),
        ] {
            let body = format!("{call} (i32.const 1024)");
            let version = bench.load(&Guest { imports, body: &body, ..PLAIN }.filter()).await.unwrap();
            let answer = version.lend().await.unwrap().filter(&message("x")).await;
            breaks(answer, &call);
        }
    }
}

/// "hä😀" in UTF-16, and behind it half of a pair.
const UTF16: &str = "h\\00\\e4\\00\\3d\\d8\\00\\de\\3d\\d8";

#[tokio::test]
async fn strings_in_another_encoding_are_believed_no_more_than_others() {
    // Where the two encodings of the second share a length, its highest bit says which one it is.
    for (encoding, mark) in [(StringEncoding::UTF16, 0), (StringEncoding::CompactUTF16, 1_u32 << 31)] {
        let reject = |pointer: u32, length: u32| {
            format!(
                "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 1))
                 (i32.store (i32.const 1032) (i32.const {pointer})) (i32.store (i32.const 1036) (i32.const {length}))
                 (i32.const 1024)"
            )
        };
        let answer = async |imports: &str, body: &str| {
            let guest = Guest { imports, body, data: UTF16, ..PLAIN };
            let version = Bench::new().load(&guest.filter_in(encoding)).await.unwrap();
            version.lend().await.unwrap().filter(&message("x")).await
        };
        let good = answer("", &reject(2_048, 4 | mark)).await;
        assert_eq!(good, Err(Fault::Reject { reason: "hä😀".to_owned() }), "{encoding:?}");
        for (pointer, length) in
            [(2_048, 5), (2_049, 1), (65_535, 1), (0, u32::MAX >> 1), (u32::MAX - 1, 1), (2_048, 1 << 30)]
        {
            let what = format!("{length} at {pointer} in {encoding:?}");
            breaks(answer("", &reject(pointer, length | mark)).await, &what);
            let call = format!(
                "(call $log (i32.const 0) (i32.const {pointer}) (i32.const {})) (i32.const 1024)",
                length | mark
            );
            breaks(answer(LOG, &call).await, &what);
        }
    }
}

#[tokio::test]
async fn what_is_out_of_shape_is_refused() {
    let replace = "(i32.store8 (i32.const 1028) (i32.const 1))";
    for (what, body) in [
        ("an answer outside of memory", "(i32.const -4)".to_owned()),
        ("an answer at an odd place", "(i32.const 1025)".to_owned()),
        ("a result that is neither", "(i32.store8 (i32.const 1024) (i32.const 2)) (i32.const 1024)".to_owned()),
        ("a verdict that there is none of", "(i32.store8 (i32.const 1028) (i32.const 4)) (i32.const 1024)".to_owned()),
        (
            "an option that is neither",
            format!("{replace} (i32.store8 (i32.const 1052) (i32.const 7)) (i32.const 1024)"),
        ),
        (
            "a list at an odd place",
            format!(
                "{replace} (i32.store (i32.const 1044) (i32.const 2049)) (i32.store (i32.const 1048) (i32.const 1)) (i32.const 1024)"
            ),
        ),
        (
            "a topic that is not UTF-8",
            format!(
                "{replace} (i32.store8 (i32.const 1032) (i32.const 1)) (i32.store (i32.const 1036) (i32.const 2048)) (i32.store (i32.const 1040) (i32.const 2)) (i32.const 1024)"
            ),
        ),
    ] {
        breaks(verdict(&Guest { body: &body, data: "\\ff\\fe", ..PLAIN }.filter()).await, what);
    }
    for (imports, call) in [
        (LOG, "(call $log (i32.const 0) (i32.const 2048) (i32.const 2))"),
        (LOG, "(call $log (i32.const 4) (i32.const 2048) (i32.const 0))"),
        (HEADER, "(call $header (i32.const 2048) (i32.const 2) (i32.const 1100))"),
        (HEADER, "(call $header (i32.const 2048) (i32.const 0) (i32.const 1101))"),
    ] {
        let body = format!("{call} (i32.const 1024)");
        breaks(verdict(&Guest { imports, body: &body, data: "\\ff\\fe", ..PLAIN }.filter()).await, call);
    }
}

/// A filter whose `cabi_realloc` and what follows a call do as they are told.
fn crooked(imports: &str, realloc: &str, after: &str) -> Vec<u8> {
    let filter = "gristmill:plugin/filtering@0.1.0#filter";
    let module = format!(
        r#"(module
             {imports}
             (memory (export "memory") 1)
             (global $calls (mut i32) (i32.const 0))
             (func (export "cabi_realloc") (param i32 i32 i32) (param $n i32) (result i32)
               (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
               ;; The config of `init` is taken as it should be.
               (if (i32.eq (global.get $calls) (i32.const 1)) (then (return (i32.const 8192))))
               {realloc})
             (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
             (func (export "{filter}") (param i32 i32) (result i32) (i32.const 1024))
             (func (export "cabi_post_{filter}") (param i32) {after}))"#
    );
    guests::component("package test:none;", "gristmill:plugin/filter@0.1.0", &module)
}

#[tokio::test]
async fn a_crooked_allocator_harms_only_its_own_call() {
    for place in ["(i32.const -1)", "(i32.const 65535)", "(i32.const 70000)", "(unreachable)"] {
        breaks(verdict(&crooked("", place, "")).await, place);
    }
    let talks = "(call $log (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8192)";
    breaks(verdict(&crooked(LOG, talks, "")).await, "an allocator that calls the host");
}

#[tokio::test]
async fn time_is_over_in_an_allocator_and_after_a_call_too() {
    let endless = "(loop (br 0))";
    for wasm in [crooked("", "(loop (br 0)) (i32.const 8192)", ""), crooked("", "(i32.const 8192)", endless)] {
        let answer = verdict(&wasm).await;
        assert!(matches!(&answer, Err(Fault::Broken { limit: Some(Limit::Time), .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_start_function_has_no_more_time_than_init() {
    let guest = Guest { imports: "(func $endless (loop (br 0))) (start $endless)", ..PLAIN };
    let refusal = Bench::new().load(&guest.filter()).await.unwrap_err();
    assert_eq!(refusal.limit(), Some(Limit::Time));
    assert!(refusal.to_string().contains("ran longer than its timeout of 1s"), "{refusal}");
}

#[tokio::test]
async fn long_single_instructions_and_floods_of_calls_end_in_time() {
    let fill = "(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br 0)) (i32.const 1024)";
    let flood = "(loop (call $log (i32.const 0) (i32.const 2048) (i32.const 5)) (br 0)) (i32.const 1024)";
    let ask = "(loop (call $header (i32.const 2048) (i32.const 5) (i32.const 1100)) (br 0)) (i32.const 1024)";
    for (imports, body) in [("", fill), (LOG, flood), (HEADER, ask)] {
        let start = Instant::now();
        let answer = verdict(&Guest { imports, body, data: "flood", ..PLAIN }.filter()).await;
        assert!(matches!(answer, Err(Fault::Broken { limit: Some(Limit::Time), .. })), "{body}: {answer:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{body}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn what_is_nested_without_end_is_refused() {
    let deep = |depth: usize| {
        let types: String = (1..depth).map(|n| format!("(type $t{n} (option $t{}))", n - 1)).collect();
        wat::parse_str(format!("(component (type $t0 (option u8)) {types})")).unwrap()
    };
    let nested = (0..1_000).fold(wat::parse_str("(component)").unwrap(), |inner, _| guests::around(&inner));
    let globals = format!("(component (core module {}))", "(global i32 (i32.const 0))".repeat(100_000));
    for wasm in [deep(5_000), nested, wat::parse_str(globals).unwrap()] {
        let refusal = Bench::new().refusal(&wasm).await;
        assert!(refusal.starts_with("plugin `it` cannot be used: "), "{refusal}");
    }
}

#[tokio::test]
async fn thousands_of_traps_take_no_places_for_ever() {
    let picky = "(if (i32.eq (i32.load8_u (local.get $ptr)) (i32.const 33)) (then (unreachable))) (i32.const 1024)";
    let version = Bench::new().load(&guests::filter(picky)).await.unwrap();
    let mut lent = version.lend().await.unwrap();
    // More than can live at once, so that every one of them must have come back.
    for _ in 0..1_500 {
        assert!(matches!(lent.filter(&message("!")).await, Err(Fault::Broken { limit: None, .. })));
        assert_eq!(lent.filter(&message("fine")).await, Ok(Verdict::Pass));
    }
}

/// Says with `Replace` that it found something in its memory, tables or globals; else leaves canaries there and traps.
fn canary() -> Vec<u8> {
    let body = "(local $at i32)
        (drop (memory.grow (i32.const 48)))
        (local.set $at (i32.const 65536))
        (loop $next
          (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (call $found))))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
        (if (i32.load (i32.const 4096)) (then (return (call $found))))
        (if (i32.eqz (ref.is_null (table.get $t (i32.const 5)))) (then (return (call $found))))
        (if (global.get $g) (then (return (call $found))))
        (memory.fill (i32.const 65536) (i32.const 170) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
        (i32.store (i32.const 4096) (i32.const 1))
        (table.set $t (i32.const 5) (ref.func $found))
        (global.set $g (i32.const 1))
        (unreachable)";
    let imports = "(table $t 10 funcref) (global $g (mut i32) (i32.const 0)) (elem declare func $found)
        (func $found (result i32) (i32.store8 (i32.const 1028) (i32.const 1)) (i32.const 1024))";
    Guest { imports, body, ..PLAIN }.filter()
}

#[tokio::test]
async fn nothing_of_one_message_is_there_for_the_next_instance() {
    no_canary_is_found(300).await;
}

/// Where the kernel lets us, it moves pages about meanwhile, as it does by itself when memory is short or scattered.
#[tokio::test]
async fn nothing_of_one_message_is_there_either_while_the_kernel_moves_pages() {
    const COMPACT: &str = "/proc/sys/vm/compact_memory";
    if std::fs::write(COMPACT, "1").is_err() {
        eprintln!("passed over: only root may write to {COMPACT}");
        return;
    }
    // The threads end when nobody else holds it, so a failure ends them, too.
    let running = Arc::new(());
    let while_running = |mut work: Box<dyn FnMut() + Send>| {
        let watched = Arc::downgrade(&running);
        std::thread::spawn(move || {
            while watched.strong_count() > 0 {
                work();
            }
        })
    };
    let moving = while_running(Box::new(|| std::fs::write(COMPACT, "1").expect("it could be written before")));
    let scattering = while_running(Box::new(scatter));
    no_canary_is_found(300).await;
    drop(running);
    moving.join().expect("it ends");
    scattering.join().expect("it ends");
}

/// Takes memory in pieces and gives every other one back, so that there is something to be moved.
fn scatter() {
    let pieces = (0..2_048).map(|_| vec![1_u8; 128 << 10]);
    let kept: Vec<_> = pieces.collect::<Vec<_>>().into_iter().step_by(2).collect();
    std::hint::black_box(&kept);
}

/// Leaves canaries in three instances at a time, so many times.
async fn no_canary_is_found(times: usize) {
    let mut settings = settings();
    settings.memory_mib = 8;
    settings.timeout = Duration::from_secs(20);
    let version = Bench::new().load_with(&canary(), &settings).await.unwrap();
    for _ in 0..times {
        // Some at once, so that places of the pool are used again in another order.
        let mut lent = futures_util::future::join_all((0..3).map(|_| version.lend())).await;
        for one in &mut lent {
            let answer = one.as_mut().unwrap().filter(&message("x")).await;
            assert!(matches!(answer, Err(Fault::Broken { limit: None, .. })), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn with_isolation_nothing_stays_after_a_good_call_either() {
    let mut settings = settings();
    settings.memory_mib = 8;
    settings.timeout = Duration::from_secs(20);
    settings.isolation = Isolation::Message;
    let wasm = canary_that_passes();
    let version = Bench::new().load_with(&wasm, &settings).await.unwrap();
    for number in 0..100 {
        let one = Message { id: format!("m-{number}").into(), payload: Bytes::from_static(b"x"), ..message("") };
        assert_eq!(version.lend().await.unwrap().filter(&one).await, Ok(Verdict::Pass));
    }
    settings.isolation = Isolation::Reuse;
    let version = Bench::new().load_with(&wasm, &settings).await.unwrap();
    assert_eq!(version.lend().await.unwrap().filter(&message("x")).await, Ok(Verdict::Pass));
    let found = version.lend().await.unwrap().filter(&message("x")).await;
    assert!(matches!(found, Ok(Verdict::Replace(_))), "without it, this guest would find what it left: {found:?}");
}

/// As `canary`, but it leaves its canary in memory alone and passes.
fn canary_that_passes() -> Vec<u8> {
    let body =
        "(if (i32.load (i32.const 4096)) (then (i32.store8 (i32.const 1028) (i32.const 1)) (return (i32.const 1024))))
        (i32.store (i32.const 4096) (i32.const 1)) (i32.const 1024)";
    guests::filter(body)
}

/// Loopers give way after slices of their own time, so that no clock on the wall, which load makes run, has to judge.
#[test]
fn as_many_loopers_as_workers_leave_others_quick() {
    const WORKERS: usize = 2;
    const CALLS: usize = 3;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
    let mut turns = runtime.block_on(async {
        let bench = Bench::new();
        let mut patient = settings();
        // Many times what the calls take on a machine that does a hundred other things.
        patient.timeout = Duration::from_secs(120);
        let looper = bench.load_with(&guests::filter("(loop (br 0)) (i32.const 1024)"), &patient).await.unwrap();
        let good = bench.load(&guests::pass("")).await.unwrap();
        let mut loopers = tokio::task::JoinSet::new();
        let (turns, mut taken) = tokio::sync::mpsc::channel(100_000);
        for _ in 0..WORKERS {
            let (mut lent, turns) = (looper.lend().await.unwrap(), turns.clone());
            loopers.spawn(async move {
                let message = message("x");
                let mut call = Box::pin(lent.filter(&message));
                poll_fn(|cx| {
                    let start = thread_time();
                    let polled = call.as_mut().poll(cx).map(drop);
                    // There is room for more turns than anybody waits for.
                    turns.try_send(thread_time() - start).ok();
                    polled
                })
                .await;
            });
        }
        let mut calls = tokio::task::JoinSet::new();
        calls.spawn(async move {
            for _ in 0..CALLS {
                // As a message would come: woken by something outside.
                tokio::time::sleep(Duration::from_millis(1)).await;
                good.lend().await.unwrap().filter(&message("x")).await.unwrap();
            }
        });
        calls.join_next().await.unwrap().unwrap();
        assert_eq!(loopers.try_join_next().map(drop), None, "a looper was over before the calls beside it");
        // A looper that gives way can be ended, too.
        loopers.shutdown().await;
        std::iter::from_fn(|| taken.try_recv().ok()).collect::<Vec<_>>()
    });
    assert!(turns.len() >= CALLS, "both had turns: {turns:?}");
    turns.sort();
    let median = turns[turns.len() / 2];
    assert!(median <= TICK * 4, "a looper computes for {median:?} before others go first");
}
