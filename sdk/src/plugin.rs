//! The two traits a plugin can have.

use crate::{Message, Reply, Request, Result, Verdict, reply};
use serde::de::DeserializeOwned;

/// A filter with state or a config; mark the `impl` with [`#[filter]`](crate::filter).
///
/// The host keeps several instances and may replace any of them between two messages: state is for caches and counters of one
/// instance, not for what must not be lost.
pub trait Filter: Sized {
    /// The plugin's own `config` table. Unknown fields are refused, see [`config::parse`](crate::config::parse).
    type Config: DeserializeOwned;

    /// Makes one instance.
    ///
    /// # Errors
    /// Why the config will not do; the host then does not load the plugin and keeps the version it has.
    fn new(config: Self::Config) -> Result<Self>;

    /// Decides about one message.
    ///
    /// # Errors
    /// Why it could not, and whether trying again may help.
    fn filter(&mut self, message: Message) -> Result<Verdict>;
}

/// A publisher; mark the `impl` with [`#[publisher]`](crate::publisher).
///
/// It describes requests, the host sends them. Many messages may be under way at once, and the replies to one message's requests
/// may come to another instance than the one that asked for them.
pub trait Publisher: Sized {
    /// The plugin's own `config` table. Unknown fields are refused, see [`config::parse`](crate::config::parse).
    type Config: DeserializeOwned;

    /// Makes one instance.
    ///
    /// # Errors
    /// Why the config will not do; the host then does not load the plugin and keeps the version it has.
    fn new(config: Self::Config) -> Result<Self>;

    /// What to send for one message; nothing means that it is done.
    ///
    /// # Errors
    /// Why it could not say, and whether trying again may help.
    fn publish(&mut self, message: &Message) -> Result<Vec<Request>>;

    /// Judges the replies, which are in the order of the requests; may ask for more, and is done when it asks for nothing.
    ///
    /// # Errors
    /// Unless written otherwise, as [`Reply::success`] and [`reply::judge`] say.
    #[expect(unused_variables, reason = "the default judgement looks at the replies alone")]
    fn answered(&mut self, message: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        reply::judge(replies)?;
        Ok(Vec::new())
    }
}
