//! Lines for the host's log; natively they go to stderr.
//!
//! The host limits how much a plugin may log and counts what is beyond it. A text that is not a string is formatted on the spot:
//! `log::info(format_args!("{n} items"))`.

use std::fmt::Display;

#[cfg(target_family = "wasm")]
use crate::bindings::log::{Level, log};

/// Logs what helps to find a fault.
pub fn debug(text: impl Display) {
    log(Level::Debug, &text.to_string());
}

/// Logs that something came true.
pub fn info(text: impl Display) {
    log(Level::Info, &text.to_string());
}

/// Logs a trouble that was got over.
pub fn warn(text: impl Display) {
    log(Level::Warn, &text.to_string());
}

/// Logs a loss.
pub fn error(text: impl Display) {
    log(Level::Error, &text.to_string());
}

#[cfg(not(target_family = "wasm"))]
#[derive(Debug)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[cfg(not(target_family = "wasm"))]
fn log(level: Level, text: &str) {
    eprintln!("{level:?}: {text}");
}
