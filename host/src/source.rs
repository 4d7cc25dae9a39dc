//! Where messages come from: each is handed out as a `Delivery` and stays in Redis until it is settled.

mod connection;
pub mod dead;
mod delivery;
mod dialect;
pub mod embedded;
mod envelope;
mod flow;
mod keys;
mod lane;
mod lease;
mod list;
mod queue;
mod recover;
mod register;
mod resque;
mod scripts;
mod settle;
mod settlement;
mod shared;
mod suspects;
mod take;
#[cfg(test)]
mod tests;
mod turns;
mod upkeep;

use crate::config;

pub use connection::{Connector, Error};
pub use delivery::Delivery;
pub use list::Lists;
pub use resque::Resque;
pub use shared::{Opening, Start};

/// One of the kinds of source.
#[derive(Debug)]
pub enum Source {
    /// Redis lists.
    Lists(Lists),
    /// Resque queues.
    Resque(Resque),
}

impl Source {
    /// Starts to take.
    pub fn open(opening: &Opening<'_>) -> Self {
        match &opening.config.from {
            config::From::Lists(lists) => Self::Lists(Lists::open(opening, lists)),
            config::From::Resque(resque) => Self::Resque(Resque::open(opening, resque)),
            _ => unreachable!("the configuration refuses sources that are not there yet"),
        }
    }

    /// Gives up what is left, once everything on the shutdown it was opened with has ended.
    pub async fn close(self) {
        match self {
            Self::Lists(lists) => lists.close().await,
            Self::Resque(resque) => resque.close().await,
        }
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    async fn forget(self) {
        match self {
            Self::Lists(lists) => lists.forget().await,
            Self::Resque(resque) => resque.forget().await,
        }
    }
}
