//! Doing two things in turns, and what each took.

use rustix::time::{ClockId, clock_gettime};
use std::{process::ExitCode, time::Duration};

/// How many rounds there are, of how many calls; and which targets were missed.
pub(crate) struct Bench {
    rounds: usize,
    calls: usize,
    missed: Vec<&'static str>,
}

/// What something may take.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    None,
    /// So many nanoseconds for each call.
    Nanos(f64),
    /// So many times what it is compared with takes.
    Ratio(f64),
}

impl Bench {
    pub(crate) fn new(rounds: usize, calls: usize) -> Self {
        Self { rounds: rounds.max(1), calls, missed: Vec::new() }
    }

    pub(crate) fn heading() -> String {
        format!(
            "{:<28} {:>14} {:>14}  {:<12} {:>6}  target",
            "ns of processor time", "gristmill", "beside", "", "ratio"
        )
    }

    /// Does `ours` and `beside` in turns, one `share`th of the calls each, and prints the medians of all rounds.
    pub(crate) async fn compare<A, B>(
        &mut self,
        what: &'static str,
        share: usize,
        target: Target,
        mut ours: impl AsyncFnMut() -> A,
        name: &str,
        mut beside: impl AsyncFnMut() -> B,
    ) {
        let calls = (self.calls / share).max(1);
        // What happens once only, such as the growth of memory, is no part of it.
        for _ in 0..calls.min(1_000) {
            ours().await;
            beside().await;
        }
        let mut rounds = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            rounds.0.push(nanos(calls, &mut ours).await);
            rounds.1.push(nanos(calls, &mut beside).await);
        }
        let (ours, beside) = (median(rounds.0), median(rounds.1));
        let ratio = ours / beside;
        let said = self.judge(what, target, ours, ratio);
        println!("{what:<28} {ours:>14.0} {beside:>14.0}  {name:<12} {ratio:>6.2}  {said}");
    }

    fn judge(&mut self, what: &'static str, target: Target, ours: f64, ratio: f64) -> String {
        let (held, said) = match target {
            Target::None => return String::new(),
            Target::Nanos(most) => (ours <= most, format!("≤ {most:.0} ns")),
            Target::Ratio(most) => (ratio <= most, format!("ratio ≤ {most:.1}")),
        };
        if !held && !cfg!(debug_assertions) {
            self.missed.push(what);
            return format!("{said}: missed");
        }
        said
    }

    /// Fails where a target was missed.
    pub(crate) fn end(&self) -> ExitCode {
        println!(
            "medians of {} rounds of {} calls, or of a share of them where they are dear",
            self.rounds, self.calls
        );
        if cfg!(debug_assertions) {
            println!("unoptimised, so no target was looked at");
        }
        match self.missed.as_slice() {
            [] => ExitCode::SUCCESS,
            missed => {
                println!("missed: {}", missed.join("; "));
                ExitCode::FAILURE
            }
        }
    }
}

/// What one call takes.
async fn nanos<T>(calls: usize, call: &mut impl AsyncFnMut() -> T) -> f64 {
    let start = used();
    for _ in 0..calls {
        std::hint::black_box(call().await);
    }
    (used() - start).as_nanos() as f64 / calls as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The processor time of this process, as databases work on threads of their own.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
