//! What the journal costs: list → two publishers → two servers, with `journal` and without, in turns.
//!
//! `cargo bench -p gristmill-tests --bench journal -- [--rounds N] [--messages N] [--late MS]`; defaults: 3 rounds of 20,000 messages of
//! 1 KB, to two servers that answer at once, and then to two of which one takes 20 ms, so that everything is noted.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark reports trouble by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use gristmill_tests::{
    Mill,
    bench::{self, build, counter::Counter, number, payload, usage},
    built, replace_file,
};
use std::{env, fs, time::Duration};

const LIST: &str = "jobs";
const WARM: usize = 2_000;
const CONFIG: &str = r#"
[pipeline.jobs]
from = { list = "jobs" }
publish = ["one", "other"]
in_flight = 256
journal = $JOURNAL

[plugin.one]
file = "http.wasm"
config = { url = "$ONE", method = "POST" }
allow_http = ["127.0.0.1"]

[plugin.other]
file = "http.wasm"
config = { url = "$OTHER", method = "POST" }
allow_http = ["127.0.0.1"]
"#;

/// CPU seconds for each 1,000 messages: of the node, and of Redis.
#[derive(Clone, Copy)]
struct Figures([f64; 2]);

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks too, without this word.
    if !words.iter().any(|word| word == "--bench") {
        println!("run by `cargo bench`");
        return;
    }
    let (rounds, messages) = (number(&words, "--rounds", 3), number(&words, "--messages", 20_000));
    let late = Duration::from_millis(number(&words, "--late", 20) as u64);
    build();
    println!(
        "{rounds} rounds of {messages} messages of {} bytes to two servers, load average {}",
        payload(0).len(),
        load()
    );
    for late in [Duration::ZERO, late] {
        println!("\none answers at once, the other after {late:?}");
        compare(rounds, messages, late);
    }
    println!("\nload average {}", load());
}

/// Both in turns, so that what else the machine does meets them alike.
fn compare(rounds: usize, messages: usize, late: Duration) {
    let mut off = Vec::new();
    let mut on = Vec::new();
    for round in 1..=rounds {
        for (journal, all) in [(false, &mut off), (true, &mut on)] {
            let figures = run(journal, messages, late);
            println!("round {round}  {}", line(journal, figures));
            all.push(figures);
        }
    }
    let (off, on) = (median(&off), median(&on));
    println!("medians  {}\nmedians  {}", line(false, off), line(true, on));
    println!("with / without: {:.3} of the node's CPU, {:.3} of that of Redis", on.0[0] / off.0[0], on.0[1] / off.0[1]);
}

fn line(journal: bool, Figures([node, redis]): Figures) -> String {
    let name = if journal { "with" } else { "without" };
    format!("{name:<8} CPU s/1,000: {node:.4}, redis {redis:.4}")
}

fn median(figures: &[Figures]) -> Figures {
    Figures([0, 1].map(|which| {
        let mut values: Vec<f64> = figures.iter().map(|Figures(one)| one[which]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }))
}

/// A fresh Redis, fresh servers, and a node that delivers everything to both.
fn run(journal: bool, messages: usize, late: Duration) -> Figures {
    let mill = Mill::new();
    let mut sinks = [Duration::ZERO, late].map(|late| Counter::start(env!("CARGO_BIN_EXE_bench-sink"), late));
    replace_file(&mill.plugin_file("http"), &fs::read(built::plugin("http")).unwrap());
    let config = CONFIG.replace("$JOURNAL", &journal.to_string());
    mill.write_config(&config.replace("$ONE", sinks[0].url()).replace("$OTHER", sinks[1].url()));
    let node = mill.node();
    mill.redis.push(LIST, (0..WARM).map(payload));
    sinks.iter_mut().for_each(|sink| sink.wait_for(WARM));
    bench::settled(&mill);

    bench::stage(&mill, messages);
    let processes = [node.id(), mill.redis.id()];
    let before = processes.map(usage::cpu);
    bench::begin(&mill, LIST);
    sinks.iter_mut().for_each(|sink| sink.wait_for(WARM + messages));
    bench::settled(&mill);
    let after = processes.map(usage::cpu);
    Figures([0, 1].map(|which| (after[which] - before[which]).as_secs_f64() * 1_000.0 / messages as f64))
}

/// Of the last minute, five and fifteen.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
