//! What a proxy can do to its connections, and what of it is in force.

use std::{ops::Range, time::Duration};

/// How much of a second's bytes pass at once where a rate holds.
const SLICES: u64 = 50;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Every byte arrives this much later.
    Delay {
        /// On its way to the server.
        to_server: Duration,
        /// On its way to the client.
        to_client: Duration,
    },
    /// At most this many bytes pass each second, counted for each connection and each way.
    Rate(u64),
    /// Bytes are written this many at a time.
    Chunks(usize),
    /// Each connection ends when this many bytes of replies have passed, counted from now or from its start.
    Cut(u64, Ending),
    /// As `Cut`, but only the first connection that comes so far.
    CutOnce(u64, Ending),
    /// The byte of the replies at this offset is inverted in each connection, counted from now or from its start.
    Flip(u64),
    /// As `Flip`, but only in the first connection that comes so far.
    FlipOnce(u64),
    /// Nothing passes in any connection, not even its end; new ones are accepted.
    BlackHole,
    /// New connections are refused.
    Refuse,
    /// New connections are accepted and never answered.
    Hang,
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// With RST: the client's next read is an error.
    Reset,
    /// With FIN: the client reads an end of file.
    Close,
}

/// How often a fault at an offset strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Times {
    Each,
    Once,
}

/// What happens to connections as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Door {
    #[default]
    Open,
    Refuse,
    Hang,
    BlackHole,
}

/// What is in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    to_server: Duration,
    to_client: Duration,
    rate: Option<u64>,
    chunk: Option<usize>,
    cut: Option<(u64, Ending, Times)>,
    flip: Option<(u64, Times)>,
    door: Door,
    /// Counts the changes from which connections count their replies anew.
    origin: u64,
    kills: u64,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

impl Faults {
    pub(super) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Delay { to_server, to_client } => (self.to_server, self.to_client) = (to_server, to_client),
            Fault::Rate(rate) => self.rate = Some(rate.max(1)),
            Fault::Chunks(size) => self.chunk = Some(size.max(1)),
            Fault::Cut(after, ending) => self.set_cut(after, ending, Times::Each),
            Fault::CutOnce(after, ending) => self.set_cut(after, ending, Times::Once),
            Fault::Flip(at) => self.set_flip(at, Times::Each),
            Fault::FlipOnce(at) => self.set_flip(at, Times::Once),
            Fault::BlackHole => self.door = Door::BlackHole,
            Fault::Refuse => self.door = Door::Refuse,
            Fault::Hang => self.door = Door::Hang,
        }
    }

    fn set_cut(&mut self, after: u64, ending: Ending, times: Times) {
        self.cut = Some((after, ending, times));
        self.origin += 1;
    }

    fn set_flip(&mut self, at: u64, times: Times) {
        self.flip = Some((at, times));
        self.origin += 1;
    }

    pub(super) fn clear(&mut self) {
        *self = Self { origin: self.origin, kills: self.kills, ..Self::default() };
    }

    pub(super) fn kill(&mut self) {
        self.kills += 1;
    }

    pub(super) fn kills(&self) -> u64 {
        self.kills
    }

    pub(super) fn origin(&self) -> u64 {
        self.origin
    }

    pub(super) fn refuses(&self) -> bool {
        self.door == Door::Refuse
    }

    /// Whether a connection that was accepted goes on to the server.
    pub(super) fn admits(&self) -> bool {
        matches!(self.door, Door::Open | Door::Refuse)
    }

    pub(super) fn passes(&self) -> bool {
        self.door != Door::BlackHole
    }

    pub(super) fn delay(&self, way: Way) -> Duration {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }

    /// How many of `waiting` bytes are written next, when `replied` bytes of replies have passed.
    pub(super) fn piece(&self, way: Way, replied: u64, waiting: usize) -> usize {
        let slice = self.rate.map(|rate| usize::try_from(rate.div_ceil(SLICES)).unwrap_or(usize::MAX));
        let until_cut = self.cut.filter(|_| way == Way::ToClient).map(|(after, ..)| after.saturating_sub(replied));
        let until_cut = until_cut.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        [self.chunk, slice, until_cut].into_iter().flatten().fold(waiting, usize::min)
    }

    /// How long a piece of so many bytes keeps its connection busy, where a rate holds.
    pub(super) fn pace(&self, bytes: usize) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs_f64(bytes as f64 / rate as f64))
    }

    /// Claims the cut that is due after `replied` bytes of replies: no other connection meets one that strikes once.
    ///
    /// A count that began at another origin is none.
    pub(super) fn claim_cut(&mut self, origin: u64, replied: u64) -> Option<Ending> {
        let (_, ending, times) = self.cut.filter(|&(after, ..)| self.origin == origin && replied >= after)?;
        if times == Times::Once {
            self.cut = None;
        }
        Some(ending)
    }

    /// Claims the flip of a byte that lies among these of the replies, as `claim_cut`.
    pub(super) fn claim_flip(&mut self, origin: u64, among: Range<u64>) -> Option<u64> {
        let (at, times) = self.flip.filter(|(at, _)| self.origin == origin && among.contains(at))?;
        if times == Times::Once {
            self.flip = None;
        }
        Some(at)
    }
}
