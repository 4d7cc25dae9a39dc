//! A program that is run afresh for every message: what it is given, and what its end means.

use super::{
    super::{
        answer,
        clock::{self, within},
        console::Console,
        fault::broken,
    },
    Plan, head,
    pipe::{Input, Output},
    quoted,
};
use crate::{
    config::Mode,
    message::{Change, Fault, Message, Verdict},
};
use bytes::Bytes;
use std::{collections::BTreeMap, pin::pin, sync::Arc};
use wasmtime_wasi::WasiCtxBuilder;

/// The payload can never be worked on: `EX_DATAERR` of sysexits.h.
const REJECT: i32 = 65;
/// It may work later: `EX_TEMPFAIL` of sysexits.h.
const RETRY: i32 = 75;
/// All that a component can say but 0: WASI 0.2 has no exit codes.
const FAILED: i32 = 1;

/// Runs the program on `message`; tells the bytes of memory that it took, too.
pub(super) async fn run(plan: &Plan, message: &Message) -> (Result<Verdict, Fault>, usize) {
    let terms = &plan.terms;
    let head = if plan.mode == Mode::Cgi { head::BYTES } else { 0 };
    let (input, output) =
        (Input::of(message.payload.clone()), Output::new(answer::bytes(&terms.limits).saturating_add(head)));
    let store = plan.store(|wasi| {
        wasi.stdin(input).stdout(output.stream());
        environment(wasi, message);
    });
    let mut store = match store {
        Ok(store) => store,
        Err(fault) => return (Err(fault), 0),
    };
    let console = Arc::clone(&store.data().console);
    store.data_mut().begin(message, false);
    clock::wind(&mut store, terms.deadline);
    let gives_way = store.data().clock.gives_way();
    let ended = within(&terms.engine, &gives_way, terms.timeout, pin!(plan.entry.run(&mut store))).await;
    let verdict = match ended {
        Ok(FAILED) if plan.entry.is_component() => failed(plan.mode, &console),
        Ok(code) => verdict(plan.mode, code, output.take(), &console),
        Err(_) if output.overflowed() => Err(answer::too_long(&terms.limits)),
        Err(stop) => Err(terms.fault_in(&store, &stop, terms.timeout)),
    };
    (verdict, store.data().memory.used.bytes())
}

/// The envelope; a header's name is spelled as in CGI, and the first of several values counts.
fn environment(wasi: &mut WasiCtxBuilder, message: &Message) {
    wasi.env("GRISTMILL_ID", &message.id)
        .env("GRISTMILL_SOURCE", &message.source)
        .env("GRISTMILL_TOPIC", &message.topic)
        .env("GRISTMILL_ATTEMPT", message.attempt.to_string());
    let mut headers = BTreeMap::new();
    for (name, value) in &message.headers {
        headers.entry(variable(name)).or_insert(value);
    }
    for (name, value) in headers {
        wasi.env(name, value);
    }
}

fn variable(header: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "GRISTMILL_HEADER_".chars().chain(header.chars().map(letter)).collect()
}

/// What it means that the program ended with `code` and has written `output`.
fn verdict(mode: Mode, code: i32, output: Bytes, console: &Console) -> Result<Verdict, Fault> {
    let reason = || Some(console.last_line()).filter(|line| !line.is_empty());
    let unexplained = || format!("exited with {code} and no word on stderr");
    match code {
        0 if output.is_empty() => Ok(Verdict::Drop(reason())),
        0 if mode == Mode::Cgi => head::parse_head(&output).map(Verdict::Replace).map_err(|garbled| {
            broken(format!(
                "answered with what does not begin with headers and an empty line: {garbled}: {}",
                quoted(&output)
            ))
        }),
        0 => Ok(Verdict::Replace(Change { payload: Some(output), ..Change::default() })),
        REJECT => Err(Fault::Reject { reason: reason().unwrap_or_else(unexplained) }),
        RETRY => Err(Fault::Retry { after: None, reason: reason().unwrap_or_else(unexplained) }),
        _ => Err(broken(match console.last_words().as_str() {
            "" => format!("exited with {code}"),
            words => format!("exited with {code}: {words}"),
        })),
    }
}

/// What it means that a component has failed, which the last line on stderr may say.
fn failed(mode: Mode, console: &Console) -> Result<Verdict, Fault> {
    match console.last_line().split_once(": ") {
        Some(("reject", reason)) => Err(Fault::Reject { reason: reason.to_owned() }),
        Some(("retry", reason)) => Err(Fault::Retry { after: None, reason: reason.to_owned() }),
        _ => verdict(mode, FAILED, Bytes::new(), console),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_headers_variable_cannot_be_taken_for_another() {
        assert_eq!(variable("user-agent"), "GRISTMILL_HEADER_USER_AGENT");
        assert_eq!(variable("a=b ä"), "GRISTMILL_HEADER_A_B__");
    }
}
