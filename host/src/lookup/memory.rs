//! A plugin's store in memory: bounded, so that what has ended goes first, then what was not used for longest.

use super::{
    Failure,
    store::{Entry, no_number},
};
use crate::{
    config::StoreBounds,
    event::{self, Sampler},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Entries that have ended and are removed with one step; many that end at once must not hold up a call.
const SWEPT: usize = 100;

/// See the module. All instances and versions of one plugin share it.
pub(super) struct Memory {
    plugin: Arc<str>,
    kept: Mutex<Kept>,
    evictions: Sampler,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Arc<str>, Value>,
    by_end: BTreeSet<(Instant, Arc<str>)>,
    by_use: BTreeMap<u64, Arc<str>>,
    /// Counts uses.
    uses: u64,
    /// Of all keys and values.
    bytes: usize,
}

struct Value {
    bytes: Bytes,
    ends: Option<Instant>,
    used: u64,
}

impl Memory {
    pub(super) fn new(plugin: &Arc<str>) -> Self {
        Self { plugin: Arc::clone(plugin), kept: Mutex::default(), evictions: Sampler::default() }
    }

    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        self.kept().get(key, Instant::now())
    }

    pub(super) fn set(&self, entry: Entry<'_>, bounds: &StoreBounds) -> Result<(), Failure> {
        fits(entry.key, &entry.value, bounds)?;
        let now = Instant::now();
        let evicted = {
            let kept = &mut *self.kept();
            kept.put(entry.key, entry.value, end(now, entry.lasts));
            kept.make_room(bounds, now)
        };
        self.tell(evicted);
        Ok(())
    }

    pub(super) fn add(&self, entry: Entry<'_>, bounds: &StoreBounds) -> Result<bool, Failure> {
        fits(entry.key, &entry.value, bounds)?;
        let now = Instant::now();
        let evicted = {
            let kept = &mut *self.kept();
            if kept.get(entry.key, now).is_some() {
                return Ok(false);
            }
            kept.put(entry.key, entry.value, end(now, entry.lasts));
            kept.make_room(bounds, now)
        };
        self.tell(evicted);
        Ok(true)
    }

    pub(super) fn increment(
        &self,
        key: &str,
        by: i64,
        lasts: Option<Duration>,
        bounds: &StoreBounds,
    ) -> Result<i64, Failure> {
        let now = Instant::now();
        let (number, evicted) = {
            let kept = &mut *self.kept();
            let before = kept.get(key, now);
            let ends = match &before {
                Some(_) => kept.entries.get(key).and_then(|value| value.ends),
                None => end(now, lasts),
            };
            let number = number(before.as_deref())?.checked_add(by).ok_or_else(no_number)?;
            let text = number.to_string();
            fits(key, text.as_bytes(), bounds)?;
            kept.put(key, text.into(), ends);
            (number, kept.make_room(bounds, now))
        };
        self.tell(evicted);
        Ok(number)
    }

    pub(super) fn delete(&self, key: &str) -> bool {
        let kept = &mut *self.kept();
        let there = kept.get(key, Instant::now()).is_some();
        kept.remove(key);
        there
    }

    fn tell(&self, evicted: u64) {
        if evicted > 0 {
            event::store_evicted(&self.evictions, &self.plugin, evicted);
        }
    }

    /// Nothing panics with the lock held.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, key: &str, now: Instant) -> Option<Bytes> {
        self.uses += 1;
        let value = self.entries.get_mut(key).filter(|value| value.ends.is_none_or(|ends| ends > now))?;
        if let Some(key) = self.by_use.remove(&value.used) {
            self.by_use.insert(self.uses, key);
        }
        value.used = self.uses;
        Some(value.bytes.clone())
    }

    fn put(&mut self, key: &str, bytes: Bytes, ends: Option<Instant>) {
        self.remove(key);
        self.uses += 1;
        let key: Arc<str> = key.into();
        self.bytes += key.len() + bytes.len();
        self.by_use.insert(self.uses, Arc::clone(&key));
        if let Some(ends) = ends {
            self.by_end.insert((ends, Arc::clone(&key)));
        }
        self.entries.insert(key, Value { bytes, ends, used: self.uses });
    }

    fn remove(&mut self, key: &str) {
        let Some((key, value)) = self.entries.remove_entry(key) else {
            return;
        };
        self.bytes -= key.len() + value.bytes.len();
        self.by_use.remove(&value.used);
        if let Some(ends) = value.ends {
            self.by_end.remove(&(ends, key));
        }
    }

    /// Removes some of what has ended, and as much else as is too much; how much else. What was used last stays.
    fn make_room(&mut self, bounds: &StoreBounds, now: Instant) -> u64 {
        let over = |kept: &Self| kept.entries.len() > bounds.keys || kept.bytes > bounds.bytes;
        let mut swept = 0;
        while let Some((_, key)) = self.by_end.first().filter(|(ends, _)| *ends <= now) {
            let key = Arc::clone(key);
            self.remove(&key);
            swept += 1;
            if swept >= SWEPT && !over(self) {
                break;
            }
        }
        let mut evicted = 0;
        while over(self) {
            let Some((_, key)) = self.by_use.first_key_value() else { break };
            let key = Arc::clone(key);
            self.remove(&key);
            evicted += 1;
        }
        evicted
    }
}

