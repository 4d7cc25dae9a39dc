//! Gristmill as an operator meets it: the real binary, a real Redis, a real HTTP server, one file for each idea.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod access;
mod chaos;
mod cluster;
mod contract;
mod crash;
mod damage;
mod dead;
mod delivery;
mod demo;
mod grants;
mod harm;
mod jobs;
mod kinds;
mod layout;
mod limits;
mod link;
mod lookups;
mod misbehave;
mod native;
mod order;
mod peers;
mod process;
mod readme;
mod refusals;
mod reload;
mod retry;
mod shared_build;
mod shutdown;
mod sizes;
mod swap;
mod topology;
mod verdicts;
mod words;
