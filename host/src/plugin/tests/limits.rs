//! Each limit of a plugin, set low, and a guest that goes beyond it.

use super::{
    Bench, guests,
    guests::{Guest, PLAIN},
    message, settings,
};
use crate::{
    config,
    message::{Fault, Limit, Verdict},
    plugin::Cause,
};
use std::time::Duration;

/// What `wasm` goes beyond over one message where it has `settings`.
async fn beyond(wasm: &[u8], settings: &config::Plugin) -> (Limit, String) {
    let version = Bench::new().load_with(wasm, settings).await.unwrap();
    match version.lend().await.unwrap().filter(&message("hello")).await {
        Err(Fault::Broken { limit: Some(limit), reason }) => (limit, reason),
        other => panic!("{other:?}"),
    }
}

/// Answers with a payload of so many bytes.
fn long(bytes: usize) -> Vec<u8> {
    let body = format!(
        "(drop (memory.grow (i32.const {}))) (i32.store8 (i32.const 1028) (i32.const 1))
         (i32.store8 (i32.const 1052) (i32.const 1)) (i32.store (i32.const 1060) (i32.const {bytes})) (i32.const 1024)",
        bytes / 65_536 + 1
    );
    guests::filter(&body)
}

#[tokio::test]
async fn a_long_answer() {
    let mut settings = settings();
    settings.memory_mib = 64;
    settings.limits.answer_kib = 2;
    assert_eq!(Bench::new().load_with(&long(2_048), &settings).await.unwrap().idle_instances(), 1);
    let reason = "answered with 2049 bytes, more than `limits.answer_kib` = 2 allows".to_owned();
    assert_eq!(beyond(&long(2_049), &settings).await, (Limit::Answer, reason));
    // So much is not even copied.
    let reason = "handed over more at once than `limits.answer_kib` = 2 allows".to_owned();
    assert_eq!(beyond(&long(20 << 20), &settings).await, (Limit::Answer, reason));
}

#[tokio::test]
async fn an_answer_is_counted_as_a_whole() {
    // Two children whose payloads are the first 1,500 bytes of memory each.
    let twins = "(i32.store8 (i32.const 1028) (i32.const 2)) (i32.store (i32.const 1032) (i32.const 16384))
                 (i32.store (i32.const 1036) (i32.const 2))
                 (i32.store8 (i32.const 16404) (i32.const 1)) (i32.store (i32.const 16412) (i32.const 1500))
                 (i32.store8 (i32.const 16436) (i32.const 1)) (i32.store (i32.const 16444) (i32.const 1500))
                 (i32.const 1024)";
    let mut settings = settings();
    settings.limits.answer_kib = 2;
    let (limit, reason) = beyond(&guests::filter(twins), &settings).await;
    assert_eq!((limit, reason.starts_with("answered with 3000 bytes")), (Limit::Answer, true), "{reason}");
    settings.limits.answer_kib = 3;
    let version = Bench::new().load_with(&guests::filter(twins), &settings).await.unwrap();
    let verdict = version.lend().await.unwrap().filter(&message("x")).await;
    assert!(matches!(verdict, Ok(Verdict::Split(children)) if children.len() == 2));
}

#[tokio::test]
async fn a_long_text_for_the_log() {
    let guest = Guest {
        imports: r#"(import "gristmill:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        body: "(drop (memory.grow (i32.const 300)))
               (call $log (i32.const 0) (i32.const 0) (i32.const 19000000)) (i32.const 1024)",
        ..PLAIN
    };
    let mut settings = settings();
    settings.memory_mib = 64;
    assert_eq!(beyond(&guest.filter(), &settings).await.0, Limit::Answer);
}

#[tokio::test]
async fn many_children() {
    let split = "(i32.store8 (i32.const 1028) (i32.const 2)) (i32.store (i32.const 1032) (i32.const 16384))
                 (i32.store (i32.const 1036) (i32.const 4)) (i32.const 1024)";
    let mut settings = settings();
    settings.limits.children = 3;
    let reason = "made 4 messages of one, more than the 3 that `limits.children` allows".to_owned();
    assert_eq!(beyond(&guests::filter(split), &settings).await, (Limit::Children, reason.clone()));
    let version = Bench::new().load_with(&guests::pass(""), &settings).await.unwrap();
    assert_eq!(version.allows_children(3), Ok(()));
    assert_eq!(version.allows_children(4), Err(Fault::Broken { limit: Some(Limit::Children), reason }));
}

#[tokio::test]
async fn many_requests_and_rounds() {
    let mut settings = settings();
    settings.limits.requests = 3;
    settings.limits.rounds = 2;
    let bench = Bench::new();
    let ask = async |requests| {
        let version = bench.load_with(&guests::greedy(requests), &settings).await.unwrap();
        version.lend().await.unwrap().publish(&message("x")).await
    };
    assert_eq!(ask(3).await.unwrap().len(), 3);
    let reason = "asked for 4 requests for one message, more than the 3 that `limits.requests` allows".to_owned();
    assert_eq!(ask(4).await, Err(Fault::Broken { limit: Some(Limit::Requests), reason }));

    let version = bench.load_with(&guests::greedy(1), &settings).await.unwrap();
    assert_eq!(version.allows_requests(3, 2), Ok(()));
    assert_eq!(version.allows_requests(4, 2).unwrap_err().limit(), Some(Limit::Requests));
    let reason = "still asked for requests after the 2 rounds for one message that `limits.rounds` allows".to_owned();
    assert_eq!(version.allows_requests(3, 3), Err(Fault::Broken { limit: Some(Limit::Rounds), reason }));
}

