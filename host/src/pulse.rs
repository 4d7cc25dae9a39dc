//! The pulse of a node: what has begun and must end says so, and whoever looks can tell whether something has not.
//!
//! Every exchange with Redis ends, with an answer, an error, or because its time is up; while a large Cluster is away that
//! can take minutes, as each of its servers is asked, and others wait for that. So what is under way for longer, while nothing else ends
//! for the same source, is no sign of a Redis that is away, but of a process that has got stuck, which waiting does not help.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Longer than any step that goes as it is meant to.
const STUCK: Duration = Duration::from_secs(300);

/// See the module. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Steps>>);

#[derive(Debug, Default)]
struct Steps {
    /// How many there have been.
    count: u64,
    /// Those under way, the oldest first.
    open: BTreeMap<u64, Begun>,
    /// When one has ended last, for each source where that was not long ago.
    ended: HashMap<Arc<str>, Instant>,
}

#[derive(Debug)]
struct Begun {
    at: Instant,
    what: &'static str,
    source: Arc<str>,
}

/// Something that is under way until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Step {
    pulse: Pulse,
    number: u64,
}

impl Pulse {
    /// `what` begins for this source.
    pub fn begin(&self, what: &'static str, source: &Arc<str>) -> Step {
        self.begin_at(Instant::now(), what, source)
    }

    /// The same, begun at this moment.
    pub(crate) fn begin_at(&self, at: Instant, what: &'static str, source: &Arc<str>) -> Step {
        let mut steps = self.steps();
        let number = steps.count;
        steps.count += 1;
        steps.open.insert(number, Begun { at, what, source: Arc::clone(source) });
        Step { pulse: self.clone(), number }
    }

    /// What has got stuck, if anything has: the oldest.
    pub fn stuck(&self) -> Option<String> {
        self.stuck_at(Instant::now())
    }

    fn stuck_at(&self, now: Instant) -> Option<String> {
        let since = |at: Instant| now.saturating_duration_since(at);
        let mut steps = self.steps();
        steps.ended.retain(|_, at| since(*at) < STUCK);
        let mut old = steps.open.values().take_while(|step| since(step.at) >= STUCK);
        let stuck = old.find(|step| !steps.ended.contains_key(&step.source))?;
        Some(format!("{} `{}` for {} s", stuck.what, stuck.source, since(stuck.at).as_secs()))
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let mut steps = self.pulse.steps();
        if let Some(step) = steps.open.remove(&self.number) {
            steps.ended.insert(step.source, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_stuck_unless_its_source_goes_on() {
        let (pulse, jobs, other) = (Pulse::default(), Arc::from("jobs"), Arc::from("other"));
        let now = Instant::now();
        let begun = now.checked_sub(STUCK).expect("the machine runs for longer");
        let step = pulse.begin_at(begun, "taking from", &jobs);
        assert_eq!(pulse.stuck().as_deref(), Some("taking from `jobs` for 300 s"));
        drop(pulse.begin("settling messages of", &other));
        assert!(pulse.stuck().is_some(), "that is another source");
        drop(pulse.begin("settling messages of", &jobs));
        assert_eq!(pulse.stuck(), None);
        assert!(pulse.stuck_at(Instant::now() + STUCK).is_some(), "it has gone on long ago");
        drop(step);
        assert_eq!(pulse.stuck_at(Instant::now() + 2 * STUCK), None);
    }
}
