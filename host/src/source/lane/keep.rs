//! What Redis keeps of a message that is settled, where it keeps anything.

use super::{Content, Lane, entry::Entry, envelope::Envelope, register::Register, settlement::Step};
use crate::{message::Outcome, source::dead};
use std::time::Duration;

impl Lane {
    /// What Redis must keep of a settled entry.
    pub(super) fn copy(&self, register: &Register, entry: &Entry, steps: &mut Vec<Step>) {
        self.shared.dialect.ended(entry, entry.outcome());
        self.leave(register, entry, steps);
    }

    /// The same while it is not certain that it will be settled.
    pub(super) fn leave(&self, register: &Register, entry: &Entry, steps: &mut Vec<Step>) {
        let outcome = entry.outcome();
        if entry.tried > 0 {
            let id = entry.id(&register.origin);
            steps.push(Step::call([b"HDEL", self.shared.keys.tried().as_bytes(), id.as_bytes()]));
        }
        self.strike_out(register, entry, steps);
        let kept = outcome.and_then(|outcome| self.kept(register, entry, outcome));
        self.shared.dialect.steps(entry, outcome, kept, steps);
    }

    /// The entry's further way here, where it has one.
    fn kept(&self, register: &Register, entry: &Entry, outcome: &Outcome) -> Option<Step> {
        let mut envelope = Envelope { id: entry.id(&register.origin).into_owned(), ..entry.past.clone() };
        if self.shared.ordered && self.content == Content::Raw && entry.past.item.is_some() {
            envelope.place.get_or_insert_with(|| entry.place(&register.origin));
        }
        match outcome {
            Outcome::Done | Outcome::Finished { .. } => None,
            Outcome::Again { after, succeeded } => {
                envelope.succeeded.extend_from_slice(succeeded);
                Some(later(*after, &envelope, entry))
            }
            Outcome::Retry { after, trouble, succeeded } => {
                envelope.failed(trouble, succeeded);
                Some(later(*after, &envelope, entry))
            }
            Outcome::Dead { trouble, succeeded } => {
                envelope.failed(trouble, succeeded);
                Some(Step::Dead { fields: dead::fields(&self.shared, &envelope, &entry.payload) })
            }
        }
    }
}

fn later(after: Duration, envelope: &Envelope, entry: &Entry) -> Step {
    let after_ms = after.as_millis().try_into().unwrap_or(u64::MAX);
    Step::Later { after_ms, sealed: envelope.seal(&entry.payload).into() }
}
