//! `cargo xtask demo`: a node, a receiver and a stream of notifications, until Ctrl-C.

mod http;
mod node;
mod notifications;
mod receiver;
mod resp;
mod show;

use crate::{
    command::{Trouble, say},
    guests,
    places::Places,
    setup, test,
};
use node::Node;
use notifications::Notification;
use receiver::Receiver;
use resp::Producer;
use show::Show;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver as Events, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// How long the demo goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Until Ctrl-C.
    UntilStopped,
    /// Until 20 messages have arrived, or one minute has passed.
    Once,
}

/// Everything the demo reacts to.
pub(crate) enum Event {
    /// A line of the node's log.
    Log(String),
    /// The node has closed its log: it is gone.
    NodeEnded,
    /// A message arrived at the receiver.
    Arrived(http::Request),
    /// Ctrl-C.
    Stop,
}

const LIST: &str = "notifications";
const PACE: Duration = Duration::from_millis(500);
const START: Duration = Duration::from_secs(60);
const ONCE: u64 = 20;
const ONCE_PACE: Duration = Duration::from_millis(50);
const ONCE_LIMIT: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(45);

/// Builds what is needed and plays the demo.
pub(crate) fn run(places: &Places, length: Length) -> Result<(), Trouble> {
    setup::run_all()?;
    guests::plugins(places, None)?;
    test::build_host(places)?;
    let data = DataDir::make(places, length)?;
    let (events, inbox) = sync_channel(1024);
    stop_on_ctrl_c(events.clone())?;
    let receiver = Receiver::start(events.clone())
        .map_err(|cause| Trouble::File { what: "cannot listen for deliveries".to_owned(), cause })?;
    let node = Node::start(places, &data.path, &receiver, events)?;
    let mut play = Play { inbox, node, receiver, show: Show::new(), pushed: BTreeMap::new(), arrived: 0 };
    let played = play.go(places, length);
    let stopped = play.stop();
    played.and(stopped)
}

/// The demo at work.
struct Play {
    inbox: Events<Event>,
    node: Node,
    receiver: Receiver,
    show: Show,
    /// What was pushed and has not arrived, by number.
    pushed: BTreeMap<u64, Notification>,
    arrived: u64,
}

/// Why a wait was over.
enum Woken {
    Due,
    Stopped,
}

impl Play {
    fn go(&mut self, places: &Places, length: Length) -> Result<(), Trouble> {
        let Some(port) = self.wait_ready()? else {
            return Ok(());
        };
        self.show.welcome(port, self.receiver.url(), places);
        let mut producer = Producer::connect(port).map_err(|cause| Trouble::File {
            what: format!("cannot reach the node's Redis at 127.0.0.1:{port}"),
            cause,
        })?;
        match length {
            Length::UntilStopped => self.until_stopped(&mut producer),
            Length::Once => self.once(&mut producer),
        }
    }

