//! Ten thousand slow callbacks: what a request in flight costs while its receiver takes two seconds to answer.
//!
//! `cargo bench -p gristmill-tests --bench callbacks -- [--in-flight N] [--messages N] [--after MS]`; defaults: 10,000 at once of 30,000
//! messages of 1 KB, answered after 2,000 ms. Fails where so many are never in flight at once, where one costs more than 25 KB, or where
//! more instances of the plugin are made than there are workers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark reports trouble by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use gristmill_tests::{
    Mill, Node,
    bench::{self, build, counter::Counter, number, payload, usage},
    eventually,
};
use serde_json::Value;
use std::{
    env,
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// Messages beyond those that are to be in flight: some wait to be taken or settled.
const BESIDE: usize = 256;
const LIST: &str = "jobs";
const WARM: usize = 100;
/// What a request in flight may cost, with its message of 1 KB and its connection.
const MOST_BYTES: u64 = 25 * 1024;

const CONFIG: &str = r#"
[pipeline.jobs]
from = { list = "jobs" }
publish = ["http"]
in_flight = $IN_FLIGHT

[plugin.http]
config = { url = "$URL" }
allow_http = ["127.0.0.1"]
"#;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks too, without this word.
    if !words.iter().any(|word| word == "--bench") {
        println!("run by `cargo bench`");
        return;
    }
    let in_flight = number(&words, "--in-flight", 10_000);
    let messages = number(&words, "--messages", 3 * in_flight);
    let late = Duration::from_millis(number(&words, "--after", 2_000) as u64);
    assert!(messages >= in_flight, "`--messages` is to be at least `--in-flight`");
    build();
    run(in_flight, messages, late);
}

fn run(in_flight: usize, messages: usize, late: Duration) {
    let mut sink = Counter::start(env!("CARGO_BIN_EXE_bench-sink"), late);
    let config = CONFIG.replace("$IN_FLIGHT", &(in_flight + BESIDE).to_string()).replace("$URL", sink.url());
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let node = mill.node();
    bench::warm_up(&mill, &mut sink, LIST, WARM);
    bench::stage(&mill, messages);
    let (idle, used) = (usage::resident(node.id()), usage::cpu(node.id()));
    let start = Instant::now();
    bench::begin(&mill, LIST);
    let crowded = crowd(&mill, &mut sink, &node);
    let (took, used) = (start.elapsed(), usage::cpu(node.id()) - used);

    let (most, peak) = (sink.counts().most, usage::peak(node.id()));
    let each = peak.saturating_sub(idle) / most as u64;
    let made = instances(&mill);
    let workers = available_parallelism().unwrap().get();
    println!("{messages} messages of {} bytes, answered after {late:?}, at most {in_flight} at once", payload(0).len());
    println!("in flight at once        {most:>10}");
    println!("a request in flight      {:>10.1} KB", each as f64 / 1024.0);
    println!(
        "host idle, crowded, peak {:>10.1} MiB, {:.1}, {:.1}",
        usage::mib(idle),
        usage::mib(crowded),
        usage::mib(peak)
    );
    println!("instances of the plugin  {made:>10}, made for {workers} workers");
    println!(
        "messages a second        {:>10.0}, of {:.0} that are possible",
        messages as f64 / took.as_secs_f64(),
        in_flight as f64 / late.as_secs_f64()
    );
    println!("CPU of the host          {:>10.1} µs a message", used.as_secs_f64() * 1e6 / messages as f64);
    assert!(most >= in_flight, "only {most} requests were in flight at once");
    assert!(each <= MOST_BYTES, "a request in flight costs {each} bytes, and may cost {MOST_BYTES}");
    assert!(made <= workers as u64, "{made} instances were made for {workers} workers");
    assert_eq!(sink.counts().requests, WARM + messages, "each message was sent once");
}

/// Waits until everything is delivered; returns the most memory that was resident when that was looked at.
fn crowd(mill: &Mill, sink: &mut Counter, node: &Node) -> u64 {
    let mut most = 0;
    eventually(bench::LIMIT, "everything is delivered", || {
        most = most.max(usage::resident(node.id()));
        let counts = sink.counts();
        (counts.waiting == 0 && mill.redis.len(LIST) == 0 && bench::is_settled(mill)).then_some(())
    });
    most
}

/// How many instances of the plugin were made.
fn instances(mill: &Mill) -> u64 {
    let said = mill.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&said.stdout).unwrap();
    status["plugins"][0]["instances"].as_u64().unwrap()
}
