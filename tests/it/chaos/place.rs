//! One of the nodes, in a place of its own: a directory, a proxy before Redis, and what it suffers from.

use super::LEASE;
use gristmill_tests::{Fault, Mill, Node, Proxy, replace_file};
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Place {
    // Dropped before the directory that its log lies in.
    state: State,
    pub(super) mill: Mill<Proxy>,
    /// Until when its connection is bad.
    bad_until: Option<Instant>,
    /// Since when its connection has never been good for long, and when it was or will be good again.
    bad_since: Instant,
    good_again: Option<Instant>,
}

enum State {
    Up(Node),
    Frozen(Node, Instant),
    /// To be started then.
    Down(Instant),
}

impl Place {
    /// With everything a node needs, which is not started yet.
    pub(super) fn new(proxy: Proxy, config: &str, now: Instant) -> Self {
        let mill = Mill::at(proxy.url(), proxy).plugins(&["http"]).guests(&["misbehave", "stamp"]).config(config);
        Self { state: State::Down(now), mill, bad_until: None, bad_since: now, good_again: None }
    }

    /// Whether nothing has been done to the node that is not over.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// The process id of the node, while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        match &self.state {
            State::Up(node) | State::Frozen(node, _) => Some(node.id()),
            State::Down(_) => None,
        }
    }

    /// Returns the process id that it had.
    pub(super) fn kill(&mut self, until: Instant) -> Option<u32> {
        let mut id = None;
        self.change(|state| {
            if let State::Up(mut node) | State::Frozen(mut node, _) = state {
                id = Some(node.id());
                node.kill9();
            }
            State::Down(until)
        });
        id
    }

    pub(super) fn freeze(&mut self, until: Instant) {
        self.change(|state| match state {
            State::Up(node) => {
                node.sigstop();
                State::Frozen(node, until)
            }
            other => other,
        });
    }

    /// Makes its connection bad in one more way; returns for how long it will have been bad then, pauses included in which the
    /// node may not have come back.
    pub(super) fn spoil(&mut self, fault: Fault, until: Instant) -> Duration {
        self.mill.redis.set(fault);
        let now = Instant::now();
        if self.good_again.is_none_or(|good| now > good + LEASE) {
            self.bad_since = now;
        }
        self.bad_until = self.bad_until.max(Some(until));
        self.good_again = self.good_again.max(Some(until));
        until - self.bad_since
    }

    /// Puts a new version of `plugin` in place.
    pub(super) fn swap(&self, plugin: &str, bytes: &[u8]) {
        replace_file(&self.mill.plugin_file(plugin), bytes);
    }

    /// Ends what is over by now. A node is only started while `redis` is up, as it wants to see it once.
    pub(super) fn tick(&mut self, now: Instant, redis_is_up: bool) {
        if self.bad_until.is_some_and(|until| until <= now) {
            self.bad_until = None;
            self.mill.redis.clear();
        }
        let may_start = redis_is_up && self.bad_until.is_none();
        let mill = &self.mill;
        let state = std::mem::replace(&mut self.state, State::Down(now));
        self.state = match state {
            State::Frozen(node, until) if until <= now => {
                node.sigcont();
                State::Up(node)
            }
            State::Down(until) if until <= now && may_start => State::Up(mill.node_unready()),
            State::Up(mut node) => match node.ended() {
                Some(status) => {
                    // One that does not find Redis when it begins ends; it was just being killed.
                    let log = node.log();
                    assert!(!log.contains(" ready "), "the node ended by itself ({status}):\n{log}");
                    State::Down(now)
                }
                None => State::Up(node),
            },
            other => other,
        };
    }

    /// Ends everything that is done to it.
    pub(super) fn heal(&mut self, now: Instant) {
        self.bad_until = None;
        self.mill.redis.clear();
        self.change(|state| match state {
            State::Frozen(node, _) => State::Frozen(node, now),
            State::Down(_) => State::Down(now),
            up @ State::Up(_) => up,
        });
        self.tick(now, true);
    }

    /// Asks the node to end in peace; returns its exit code.
    pub(super) fn terminate(&mut self) -> Option<i32> {
        match &mut self.state {
            State::Up(node) => Some(node.terminate()),
            _ => None,
        }
    }

    fn change(&mut self, change: impl FnOnce(State) -> State) {
        let state = std::mem::replace(&mut self.state, State::Down(Instant::now()));
        self.state = change(state);
    }
}
