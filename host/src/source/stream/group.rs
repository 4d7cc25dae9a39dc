//! A consumer group: what it is called, how it comes to be, and what settling means to it.

use super::{entry::Id, scripts};
use crate::{
    config::{self, Done, Start},
    event,
    source::{
        keys::Keys,
        lane::{entry::Entry, settlement::Step},
        queue::shared::Shared,
    },
};
use bytes::Bytes;
use redis::{RedisError, Value, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Ids of one command within a script: Lua can unpack a few thousand.
const CHUNK: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(in crate::source) struct Group {
    name: String,
    start: Start,
    payload: String,
    done: Done,
    /// Deliveries after which an entry is given up.
    attempts: u32,
    /// The last entry that this node has been handed.
    last: Mutex<Option<Id>>,
}

impl Group {
    pub(super) fn new(stream: &config::Stream, attempts: u32) -> Self {
        let config::Stream { group, start, payload, done, .. } = stream.clone();
        Self { name: group, start, payload, done, attempts, last: Mutex::default() }
    }

    pub(in crate::source) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the field that holds the payload.
    pub(super) fn payload(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// This node was handed entries up to `id`.
    pub(super) fn reached(&self, id: Id) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(id));
    }

    fn last(&self) -> Option<Id> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the group where it is missing, and the stream with it; other nodes may do the same at the same time.
    pub(super) async fn create(&self, shared: &Shared) -> Result<(), RedisError> {
        let start = self.start(shared).await?;
        let mut link = shared.link().await?;
        let created: bool = scripts::CREATE
            .run(&mut link, |creation| {
                creation.key(&*shared.keys.list).arg(&self.name).arg(&start);
            })
            .await?;
        match self.last() {
            _ if !created => {}
            Some(_) => event::group_vanished(&shared.source, &self.name),
            None => event::group_created(&shared.source, &self.name),
        }
        Ok(())
    }

    /// The last entry that any consumer was given; none when the group is gone.
    pub(super) async fn delivered(
        &self,
        stream: &str,
        link: &mut MultiplexedConnection,
    ) -> Result<Option<String>, RedisError> {
        let told = redis::cmd("XINFO").arg("GROUPS").arg(stream).query_async::<Vec<HashMap<String, Value>>>(link).await;
        let groups = match told {
            Err(error) if is_gone(&error) => return Ok(None),
            told => told?,
        };
        let text = |group: &HashMap<String, Value>, key| {
            group.get(key).cloned().and_then(|value| redis::from_redis_value::<String>(value).ok())
        };
        let own = groups.iter().find(|group| text(group, "name").as_deref() == Some(&*self.name));
        Ok(own.and_then(|group| text(group, "last-delivered-id")))
    }

    /// Where it begins. A group for new entries that has vanished goes on behind what was read of it, as everything that
    /// was added since then is new; unless the stream itself is another one by now.
    async fn start(&self, shared: &Shared) -> Result<String, RedisError> {
        match (&self.start, self.last()) {
            (Start::Oldest, _) => Ok("0".to_owned()),
            (Start::After(id), _) => Ok(id.clone()),
            (Start::Newest, None) => Ok("$".to_owned()),
            (Start::Newest, Some(last)) => {
                let newest = newest(shared).await?;
                Ok(if newest >= Some(last) { last.to_string() } else { "0".to_owned() })
            }
        }
    }

    /// Fails where the stream's key holds something else by now: before any copy is made, or each try would make one more.
    pub(in crate::source) fn check(&self, stream: &str, steps: &mut Vec<Step>) {
        steps.push(Step::call([b"XLEN", stream.as_bytes()]));
    }

    /// Fails where the group could not be told of entries that are settled: before anything is done that would be done again.
    pub(in crate::source) fn check_acknowledging(&self, stream: &str, steps: &mut Vec<Step>) {
        steps.push(Step::call([b"XACK", stream.as_bytes(), self.name.as_bytes(), b"0-0"]));
        if self.done == Done::Delete {
            steps.push(Step::call([b"XDEL", stream.as_bytes(), b"0-0"]));
        }
    }

    /// Whether somebody has the entry `id` pending.
    pub(in crate::source) async fn is_pending(
        &self,
        stream: &str,
        id: &str,
        link: &mut MultiplexedConnection,
    ) -> Result<bool, RedisError> {
        let mut pending = redis::cmd("XPENDING");
        pending.arg(stream).arg(&self.name).arg(id).arg(id).arg(1);
        match pending.query_async::<Vec<Value>>(link).await {
            Err(error) if is_gone(&error) => Ok(false),
            pending => Ok(!pending?.is_empty()),
        }
    }

    /// What the group is told of entries that are settled, or of which there are copies elsewhere.
    pub(in crate::source) fn acknowledge<'a>(
        &self,
        stream: &str,
        entries: impl Iterator<Item = &'a Entry>,
        steps: &mut Vec<Step>,
    ) {
        let word = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let ids: Vec<Bytes> = entries.map(|entry| word(&entry.past.id)).collect();
        for ids in ids.chunks(CHUNK) {
            let command = |words: &[&str]| Step::Call {
                words: words.iter().map(|text| word(text)).chain(ids.iter().cloned()).collect(),
            };
            steps.push(command(&["XACK", stream, &self.name]));
            if self.done == Done::Delete {
                steps.push(command(&["XDEL", stream]));
            }
        }
    }
}

/// The id of the last entry ever added to the stream; none when there is no such stream.
async fn newest(shared: &Shared) -> Result<Option<Id>, RedisError> {
    let mut link = shared.link().await?;
    let mut info = redis::cmd("XINFO");
    info.arg("STREAM").arg(&*shared.keys.list);
    let told = info.query_async::<HashMap<String, Value>>(&mut link).await;
    match told {
        Err(error) if is_gone(&error) => Ok(None),
        told => {
            let id = told?.remove("last-generated-id").unwrap_or_default();
            Ok(Id::parse(&redis::from_redis_value::<String>(id)?))
        }
    }
}

/// Whether there is no such group, or no such stream; also for a command that waited when it went.
pub(in crate::source) fn is_gone(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
        || ["no such key", "NOGROUP", "UNBLOCKED"].iter().any(|sign| error.to_string().contains(sign))
}

/// The consumer that is registered under the name of `lane`.
pub(super) fn consumer(keys: &Keys, lane: &str) -> Option<String> {
    keys.holder(lane).map(|(node, name)| format!("gristmill:{node}:{name}"))
}

/// The name under which `consumer` is registered; none when it is not a node's.
pub(in crate::source) fn lane(keys: &Keys, consumer: &str) -> Option<String> {
    let (node, name) = consumer.strip_prefix("gristmill:")?.split_once(':')?;
    (name.starts_with('c') && !node.is_empty()).then(|| keys.lane(node, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_named_after_its_lane() {
        let keys = Keys::of_group("s", "g");
        let key = keys.lane("host-1-abc", "c1f");
        assert_eq!(consumer(&keys, &key).as_deref(), Some("gristmill:host-1-abc:c1f"));
        assert_eq!(lane(&keys, "gristmill:host-1-abc:c1f"), Some(key));
        for other in ["worker-1", "gristmill", "gristmill:x", "gristmill::c1", "gristmill:x:q1"] {
            assert_eq!(lane(&keys, other), None, "{other}");
        }
    }
}
