//! Write [Gristmill](https://github.com/gristmill/gristmill) plugins in Rust.
//!
//! A plugin is a crate of the type `cdylib`, built for `wasm32-wasip2`; the same crate is tested natively with `cargo test`, without
//! host or WebAssembly. There are two kinds.
//!
//! # Filters
//! A filter sees each message and lets it pass, changes it, splits it or drops it. Without state or config it is a function:
//!
//! ```
//! use gristmill_sdk::{Message, Result, Verdict, filter};
//!
//! #[derive(serde::Deserialize)]
//! struct Hit {
//!     agent: String,
//! }
//!
//! #[filter]
//! fn people_only(mut message: Message) -> Result<Verdict> {
//!     let hit: Hit = message.json()?;
//!     if hit.agent.contains("bot") {
//!         return Ok(Verdict::drop("a bot"));
//!     }
//!     message.set_header("audience", "people");
//!     Ok(message.into())
//! }
//!
//! let bot = Message::test(r#"{"agent": "searchbot/2"}"#);
//! assert_eq!(people_only(bot).unwrap(), Verdict::drop("a bot"));
//! assert!(people_only(Message::test("no JSON")).unwrap_err().reason().starts_with("payload: expected"));
//! ```
//!
//! With state or a config of its own it is a type that implements [`Filter`]:
//!
//! ```
//! use gristmill_sdk::{Filter, Message, Result, Verdict, filter, json::{Edit, Paths}};
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     secret: Vec<String>,
//! }
//!
//! struct Discreet {
//!     secret: Paths,
//! }
//!
//! #[filter]
//! impl Filter for Discreet {
//!     type Config = Config;
//!
//!     fn new(config: Config) -> Result<Self> {
//!         Ok(Self { secret: Paths::new(&config.secret)? })
//!     }
//!
//!     fn filter(&mut self, mut message: Message) -> Result<Verdict> {
//!         message.edit(&self.secret, |_| Edit::Remove)?;
//!         Ok(message.into())
//!     }
//! }
//!
//! let mut plugin = Discreet::new(Config { secret: vec!["user.email".into()] })?;
//! let verdict = plugin.filter(Message::test(r#"{"user": {"email": "a@b.c", "id": 7}}"#))?;
//! assert_eq!(verdict, gristmill_sdk::Change::payload(r#"{"user": {"id": 7}}"#).into());
//! # Ok::<(), gristmill_sdk::Error>(())
//! ```
//!
//! # Publishers
//! A publisher says which requests to send for a message; the host sends them. Unless it judges the replies itself, a reply of 2xx
//! means done, what may heal is tried again, and the rest is rejected, see [`Reply::success`].
//!
//! ```
//! use gristmill_sdk::{Message, Publisher, Reply, Request, Result, publisher};
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     url: String,
//! }
//!
//! struct Hook {
//!     url: String,
//! }
//!
//! #[publisher]
//! impl Publisher for Hook {
//!     type Config = Config;
//!
//!     fn new(config: Config) -> Result<Self> {
//!         Ok(Self { url: config.url })
//!     }
//!
//!     fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
//!         // The body is the payload unless another one is given.
//!         Ok(Request::post(&self.url).header("x-topic", message.topic()).into())
//!     }
//! }
//!
//! let mut plugin = Hook::new(Config { url: "https://example.com/hook".into() })?;
//! let message = Message::test("{}").with_topic("orders");
//! let requests = plugin.publish(&message)?;
//! assert_eq!(requests[0].http().unwrap().headers, [("x-topic".to_owned(), "orders".to_owned())]);
//! assert!(plugin.answered(&message, &[Reply::test(503, "busy")]).unwrap_err().is_retry());
//! # Ok::<(), gristmill_sdk::Error>(())
//! ```
//!
//! Where the other side takes many messages in one request, a publisher can take many at once, too: see [`BatchPublisher`].
//!
//! # Grants
//! A plugin reaches nothing but what the operator granted it in its table. What it cannot work without it declares by [`needs!`], so
//! that a missing grant is told when the plugin is loaded.
//!
//! # Faults
//! `?` on any error rejects: the message goes to the dead letters with the error as the reason. `.or_retry()?` has the message come
//! back after a pause, see [`OrRetry`].
//!
//! ```
//! use gristmill_sdk::{Error, OrRetry, Result};
//!
//! fn stock(level: Option<&str>) -> Result<u32> {
//!     let level = level.ok_or(Error::retry("the level is not known yet"))?;
//!     let level: u32 = level.parse().or_retry()?;
//!     if level > 100 { Err(Error::reject("no warehouse is that big")) } else { Ok(level) }
//! }
//!
//! assert!(stock(Some("soon")).unwrap_err().is_retry());
//! assert!(!stock(Some("101")).unwrap_err().is_retry());
//! ```

//!
//! # Lookups
//! [`store`] keeps values under keys for all instances of a plugin, [`sql`] asks databases.

#![warn(missing_docs)]

pub mod batch;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod component;
pub mod config;
mod envelope;
mod error;
mod file;
#[doc(hidden)]
pub mod glue;
mod job;
pub mod json;
pub mod log;
mod lookup;
mod message;
#[doc(hidden)]
pub mod needs;
mod plugin;
pub mod reply;
mod request;
mod span;
pub mod sql;
pub mod store;
mod template;
mod verdict;
mod websocket;

pub use batch::{BatchedReply, Plan};
pub use config::NoConfig;
pub use error::{Error, OrRetry, Result};
pub use file::{Durability, FileAppend, Rotation};
pub use gristmill_sdk_macros::{filter, publisher};
pub use job::Job;
pub use lookup::LookupFailure;
pub use message::Message;
pub use plugin::{BatchPublisher, Filter, Publisher};
pub use reply::{Failure, HttpReply, RedisValue, Reply};
pub use request::{Body, HttpRequest, Request};
pub use span::Span;
pub use template::Template;
pub use verdict::{Change, Verdict};
pub use websocket::WebSocketSend;
