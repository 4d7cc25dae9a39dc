//! The misdeeds themselves.

use gristmill_sdk::{Message, log};
use std::{hint::black_box, io::Write, time::Duration};

pub(crate) fn trap() -> ! {
    std::process::abort()
}

#[expect(clippy::panic, reason = "this is what the mode is for")]
pub(crate) fn panic() -> ! {
    panic!("a panic on purpose")
}

pub(crate) fn endless() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Touches every page, so that the memory is really taken, and gives none of it back.
pub(crate) fn eat(bytes: usize) {
    const BITE: usize = 1 << 20;
    for _ in 0..bytes.div_ceil(BITE) {
        black_box(vec![1_u8; BITE].leak());
    }
}

#[expect(unconditional_recursion, reason = "this is what the mode is for")]
pub(crate) fn recurse(depth: u64) -> u64 {
    let ballast = black_box([depth; 64]);
    recurse(black_box(depth + 1)) + ballast.iter().sum::<u64>()
}

pub(crate) fn flood_log(lines: usize) {
    for line in 0..lines {
        log::info(format_args!("line {line} of a flood"));
    }
}

pub(crate) fn flood_output(lines: usize) {
    for line in 0..lines {
        // Whether anybody reads it does not matter here.
        writeln!(std::io::stdout(), "line {line} of a flood").ok();
        writeln!(std::io::stderr(), "line {line} of a flood").ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what the mode is for")]
pub(crate) fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

/// The names of what could be reached, `nothing` if all was shut.
pub(crate) fn snoop() -> String {
    let reached = [
        ("environment", std::env::vars().next().is_some()),
        ("arguments", std::env::args().next().is_some()),
        ("files", std::fs::read_dir("/").is_ok() || std::fs::read("/etc/passwd").is_ok()),
        ("network", std::net::TcpStream::connect("127.0.0.1:6379").is_ok()),
    ];
    let names: Vec<_> = reached.into_iter().filter_map(|(name, open)| open.then_some(name)).collect();
    if names.is_empty() { "nothing".into() } else { names.join(" ") }
}

pub(crate) fn envelope(message: &Message) -> Vec<u8> {
    let received = message.received().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let envelope = serde_json::json!({
        "id": message.id(),
        "source": message.source(),
        "topic": message.topic(),
        "attempt": message.attempt(),
        "received_ms": received.as_millis() as u64,
        "headers": message.headers(),
        "header x": message.header("X"),
    });
    envelope.to_string().into_bytes()
}
