//! What the tests of Gristmill stand on: a Redis, an HTTP server and nodes of their own for each test.
//!
//! Everything here drives the `gristmill` binary as a process, as an operator would, and ends with the test.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a harness reports by panicking")]

mod background;
pub mod bench;
pub mod browser;
pub mod built;
pub mod cluster;
pub mod clock;
pub mod collector;
pub mod database;
pub mod dead;
pub mod disk;
pub mod eventually;
pub mod mill;
pub mod node;
pub mod peers;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod pusher;
pub mod redis;
pub mod sentinel;
pub mod sink;
pub mod socket;

pub use browser::Browser;
pub use clock::Clock;
pub use cluster::Cluster;
pub use dead::Dead;
pub use disk::SmallDisk;
pub use eventually::{eventually, holds_for};
pub use mill::{Mill, guest_bytes, replace_file};
pub use node::Node;
pub use process::Finished;
pub use proxy::{Ending, Fault, Proxy};
pub use redis::{Program, Redis};
pub use sentinel::Sentinels;
pub use sink::{Answer, Received, Sink};
