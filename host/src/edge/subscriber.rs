//! One client that reads channels. Whoever publishes writes to its socket directly; only what the socket does not take waits,
//! and only then the connection's task is woken to write on.

use super::{
    audience::Audience,
    backlog::Backlog,
    hub::{Draft, Refused},
    limits::Place,
    message::{Bye, Form, Message, Notice},
    poll::Poll,
    shard::Shard,
    websocket::{self, Heard, Reader},
};
use crate::{config::Slow, event};
use bytes::Bytes;
use std::{
    cell::{Cell, RefCell},
    io,
    rc::{Rc, Weak},
    task::{Context, Poll as Polled, Waker, ready},
};
use tokio::net::TcpStream;

/// Seconds that a client to which all is said may take to go.
const FAREWELL: u32 = 5;

/// See the module. Kept small: there may be a million.
#[derive(Debug)]
pub(super) struct Subscriber {
    socket: TcpStream,
    shard: Weak<Shard>,
    me: Weak<Self>,
    form: Form,
    phase: Cell<Phase>,
    /// Whether it is among those that the present messages are written to.
    marked: Cell<bool>,
    /// The second in which it was last heard, and in which it was asked for a sign of life that has not come.
    heard: Cell<u32>,
    asked: Cell<Option<u32>>,
    /// When its token ends, in seconds since 1970.
    until: Option<u64>,
    backlog: RefCell<Option<Box<Backlog>>>,
    waker: RefCell<Option<Waker>>,
    seats: RefCell<Box<[Seat]>>,
    several: Cell<bool>,
    /// Whether what it says is published to its channels.
    may_speak: bool,
    reader: RefCell<Reader>,
    /// For one that gets an answer.
    poll: Option<Box<Poll>>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Messages are written to it.
    Open,
    /// It has its answer, or will when the rest is written.
    Answered,
    /// It was told to go in this second.
    Leaving(u32),
    /// What was to be said is said, and our side is closed, since this second.
    Closed(u32),
    /// There is nothing more to be done with it.
    Gone,
}

/// Where a subscriber sits, and the number of its seat there.
type Seat = (Rc<Audience>, usize);

/// What becomes of a connection when nobody reads on it any more.
pub(super) enum End {
    /// It is over.
    Over,
    /// The client may send another request.
    Next(TcpStream, Place),
}