    /// The port of the node's Redis once the node takes messages; none when the user stopped first.
    fn wait_ready(&mut self) -> Result<Option<u16>, Trouble> {
        let limit = Instant::now() + START;
        let mut port = None;
        loop {
            match self.inbox.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(Event::Log(line)) => {
                    self.show.log(&line);
                    port = port.or_else(|| node::port_in(&line));
                    if let (true, Some(port)) = (node::says_ready(&line), port) {
                        return Ok(Some(port));
                    }
                }
                Ok(Event::Arrived(_)) => {}
                Ok(Event::Stop) => return Ok(None),
                Ok(Event::NodeEnded) => return Err(ended()),
                Err(_) => {
                    return Err(Trouble::Stuck(format!("the node was not ready within {START:?}")));
                }
            }
        }
    }

    fn until_stopped(&mut self, producer: &mut Producer) -> Result<(), Trouble> {
        for number in 1.. {
            self.push(producer, number)?;
            if matches!(self.attend(Instant::now() + PACE, None)?, Woken::Stopped) {
                break;
            }
        }
        Ok(())
    }

    fn once(&mut self, producer: &mut Producer) -> Result<(), Trouble> {
        let start = Instant::now();
        for number in 1..=ONCE {
            self.push(producer, number)?;
            if matches!(self.attend(Instant::now() + ONCE_PACE, None)?, Woken::Stopped) {
                return Err(Trouble::Stuck("stopped before the end".to_owned()));
            }
        }
        if matches!(self.attend(start + ONCE_LIMIT, Some(ONCE))?, Woken::Stopped) {
            return Err(Trouble::Stuck("stopped before the end".to_owned()));
        }
        if self.arrived < ONCE {
            return Err(Trouble::Stuck(format!(
                "only {} of {ONCE} messages arrived within {ONCE_LIMIT:?}; the node's log above says why",
                self.arrived
            )));
        }
        self.show.summary(self.arrived, start.elapsed());
        Ok(())
    }

    fn push(&mut self, producer: &mut Producer, number: u64) -> Result<(), Trouble> {
        let notification = Notification::number(number);
        producer
            .push(LIST, notification.json())
            .map_err(|cause| Trouble::File { what: "cannot push to the node's Redis".to_owned(), cause })?;
        self.pushed.insert(number, notification);
        // Whatever a filter drops never arrives; it must not be remembered for ever.
        if self.pushed.len() > 1000 {
            self.pushed.pop_first();
        }
        Ok(())
    }

    /// Shows what happens until `due`, or until `enough` messages have arrived.
    fn attend(&mut self, due: Instant, enough: Option<u64>) -> Result<Woken, Trouble> {
        while enough.is_none_or(|enough| self.arrived < enough) {
            match self.inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Event::Log(line)) => self.show.log(&line),
                Ok(Event::Arrived(request)) => self.arrive(&request),
                Ok(Event::Stop) => return Ok(Woken::Stopped),
                Ok(Event::NodeEnded) => return Err(ended()),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Ok(Woken::Due);
                }
            }
        }
        Ok(Woken::Due)
    }

    fn arrive(&mut self, request: &http::Request) {
        let body = String::from_utf8_lossy(&request.body);
        let before = notifications::number_in(&body).and_then(|number| self.pushed.remove(&number));
        self.arrived += u64::from(before.is_some());
        self.show.arrival(before.as_ref(), request, &body);
    }

    /// Lets the node finish what it has, and shows that.
    fn stop(mut self) -> Result<(), Trouble> {
        say("stopping the node; what it has taken is delivered first");
        self.node.ask_to_end();
        let limit = Instant::now() + STOP;
        loop {
            match self.inbox.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(Event::Log(line)) => self.show.log(&line),
                Ok(Event::Arrived(request)) => self.arrive(&request),
                Ok(Event::Stop) => self.node.ask_to_end(),
                Ok(Event::NodeEnded) => return self.node.end(),
                Err(_) => {
                    return Err(Trouble::Stuck(format!("the node did not stop within {STOP:?} and was killed")));
                }
            }
        }
    }
}

/// Where the demo's node keeps what is its own.
struct DataDir {
    path: PathBuf,
    length: Length,
}

impl DataDir {
    /// A lasting one, or for a single run one of its own, so that runs side by side do not meet.
    fn make(places: &Places, length: Length) -> Result<Self, Trouble> {
        let path = match length {
            Length::UntilStopped => places.target.join("demo"),
            Length::Once => places.target.join(format!("demo-once-{}", std::process::id())),
        };
        fs::create_dir_all(&path)
            .map_err(|cause| Trouble::File { what: format!("cannot make {}", path.display()), cause })?;
        Ok(Self { path, length })
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.length == Length::Once {
            // Left behind, it would only take up room in the target directory.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn stop_on_ctrl_c(events: SyncSender<Event>) -> Result<(), Trouble> {
    let listening = Signals::new([SIGINT, SIGTERM]);
    let mut signals =
        listening.map_err(|cause| Trouble::File { what: "cannot listen for Ctrl-C".to_owned(), cause })?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if events.send(Event::Stop).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn ended() -> Trouble {
    Trouble::Stuck("the node ended by itself; its log above says why".to_owned())
}
