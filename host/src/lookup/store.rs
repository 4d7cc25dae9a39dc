//! The store of one plugin, wherever it is: what is granted, and what fits.

use super::{Failure, Patience, memory::Memory, shelf::Shelf};
use crate::{config::StoreBounds, connection::Connector};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// Bytes of a key.
const KEY_BYTES: usize = 1024;
/// The furthest end that is told apart from none.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Where a plugin keeps what it keeps.
pub(super) enum Store {
    Nothing,
    Memory(Arc<Memory>),
    Redis(Box<Shelf>),
    /// It should be in Redis, and there is none.
    Nowhere,
}

/// Something to put into a store, already checked.
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) value: Bytes,
    /// For how long; for ever when absent.
    pub(super) lasts: Option<Duration>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(
        name: &'a str,
        value: Vec<u8>,
        expires_ms: Option<u64>,
        bounds: &StoreBounds,
    ) -> Result<Self, Failure> {
        if value.len() > bounds.value_bytes {
            let most = bounds.value_bytes;
            let text =
                format!("a value of {} bytes is longer than `store.value_kib` allows, {most} bytes", value.len());
            return Err(Failure::TooLarge(text));
        }
        Ok(Self { key: key(name)?, value: value.into(), lasts: lasts(expires_ms, bounds)? })
    }
}

/// `key`, if it can be one.
pub(super) fn key(key: &str) -> Result<&str, Failure> {
    match key.len() {
        0 => Err(Failure::Invalid("the key is empty".to_owned())),
        length if length > KEY_BYTES => {
            Err(Failure::TooLarge(format!("a key of {length} bytes is longer than {KEY_BYTES}")))
        }
        _ => Ok(key),
    }
}

/// How long something stays that is to end after so many milliseconds.
pub(super) fn lasts(expires_ms: Option<u64>, bounds: &StoreBounds) -> Result<Option<Duration>, Failure> {
    if expires_ms == Some(0) {
        let text = "an entry that ends after 0 ms is none; delete it, or give it a longer life";
        return Err(Failure::Invalid(text.to_owned()));
    }
    let asked = expires_ms.map(|ms| Duration::from_millis(ms).min(LONGEST));
    Ok([asked, bounds.longest].into_iter().flatten().min())
}

impl Store {
    /// In Redis, where there is one.
    pub(super) fn redis(redis: Option<&Connector>, plugin: &Arc<str>) -> Self {
        redis.map_or(Self::Nowhere, |redis| Self::Redis(Box::new(Shelf::new(redis, plugin))))
    }

    pub(super) async fn get(&self, patience: &mut Patience, key: &str) -> Result<Option<Bytes>, Failure> {
        patience.check()?;
        match self {
            Self::Memory(memory) => Ok(memory.get(key)),
            Self::Redis(shelf) => shelf.get(patience, key).await,
            Self::Nothing | Self::Nowhere => Err(self.refuse()),
        }
    }

    pub(super) async fn set(
        &self,
        patience: &mut Patience,
        entry: Entry<'_>,
        bounds: &StoreBounds,
    ) -> Result<(), Failure> {
        patience.check()?;
        match self {
            Self::Memory(memory) => memory.set(entry, bounds),
            Self::Redis(shelf) => shelf.set(patience, entry).await,
            Self::Nothing | Self::Nowhere => Err(self.refuse()),
        }
    }

    pub(super) async fn add(
        &self,
        patience: &mut Patience,
        entry: Entry<'_>,
        bounds: &StoreBounds,
    ) -> Result<bool, Failure> {
        patience.check()?;
        match self {
            Self::Memory(memory) => memory.add(entry, bounds),
            Self::Redis(shelf) => shelf.add(patience, entry).await,
            Self::Nothing | Self::Nowhere => Err(self.refuse()),
        }
    }

    pub(super) async fn increment(
        &self,
        patience: &mut Patience,
        key: &str,
        by: i64,
        lasts: Option<Duration>,
        bounds: &StoreBounds,
    ) -> Result<i64, Failure> {
        patience.check()?;
        match self {
            Self::Memory(memory) => memory.increment(key, by, lasts, bounds),
            Self::Redis(shelf) => shelf.increment(patience, key, by, lasts).await,
            Self::Nothing | Self::Nowhere => Err(self.refuse()),
        }
    }

    pub(super) async fn delete(&self, patience: &mut Patience, key: &str) -> Result<bool, Failure> {
        patience.check()?;
        match self {
            Self::Memory(memory) => Ok(memory.delete(key)),
            Self::Redis(shelf) => shelf.delete(patience, key).await,
            Self::Nothing | Self::Nowhere => Err(self.refuse()),
        }
    }

    fn refuse(&self) -> Failure {
        match self {
            Self::Nowhere => Failure::Unreachable("there is no Redis here to keep a store in".to_owned()),
            _ => Failure::Denied(
                "the plugin has no store; `allow_store = \"memory\"` or \"redis\" in its table grants one".to_owned(),
            ),
        }
    }
}

/// What is said of a value that is to be counted up and is no number.
pub(super) fn no_number() -> Failure {
    Failure::Invalid("the value under this key is no whole number of 64 bits, or would not be one then".to_owned())
}