impl Subscriber {
    pub(super) fn new(
        shard: &Rc<Shard>,
        socket: TcpStream,
        place: Place,
        form: Form,
        until: Option<u64>,
        may_speak: bool,
        poll: Option<Box<Poll>>,
    ) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            socket,
            shard: Rc::downgrade(shard),
            me: Weak::clone(me),
            form,
            phase: Cell::new(Phase::Open),
            marked: Cell::new(false),
            heard: Cell::new(shard.second()),
            asked: Cell::new(None),
            until,
            backlog: RefCell::default(),
            waker: RefCell::default(),
            seats: RefCell::default(),
            several: Cell::new(false),
            may_speak,
            reader: RefCell::default(),
            poll,
            place,
        })
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// How it is answered, where it gets one answer.
    pub(super) fn poll_of(&self) -> Option<&Poll> {
        self.poll.as_deref()
    }

    /// Where it listens.
    pub(super) fn sit(&self, seats: Vec<Seat>) {
        self.several.set(seats.len() > 1);
        self.seats.replace(seats.into());
    }

    pub(super) fn reads_several(&self) -> bool {
        self.several.get()
    }

    /// True where it was not marked before.
    pub(super) fn mark(&self) -> bool {
        !self.marked.replace(true)
    }

    /// Takes the mark away.
    pub(super) fn unmark(&self) {
        self.marked.set(false);
    }

    /// What it has of a channel, or nothing where it does not listen to it.
    pub(super) fn since(&self, channel: &str) -> Option<u64> {
        let seats = self.seats.borrow();
        let seat = seats.iter().find(|(audience, _)| *audience.channel == *channel);
        seat.map(|(audience, seat)| audience.since(*seat))
    }

    /// Whether messages are still written to it.
    fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    /// Writes what everybody with this form gets; `last` is the last message in it.
    pub(super) fn send(&self, frames: &Bytes, last: &Message) {
        if !self.is_open() {
            return;
        }
        let Some(shard) = self.shard.upgrade() else { return };
        if let Some(poll) = &self.poll {
            return self.reply(poll.messages(shard.epoch(), frames, last));
        }
        let mut waiting = self.backlog.borrow_mut();
        let Some(backlog) = waiting.as_mut() else {
            drop(waiting);
            return self.begin(frames.clone());
        };
        let settings = shard.settings();
        let most = settings.edge.limits.queue_bytes;
        if backlog.bytes() + frames.len() > most {
            match settings.edge.slow {
                Slow::Close => {
                    drop(waiting);
                    return self.bye(Bye::Lagged);
                }
                Slow::Drop => {
                    event::edge_left_out();
                    backlog.make_room(frames.len(), most, || self.notice(&shard, Notice::Gap));
                }
            }
        }
        backlog.push(frames.clone());
    }

    /// Writes the one answer that it gets.
    pub(super) fn reply(&self, answer: Bytes) {
        self.phase.set(Phase::Answered);
        self.begin(answer);
        self.wake();
    }

    /// Writes at once, or begins a backlog with what is left.
    pub(super) fn begin(&self, bytes: Bytes) {
        let written = match self.socket.try_write(&bytes) {
            Ok(written) => written,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => return self.gone(),
        };
        if written < bytes.len() {
            self.wait(bytes, written);
        }
    }

    /// The rest of `bytes` waits until the socket takes it.
    fn wait(&self, bytes: Bytes, written: usize) {
        let Some(shard) = self.shard.upgrade() else { return };
        let backlog = Backlog::of(bytes, written, shard.second());
        self.backlog.replace(Some(Box::new(backlog)));
        shard.attend(Weak::clone(&self.me));
        self.wake();
    }

    /// Tells it to come back; nothing else is written from now on.
    pub(super) fn bye(&self, why: Bye) {
        if !self.is_open() {
            return;
        }
        let Some(shard) = self.shard.upgrade() else { return };
        event::edge_sent_away(why.word());
        self.phase.set(Phase::Leaving(shard.second()));
        let farewell = match &self.poll {
            Some(poll) => poll.unavailable(),
            None => self.notice(&shard, Notice::Bye { why, retry_ms: shard.retry_ms() }),
        };
        let mut waiting = self.backlog.borrow_mut();
        match waiting.as_mut() {
            Some(backlog) => {
                backlog.cut();
                backlog.push(farewell);
            }
            None => {
                drop(waiting);
                self.begin(farewell);
            }
        }
        shard.attend(Weak::clone(&self.me));
        self.wake();
    }

    fn notice(&self, shard: &Shard, notice: Notice) -> Bytes {
        let mut out = Vec::new();
        self.form.notice(&mut out, shard.epoch(), None, notice);
        out.into()
    }

    fn gone(&self) {
        self.phase.set(Phase::Gone);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// A second has passed in which it wrote or left; false when it needs no more of that.
    pub(super) fn hurry(&self, now: u32, stall: u32) -> bool {
        let since = match (self.phase.get(), &*self.backlog.borrow()) {
            (Phase::Gone, _) | (Phase::Open, None) => return false,
            (Phase::Open | Phase::Answered, Some(backlog)) => backlog.progress + stall,
            (Phase::Answered, None) => return false,
            (Phase::Leaving(since), _) => since + stall,
            (Phase::Closed(since), _) => since + FAREWELL,
        };
        if now < since {
            return true;
        }
        if self.is_open() {
            event::edge_sent_away("stalled");
        }
        self.gone();
        false
    }

    /// It is due to be looked at; says in how many seconds again.
    pub(super) fn look(&self, now: u32, clock: u64, ping: u32, pong: u32) -> Option<u32> {
        if !self.is_open() {
            return None;
        }
        if self.until.is_some_and(|until| until <= clock) {
            self.bye(Bye::Expired);
            return None;
        }
        if let Some(poll) = &self.poll {
            self.reply(poll.nothing(self.shard.upgrade()?.epoch()));
            return None;
        }
        if let Some(asked) = self.asked.get() {
            if self.heard.get() >= asked {
                self.asked.set(None);
                return Some(ping.saturating_sub(pong).max(1).min(self.left(clock)));
            }
            if now >= asked + pong {
                self.bye(Bye::Silent);
                return None;
            }
            return Some((asked + pong - now).min(self.left(clock)));
        }
        if self.backlog.borrow().is_none() {
            let shard = self.shard.upgrade()?;
            self.begin(self.form.ping(shard.settings().voice(shard.epoch())));
        }
        let wait = if self.form.is_websocket() {
            self.asked.set(Some(now));
            pong.min(ping)
        } else {
            ping
        };
        Some(wait.min(self.left(clock)))
    }

    /// Seconds that its token is good for.
    fn left(&self, clock: u64) -> u32 {
        self.until.map_or(u32::MAX, |until| u32::try_from(until.saturating_sub(clock)).unwrap_or(u32::MAX))
    }

    /// Lives as long as the connection does: reads what the client sends, writes what waits.
    pub(super) fn poll(&self, cx: &mut Context<'_>, shard: &Shard) -> Polled<()> {
        if !self.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker.replace(Some(cx.waker().clone()));
        }
        if self.phase.get() == Phase::Gone {
            return Polled::Ready(());
        }
        if self.poll_write(cx, shard).is_ready() {
            return Polled::Ready(());
        }
        loop {
            if ready!(self.socket.poll_read_ready(cx)).is_err() || !self.read(shard) {
                return Polled::Ready(());
            }
        }
    }

    /// Ready when the connection is over.
    fn poll_write(&self, cx: &mut Context<'_>, shard: &Shard) -> Polled<()> {
        let mut waiting = self.backlog.borrow_mut();
        while let Some(backlog) = waiting.as_mut() {
            match self.socket.poll_write_ready(cx) {
                Polled::Pending => return Polled::Pending,
                Polled::Ready(Err(_)) => return Polled::Ready(()),
                Polled::Ready(Ok(())) => match backlog.flush(&self.socket, shard.second()) {
                    Ok(true) => *waiting = None,
                    Ok(false) => {}
                    Err(_) => return Polled::Ready(()),
                },
            }
        }
        match self.phase.get() {
            Phase::Answered => Polled::Ready(()),
            Phase::Leaving(_) => {
                self.phase.set(Phase::Closed(shard.second()));
                // The client is to read what was said: closing at once could make its system throw that away.
                match rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write) {
                    Ok(()) => Polled::Pending,
                    Err(_) => Polled::Ready(()),
                }
            }
            _ => Polled::Pending,
        }
    }

    /// Reads what is there; false when the client is gone.
    fn read(&self, shard: &Shard) -> bool {
        let mut scratch = shard.scratch();
        match self.socket.try_read(&mut scratch) {
            Ok(0) => false,
            Ok(length) => {
                self.heard.set(shard.second());
                let read = scratch.get(..length).unwrap_or_default();
                if self.form.is_websocket() && self.is_open() {
                    self.hear(shard, read);
                }
                true
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// Reads frames of a WebSocket.
    pub(super) fn hear(&self, shard: &Shard, bytes: &[u8]) {
        let longest = shard.settings().edge.limits.message_bytes;
        let mut reader = std::mem::take(&mut *self.reader.borrow_mut());
        let read = reader.read(bytes, longest, |heard| match heard {
            Heard::Pong => {}
            Heard::Ping(payload) => self.answer(&payload),
            Heard::Close(code) => self.bye(Bye::Protocol(code)),
            Heard::Text(text) if self.may_speak => self.say(shard, text),
            Heard::Text(_) | Heard::Binary(_) => self.bye(Bye::Protocol(websocket::UNSUPPORTED)),
        });
        self.reader.replace(reader);
        if let Err(code) = read {
            self.bye(Bye::Protocol(code));
        }
    }

    /// Publishes what the client says to every channel that it reads.
    fn say(&self, shard: &Shard, text: Vec<u8>) {
        let data = Bytes::from(text);
        for (audience, _) in self.seats.borrow().iter() {
            let draft = Draft { data: data.clone(), ..Draft::default() };
            match shard.shared().hub.try_publish(&audience.channel, draft) {
                Ok(()) => {}
                Err(Refused::Busy) => return self.bye(Bye::Protocol(websocket::TRY_LATER)),
                Err(_) => return self.bye(Bye::Protocol(websocket::GOING)),
            }
        }
    }

    /// Answers a ping; one whose answers it does not take need not be answered.
    fn answer(&self, payload: &[u8]) {
        if self.is_open() && self.backlog.borrow().is_none() {
            let mut out = Vec::new();
            websocket::pong(&mut out, payload);
            self.begin(out.into());
        }
    }

    /// Gives its seats back.
    pub(super) fn leave(&self) -> Box<[Seat]> {
        self.seats.take()
    }

    /// What becomes of the connection.
    pub(super) fn into_end(self) -> End {
        let stays = self.poll.as_ref().is_some_and(|poll| poll.stays);
        if stays && self.phase.get() == Phase::Answered && self.backlog.borrow().is_none() {
            return End::Next(self.socket, self.place);
        }
        End::Over
    }
}
