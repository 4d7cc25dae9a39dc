//! A plain program, which knows stdin, stdout, stderr and a variable of Gristmill, and does with a job what the job says.
#![expect(clippy::indexing_slicing, reason = "what is not there is null in JSON")]

use serde_json::{Value, json};
use std::{
    env,
    io::{self, BufRead, Read, Write},
    process::ExitCode,
};

/// What becomes of a job.
enum Verdict {
    Replace(String),
    Drop,
    Reject(&'static str),
    Retry(&'static str),
}

fn main() -> io::Result<ExitCode> {
    match env::var("GRISTMILL_ATTEMPT") {
        Ok(attempt) => once(&attempt),
        Err(_) => lines(),
    }
}

/// Answers the one message on stdin by output and exit code.
fn once(attempt: &str) -> io::Result<ExitCode> {
    let mut payload = String::new();
    io::stdin().read_to_string(&mut payload)?;
    // WASI 0.2 lets nothing through of an exit code but that it is not 0, so the last line on stderr says why.
    match verdict(&payload, attempt.parse().unwrap_or_default()) {
        Verdict::Replace(payload) => {
            io::stdout().write_all(payload.as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        Verdict::Drop => return Ok(ExitCode::SUCCESS),
        Verdict::Reject(reason) => eprintln!("reject: {reason}"),
        Verdict::Retry(reason) => eprintln!("retry: {reason}"),
    }
    Ok(ExitCode::FAILURE)
}

/// Answers every line on stdin with one.
fn lines() -> io::Result<ExitCode> {
    for line in io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        let attempt = question["attempt"].as_u64().unwrap_or_default();
        let answer = match verdict(question["payload"].as_str().unwrap_or_default(), attempt) {
            Verdict::Replace(payload) => json!({ "payload": payload }),
            Verdict::Drop => json!({ "drop": true }),
            Verdict::Reject(reason) => json!({ "reject": reason }),
            Verdict::Retry(reason) => json!({ "retry": reason }),
        };
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(payload: &str, attempt: u64) -> Verdict {
    let Ok(mut job) = serde_json::from_str::<Value>(payload) else {
        return Verdict::Reject("this is no job");
    };
    match job["do"].as_str() {
        Some("drop") => Verdict::Drop,
        Some("reject") => Verdict::Reject("nobody can do this"),
        Some("wait") if attempt == 1 => Verdict::Retry("not yet"),
        _ => {
            job["attempt"] = attempt.into();
            Verdict::Replace(job.to_string())
        }
    }
}
