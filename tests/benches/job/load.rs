//! One round: a fresh Redis, a fresh sink, one candidate, and how it fares.

use crate::{
    candidate::{Candidate, LIST},
    figures::{Figures, per_thousand},
};
use gristmill_tests::{
    Mill,
    bench::{self, counter::Counter, usage},
};
use std::time::{Duration, Instant};

const WARM: usize = 2_000;

/// Lets `candidate` deliver `messages` and measures it from the first to the last.
pub(crate) fn run(candidate: Candidate, messages: usize) -> Figures {
    let mill = Mill::new();
    let mut sink = Counter::start(env!("CARGO_BIN_EXE_bench-sink"), Duration::ZERO);
    let node = candidate.start(&mill, sink.url());
    bench::warm_up(&mill, &mut sink, LIST, WARM);

    bench::stage(&mill, messages);
    let processes = [node.id(), mill.redis.id(), sink.id()];
    let before = processes.map(usage::cpu);
    let start = Instant::now();
    bench::begin(&mill, LIST);
    sink.wait_for(WARM + messages);
    let took = start.elapsed();
    bench::settled(&mill);
    let used: Vec<f64> =
        processes.iter().zip(before).map(|(&pid, before)| per_thousand(usage::cpu(pid) - before, messages)).collect();
    Figures {
        per_second: messages as f64 / took.as_secs_f64(),
        cpu: used[0],
        redis_cpu: used[1],
        sink_cpu: used[2],
        peak_mib: usage::mib(usage::peak(node.id())),
    }
}
