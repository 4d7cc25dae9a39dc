//! One server that requests go to: how many it gets, how fast, and whether any.

use super::{
    breaker::{Breaker, Circuit, Gate},
    crowd::Crowd,
    parked::{Most, Parked},
    tokens::Tokens,
    word::{self, Told},
};
use crate::{
    config,
    connection::Connector,
    event,
    request::{Failure, HttpReply},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long a message waits here before it is put back, so that others have its place.
const WAIT: Duration = Duration::from_secs(1);
/// How often those look again that wait here as there is no room where they could be put back.
const LOOK: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(in crate::effect) struct Endpoint {
    pub(super) name: String,
    state: Mutex<State>,
    /// As many as the server gets at once; those beyond are the `debt`.
    places: Arc<Semaphore>,
    tokens: Tokens,
    story: event::EndpointStory,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    crowd: Crowd,
    parked: Parked,
    /// It has asked to be left alone until then.
    held: Option<Instant>,
    /// Places that were taken away while they were in use.
    debt: usize,
    /// What `places` amounts to, without the debt.
    width: usize,
    under_way: usize,
    /// Since when something is under way without any reply.
    silent: Instant,
    used: Instant,
    seen: Seen,
}

/// What an endpoint has seen since the node knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) put_back: u64,
    /// By the first digit of the status, from 1; the last are those without a reply.
    pub(super) classes: [u64; CLASSES.len()],
    /// Requests that had to wait for a place or a token, or were put back.
    pub(super) waits: u64,
    /// How long those waited here.
    pub(super) waited: Duration,
}

/// What came of requests, as labels name it.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

impl Seen {
    fn replied(&mut self, reply: &Result<HttpReply, Failure>) {
        let class = match reply {
            Ok(reply) => usize::from(reply.status / 100).wrapping_sub(1),
            Err(Failure::Unreachable(_) | Failure::TooLarge(_)) => CLASSES.len() - 1,
            // It was not even asked.
            Err(Failure::Denied(_) | Failure::Invalid(_)) => return,
        };
        self.classes.get_mut(class).into_iter().for_each(|count| *count += 1);
    }

    fn waited(&mut self, since: Instant) {
        self.waits += 1;
        self.waited += since.elapsed();
    }
}

/// An endpoint at one moment.
pub(super) struct View {
    pub(super) circuit: Circuit,
    pub(super) limit: usize,
    pub(super) under_way: usize,
    pub(super) held: Duration,
    pub(super) takes: Duration,
    pub(super) seen: Seen,
}

/// Nothing may be sent to an endpoint for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When to come again.
    pub after: Duration,
}

/// A place among the requests that are under way at once; given back when it is dropped.
struct Place {
    endpoint: Arc<Endpoint>,
    permit: Option<OwnedSemaphorePermit>,
}

/// The right to send one request; what became of it has to be told.
pub struct Pass {
    place: Place,
    probe: bool,
    since: Instant,
    /// Whether it is known what became of it, and nothing is held any more.
    told: bool,
}

impl Endpoint {
    pub(super) fn new(name: &str, settings: &config::Endpoint, connector: Option<&Connector>) -> Arc<Self> {
        let now = Instant::now();
        let width = settings.in_flight.min(Semaphore::MAX_PERMITS);
        let state = State {
            breaker: Breaker::new(settings.breaker.clone(), now),
            crowd: Crowd::new(width),
            parked: Parked::new(settings.rate.as_ref(), now),
            held: None,
            debt: 0,
            width,
            under_way: 0,
            silent: now,
            used: now,
            seen: Seen::default(),
        };
        Arc::new(Self {
            name: name.to_owned(),
            state: Mutex::new(state),
            places: Arc::new(Semaphore::new(width)),
            tokens: Tokens::new(name, settings.rate.as_ref(), connector),
            story: event::EndpointStory::default(),
        })
    }

    /// Something else is said of the endpoint now. What is known of it stays known.
    pub(super) fn change(&self, before: &config::Endpoint, said: &config::Endpoint, connector: Option<&Connector>) {
        let now = Instant::now();
        let mut state = self.state();
        if before.breaker != said.breaker {
            state.breaker.change(said.breaker.clone(), now);
        }
        if (&before.tls, &before.proxy) != (&said.tls, &said.proxy) {
            state.breaker.try_again(now);
        }
        if before.in_flight != said.in_flight {
            state.crowd.change(said.in_flight.min(Semaphore::MAX_PERMITS));
            self.fit(&mut state);
        }
        if before.rate != said.rate {
            state.parked.change(said.rate.as_ref(), now);
            self.tokens.change(&self.name, said.rate.as_ref(), connector);
        }
    }

