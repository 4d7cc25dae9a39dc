//! One round: a fresh Redis, a fresh sink, one candidate, and how it fares.

use crate::{
    candidate::{Candidate, LIST},
    figures::{Figures, per_thousand},
    usage,
};
use gristmill_tests::{Mill, eventually};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

const WARM: usize = 2_000;
const STAGED: &str = "jobs:staged";
const LIMIT: Duration = Duration::from_secs(300);

/// Lets `candidate` deliver `messages` and measures it from the first to the last.
pub(crate) fn run(candidate: Candidate, messages: usize) -> Figures {
    let mill = Mill::new();
    let mut sink = Counter::start();
    let node = candidate.start(&mill, &sink.url);
    mill.redis.push(LIST, (0..WARM).map(payload));
    sink.wait_for(WARM);
    settled(&mill);

    mill.redis.push(STAGED, (0..messages).map(payload));
    let processes = [node.id(), mill.redis.id(), sink.child.id()];
    let before = processes.map(usage::cpu);
    let start = Instant::now();
    // All of them are there at once, and filling the list is no part of what is measured.
    mill.redis.ask::<()>(&["RENAME", STAGED, LIST]);
    sink.wait_for(WARM + messages);
    let took = start.elapsed();
    settled(&mill);
    let used: Vec<f64> =
        processes.iter().zip(before).map(|(&pid, before)| per_thousand(usage::cpu(pid) - before, messages)).collect();
    Figures {
        per_second: messages as f64 / took.as_secs_f64(),
        cpu: used[0],
        redis_cpu: used[1],
        sink_cpu: used[2],
        peak_mib: usage::peak_mib(node.id()),
    }
}

/// The `number`th message: 1 KB of JSON with many small fields.
pub(crate) fn payload(number: usize) -> String {
    let fields: Vec<String> =
        (0..44).map(|field| format!("\"field{field:02}\":\"{:08}\"", number * 31 + field)).collect();
    format!(
        "{{\"id\":{number},\"ip\":\"203.0.113.{}\",\"user\":{{\"name\":\"Mia Okafor\",\"email\":\"mia@example.org\"}},\"ok\":true,{}}}",
        number % 254 + 1,
        fields.join(",")
    )
}

/// Waits until nothing is in flight.
fn settled(mill: &Mill) {
    eventually(LIMIT, "every lane is empty", || {
        let lanes = mill.redis.keys("*:lane:*");
        lanes.is_empty().then_some(())
    });
}

/// The sink's process.
struct Counter {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl Counter {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-sink"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let asks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut counter = Self { child, asks, answers, url: String::new() };
        counter.url = format!("http://127.0.0.1:{}/", counter.answer());
        counter
    }

    fn wait_for(&mut self, count: usize) {
        eventually(LIMIT, &format!("{count} messages have arrived"), || {
            self.asks.write_all(b"\n").unwrap();
            (self.answer() >= count).then_some(())
        });
    }

    fn answer(&mut self) -> usize {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // Fails only when it has ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
