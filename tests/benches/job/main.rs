//! The main job, list → two filters → HTTP, through Gristmill and through a bare native program, in turns.
//!
//! `cargo bench -p gristmill-tests -- [--rounds N] [--messages N] [--only NAME]`; defaults: 3 rounds of 50,000 messages of 1 KB.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark reports trouble by panicking"
)]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod candidate;
mod figures;
mod load;
mod usage;

use candidate::Candidate;
use figures::{Figures, Table};
use gristmill_tests::built;
use std::{env, process::Command};

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
    println!("\nmedians of {} rounds of {} messages of {} bytes", plan.rounds, plan.messages, load::payload(0).len());
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

/// What stands behind `name`.
fn value<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == name)?;
    Some(words.get(at + 1).unwrap_or_else(|| panic!("`{name}` wants a value")))
}

fn number(words: &[String], name: &str, default: usize) -> usize {
    let Some(value) = value(words, name) else { return default };
    value.parse().unwrap_or_else(|_| panic!("`{name}` wants a number, not `{value}`"))
}

/// Builds the host in release, and the plugins; nothing happens where both are up to date.
fn build() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for words in [["build", "--release", "--package", "gristmill"].as_slice(), &["xtask", "plugins"]] {
        let mut command = Command::new(&cargo);
        command.args(words).current_dir(built::repository()).env("CARGO_TARGET_DIR", built::target_dir());
        // What cargo told us about our own package makes build scripts that look at it, such as ring's, run again.
        for (name, _) in env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
                command.env_remove(name);
            }
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?} failed");
    }
}
