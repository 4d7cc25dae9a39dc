//! The main job, list → two filters → HTTP, through Gristmill and through a bare native program, in turns.
//!
//! `cargo bench -p gristmill-tests -- [--rounds N] [--messages N] [--only NAME]`; defaults: 3 rounds of 50,000 messages of 1 KB.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark reports trouble by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod candidate;
mod figures;
mod load;

use candidate::Candidate;
use figures::{Figures, Table};
use gristmill_tests::bench::{build, number, payload, value};
use std::env;

/// What the command line asks for.
struct Plan {
    rounds: usize,
    messages: usize,
    candidates: Vec<Candidate>,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks too, without this word.
    if !words.iter().any(|word| word == "--bench") {
        println!("run by `cargo bench`");
        return;
    }
    let plan = plan(&words);
    if plan.candidates.contains(&Candidate::Gristmill) {
        build();
    }
    let mut table = Table::default();
    for round in 1..=plan.rounds {
        for &candidate in &plan.candidates {
            let figures = load::run(candidate, plan.messages);
            println!("round {round}  {}", figures.line(candidate.name()));
            table.add(candidate, figures);
        }
    }
    println!("\nmedians of {} rounds of {} messages of {} bytes", plan.rounds, plan.messages, payload(0).len());
    println!("{}", Figures::heading());
    print!("{table}");
}

fn plan(words: &[String]) -> Plan {
    let only = value(words, "--only");
    let wanted = |candidate: &Candidate| only.is_none_or(|only| only == candidate.name());
    let candidates: Vec<Candidate> = Candidate::ALL.into_iter().filter(wanted).collect();
    assert!(!candidates.is_empty(), "`--only` wants `native` or `gristmill`");
    Plan { rounds: number(words, "--rounds", 3), messages: number(words, "--messages", 50_000), candidates }
}
