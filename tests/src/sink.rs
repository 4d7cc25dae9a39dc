//! An HTTP server that records what it is sent and answers as the test tells it.

mod serve;
mod tls;

use crate::redis::Certificates;
use bytes::Bytes;
use serve::Running;
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_rustls::TlsAcceptor;

/// The server; stopped when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Such as `POST`.
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// In the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
    /// When the body was complete.
    pub at: Instant,
}

/// What one request is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This status, with an empty body.
    Status(u16),
    /// This status and body.
    Body(u16, Bytes),
    /// This status with `Retry-After` in seconds.
    RetryAfter(u16, u32),
    /// This status with this header.
    With(u16, &'static str, String),
    /// This status with `Location`.
    Moved(u16, String),
    /// 200, after a pause.
    Late(Duration),
    /// Nothing, for as long as the client waits.
    Hang,
    /// The connection is closed without an answer.
    Close,
}

type Rule = Box<dyn Fn(&Received) -> Answer + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    tls: Option<TlsAcceptor>,
}

struct State {
    received: Vec<Received>,
    first: VecDeque<Answer>,
    rule: Arc<Rule>,
}

impl Sink {
    /// A server at a free loopback port that answers 200.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same by TLS, with these certificates; only whom their authority vouches for is let in.
    pub fn secure(certificates: &Certificates) -> Self {
        Self::with(Some(tls::acceptor(certificates)))
    }

    fn with(tls: Option<TlsAcceptor>) -> Self {
        let state =
            State { received: Vec::new(), first: VecDeque::new(), rule: Arc::new(Box::new(|_| Answer::Status(200))) };
        let shared = Arc::new(Shared { state: Mutex::new(state), tls });
        let running = Running::start(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::clone(&shared));
        Self { address: running.address(), shared, running: Some(running) }
    }

    /// `http://127.0.0.1:PORT`, or the same with `https`, without a slash behind.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// `127.0.0.1:PORT`, as a grant names it.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// From now on every request is answered so.
    pub fn answer(&self, answer: Answer) {
        self.answer_by(move |_| answer.clone());
    }

    /// The next `count` requests are answered so, before anything else holds again.
    pub fn answer_first(&self, count: usize, answer: Answer) {
        self.shared.lock().first.extend(std::iter::repeat_n(answer, count));
    }

    /// From now on `rule` decides by looking at the request.
    pub fn answer_by(&self, rule: impl Fn(&Received) -> Answer + Send + Sync + 'static) {
        self.shared.lock().rule = Arc::new(Box::new(rule));
    }

    /// Everything received so far, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How many requests have been received so far.
    pub fn count(&self) -> usize {
        self.shared.lock().received.len()
    }

    /// How often each body was received.
    pub fn bodies(&self) -> HashMap<Bytes, usize> {
        self.tally(|received| received.body.clone())
    }

    /// How often each value of `what` was received.
    pub fn tally<T: Eq + std::hash::Hash>(&self, what: impl Fn(&Received) -> T) -> HashMap<T, usize> {
        let mut seen = HashMap::new();
        for received in &self.shared.lock().received {
            *seen.entry(what(received)).or_default() += 1;
        }
        seen
    }

    /// Forgets what was received.
    pub fn forget(&self) {
        self.shared.lock().received.clear();
    }

    /// Refuses connections and cuts those it has, until `restart`.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Listens again at the same port.
    ///
    /// # Panics
    /// When it listens already.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "the sink is up already");
        self.running = Some(Running::start(self.address, Arc::clone(&self.shared)));
    }
}

impl Received {
    /// The first value of the header `name`, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, received: Received) -> Answer {
        let rule = {
            let mut state = self.lock();
            state.received.push(received.clone());
            if let Some(answer) = state.first.pop_front() {
                return answer;
            }
            Arc::clone(&state.rule)
        };
        rule(&received)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("received", &self.lock().received.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
