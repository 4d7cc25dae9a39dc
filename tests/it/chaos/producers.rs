//! Those who send numbered messages all the time, and know what they have sent.

use crate::kinds::{Job, Kind};
use gristmill_tests::eventually::pause;
use redis::{Client, Connection, RedisResult};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What a message says that the filter refuses.
pub(super) const POISON: &str = "poison";
/// One message of so many is poison.
const POISONED: u64 = 150;
const TOGETHER: u64 = 5;
const PACE: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(3);
/// What one producer's numbers are ahead of the other's.
const APART: u64 = 1_000_000;

/// Producers at work, one for each kind of source.
pub(super) struct Producers {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Pushed>>,
}

/// What has been sent: each number, and how often at most.
pub(super) type Pushed = BTreeMap<u64, usize>;

impl Producers {
    pub(super) fn start(kinds: &[Kind], url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |(first, kind): (u64, &Kind)| {
            let producer =
                Producer { kind: *kind, client: Client::open(url).unwrap(), connection: None, stop: Arc::clone(&stop) };
            thread::spawn(move || producer.run(first * APART))
        };
        let threads = (0..).zip(kinds).map(start).collect();
        Self { stop, threads }
    }

    /// Lets each finish what it is at, and tells what all have sent.
    pub(super) fn finish(self) -> Pushed {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

/// Whether the message with this number is one that the filter refuses.
pub(super) fn is_poison(number: u64) -> bool {
    number % POISONED == POISONED / 2
}

struct Producer {
    kind: Kind,
    client: Client,
    connection: Option<Connection>,
    stop: Arc<AtomicBool>,
}

impl Producer {
    fn run(mut self, mut next: u64) -> Pushed {
        let mut pushed = Pushed::new();
        while !self.stop.load(Ordering::Acquire) {
            let text = |number| if is_poison(number) { POISON } else { "plain" };
            let jobs: Vec<Job> = (next..next + TOGETHER).map(|number| Job { number, text: text(number) }).collect();
            loop {
                // A push whose answer was lost may have been carried out.
                jobs.iter().for_each(|job| *pushed.entry(job.number).or_default() += 1);
                if self.push(&jobs).is_ok() {
                    break;
                }
                self.connection = None;
                pause(PACE);
            }
            next += TOGETHER;
            pause(PACE);
        }
        pushed
    }

    fn push(&mut self, jobs: &[Job]) -> RedisResult<()> {
        if self.connection.is_none() {
            let connection = self.client.get_connection_with_timeout(ANSWER)?;
            connection.set_read_timeout(Some(ANSWER))?;
            self.connection = Some(connection);
        }
        let connection = self.connection.as_mut().expect("it has just been made");
        self.kind.put(connection, jobs)
    }
}
