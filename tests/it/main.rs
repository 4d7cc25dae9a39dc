//! Gristmill as an operator meets it: the real binary, a real Redis, a real HTTP server, one file for each idea.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod chaos;
mod contract;
mod crash;
mod dead;
mod delivery;
mod demo;
mod jobs;
mod kinds;
mod layout;
mod misbehave;
mod native;
mod order;
mod peers;
mod readme;
mod reload;
mod retry;
mod shared_build;
mod shutdown;
mod swap;
mod verdicts;
mod words;
