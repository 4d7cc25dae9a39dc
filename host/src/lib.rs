//! Gristmill: a message broker that runs every message through WebAssembly plugins.
//!
//! The modules stand in the order in which they may use each other: each names only those before it.

pub mod message;
pub mod request;
pub mod random;
pub mod bucket;
pub mod calendar;
pub mod shutdown;
pub mod pulse;
pub mod metrics;
pub mod event;
pub mod supervisor;
pub mod slot;
pub mod command;
pub mod config;
pub mod trace;
pub mod connection;
pub mod source;
pub mod lookup;
pub mod plugin;
pub mod effect;
pub mod edge;
pub mod pipeline;
pub mod admin;
pub mod node;
pub mod cli;
