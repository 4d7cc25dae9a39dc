//! Redis channels: at most once, as Redis keeps nothing of what is published.
//!
//! Every connection is always read, so that the server never cuts it for lagging. What the pipeline has no room for waits
//! in memory, at most `backlog.keep` messages (10,000 where nothing is said) and 64 MiB; beyond that the oldest or the
//! newest are dropped and counted. What waits for another attempt is bounded so, too, and is not among those in flight: a
//! server that is away for long keeps nothing from others.
//!
//! A message's source is the channel as the configuration names it, or the pattern; its topic is the channel. Bytes of a
//! channel's name that are not UTF-8 become `U+FFFD`.
//!
//! When nothing new is to be taken, the connections are closed at once, what has been heard is still processed, and what
//! waits for another attempt gets its last one without waiting longer.

mod backlog;
mod intake;
mod later;
mod listen;
#[cfg(test)]
mod tests;

use super::{Connector, Opening};
use crate::config::{ChannelKind, Channels};
use intake::Intake;
use listen::Subscription;
use std::sync::Arc;

pub(super) use intake::{Loan, Meaning};

/// Channels that are being listened to.
#[derive(Debug)]
pub struct Channel {
    intake: Arc<Intake>,
}

impl Channel {
    /// Starts to listen.
    pub(super) fn open(opening: &Opening, channels: &Channels) -> Self {
        Self::understood(opening, channels, None)
    }

    /// The same for a system that says more than a payload; `meaning` must not block.
    pub(super) fn understood(opening: &Opening, channels: &Channels, meaning: Option<Meaning>) -> Self {
        let shutdown = opening.shutdown.clone();
        let subscriptions = subscriptions(opening, channels);
        let intake = Intake::new(opening, channels, meaning);
        for subscription in subscriptions {
            let listening = listen::run(Arc::clone(&intake), subscription);
            shutdown.track(shutdown.quiet().clone().run_until_cancelled_owned(listening));
        }
        let telling = intake::tell_dropped(Arc::clone(&intake));
        shutdown.track(shutdown.quiet().clone().run_until_cancelled_owned(telling));
        let survey = intake::survey(Arc::clone(&intake));
        shutdown.track(shutdown.quiet().clone().run_until_cancelled_owned(survey));
        shutdown.track_until_stop(intake::hand_out(Arc::clone(&intake)));
        shutdown.track_until_stop(intake::try_again(Arc::clone(&intake), shutdown.quiet().clone()));
        Self { intake }
    }

    /// Tells what is lost.
    pub fn close(self) {
        self.intake.end();
    }
}

/// One for all channels, as every server of a Cluster hears all of them. A sharded channel is heard only by the server that
/// has its slot, and slots move one by one, so each has a connection of its own.
fn subscriptions(opening: &Opening, channels: &Channels) -> Vec<Subscription> {
    let new = |connector: Connector, names: &[String]| Subscription::new(connector, channels.kind, names);
    match channels.kind {
        ChannelKind::Exact | ChannelKind::Pattern => vec![new(opening.connector.clone(), &channels.names)],
        ChannelKind::Sharded => {
            let names = channels.names.iter();
            names.map(|name| new(opening.connector.at(name), std::slice::from_ref(name))).collect()
        }
    }
}
