//! Where messages come from: each is handed out as a `Delivery` and stays in Redis until it is settled, unless it was
//! published to a channel, which keeps nothing.

mod channel;
mod connection;
pub mod dead;
mod delivery;
pub mod embedded;
mod envelope;
mod keys;
mod lane;
mod lease;
mod list;
mod scripts;
mod settle;
mod shared;
mod take;
#[cfg(test)]
mod tests;

use crate::config;

pub use channel::Channel;
pub use connection::{Connector, Error};
pub use delivery::Delivery;
pub use list::List;
pub use shared::{Opening, Start};

/// One of the kinds of source.
#[derive(Debug)]
pub enum Source {
    /// A Redis list.
    List(List),
    /// Redis channels.
    Channel(Channel),
}

impl Source {
    /// Starts to take.
    pub fn open(opening: Opening<'_>) -> Self {
        let config = opening.config;
        let list = match &config.from {
            config::From::Channels(channels) => return Self::Channel(Channel::open(opening, channels)),
            config::From::Lists(lists) => lists.names.first().map_or("", String::as_str),
            _ => "",
        };
        Self::List(List::open(opening, list))
    }

    /// Gives up what is left, once everything on the shutdown it was opened with has ended.
    pub async fn close(self) {
        match self {
            Self::List(list) => list.close().await,
            Self::Channel(channel) => channel.close(),
        }
    }
}
