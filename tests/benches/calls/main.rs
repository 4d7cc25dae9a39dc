//! What plugins cost, call by call: each beside bare wasmtime, or native code, that does the same in the same run.
//!
//! `cargo xtask bench calls [--rounds N] [--calls N]`; defaults: 5 rounds of 100,000 calls, fewer of what is dear. All figures are processor
//! time, so that what else the machine does counts little. It fails where a target is missed; unoptimised it has none.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark reports trouble by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod bare;
mod figures;
mod native;
mod ours;
#[path = "../../src/bench/payload.rs"]
#[expect(unreachable_pub, reason = "the library of the other benchmarks has it, too")]
mod payload;
#[path = "../../src/bench/words.rs"]
#[expect(unreachable_pub, reason = "the library of the other benchmarks has it, too")]
mod words;

use bare::Bare;
use figures::{Bench, Target};
use gristmill::config::{self, Isolation, Mode};
use native::{Anonymizer, Customers};
use ours::{Ours, settings};
use payload::payload;
use std::{env, fs, path::PathBuf, process::ExitCode};
use words::number;

/// Copies its input to its output, and is as small as a program can be.
const CAT: &str = include_str!("cat.wat");
/// Answers every line with "pass".
const LINES: &str = include_str!("lines.wat");

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    // Plugins are compiled by this program called once more.
    if words.first().is_some_and(|word| word == "compile") {
        return gristmill::cli::main();
    }
    // `cargo test --all-targets` starts benchmarks too, without this word.
    if !words.iter().any(|word| word == "--bench") {
        println!("run by `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let mut bench = Bench::new(number(&words, "--rounds", 5), number(&words, "--calls", 100_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&mut bench));
    bench.end()
}

async fn run(bench: &mut Bench) {
    println!("{}", Bench::heading());
    passing(bench).await;
    starting(bench).await;
    programs(bench).await;
    editing(bench).await;
    looking_up(bench).await;
}

/// A filter that passes everything, on one instance.
async fn passing(bench: &mut Bench) {
    let ours = Ours::new();
    let version = ours.load("pass", &guest("pass"), settings()).await;
    let bare = Bare::new();
    let filter = bare.filter(&guest("pass"));
    for (what, bytes, target) in [
        ("call, 100 B, pass", 100, Target::None),
        ("call, 1 KB, pass", 1_024, Target::Nanos(350.0)),
        ("call, 16 KB, pass", 16 << 10, Target::None),
    ] {
        let message = ours::message(&"x".repeat(bytes));
        let mut instance = filter.start("{}").await;
        let beside = async || instance.call(&message.payload).await;
        bench.compare(what, 1, target, async || ours::call(&version, &message).await, "wasmtime", beside).await;
    }
}

/// The same on a fresh instance for each message.
async fn starting(bench: &mut Bench) {
    let ours = Ours::new();
    let fresh = config::Plugin { isolation: Isolation::Message, ..settings() };
    let version = ours.load("pass", &guest("pass"), fresh).await;
    let bare = Bare::new();
    let filter = bare.filter(&guest("pass"));
    let message = ours::message(&payload(1));
    let beside = async || filter.start("{}").await.call(&message.payload).await;
    let call = async || ours::call(&version, &message).await;
    bench.compare("fresh instance, 1 KB", 20, Target::Nanos(16_000.0), call, "wasmtime", beside).await;
}

/// Plain WASI programs, which are run for each message, or fed lines.
async fn programs(bench: &mut Bench) {
    let (ours, bare, message) = (Ours::new(), Bare::new(), ours::message(&payload(1)));
    let text = |text: &str| wat::parse_str(text).unwrap();
    for (what, wasm, target) in [
        ("program of Wasm text, 1 KB", text(CAT), Target::None),
        ("program in Rust, 1 KB", guest("cat"), Target::Nanos(25_000.0)),
    ] {
        let version = ours.load("cat", &wasm, settings()).await;
        let program = bare.program(&wasm);
        let call = async || ours::call(&version, &message).await;
        let beside = async || assert_eq!(program.run(&message.payload).await, message.payload);
        bench.compare(what, 20, target, call, "wasmtime", beside).await;
    }
    let lines = config::Plugin { mode: Mode::Lines, ..settings() };
    let version = ours.load("lines", &text(LINES), lines).await;
    let program = bare.program(&text(CAT));
    let call = async || ours::call(&version, &message).await;
    let beside = async || drop(program.run(&message.payload).await);
    bench.compare("program fed lines, 1 KB", 10, Target::None, call, "a fresh one", beside).await;
}

/// What `anonymize` takes out of a kilobyte with many fields.
async fn editing(bench: &mut Bench) {
    let ours = Ours::new();
    let fields = serde_json::json!({"fields": ["ip", "user.email"], "mode": "drop"});
    let wasm = fs::read(target_dir().join("plugins/anonymize.wasm")).expect("`cargo xtask plugins` makes it");
    let version = ours.load("anonymize", &wasm, config::Plugin { config: fields, ..settings() }).await;
    let (message, native) = (ours::message(&payload(1)), Anonymizer);
    let edited = ours::payload_of(ours::call(&version, &message).await);
    assert_eq!(native.value(&edited), native.value(&native.edit(&message.payload)), "both do the same");
    let call = async || ours::call(&version, &message).await;
    let beside = async || native.edit(&message.payload);
    bench.compare("anonymize, 1 KB", 2, Target::Ratio(1.0), call, "serde_json", beside).await;
}

/// One look into a plugin's store, and into a database.
async fn looking_up(bench: &mut Bench) {
    let (ours, message) = (Ours::new(), ours::message("7"));
    let version = ours.load("store", &guest("lookups"), ours::looking_up("remember")).await;
    let bare = Bare::new();
    let filter = bare.filter(&guest("lookups"));
    let mut instance = filter.start(r#"{"mode":"remember"}"#).await;
    let call = async || ours::call(&version, &message).await;
    let beside = async || instance.call(&message.payload).await;
    bench.compare("call with store get", 2, Target::None, call, "wasmtime", beside).await;

    let customers = Customers::fill(ours.dir()).await;
    ours.has_database("shop", customers.file());
    let version = ours.load("sql", &guest("lookups"), ours::looking_up("enrich")).await;
    assert_eq!(ours::payload_of(ours::call(&version, &message).await), "7 ann");
    let call = async || ours::call(&version, &message).await;
    let beside = async || assert_eq!(customers.name(7).await, "ann");
    bench.compare("call with SQLite look-up", 20, Target::None, call, "native sqlx", beside).await;
}

fn guest(name: &str) -> Vec<u8> {
    let file = target_dir().join(format!("guests/{name}.wasm"));
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask guests` makes it", file.display()))
}

/// Cargo's, in which this program lies too.
fn target_dir() -> PathBuf {
    let program = env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}
