//! Values under keys that all instances of a plugin share: to find duplicates, to count, to remember.
//!
//! The operator grants a store with `allow_store` in the plugin's table, in the node's memory or in its Redis, where all nodes share
//! it and it outlives them. He bounds values, their number and how long they stay, so what is kept may be gone before its end.
//! Nothing can be looked up in `new`: an instance has to come up whether or not anything answers.
//!
//! ```
//! use gristmill_sdk::{Message, Result, Verdict, filter, store};
//! use std::time::Duration;
//!
//! const DAY: Duration = Duration::from_secs(86_400);
//!
//! #[filter]
//! fn once(message: Message) -> Result<Verdict> {
//!     let order = message.header("order").unwrap_or_default();
//!     // Of any number of instances and nodes that ask at once, one adds. It does so again in the next attempt of the same
//!     // message, so the value says whose entry it is.
//!     let (key, id) = (format!("seen:{order}"), message.id());
//!     let known = !store::add(&key, &id, Some(DAY))? && store::get(&key)?.is_some_and(|first| first != id.as_bytes());
//!     Ok(if known { Verdict::drop("seen before") } else { Verdict::pass() })
//! }
//!
//! // In a native test the store is one in memory, of this thread.
//! let message = |id| Message::test("{}").with_id(id).with_header("order", "17");
//! assert_eq!(once(message("a"))?, Verdict::Pass);
//! assert_eq!(once(message("b"))?, Verdict::drop("seen before"));
//! assert_eq!(once(message("a"))?, Verdict::Pass);
//! assert_eq!(store::increment("orders", 1, Some(DAY))?, 1);
//! # Ok::<(), gristmill_sdk::Error>(())
//! ```

use crate::LookupFailure;
use std::time::Duration;

#[cfg(not(target_family = "wasm"))]
use sample as host;
#[cfg(not(target_family = "wasm"))]
pub use sample::{clear, fail};

/// The value under `key`, of 1 to 1,024 bytes.
///
/// # Errors
/// As for all of these: without the grant, beyond the operator's bounds, or where there is no answer.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, LookupFailure> {
    host::get(key)
}

/// The value under `key` as text; what is not UTF-8 is invalid.
///
/// # Errors
/// As [`get`].
pub fn get_text(key: &str) -> Result<Option<String>, LookupFailure> {
    let invalid = |_| LookupFailure::Invalid("the value under this key is not text".to_owned());
    get(key)?.map(|value| String::from_utf8(value).map_err(invalid)).transpose()
}

/// Puts `value` under `key`, whatever was there, for `lasts`, or for as long as the operator allows.
///
/// # Errors
/// As [`get`].
pub fn set(key: &str, value: impl AsRef<[u8]>, lasts: Option<Duration>) -> Result<(), LookupFailure> {
    host::set(key, value.as_ref(), lasts.map(millis))
}

/// As [`set`], if nothing is there; says whether it was so. Of any number that try at once one succeeds.
///
/// # Errors
/// As [`get`].
pub fn add(key: &str, value: impl AsRef<[u8]>, lasts: Option<Duration>) -> Result<bool, LookupFailure> {
    host::add(key, value.as_ref(), lasts.map(millis))
}

/// Adds `by` to the number under `key`, where nothing counts as 0, and says what it is then; the value is its decimal digits.
///
/// Only a key that was not there gets an end: with `lasts`, a count is one of a window of that length, which begins with the first.
///
/// # Errors
/// As [`get`]; invalid where the value is no number of 64 bits, or would not be one then.
pub fn increment(key: &str, by: i64, lasts: Option<Duration>) -> Result<i64, LookupFailure> {
    host::increment(key, by, lasts.map(millis))
}

