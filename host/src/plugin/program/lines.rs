//! A program that is kept running and fed one line for each message, to which it answers with one.
//!
//! Its run is a future that is polled only while a message waits for its answer, and otherwise rests in a read of stdin.

use super::{
    super::{
        answer,
        clock::{self, Clock, within},
        console::Console,
        engine::ticks,
        fault::{Stop, broken},
        grants::Moment,
        guest::{INIT, Unstarted},
        state::Gauge,
    },
    Plan, json,
    pipe::{Input, Output},
    quoted,
};
use crate::{
    config::Limits,
    message::{Fault, Limit, Message, Verdict},
};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// The program refuses its config: `EX_CONFIG` of sysexits.h.
const CONFIG: i32 = 78;

/// Bytes of a line besides the answer itself.
const ASIDE: usize = 64 * 1024;

/// One running program.
pub(super) struct Lines {
    run: Pin<Box<dyn Future<Output = End> + Send>>,
    input: Input,
    output: Output,
    console: Arc<Console>,
    clock: Clock,
    moment: Moment,
    memory: Gauge,
    /// Cleared before each question and set after a good answer: a program that was left in the middle is dead.
    sound: bool,
    asked: u64,
}

/// How a program ended.
struct End {
    /// With which exit code, if it was not stopped.
    code: wasmtime::Result<i32>,
    /// What it was refused.
    denied: Option<Limit>,
}

/// Why a program did not do what was waited for.
enum Failure {
    Ended(End),
    TooLate,
}

impl Lines {
    /// A program that waits for its first line.
    pub(super) async fn start(plan: &Plan) -> Result<Self, Unstarted> {
        let time = INIT.max(plan.terms.timeout);
        let mut lines = Self::new(plan, time).map_err(Unstarted::Fault)?;
        match lines.until(plan, time, Self::is_waiting).await {
            Ok(()) => {}
            Err(Failure::Ended(End { code: Ok(CONFIG), .. })) => {
                let reason = plan.terms.voice.veiled(&lines.console.last_line());
                return Err(Unstarted::Config(reason));
            }
            Err(failure) => return Err(Unstarted::Fault(lines.fault(plan, time, failure))),
        }
        match &lines.output.take()[..] {
            [] => Ok(lines),
            said => {
                Err(Unstarted::Fault(broken(format!("wrote to stdout before it was given a line: {}", quoted(said)))))
            }
        }
    }

    fn new(plan: &Plan, time: Duration) -> Result<Self, Fault> {
        let (input, output) = (Input::open(), Output::new(line_bytes(&plan.terms.limits)));
        let mut store = plan.store(|wasi| {
            wasi.stdin(input.clone()).stdout(output.stream());
        })?;
        clock::wind(&mut store, ticks(time));
        let state = store.data();
        let (console, clock, moment) = (Arc::clone(&state.console), state.clock.clone(), state.moment.clone());
        let memory = state.memory.used.clone();
        let entry = Arc::clone(&plan.entry);
        // While it runs, nobody else can reach the store.
        let run = Box::pin(async move {
            let code = entry.run(&mut store).await;
            End { code, denied: store.data().memory.denied }
        });
        Ok(Self { run, input, output, console, clock, moment, memory, sound: true, asked: 0 })
    }

    /// Whether it waits for another line.
    pub(super) fn listens(&self) -> bool {
        self.sound
    }

    /// Bytes of memory that it has now, and so the most it has had.
    pub(super) fn memory(&self) -> usize {
        self.memory.bytes()
    }

    /// How many lines it was given.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// The verdict on `message`.
    pub(super) async fn ask(&mut self, plan: &Plan, message: &Message) -> Result<Verdict, Fault> {
        let terms = &plan.terms;
        self.sound = false;
        self.asked += 1;
        self.console.begin(&message.id);
        self.moment.set(message.received_ms);
        self.clock.wind(terms.deadline);
        self.input.feed(json::question(message));
        let mut running = true;
        // It has answered when it waits for the next line: whatever it does before that is for this message.
        let answer =
            self.until(plan, terms.timeout, |lines| lines.is_waiting().and_then(|()| lines.output.take_line())).await;
        let line = match answer {
            Ok(line) => line,
            Err(Failure::Ended(End { code: Ok(0), .. })) if let Some(line) = self.output.take_line() => {
                running = false;
                line
            }
            Err(failure) => return Err(self.fault(plan, terms.timeout, failure)),
        };
        let more = self.output.take();
        if !more.is_empty() {
            return Err(broken(format!("answered one line with more than one: {}", quoted(&more))));
        }
        let verdict = json::parse_line(&line).map_err(|garbled| {
            broken(format!("answered with a line that is no verdict: {garbled}: {}", quoted(&line)))
        })?;
        self.sound = running;
        verdict
    }

    fn is_waiting(&self) -> Option<()> {
        self.input.is_waited_for().then_some(())
    }

    /// Lets the program run until `look` finds what it looks for.
    async fn until<T>(&mut self, plan: &Plan, time: Duration, look: impl Fn(&Self) -> Option<T>) -> Result<T, Failure> {
        let gives_way = self.clock.gives_way();
        let found = poll_fn(|cx| match self.run.as_mut().poll(cx) {
            Poll::Ready(end) => Poll::Ready(Ok(Err(end))),
            Poll::Pending => look(self).map_or(Poll::Pending, |found| Poll::Ready(Ok(Ok(found)))),
        });
        match within(&plan.terms.engine, &gives_way, time, pin!(found)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(end)) => Err(Failure::Ended(end)),
            Err(_) => Err(Failure::TooLate),
        }
    }

    /// What to tell about a program that did not answer.
    fn fault(&self, plan: &Plan, time: Duration, failure: Failure) -> Fault {
        let stopped = |stop, denied| plan.terms.fault(&stop, time, denied, &self.console);
        let fault = match failure {
            Failure::Ended(_) if self.output.overflowed() => return answer::too_long(&plan.terms.limits),
            Failure::Ended(End { code: Err(error), denied }) => stopped(Stop::Wasm(error), denied),
            Failure::Ended(End { code: Ok(code), .. }) => broken(match self.console.last_words().as_str() {
                "" => format!("exited with {code} instead of waiting for lines"),
                words => format!("exited with {code} instead of waiting for lines: {words}"),
            }),
            Failure::TooLate => stopped(Stop::Time, None),
        };
        self.explained(fault)
    }

    /// Adds what stdin and stdout tell about why there was no answer.
    fn explained(&self, fault: Fault) -> Fault {
        let said = self.output.take();
        let unasked = self.asked > 0 && self.input.is_waited_for();
        fault.reworded(|reason| match (said.is_empty(), said.contains(&b'\n')) {
            (false, false) => format!("{reason}; its answer is no whole line: {}", quoted(&said)),
            (true, _) if unasked => format!(
                "{reason}; it waits for the next line before it has answered this one: does it flush its output?"
            ),
            _ => reason.to_owned(),
        })
    }
}

/// Bytes of one line: what JSON makes of an answer that is allowed is seldom longer than twice as much.
fn line_bytes(limits: &Limits) -> usize {
    answer::bytes(limits).saturating_mul(2).saturating_add(ASIDE)
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("sound", &self.sound).field("asked", &self.asked).finish_non_exhaustive()
    }
}