#[tokio::test]
async fn bodies_that_are_the_payload_are_not_counted() {
    let mut settings = settings();
    settings.limits.answer_kib = 1;
    let version = Bench::new().load_with(&guests::greedy(100), &settings).await.unwrap();
    let long = message(&"x".repeat(100_000));
    assert_eq!(version.lend().await.unwrap().publish(&long).await.unwrap().len(), 100);
}

#[tokio::test]
async fn elements_of_tables() {
    let grow = |by: u32| {
        let body = format!(
            "(if (i32.eq (table.grow $t (ref.null func) (i32.const {by})) (i32.const -1)) (then (unreachable))) (i32.const 1024)"
        );
        Guest { imports: "(table $t 1 funcref)", body: &body, ..PLAIN }.filter()
    };
    let mut settings = settings();
    settings.limits.table_elements = 50;
    let version = Bench::new().load_with(&grow(40), &settings).await.unwrap();
    assert!(version.lend().await.unwrap().filter(&message("x")).await.is_ok());
    let reason = "needed more than `limits.table_elements` = 50".to_owned();
    assert_eq!(beyond(&grow(60), &settings).await, (Limit::TableElements, reason));

    // All tables count together; and no grant reaches beyond what the engine has.
    let refusal = |imports: &str| {
        let wasm = Guest { imports, ..PLAIN }.filter();
        let settings = settings.clone();
        async move { Bench::new().load_with(&wasm, &settings).await.unwrap_err() }
    };
    for tables in ["(table 30 funcref) (table 30 funcref)", "(table 100001 funcref)"] {
        assert_eq!(refusal(tables).await.limit(), Some(Limit::TableElements), "{tables}");
    }
}

#[tokio::test]
async fn parts_of_a_component() {
    let mut settings = settings();
    settings.limits.parts = 10;
    let bench = Bench::new();
    let refusal = async |count, module: &str| {
        let refusal = bench.load_with(&guests::crowd(count, module), &settings).await.unwrap_err();
        assert_eq!(refusal.limit(), Some(Limit::Parts), "{refusal}");
        refusal
    };
    let refused = refusal(10, "(module)").await;
    assert!(
        matches!(&refused.cause, Cause::Start(fault) if fault.reason().contains("`limits.parts` = 10")),
        "{refused}"
    );
    refusal(2, "(module (table 0 funcref) (table 0 funcref) (table 0 funcref) (table 0 funcref) (table 0 funcref) (table 0 funcref))").await;
    // Beyond what the engine has for anybody.
    assert!(matches!(refusal(10_000, "(module)").await.cause, Cause::Beyond(..)));
    assert!(matches!(refusal(10_000, "(module (memory 0))").await.cause, Cause::Beyond(..)));
    assert!(bench.load_with(&guests::crowd(7, "(module (memory 0))"), &settings).await.is_ok());
}

#[tokio::test]
async fn handles() {
    let hoard = |turns: u32| {
        let body = format!(
            "(local $n i32) (loop $more (drop (call $soon (i64.const 1)))
               (local.set $n (i32.add (local.get $n) (i32.const 1)))
               (br_if $more (i32.lt_u (local.get $n) (i32.const {turns})))) (i32.const 1024)"
        );
        let guest = Guest {
            wit: "import wasi:io/poll@0.2.0; import wasi:clocks/monotonic-clock@0.2.0;",
            imports: r#"(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $soon (param i64) (result i32)))"#,
            body: &body,
            ..PLAIN
        };
        guest.filter()
    };
    let mut settings = settings();
    settings.limits.handles = 20;
    settings.timeout = Duration::from_secs(20);
    let version = Bench::new().load_with(&hoard(20), &settings).await.unwrap();
    assert!(version.lend().await.unwrap().filter(&message("x")).await.is_ok());
    let reason = "held more than `limits.handles` = 20".to_owned();
    assert_eq!(beyond(&hoard(21), &settings).await, (Limit::Handles, reason));
}

#[tokio::test]
async fn instances_beyond_the_limit_are_waited_for() {
    let mut settings = settings();
    settings.limits.instances = 2;
    let version = Bench::new().load_with(&guests::pass(""), &settings).await.unwrap();
    let (one, two) = (version.lend().await.unwrap(), version.lend().await.unwrap());
    let third = tokio::time::timeout(Duration::from_millis(20), version.lend()).await;
    assert!(third.is_err(), "two are lent");
    drop(one);
    let mut third = tokio::time::timeout(Duration::from_secs(10), version.lend()).await.unwrap().unwrap();
    assert_eq!(third.filter(&message("x")).await, Ok(Verdict::Pass));
    drop((two, third));
    assert_eq!(version.idle_instances(), 2);
}

#[tokio::test]
async fn reasons_are_cut() {
    // Rejects with the first 60,000 bytes of memory, which are zero, as its reason.
    let chatter = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 1))
                   (i32.store (i32.const 1032) (i32.const 16384)) (i32.store (i32.const 1036) (i32.const 40000))
                   (i32.const 1024)";
    let version = Bench::new().load(&guests::filter(chatter)).await.unwrap();
    let fault = version.lend().await.unwrap().filter(&message("x")).await.unwrap_err();
    assert!(matches!(&fault, Fault::Reject { reason } if reason.len() == 4_096), "{fault:?}");
}
