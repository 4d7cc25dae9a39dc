//! What goes wrong: chosen by chance, ended in time, and counted by what it may make come twice.

use super::{
    IN_FLIGHT, KINDS, LEASE, NODES, Random, TICK, config, held,
    place::Place,
    weather::{Sky, Weather},
};
use gristmill_tests::{Ending, Fault, Proxy, Redis, Sink, eventually::pause, guest_bytes};
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

/// What one node may have in flight.
const HELD: usize = KINDS.len() * IN_FLIGHT;
/// A node that cannot work for so long may lose its lease, which it renews every third of it; and
/// after a longer silence it comes back only some time after it could.
const SILENT: Duration = Duration::from_millis(LEASE.as_millis() as u64 / 4);

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
    /// Since when Redis is down, and until when.
    redis_down: Option<(Instant, Instant)>,
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
            redis_down: None,
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
        self.restart_redis();
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

    /// What nodes that are gone had registered, and nobody has removed yet.
    pub(super) fn registered_by_the_dead(&self) -> Vec<String> {
        let living: Vec<u32> = self.places.iter().filter_map(Place::id).collect();
        // In the names of lanes, and in those of Resque workers.
        let lives = |name: &String| {
            living.iter().any(|id| name.contains(&format!("-{id}-")) || name.contains(&format!(":{id}:")))
        };
        let hashes =
            ["gristmill:*:lanes", "gristmill:*:workers"].into_iter().flat_map(|pattern| self.redis.keys(pattern));
        let names = hashes.flat_map(|key| self.redis.ask::<Vec<String>>(&["HKEYS", &key]));
        names.filter(|name| !lives(name)).collect()
    }

    /// Our own keys that hold no dead letters, with what they hold.
    pub(super) fn left_beside_the_dead(&self) -> Vec<String> {
        let mut keys = self.redis.keys("gristmill:*");
        keys.retain(|key| !key.ends_with(":dead"));
        let shown = |key: String| match self.redis.ask::<String>(&["TYPE", &key]).as_str() {
            "hash" => format!("{key}: {:?}", self.redis.ask::<Vec<String>>(&["HGETALL", &key])),
            kind => format!("{key}: a {kind}"),
        };
        keys.into_iter().map(shown).collect()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.redis_down.is_some_and(|(_, until)| until <= now) {
            self.restart_redis();
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
                self.tell("all clients are cut off", 0);
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
            let id = self.places[number].kill(Instant::now() + down);
            let held = self.held(|redis| id.map_or(0, |id| held::by_node(redis, id)), HELD);
            self.tell(&format!("node {number} is killed for {down:?}"), held);
        }
    }

    fn freeze(&mut self) {
        let (number, frozen) = (self.number(), self.random.millis(100, 2 * LEASE.as_millis() as u64));
        if self.places[number].is_well() {
            self.places[number].freeze(Instant::now() + frozen);
            self.tell(&format!("node {number} is frozen for {frozen:?}"), if frozen > SILENT { HELD } else { 0 });
        }
    }

    fn network(&mut self) {
        let (number, period) = (self.number(), self.random.millis(200, 2_500));
        let place = &mut self.places[number];
        if self.random.below(5) == 0 {
            place.mill.redis.kill_all();
            return self.tell(&format!("node {number} loses its connections"), 0);
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
        let bad = place.spoil(fault, Instant::now() + period);
        let held = if bad > SILENT { HELD } else { 0 };
        self.tell(&format!("{fault:?} before node {number} for {period:?}"), held);
    }

    fn kill_redis(&mut self) {
        let down = self.random.millis(50, 1_500);
        if self.redis.is_up() {
            self.redis.kill9();
            self.redis_down = Some((Instant::now(), Instant::now() + down));
            self.tell(&format!("Redis is killed for {down:?}"), 0);
        }
    }

    /// What is in flight then may come twice where it was away for long; it had written down all that it did.
    fn restart_redis(&mut self) {
        let Some((since, _)) = self.redis_down.take() else { return };
        self.redis.restart();
        let away = since.elapsed();
        let held = if away > SILENT { self.held(held::by_all, NODES * HELD) } else { 0 };
        self.tell(&format!("Redis is back after {away:?}"), held);
    }

    /// What `count` finds in Redis; `most` where it does not do so in time.
    fn held(&self, count: impl Fn(&Redis) -> usize, most: usize) -> usize {
        let began = Instant::now();
        let held = if self.redis.is_up() { count(&self.redis) } else { most };
        if began.elapsed() > LEASE / 10 { most } else { held.min(most) }
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
