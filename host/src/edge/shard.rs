//! A thread with clients of its own: it accepts them, writes to them what is published, and looks at each now and then.
//! Nothing here is shared with other threads but the hub, the limits and the settings.

use super::{
    Shared, access,
    audience::{Audience, Written, written},
    hub::Order,
    limits::{Crowded, Place},
    listen,
    message::{Bye, Message},
    settings::Settings,
    subscriber::{End, Subscriber},
    wheel::Wheel,
};
use crate::{event, random};
use std::{
    cell::{Cell, RefCell, RefMut},
    collections::HashMap,
    future::poll_fn,
    io,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

/// Bytes that are read from a client at once.
const SCRATCH: usize = 16 << 10;
/// Messages, and bytes of them, that are written to a client at once.
const BATCH: usize = 1_024;
const BATCH_BYTES: usize = 128 << 10;
/// Clients that are written to before others have their turn.
const IN_A_ROW: usize = 1_024;
/// Before accepting is tried again where it failed, most often for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// Between those that are sent away at once.
const STEP: Duration = Duration::from_millis(20);
/// For connections to end by themselves when the node does.
const LAST: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Shard {
    index: usize,
    shared: Arc<Shared>,
    audiences: RefCell<HashMap<Arc<str>, Rc<Audience>>>,
    wheel: RefCell<Wheel<Weak<Subscriber>>>,
    /// Those that do not take what waits for them, or are to go.
    attended: RefCell<Vec<Weak<Subscriber>>>,
    scratch: RefCell<Box<[u8]>>,
    second: Cell<u32>,
    tasks: TaskTracker,
}

/// Runs a shard to its end, on the thread that this is called on.
pub(super) fn run(
    index: usize,
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    orders: mpsc::Receiver<Order>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let shard = Rc::new(Shard {
        index,
        shared,
        audiences: RefCell::default(),
        wheel: RefCell::default(),
        attended: RefCell::default(),
        scratch: RefCell::new(vec![0; SCRATCH].into()),
        second: Cell::new(1),
        tasks: TaskTracker::new(),
    });
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        drop(shard.tasks.spawn_local(Rc::clone(&shard).accept(listener)));
        drop(shard.tasks.spawn_local(Rc::clone(&shard).tick()));
        shard.dispatch(orders).await;
        shard.tasks.close();
        // What has not ended by then ends with the runtime.
        drop(timeout(LAST, shard.tasks.wait()).await);
        Ok(())
    })
}

impl Shard {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn epoch(&self) -> &str {
        self.shared.hub.epoch()
    }