    /// The right to send a request. Where that takes long, `Held` says when to come again, unless so many do already; it is not waited for
    /// once `quiet` is cancelled.
    pub(super) async fn pass(self: &Arc<Self>, away: Most, quiet: &CancellationToken) -> Result<Pass, Held> {
        match self.pass_at_once() {
            Some(pass) => Ok(pass),
            // Rare, so that it has no room in the future of each message.
            None => Box::pin(self.pass_later(away, quiet)).await,
        }
    }

    /// The way of almost every request: there is a place, and nothing that has to be waited for.
    fn pass_at_once(self: &Arc<Self>) -> Option<Pass> {
        if !self.tokens.are_unlimited() {
            return None;
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Place { endpoint: Arc::clone(self), permit: Some(permit) }.begin()
    }

    async fn pass_later(self: &Arc<Self>, away: Most, quiet: &CancellationToken) -> Result<Pass, Held> {
        let since = Instant::now();
        let pass = self.wait_for_pass(away, quiet).await;
        self.state().seen.waited(since);
        pass
    }

    async fn wait_for_pass(self: &Arc<Self>, away: Most, quiet: &CancellationToken) -> Result<Pass, Held> {
        loop {
            let now = Instant::now();
            let shut = self.shut(now);
            if shut.is_none() {
                match timeout(WAIT, self.place()).await {
                    Ok(place) => match place.begin() {
                        Some(pass) => return Ok(pass),
                        // It was shut while this one waited.
                        None => continue,
                    },
                    Err(_elapsed) => {}
                }
            }
            let until = shut.unwrap_or_else(Instant::now);
            let most = if quiet.is_cancelled() { Most::All } else { away };
            if let Some(held) = self.put_back(until, most) {
                return Err(held);
            }
            let look = LOOK.min(until.saturating_duration_since(now));
            // Either is what is waited for.
            let _quiet = timeout(look, quiet.cancelled()).await.is_ok();
        }
    }

    /// The same for a message of which something was sent already: it waits for its turn, and only where the endpoint is left alone it is told so.
    pub(super) async fn pass_of_begun(self: &Arc<Self>) -> Result<Pass, Held> {
        if let Some(pass) = self.pass_at_once() {
            return Ok(pass);
        }
        let since = Instant::now();
        let pass = self.wait_for_turn().await;
        self.state().seen.waited(since);
        pass
    }

    async fn wait_for_turn(self: &Arc<Self>) -> Result<Pass, Held> {
        loop {
            let now = Instant::now();
            if let Some(until) = self.shut(now) {
                return Err(Held { after: until.saturating_duration_since(now) });
            }
            if let Some(pass) = self.place().await.begin() {
                return Ok(pass);
            }
        }
    }

    /// When one that is not sent now should come again; none where too many are to do so already.
    pub(super) fn put_back(&self, until: Instant, most: Most) -> Option<Held> {
        let now = Instant::now();
        let mut state = self.state();
        let each = state.crowd.takes() / state.crowd.limit().max(1) as u32;
        let slot = state.parked.slot(until, each, now, most)?;
        state.seen.put_back += 1;
        Some(Held { after: slot.saturating_duration_since(now) })
    }

    /// Until when nothing is sent; none if something may be.
    fn shut(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        state.held.filter(|held| *held > now).max(state.breaker.shut(now))
    }

    /// Waits for a place and a token.
    async fn place(self: &Arc<Self>) -> Place {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        let place = Place { endpoint: Arc::clone(self), permit };
        self.tokens.one().await;
        place
    }

    /// How long a reply takes, or has been waited for.
    pub(super) fn takes(&self, now: Instant) -> Duration {
        let state = self.state();
        let silent = if state.under_way > 0 { now.saturating_duration_since(state.silent) } else { Duration::ZERO };
        state.crowd.takes().max(silent)
    }

    /// Whether it was used since `when`, or something is under way or to come again.
    pub(super) fn is_used_since(&self, when: Instant) -> bool {
        let state = self.state();
        state.used >= when || state.under_way > 0 || state.held.is_some_and(|held| held >= when)
    }

    pub(super) fn view(&self) -> View {
        let now = Instant::now();
        let state = self.state();
        View {
            circuit: state.breaker.circuit(),
            limit: state.width,
            under_way: state.under_way,
            held: state.held.map_or(Duration::ZERO, |held| held.saturating_duration_since(now)),
            takes: state.crowd.takes(),
            seen: state.seen,
        }
    }

    /// A request of `pass` was answered so, which gives its `place` back.
    fn answered(&self, pass: &Pass, place: Option<OwnedSemaphorePermit>, reply: &Result<HttpReply, Failure>) {
        let now = Instant::now();
        let told = word::told(reply);
        let pause = reply.as_ref().ok().and_then(|reply| word::pause(reply, SystemTime::now()));
        let mut state = self.state();
        state.seen.replied(reply);
        let under_way = state.under_way;
        let failed = matches!(told, Told::Failing(_));
        let (before, mut changed) = (state.breaker.circuit(), false);
        if told == Told::Nothing {
            if pass.probe {
                state.breaker.abandoned(now);
            }
        } else {
            state.seen.failures += u64::from(failed);
            let overloaded = matches!(told, Told::TooMany | Told::Failing(true));
            state.crowd.replied(now.saturating_duration_since(pass.since), overloaded, under_way);
            changed = state.breaker.ended(!failed, pass.probe, now);
            if changed && before == Circuit::HalfOpen {
                state.crowd.begin_again();
            }
            self.fit(&mut state);
        }
        let held = pause.map(|pause| now + pause);
        let asks = held.is_some() && state.held.is_none_or(|known| known <= now);
        state.held = state.held.max(held);
        state.ended(now);
        let place = state.paid_with(place);
        drop(state);
        drop(place);
        match before {
            _ if !changed => {}
            Circuit::HalfOpen => event::endpoint_back(&self.name),
            Circuit::Closed | Circuit::Open => event::endpoint_fails(&self.name, &reason(reply)),
        }
        if let Some(pause) = pause.filter(|_| asks) {
            event::endpoint_asks(&self.story, &self.name, pause);
        }
    }

    /// Makes `places` as many as the server gets.
    fn fit(&self, state: &mut State) {
        let wanted = state.crowd.limit();
        if wanted > state.width {
            let paid = (wanted - state.width).min(state.debt);
            state.debt -= paid;
            self.places.add_permits(wanted - state.width - paid);
        } else {
            let taken = self.places.forget_permits(state.width - wanted);
            state.debt += state.width - wanted - taken;
        }
        state.width = wanted;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(reply: &Result<HttpReply, Failure>) -> String {
    match reply {
        Ok(reply) => format!("it answered {}", reply.status),
        Err(failure) => failure.to_string(),
    }
}

impl Place {
    /// The right to send a request now, if there still is one.
    fn begin(self) -> Option<Pass> {
        let now = Instant::now();
        let endpoint = Arc::clone(&self.endpoint);
        let mut state = endpoint.state();
        if state.held.is_some_and(|held| held > now) {
            return None;
        }
        let probe = match state.breaker.ask(now) {
            Gate::Open => false,
            Gate::Probe => true,
            Gate::Shut(_) => return None,
        };
        if state.under_way == 0 {
            state.silent = now;
        }
        state.under_way += 1;
        state.used = now;
        state.seen.requests += 1;
        drop(state);
        Some(Pass { place: self, probe, since: now, told: false })
    }
}

impl State {
    /// One that was under way is not any more.
    fn ended(&mut self, now: Instant) {
        self.under_way -= 1;
        self.silent = now;
    }

    /// `place`, unless it was taken away while it was in use.
    fn paid_with(&mut self, place: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let owed = self.debt > 0 && place.is_some();
        if !owed {
            return place;
        }
        self.debt -= 1;
        place.into_iter().for_each(OwnedSemaphorePermit::forget);
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let permit = self.endpoint.state().paid_with(Some(permit));
            drop(permit);
        }
    }
}

impl Pass {
    /// The request was answered so.
    pub(in crate::effect) fn answered(mut self, reply: &Result<HttpReply, Failure>) {
        self.told = true;
        let place = self.place.permit.take();
        self.place.endpoint.answered(&self, place, reply);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let now = Instant::now();
        let mut state = self.place.endpoint.state();
        state.ended(now);
        if self.probe {
            // Nobody waits for the answer any more.
            state.breaker.abandoned(now);
        }
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pass").field("endpoint", &self.place.endpoint.name).finish_non_exhaustive()
    }
}
