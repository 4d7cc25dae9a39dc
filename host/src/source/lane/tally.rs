//! What is counted of the messages of a lane, and given back when they leave it.

use super::{Lane, entry::Batch, lock, settlement::Settlement};
use crate::event;

impl Lane {
    /// These are about to be handed out.
    pub(super) fn count_taken(&self, batch: &Batch) {
        let again = batch.entries.iter().filter(|entry| entry.past.attempts + entry.past.crashes > 0).count();
        event::taken(&self.shared.tally, batch.entries.len(), again);
    }

    /// `settlement` has been carried out if the lane is still `held`, else it is lost.
    pub(super) fn done(&self, settlement: &Settlement, held: bool) {
        lock(&self.finished).leaving = false;
        let Settlement { messages, bytes, came, since, .. } = settlement;
        if !held {
            return self.give_up(*messages, *bytes);
        }
        // The others went along with commands.
        let came = came.and_done(messages.saturating_sub(came.count()));
        event::settled_at_source(&self.shared.tally, &came, since.iter().copied().take(*messages));
        self.let_go(*messages, *bytes);
    }

    /// These are another node's by now.
    pub(super) fn give_up(&self, messages: usize, bytes: usize) {
        event::not_ours(&self.shared.tally, messages);
        self.let_go(messages, bytes);
    }

    fn let_go(&self, messages: usize, bytes: usize) {
        self.shared.flow.put_down(bytes);
        self.shared.flow.release(messages);
    }
}
