//! The sink of the benchmarks: the program `bench-sink`, asked how many requests have come.

use super::LIMIT;
use crate::eventually;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// The sink's process; killed when dropped.
#[derive(Debug)]
pub struct Counter {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

/// Of the requests so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How many came.
    pub requests: usize,
    /// How many wait for their answer.
    pub waiting: usize,
    /// How many ever did at once.
    pub most: usize,
}

impl Counter {
    /// Starts `program`, which answers each request so late.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn start(program: &str, late: Duration) -> Self {
        let mut command = Command::new(program);
        command.arg(late.as_millis().to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let asks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut counter = Self { child, asks, answers, url: String::new() };
        counter.url = format!("http://127.0.0.1:{}/", counter.line());
        counter
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until so many requests have come.
    #[track_caller]
    pub fn wait_for(&mut self, count: usize) {
        eventually(LIMIT, &format!("{count} messages have arrived"), || {
            (self.counts().requests >= count).then_some(())
        });
    }

    /// What it has counted.
    ///
    /// # Panics
    /// When it has ended.
    pub fn counts(&mut self) -> Counts {
        self.asks.write_all(b"\n").unwrap();
        let line = self.line();
        let numbers: Vec<usize> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        Counts { requests: numbers[0], waiting: numbers[1], most: numbers[2] }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // Fails only when it has ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
