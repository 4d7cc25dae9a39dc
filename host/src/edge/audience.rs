//! Who on this shard listens to a channel, and how messages are written to all of them at once.

use super::{
    message::{Form, Message, Voice},
    subscriber::Subscriber,
};
use bytes::Bytes;
use slab::Slab;
use std::{cell::RefCell, rc::Rc, sync::Arc};

/// The subscribers of one channel on one shard.
#[derive(Debug)]
pub(super) struct Audience {
    pub(super) channel: Arc<str>,
    seats: RefCell<Slab<Seat>>,
}

#[derive(Debug)]
struct Seat {
    subscriber: Rc<Subscriber>,
    /// What it has, or has been sent otherwise.
    since: u64,
}

impl Audience {
    pub(super) fn new(channel: &Arc<str>) -> Self {
        Self { channel: Arc::clone(channel), seats: RefCell::default() }
    }

    /// From now on `subscriber` gets what comes behind `since`; returns its seat.
    pub(super) fn enter(&self, subscriber: Rc<Subscriber>, since: u64) -> usize {
        self.seats.borrow_mut().insert(Seat { subscriber, since })
    }

    /// The seat is empty; true when the last one is.
    pub(super) fn leave(&self, seat: usize) -> bool {
        let mut seats = self.seats.borrow_mut();
        seats.try_remove(seat);
        // Where most have left, what they took is given back.
        if seats.capacity() > 64 && seats.len() < seats.capacity() / 4 {
            seats.shrink_to_fit();
        }
        seats.is_empty()
    }

    /// Seats up to the last one that is taken.
    pub(super) fn width(&self) -> usize {
        self.seats.borrow().iter().next_back().map_or(0, |(seat, _)| seat + 1)
    }

    /// Writes to those in these seats who read no other channel; those who do are added to `several`. Returns how many got something.
    pub(super) fn write(
        &self,
        seats: std::ops::Range<usize>,
        written: &mut Written<'_>,
        several: &mut Vec<Rc<Subscriber>>,
    ) -> usize {
        let mut count = 0;
        let all = self.seats.borrow();
        for seat in seats.filter_map(|seat| all.get(seat)) {
            if seat.subscriber.reads_several() {
                if seat.subscriber.mark() {
                    several.push(Rc::clone(&seat.subscriber));
                }
            } else {
                count += usize::from(written.write(&seat.subscriber, seat.since));
            }
        }
        count
    }

    /// What the subscriber in this seat has, or has been sent otherwise.
    pub(super) fn since(&self, seat: usize) -> u64 {
        self.seats.borrow().get(seat).map_or(u64::MAX, |seat| seat.since)
    }
}

/// Messages as each transport writes them, made when the first subscriber wants them so.
pub(super) struct Written<'a> {
    voice: Voice<'a>,
    messages: Vec<&'a Message>,
    forms: Vec<(Form, Bytes)>,
}

impl<'a> Written<'a> {
    /// Of messages in their order.
    pub(super) fn new(voice: Voice<'a>, messages: impl IntoIterator<Item = &'a Message>) -> Self {
        Self { voice, messages: messages.into_iter().collect(), forms: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Writes what comes behind `since` to `subscriber`. True if there was something.
    pub(super) fn write(&mut self, subscriber: &Subscriber, since: u64) -> bool {
        let (Some(first), Some(last)) = (self.messages.first(), self.messages.last()) else { return false };
        let last = *last;
        if since >= last.sequence {
            return false;
        }
        if since < first.sequence {
            let frames = self.form(subscriber.form());
            subscriber.send(&frames, last);
        } else {
            let behind = self.messages.iter().filter(|message| message.sequence > since);
            subscriber.send(&written(self.voice, subscriber.form(), behind.copied()), last);
        }
        true
    }

    fn form(&mut self, form: Form) -> Bytes {
        if let Some((_, bytes)) = self.forms.iter().find(|(known, _)| *known == form) {
            return bytes.clone();
        }
        let bytes = written(self.voice, form, self.messages.iter().copied());
        self.forms.push((form, bytes.clone()));
        bytes
    }
}

/// Messages behind each other.
pub(super) fn written<'a>(voice: Voice<'_>, form: Form, messages: impl Iterator<Item = &'a Message>) -> Bytes {
    let mut out = Vec::new();
    messages.for_each(|message| form.write(&mut out, voice, message));
    out.into()
}