fn end(now: Instant, lasts: Option<Duration>) -> Option<Instant> {
    lasts.and_then(|lasts| now.checked_add(lasts))
}

/// Nothing that is larger than the whole store gets in, or it would throw out everything else.
fn fits(key: &str, value: &[u8], bounds: &StoreBounds) -> Result<(), Failure> {
    let bytes = key.len() + value.len();
    if bytes <= bounds.bytes {
        return Ok(());
    }
    Err(Failure::TooLarge(format!("an entry of {bytes} bytes is larger than the whole store, {} bytes", bounds.bytes)))
}

fn number(bytes: Option<&[u8]>) -> Result<i64, Failure> {
    let Some(bytes) = bytes else { return Ok(0) };
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(no_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: StoreBounds = StoreBounds { keys: 3, bytes: 100, value_bytes: 50, longest: None };

    fn memory() -> Memory {
        Memory::new(&Arc::from("p"))
    }

    fn entry<'a>(key: &'a str, value: &'static str, lasts: Option<Duration>) -> Entry<'a> {
        Entry { key, value: Bytes::from_static(value.as_bytes()), lasts }
    }

    fn text(memory: &Memory, key: &str) -> Option<String> {
        memory.get(key).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn what_was_unused_for_longest_goes_when_there_are_too_many_keys() {
        let memory = memory();
        for key in ["a", "b", "c"] {
            memory.set(entry(key, "1", None), &BOUNDS).unwrap();
        }
        assert_eq!(text(&memory, "a"), Some("1".to_owned()), "which uses it");
        memory.set(entry("d", "1", None), &BOUNDS).unwrap();
        let left: Vec<&str> = ["a", "b", "c", "d"].into_iter().filter(|key| memory.get(key).is_some()).collect();
        assert_eq!(left, ["a", "c", "d"]);
    }

    #[test]
    fn the_bytes_of_keys_and_values_are_bounded() {
        let memory = memory();
        let forty = "0123456789012345678901234567890123456789";
        for key in ["a", "b", "c"] {
            memory.set(entry(key, forty, None), &BOUNDS).unwrap();
        }
        assert_eq!(memory.get("a"), None, "three times 41 are more than 100");
        assert_eq!(memory.kept().bytes, 82);
        let small = StoreBounds { bytes: 40, ..BOUNDS };
        assert!(matches!(memory.set(entry("b", forty, None), &small), Err(Failure::TooLarge(_))));
        assert!(memory.get("b").is_some(), "what is refused throws nothing out");
    }

    #[test]
    fn what_has_ended_is_gone_and_goes_first() {
        let memory = memory();
        memory.set(entry("a", "1", Some(Duration::from_nanos(1))), &BOUNDS).unwrap();
        memory.set(entry("b", "1", None), &BOUNDS).unwrap();
        memory.set(entry("c", "1", None), &BOUNDS).unwrap();
        assert_eq!(memory.get("a"), None);
        memory.set(entry("d", "1", None), &BOUNDS).unwrap();
        assert!(["b", "c", "d"].into_iter().all(|key| memory.get(key).is_some()));
        let kept = memory.kept();
        assert_eq!((kept.entries.len(), kept.by_end.len(), kept.by_use.len(), kept.bytes), (3, 0, 3, 6));
    }

    #[test]
    fn only_the_first_one_adds() {
        let memory = memory();
        assert_eq!(memory.add(entry("a", "1", Some(Duration::from_nanos(1))), &BOUNDS), Ok(true));
        assert_eq!(memory.add(entry("a", "2", None), &BOUNDS), Ok(true), "the first has ended");
        assert_eq!(memory.add(entry("a", "3", None), &BOUNDS), Ok(false));
        assert_eq!(text(&memory, "a"), Some("2".to_owned()));
        assert!(memory.delete("a") && !memory.delete("a"));
    }

    #[test]
    fn counting_keeps_the_end_that_the_first_count_set() {
        let memory = memory();
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(memory.increment("n", 2, hour, &BOUNDS), Ok(2));
        let first = memory.kept().entries["n"].ends;
        assert!(first.is_some());
        assert_eq!(memory.increment("n", -5, None, &BOUNDS), Ok(-3));
        assert_eq!(memory.kept().entries["n"].ends, first);
        assert_eq!(text(&memory, "n"), Some("-3".to_owned()));
        memory.set(entry("n", "9223372036854775807", None), &BOUNDS).unwrap();
        assert_eq!(memory.increment("n", 1, None, &BOUNDS), Err(no_number()));
        memory.set(entry("n", "x", None), &BOUNDS).unwrap();
        assert_eq!(memory.increment("n", 1, None, &BOUNDS), Err(no_number()));
    }

    #[test]
    fn many_that_end_at_once_go_in_portions() {
        let memory = memory();
        let roomy = StoreBounds { keys: 1_000, bytes: 100_000, ..BOUNDS };
        for n in 0..500 {
            memory.set(entry(&n.to_string(), "1", Some(Duration::from_millis(30))), &roomy).unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(60));
        memory.set(entry("x", "1", None), &roomy).unwrap();
        assert_eq!(memory.kept().entries.len(), 501 - SWEPT);
    }
}