/// Removes what is under `key`; says whether there was something.
///
/// # Errors
/// As [`get`].
pub fn delete(key: &str) -> Result<bool, LookupFailure> {
    host::delete(key)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The host itself.
#[cfg(target_family = "wasm")]
mod host {
    use crate::{LookupFailure, bindings::store};

    pub(super) fn get(key: &str) -> Result<Option<Vec<u8>>, LookupFailure> {
        store::get(key).map_err(Into::into)
    }

    pub(super) fn set(key: &str, value: &[u8], lasts: Option<u64>) -> Result<(), LookupFailure> {
        store::set(key, value, lasts).map_err(Into::into)
    }

    pub(super) fn add(key: &str, value: &[u8], lasts: Option<u64>) -> Result<bool, LookupFailure> {
        store::add(key, value, lasts).map_err(Into::into)
    }

    pub(super) fn increment(key: &str, by: i64, lasts: Option<u64>) -> Result<i64, LookupFailure> {
        store::increment(key, by, lasts).map_err(Into::into)
    }

    pub(super) fn delete(key: &str) -> Result<bool, LookupFailure> {
        store::delete(key).map_err(Into::into)
    }
}

/// What stands in for the host in native tests: one store for each thread.
#[cfg(not(target_family = "wasm"))]
mod sample {
    use super::LookupFailure;
    use std::{
        cell::RefCell,
        collections::HashMap,
        time::{Duration, Instant},
    };

    #[derive(Default)]
    struct Sample {
        values: HashMap<String, (Vec<u8>, Option<Instant>)>,
        failure: Option<LookupFailure>,
    }

    thread_local! {
        static SAMPLE: RefCell<Sample> = RefCell::default();
    }

    /// Native tests only: empties this thread's store, and lets it work again after [`fail`]. Tests that run one after the other
    /// on one thread begin with it.
    pub fn clear() {
        SAMPLE.take();
    }

    /// Native tests only: from now on everything that this thread asks of the store fails like this.
    pub fn fail(failure: LookupFailure) {
        SAMPLE.with_borrow_mut(|sample| sample.failure = Some(failure));
    }

    fn with<T>(key: &str, work: impl FnOnce(&mut Sample) -> Result<T, LookupFailure>) -> Result<T, LookupFailure> {
        SAMPLE.with_borrow_mut(|sample| {
            if let Some(failure) = &sample.failure {
                return Err(failure.clone());
            }
            if !(1..=1024).contains(&key.len()) {
                return Err(LookupFailure::Invalid(format!("a key of {} bytes", key.len())));
            }
            sample.values.retain(|_, (_, end)| end.is_none_or(|end| end > Instant::now()));
            work(sample)
        })
    }

    fn end(lasts: Option<u64>) -> Option<Instant> {
        Instant::now().checked_add(Duration::from_millis(lasts?))
    }

    pub(super) fn get(key: &str) -> Result<Option<Vec<u8>>, LookupFailure> {
        with(key, |sample| Ok(sample.values.get(key).map(|(value, _)| value.clone())))
    }

    pub(super) fn set(key: &str, value: &[u8], lasts: Option<u64>) -> Result<(), LookupFailure> {
        with(key, |sample| {
            sample.values.insert(key.to_owned(), (value.to_vec(), end(lasts)));
            Ok(())
        })
    }

    pub(super) fn add(key: &str, value: &[u8], lasts: Option<u64>) -> Result<bool, LookupFailure> {
        with(key, |sample| {
            let free = !sample.values.contains_key(key);
            sample.values.entry(key.to_owned()).or_insert_with(|| (value.to_vec(), end(lasts)));
            Ok(free)
        })
    }

    pub(super) fn increment(key: &str, by: i64, lasts: Option<u64>) -> Result<i64, LookupFailure> {
        with(key, |sample| {
            let (value, _) = sample.values.entry(key.to_owned()).or_insert_with(|| (b"0".to_vec(), end(lasts)));
            let number: Option<i64> = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let number = number.and_then(|number| number.checked_add(by));
            let number = number.ok_or_else(|| LookupFailure::Invalid("no whole number of 64 bits".to_owned()))?;
            *value = number.to_string().into_bytes();
            Ok(number)
        })
    }

    pub(super) fn delete(key: &str) -> Result<bool, LookupFailure> {
        with(key, |sample| Ok(sample.values.remove(key).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_a_store_of_its_own_that_works_as_the_hosts_does() {
        clear();
        assert_eq!(get("a"), Ok(None));
        assert_eq!((add("a", "1", None), add("a", "2", None)), (Ok(true), Ok(false)));
        assert_eq!(get_text("a"), Ok(Some("1".to_owned())));
        assert_eq!((increment("a", 41, None), increment("new", -1, None)), (Ok(42), Ok(-1)));
        assert_eq!((delete("a"), delete("a")), (Ok(true), Ok(false)));
        set("a", "x", Some(Duration::from_millis(1))).unwrap();
        std::thread::park_timeout(Duration::from_millis(5));
        assert_eq!(get("a"), Ok(None));
        assert!(matches!(get(""), Err(LookupFailure::Invalid(_))));
    }

    #[test]
    fn a_test_can_have_the_store_fail() {
        fail(LookupFailure::Unavailable("away".to_owned()));
        assert_eq!(add("a", "1", None), Err(LookupFailure::Unavailable("away".to_owned())));
        clear();
        assert_eq!(add("a", "1", None), Ok(true));
    }

    #[test]
    fn a_value_that_is_no_number_is_not_counted_up() {
        clear();
        set("a", "x", None).unwrap();
        assert!(matches!(increment("a", 1, None), Err(LookupFailure::Invalid(_))));
        set("a", [0xff], None).unwrap();
        assert!(matches!(get_text("a"), Err(LookupFailure::Invalid(_))));
    }
}
