//! Where messages come from: each is handed out as a `Delivery` and stays in Redis until it is settled, unless it was
//! published to a channel, which keeps nothing.

mod backoff;
mod channel;
pub mod dead;
mod delivery;
mod dialect;
pub mod embedded;
#[cfg(fuzzing)]
pub mod fuzz;
mod keys;
mod lane;
mod link;
mod list;
pub mod nodes;
mod opening;
mod pace;
mod queue;
mod resque;
mod script;
mod stream;
#[cfg(test)]
mod tests;
mod thoonk;

use crate::{
    config,
    connection::{self, Connector},
};

pub use channel::Channel;
pub use delivery::{Delivery, Settled};
pub use lane::along::Refusal;
pub use list::Lists;
pub use opening::{Opening, Ordered, Start, Waiting};
pub use resque::Resque;
pub use stream::Stream;
pub use thoonk::Thoonk;

/// One of the kinds of source.
#[derive(Debug)]
pub enum Source {
    /// Redis lists.
    Lists(Lists),
    /// Redis channels.
    Channel(Channel),
    /// A Thoonk feed.
    Thoonk(Thoonk),
    /// A Redis stream.
    Stream(Stream),
    /// Resque queues.
    Resque(Resque),
}

impl Source {
    /// Starts to take.
    pub fn open(opening: &Opening) -> Self {
        match &opening.config.from {
            config::From::Lists(lists) => Self::Lists(Lists::open(opening, lists)),
            config::From::Channels(channels) => Self::Channel(Channel::open(opening, channels)),
            config::From::Thoonk(feed) => Self::Thoonk(Thoonk::open(opening, feed)),
            config::From::Stream(stream) => Self::Stream(Stream::open(opening, stream)),
            config::From::Resque(resque) => Self::Resque(Resque::open(opening, resque)),
        }
    }

    /// Gives up what is left, once everything on the shutdown it was opened with has ended.
    pub async fn close(self) {
        match self {
            Self::Lists(lists) => lists.close().await,
            Self::Channel(channel) => channel.close(),
            Self::Thoonk(feed) => feed.close().await,
            Self::Stream(stream) => stream.close().await,
            Self::Resque(resque) => resque.close().await,
        }
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    async fn forget(self) {
        match self {
            Self::Lists(lists) => lists.forget().await,
            Self::Channel(channel) => channel.close(),
            Self::Thoonk(feed) => feed.forget().await,
            Self::Stream(stream) => stream.forget().await,
            Self::Resque(resque) => resque.forget().await,
        }
    }
}
