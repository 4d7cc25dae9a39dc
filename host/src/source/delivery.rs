//! A message on loan from a source, and how it is given back.

use super::{
    channel::Loan,
    lane::{
        Lane,
        along::{Along, MOST, Refusal, weight},
        entry::{Batch, Entry},
    },
};
use crate::{
    message::{Message, Outcome, Trouble},
    request::Failure,
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A message on loan. Settling consumes it; dropped unsettled, it is tried again.
#[derive(Debug)]
#[must_use]
pub struct Delivery {
    /// What plugins see.
    pub message: Message,
    holder: Holder,
    taken: Instant,
    settled: bool,
}

/// What came of settling a message as done along with commands.
#[derive(Debug)]
pub enum Settled {
    /// All is done.
    Done,
    /// A command was refused, and the message is as open as it was.
    Refused(Refusal),
    /// It is another node's by now, and nothing was done.
    Lost,
}

/// Who is told what became of a message.
#[derive(Debug)]
enum Holder {
    /// A lane, whose item it is.
    Lane { lane: Arc<Lane>, batch: Arc<Batch>, index: usize },
    /// The memory of this process.
    Channel(Loan),
}

impl Delivery {
    pub(super) fn new(message: Message, taken: Instant, lane: Arc<Lane>, batch: Arc<Batch>, index: usize) -> Self {
        Self { message, holder: Holder::Lane { lane, batch, index }, taken, settled: false }
    }

    pub(super) fn from_channel(message: Message, taken: Instant, loan: Loan) -> Self {
        Self { message, holder: Holder::Channel(loan), taken, settled: false }
    }

    /// When it was handed over to this process for this attempt.
    pub fn taken(&self) -> Instant {
        self.taken
    }

    /// What went wrong in earlier attempts, oldest first.
    pub fn troubles(&self) -> &[Trouble] {
        match &self.holder {
            Holder::Lane { .. } => self.entry().map_or(&[], |entry| &entry.past.troubles),
            Holder::Channel(loan) => loan.troubles(),
        }
    }

    /// How often it was tried since a node ended with it in flight.
    pub(super) fn tried(&self) -> u32 {
        self.entry().map_or(0, |entry| entry.tried)
    }

    /// The key of the lane that it lies in.
    pub(super) fn lane(&self) -> Option<&str> {
        match &self.holder {
            Holder::Lane { lane, .. } => Some(&lane.key),
            Holder::Channel(_) => None,
        }
    }

    /// How often a node ended with it in flight.
    pub(super) fn crashes(&self) -> u32 {
        self.entry().map_or(0, |entry| entry.past.crashes)
    }

    /// Tells when it is settled; nothing where its source keeps nothing.
    pub(super) fn watch(&self) -> Option<Watch> {
        match &self.holder {
            Holder::Lane { lane, batch, index } => {
                Some(Watch { lane: Arc::clone(lane), batch: Arc::clone(batch), index: *index })
            }
            Holder::Channel(_) => None,
        }
    }

    fn entry(&self) -> Option<&Entry> {
        match &self.holder {
            Holder::Lane { batch, index, .. } => batch.entries.get(*index),
            Holder::Channel(_) => None,
        }
    }

    /// How often the message has broken a plugin or ended a node.
    pub fn broken(&self) -> u32 {
        match &self.holder {
            Holder::Lane { .. } => self.entry().map_or(0, |entry| entry.past.broken()),
            Holder::Channel(loan) => loan.troubles().iter().filter(|trouble| trouble.broke).count() as u32,
        }
    }

    /// Publishers that succeeded in an earlier attempt.
    pub fn succeeded(&self) -> &[String] {
        match &self.holder {
            Holder::Lane { .. } => self.entry().map_or(&[], |entry| &entry.past.succeeded),
            Holder::Channel(loan) => loan.succeeded(),
        }
    }

    /// A publisher has succeeded, while others have not yet: so that whoever takes the message over does not run it again.
    pub fn note(&self, publisher: &str) {
        match &self.holder {
            Holder::Lane { lane, batch, index } => lane.note(Arc::clone(batch), *index, publisher.to_owned()),
            // It is gone with this process.
            Holder::Channel(_) => {}
        }
    }

    /// The Cluster slot in which it is settled, where commands can be carried out in the same step; else why they cannot.
    ///
    /// # Errors
    /// For sources that keep nothing, or decide themselves what becomes of a message.
    pub fn settles_in(&self) -> Result<u16, &'static str> {
        match &self.holder {
            Holder::Lane { lane, .. } => lane.settles_in(),
            Holder::Channel(_) => Err("nothing is settled of what comes from a channel"),
        }
    }

    /// Settles the message as done and carries `commands` out in the same step: all of that, or nothing. The one exception: where one is refused,
    /// those before it are done.
    pub async fn settle_along(&mut self, commands: Vec<Vec<Bytes>>) -> Settled {
        let refused = |why: String| Settled::Refused(Refusal { place: 0, failure: Failure::Invalid(why) });
        if let Err(why) = self.settles_in() {
            return refused(why.to_owned());
        }
        if weight(&commands) > MOST {
            let mib = MOST >> 20;
            return refused(format!(
                "the commands for one message are longer than the {mib} MiB that one step carries out"
            ));
        }
        let (tell, told) = oneshot::channel();
        let mut told = Told { answer: told, settled: &mut self.settled };
        if let Holder::Lane { lane, batch, index } = &self.holder {
            // From here on the lane sees to it, also where nobody waits.
            *told.settled = true;
            lane.settled_along(Arc::clone(batch), *index, Along { commands, tell });
        }
        match (&mut told.answer).await {
            Ok(Ok(())) => Settled::Done,
            Ok(Err(refusal)) => {
                *told.settled = false;
                Settled::Refused(refusal)
            }
            Err(_) => Settled::Lost,
        }
    }

    /// Says what became of the message. The source carries it out with the next batch of settlements.
    pub fn settle(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        match &mut self.holder {
            Holder::Lane { lane, batch, index } => {
                if matches!(outcome, Outcome::Again { .. }) {
                    lane.untried();
                }
                lane.settle(Arc::clone(batch), *index, outcome);
            }
            Holder::Channel(loan) => loan.settle(&self.message, outcome),
        }
    }
}

/// Where a message that is settled along with commands hears what came of it.
struct Told<'a> {
    answer: oneshot::Receiver<Result<(), Refusal>>,
    settled: &'a mut bool,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        // Nobody waits any more for what may just have come.
        self.answer.close();
        if let Ok(Err(_)) = self.answer.try_recv() {
            *self.settled = false;
        }
    }
}

/// Looks after a message that somebody else settles.
#[derive(Debug)]
pub(super) struct Watch {
    lane: Arc<Lane>,
    batch: Arc<Batch>,
    index: usize,
}

impl Watch {
    /// Whether it is, and Redis knows of it: before that it comes again if this node ends.
    pub(super) fn is_settled(&self) -> bool {
        self.batch.entries.get(self.index).is_none_or(Entry::is_settled) && self.lane.is_carried_out()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let trouble = Trouble {
            attempt: self.message.attempt,
            plugin: None,
            digest: None,
            broke: false,
            limit: None,
            reason: "processing was interrupted".to_owned(),
        };
        let succeeded = self.succeeded().to_vec();
        self.finish(Outcome::Retry { after: Duration::ZERO, trouble, succeeded });
    }
}
