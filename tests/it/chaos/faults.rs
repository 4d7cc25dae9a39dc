//! What goes wrong: chosen by chance, ended in time, and counted by what it may make come twice.

use super::{
    IN_FLIGHT, KINDS, LEASE, NODES, Random, TICK, config,
    place::Place,
    weather::{Sky, Weather},
};
use gristmill_tests::{Ending, Fault, Proxy, Redis, Sink, eventually::pause, guest_bytes};
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

/// What one node may have in flight, and in its lanes what it has settled behind that.
const HELD: usize = KINDS.len() * IN_FLIGHT * 2;

/// The world, and who spoils it.
pub(super) struct Faults {
    pub(super) redis: Redis,
    pub(super) sink: Sink,
    pub(super) weather: Weather,
    pub(super) seed: u64,
    /// How many repetitions the faults up to now explain.
    pub(super) allowed: usize,
    places: Vec<Place>,
    random: Random,
    begun: Instant,
    redis_back: Option<Instant>,
    fair_again: Option<Instant>,
    version: u8,
    story: String,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Kill,
    Freeze,
    KillClients,
    Network,
    KillRedis,
    Swap,
    Sink,
}

/// Each as often as it stands here.
const DEEDS: [Deed; 12] = [
    Deed::Kill,
    Deed::Kill,
    Deed::Kill,
    Deed::Freeze,
    Deed::Freeze,
    Deed::KillClients,
    Deed::Network,
    Deed::Network,
    Deed::Network,
    Deed::KillRedis,
    Deed::Swap,
    Deed::Sink,
];

impl Faults {
    /// Starts the nodes, each behind a proxy of its own.
    pub(super) fn over(redis: Redis, seed: u64) -> Self {
        let (sink, begun) = (Sink::start(), Instant::now());
        let config = config(&sink.url(), &sink.authority());
        let place = |_| Place::new(Proxy::to(redis.socket().as_path()), &config, begun);
        let places = (0..NODES).map(place).collect();
        let (weather, random) = (Weather::over(&sink), Random::new(seed));
        Self {
            redis,
            sink,
            weather,
            seed,
            allowed: 0,
            places,
            random,
            begun,
            redis_back: None,
            fair_again: None,
            version: 0,
            story: String::new(),
        }
    }

    /// Does one thing after another for `period`.
    pub(super) fn rage(&mut self, period: Duration) {
        let mut next = self.begun + Duration::from_secs(2);
        while self.begun.elapsed() < period {
            self.tick();
            if Instant::now() >= next {
                let deed = self.random.one_of(&DEEDS);
                self.commit(deed);
                next = Instant::now() + self.random.millis(100, 900);
            }
            pause(TICK);
        }
    }

    /// Ends all that goes wrong.
    pub(super) fn end(&mut self) {
        if self.redis_back.take().is_some() {
            self.redis.restart();
        }
        self.weather.set(Sky::Fair);
        let now = Instant::now();
        self.places.iter_mut().for_each(|place| place.heal(now));
        while !self.places.iter().all(Place::is_well) {
            self.tick();
            pause(TICK);
        }
    }

    /// What has been done, line by line.
    pub(super) fn story(&self) -> String {
        self.story.clone()
    }

    /// Ends all nodes in peace.
    pub(super) fn terminate(&mut self) {
        self.tick();
        let codes: Vec<_> = self.places.iter_mut().map(Place::terminate).collect();
        assert_eq!(codes, vec![Some(0); NODES], "with seed {}:\n{}", self.seed, self.story);
    }

    /// Whether of our own keys only dead letters are there.
    pub(super) fn only_the_dead_are_left(&self) -> bool {
        self.redis.keys("gristmill:*").iter().all(|key| key.ends_with(":dead"))
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.redis_back.is_some_and(|back| back <= now) {
            self.redis_back = None;
            self.redis.restart();
        }
        if self.fair_again.is_some_and(|again| again <= now) {
            self.fair_again = None;
            self.weather.set(Sky::Fair);
        }
        let up = self.redis.is_up();
        self.places.iter_mut().for_each(|place| place.tick(now, up));
    }

    fn commit(&mut self, deed: Deed) {
        match deed {
            Deed::Kill => self.kill(),
            Deed::Freeze => self.freeze(),
            Deed::KillClients if self.redis.is_up() => {
                self.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                self.tell("all clients are cut off", NODES * HELD);
            }
            Deed::KillClients => {}
            Deed::Network => self.network(),
            Deed::KillRedis => self.kill_redis(),
            Deed::Swap => self.swap(),
            Deed::Sink => self.sink(),
        }
    }

    fn kill(&mut self) {
        let (number, down) = (self.number(), self.random.millis(0, 1_500));
        if self.places[number].is_well() {
            self.places[number].kill(Instant::now() + down);
            self.tell(&format!("node {number} is killed for {down:?}"), HELD);
        }
    }

    fn freeze(&mut self) {
        let (number, frozen) = (self.number(), self.random.millis(100, 2 * LEASE.as_millis() as u64));
        if self.places[number].is_well() {
            self.places[number].freeze(Instant::now() + frozen);
            self.tell(&format!("node {number} is frozen for {frozen:?}"), HELD);
        }
    }

    fn network(&mut self) {
        let (number, period) = (self.number(), self.random.millis(200, 2_500));
        let place = &mut self.places[number];
        if self.random.below(5) == 0 {
            place.mill.redis.kill_all();
            return self.tell(&format!("node {number} loses its connections"), HELD);
        }
        let delay = Fault::Delay { to_server: self.random.millis(1, 200), to_client: self.random.millis(1, 200) };
        let ending = self.random.one_of(&[Ending::Reset, Ending::Close]);
        let cut = self.random.below(5_000);
        let fault = self.random.one_of(&[
            delay,
            Fault::Chunks(1),
            Fault::Rate(20_000),
            Fault::Cut(cut, ending),
            Fault::CutOnce(cut, ending),
            Fault::BlackHole,
            Fault::Refuse,
            Fault::Hang,
        ]);
        place.spoil(fault, Instant::now() + period);
        self.tell(&format!("{fault:?} before node {number} for {period:?}"), HELD);
    }

    fn kill_redis(&mut self) {
        let down = self.random.millis(50, 1_500);
        if self.redis.is_up() {
            self.redis.kill9();
            self.redis_back = Some(Instant::now() + down);
            self.tell(&format!("Redis is killed for {down:?}"), NODES * HELD);
        }
    }

    /// A custom section makes a different file of the same program: id 0, three bytes, a name of one and a number.
    fn swap(&mut self) {
        self.version = self.version.wrapping_add(1);
        let mut bytes = guest_bytes("stamp");
        bytes.extend([0, 3, 1, b'v', self.version]);
        let number = self.number();
        self.places[number].swap("stamp", &bytes);
        self.tell(&format!("node {number} swaps a plugin"), 0);
    }

    fn sink(&mut self) {
        let period = self.random.millis(300, 1_500);
        let slow = Sky::Slow(self.random.millis(50, 500));
        let sky = self.random.one_of(&[Sky::Failing(3), Sky::Failing(10), slow]);
        self.weather.set(sky);
        self.fair_again = Some(Instant::now() + period);
        self.tell(&format!("the sink is {sky:?} for {period:?}"), 0);
    }

    fn number(&mut self) -> usize {
        self.random.below(NODES as u64) as usize
    }

    fn tell(&mut self, what: &str, allowed: usize) {
        self.allowed += allowed;
        let at = self.begun.elapsed().as_secs_f32();
        writeln!(self.story, "{at:6.2} {what}, may repeat {allowed}").expect("a string takes everything");
    }
}