    pub(super) fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.shared.settings.load()
    }

    /// Seconds since it began, at least 1.
    pub(super) fn second(&self) -> u32 {
        self.second.get()
    }

    /// Where clients' bytes are read to, for as long as nobody waits.
    pub(super) fn scratch(&self) -> RefMut<'_, Box<[u8]>> {
        self.scratch.borrow_mut()
    }

    /// When a client that is sent away is to come back: each at another time.
    pub(super) fn retry_ms(&self) -> u64 {
        let reconnect = self.settings().edge.reconnect;
        u64::try_from(reconnect.mul_f64(1.0 + random::jitter()).as_millis()).unwrap_or(u64::MAX)
    }

    /// Looks at `subscriber` every second until it needs that no more.
    pub(super) fn attend(&self, subscriber: Weak<Subscriber>) {
        self.attended.borrow_mut().push(subscriber);
    }

    /// Those who listen to a channel here.
    pub(super) fn audience(&self, channel: &Arc<str>) -> Rc<Audience> {
        let mut audiences = self.audiences.borrow_mut();
        let audience = audiences.entry(Arc::clone(channel)).or_insert_with(|| Rc::new(Audience::new(channel)));
        Rc::clone(audience)
    }

    /// Looks at `subscriber` now and then.
    pub(super) fn watch(&self, subscriber: &Rc<Subscriber>) {
        let settings = self.settings();
        let ping = seconds(settings.edge.timeouts.ping);
        // Each at another time, and the first time within one interval.
        let first = 1 + (random::jitter() * f64::from(ping)) as u32;
        self.wheel.borrow_mut().schedule(Rc::downgrade(subscriber), first.min(ping));
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        let quiet = self.shared.quiet.clone();
        while let Some(accepted) = quiet.run_until_cancelled(listener.accept()).await {
            let Ok((stream, peer)) = accepted else {
                event::edge_cannot_accept(&self.shared.told);
                sleep(PAUSE).await;
                continue;
            };
            let entered = self.shared.limits.enter(peer.ip(), &self.settings().edge.limits, Instant::now());
            match entered {
                Ok(place) => drop(self.tasks.spawn_local(Rc::clone(&self).talk(stream, place))),
                Err(crowded) => self.turn_away(&stream, crowded),
            }
        }
    }

    fn turn_away(&self, stream: &TcpStream, crowded: Crowded) {
        let (status, why) = match crowded {
            Crowded::Node => (503, "there are as many connections as there may be"),
            Crowded::Address => (429, "there are as many connections from this address as there may be"),
            Crowded::Fast => (429, "connections from this address come too fast"),
        };
        event::edge_turned_away(&self.shared.told, why);
        listen::refuse(stream, status, why);
    }

    /// A connection from its first request to its end. What a request needs is boxed, so that whoever only listens has little.
    async fn talk(self: Rc<Self>, stream: TcpStream, place: Place) {
        let mut next = Some((stream, place));
        while let Some((stream, place)) = next.take() {
            let Some(subscriber) = Box::pin(listen::greet(&self, stream, place)).await else { return };
            if let End::Next(stream, place) = self.listen(subscriber).await {
                next = Some((stream, place));
            }
        }
    }

    async fn listen(&self, subscriber: Rc<Subscriber>) -> End {
        let seated = Seated { shard: self, subscriber };
        poll_fn(|cx| seated.subscriber.poll(cx, self)).await;
        let subscriber = Rc::clone(&seated.subscriber);
        drop(seated);
        Rc::into_inner(subscriber).map_or(End::Over, Subscriber::into_end)
    }

    /// Writes what is published, at once when it is quiet and in batches when it is not.
    async fn dispatch(&self, mut orders: mpsc::Receiver<Order>) {
        let mut last: Option<Instant> = None;
        while let Some(order) = orders.recv().await {
            let (message, permit) = match order {
                Order::Deliver(message, permit) => (message, permit),
                Order::Drain(within) => {
                    self.drain(within).await;
                    continue;
                }
                Order::Stop => return,
            };
            let coalesce = self.settings().edge.coalesce;
            if let Some(last) = last.filter(|last| last.elapsed() < coalesce) {
                sleep_until((last + coalesce).into()).await;
            }
            let mut batch = Batch { bytes: message.data.len(), messages: vec![message], permits: vec![permit] };
            let other = batch.fill(&mut orders);
            self.write(&batch.messages).await;
            drop(batch);
            last = Some(Instant::now());
            match other {
                Some(Order::Drain(within)) => self.drain(within).await,
                Some(Order::Stop) => return,
                Some(Order::Deliver(..)) | None => {}
            }
        }
    }

    /// Writes messages, in their order, to everybody who listens to their channels.
    async fn write(&self, batch: &[Arc<Message>]) {
        let mut channels: Vec<&Arc<str>> = Vec::new();
        for message in batch {
            if !channels.iter().rev().any(|channel| **channel == message.channel) {
                channels.push(&message.channel);
            }
        }
        let (mut several, mut count) = (Vec::new(), 0);
        for channel in channels {
            let Some(audience) = self.audiences.borrow().get(channel).cloned() else { continue };
            let of_channel = batch.iter().filter(|message| message.channel == *channel);
            let settings = self.settings().clone();
            let mut written = Written::new(settings.voice(self.epoch()), of_channel.map(|message| &**message));
            let mut first = 0;
            while first < audience.width() {
                count += written.len() * audience.write(first..first + IN_A_ROW, &mut written, &mut several);
                first += IN_A_ROW;
                if first < audience.width() {
                    tokio::task::yield_now().await;
                }
            }
        }
        for subscriber in several {
            subscriber.unmark();
            count += self.write_several(&subscriber, batch);
        }
        event::edge_delivered(count);
    }

    /// Writes what a subscriber of several channels listens to, in one piece. Returns how many that is.
    fn write_several(&self, subscriber: &Subscriber, batch: &[Arc<Message>]) -> usize {
        let fresh =
            |message: &&Arc<Message>| subscriber.since(&message.channel).is_some_and(|since| since < message.sequence);
        let fresh: Vec<&Arc<Message>> = batch.iter().filter(fresh).collect();
        if let Some(last) = fresh.last() {
            let settings = self.settings();
            let messages = fresh.iter().map(|message| &***message);
            let bytes = written(settings.voice(self.epoch()), subscriber.form(), messages);
            subscriber.send(&bytes, last);
        }
        fresh.len()
    }

    /// Sends everybody away, some after the others.
    async fn drain(&self, within: Duration) {
        let all: Vec<Weak<Subscriber>> = self.wheel.borrow().all().cloned().collect();
        let steps = (within.as_millis() / STEP.as_millis()).max(1) as usize;
        for some in all.chunks(all.len().div_ceil(steps).max(1)) {
            some.iter().filter_map(Weak::upgrade).for_each(|subscriber| subscriber.bye(Bye::Draining));
            sleep(STEP).await;
        }
        // Those who came meanwhile.
        let all: Vec<Weak<Subscriber>> = self.wheel.borrow().all().cloned().collect();
        all.iter().filter_map(Weak::upgrade).for_each(|subscriber| subscriber.bye(Bye::Draining));
    }

    /// Once a second: who is due, who is slow; and what of histories is too old.
    async fn tick(self: Rc<Self>) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ticks.tick().await;
        while self.shared.stopped.run_until_cancelled(ticks.tick()).await.is_some() {
            self.second.set(self.second.get().saturating_add(1));
            self.look();
            self.hurry();
            if self.index == 0 {
                self.shared.hub.sweep();
            }
        }
    }

    fn look(&self) {
        let (now, clock) = (self.second(), access::now());
        let (ping, pong) = {
            let settings = self.settings();
            (seconds(settings.edge.timeouts.ping), seconds(settings.edge.timeouts.pong))
        };
        let due = self.wheel.borrow_mut().turn();
        for subscriber in due {
            let Some(again) = subscriber.upgrade().and_then(|subscriber| subscriber.look(now, clock, ping, pong))
            else {
                continue;
            };
            self.wheel.borrow_mut().schedule(subscriber, again);
        }
    }

    fn hurry(&self) {
        let (now, stall) = (self.second(), seconds(self.settings().edge.timeouts.stall));
        let mut attended = std::mem::take(&mut *self.attended.borrow_mut());
        attended.retain(|subscriber| subscriber.upgrade().is_some_and(|subscriber| subscriber.hurry(now, stall)));
        self.attended.borrow_mut().append(&mut attended);
    }
}

/// What is written at once, and the permits for it.
struct Batch {
    messages: Vec<Arc<Message>>,
    permits: Vec<Arc<tokio::sync::OwnedSemaphorePermit>>,
    bytes: usize,
}

impl Batch {
    /// Takes what else is there, up to an order of another kind, which is returned.
    fn fill(&mut self, orders: &mut mpsc::Receiver<Order>) -> Option<Order> {
        while self.messages.len() < BATCH && self.bytes < BATCH_BYTES {
            match orders.try_recv().ok()? {
                Order::Deliver(message, permit) => {
                    self.bytes += message.data.len();
                    self.messages.push(message);
                    self.permits.push(permit);
                }
                other => return Some(other),
            }
        }
        None
    }
}

/// A subscriber for as long as its connection is read; its seats are given back whatever ends that.
struct Seated<'a> {
    shard: &'a Shard,
    subscriber: Rc<Subscriber>,
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        for (audience, seat) in self.subscriber.leave() {
            if audience.leave(seat) {
                self.shard.audiences.borrow_mut().remove(&audience.channel);
            }
            self.shard.shared.hub.leave(self.shard.index, &audience.channel);
        }
        event::edge_left();
    }
}

/// Whole seconds, at least one.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}
