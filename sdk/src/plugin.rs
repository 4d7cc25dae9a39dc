//! The traits a plugin can have.

use crate::{BatchedReply, Message, Plan, Reply, Request, Result, Verdict, batch, reply};
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

/// A publisher that takes many messages at once, where the other side takes many in one request; mark the `impl` with
/// [`#[publisher]`](crate::publisher).
///
/// How many it is given at once, and how long they are waited for, says the operator (`batch`); it may be one. Each message is settled by
/// what becomes of it alone. Where a call breaks, its messages come again one by one.
///
/// ```
/// use gristmill_sdk::{BatchPublisher, BatchedReply, Message, Plan, Reply, Request, Result, publisher};
///
/// #[derive(serde::Deserialize)]
/// struct Bulk {
///     url: String,
/// }
///
/// #[publisher]
/// impl BatchPublisher for Bulk {
///     type Config = Bulk;
///
///     fn new(config: Bulk) -> Result<Self> {
///         Ok(config)
///     }
///
///     fn publish_batch(&mut self, messages: &[Message]) -> Result<Plan> {
///         let lines = messages.iter().map(Message::payload).collect::<Vec<_>>().join(&b'\n');
///         let mut plan = Plan::new();
///         plan.send(Request::post(&self.url).body(lines), 0..messages.len());
///         Ok(plan)
///     }
/// }
///
/// let mut plugin = Bulk::new(Bulk { url: "http://localhost/".into() })?;
/// let messages = [Message::test("{}"), Message::test("[]")];
/// let plan = plugin.publish_batch(&messages)?;
/// assert_eq!(plan.requests()[0].1, [0, 1]);
/// let busy = BatchedReply::new(Reply::test(503, "busy"), [0, 1]);
/// assert_eq!(plugin.answered_batch(&messages, &[busy])?.faults().len(), 2);
/// # Ok::<(), gristmill_sdk::Error>(())
/// ```
pub trait BatchPublisher: Sized {
    /// The plugin's own `config` table. Unknown fields are refused, see [`config::parse`](crate::config::parse).
    type Config: DeserializeOwned;

    /// Makes one instance.
    ///
    /// # Errors
    /// Why the config will not do; the host then does not load the plugin and keeps the version it has.
    fn new(config: Self::Config) -> Result<Self>;

    /// What to send for these messages, of which there is at least one.
    ///
    /// # Errors
    /// Why it could not say that of any of them, and whether trying again may help; of single ones, [`Plan::fail`] says it.
    fn publish_batch(&mut self, messages: &[Message]) -> Result<Plan>;

    /// Judges the replies of a round. `messages` are those of the batch that one of these requests carried; the places count among them.
    ///
    /// # Errors
    /// Why it could not judge any of them. Unless written otherwise, none: each message as [`batch::judge`] says.
    #[expect(unused_variables, reason = "the default judgement looks at the replies alone")]
    fn answered_batch(&mut self, messages: &[Message], replies: &[BatchedReply]) -> Result<Plan> {
        Ok(batch::judge(replies))
    }
}
