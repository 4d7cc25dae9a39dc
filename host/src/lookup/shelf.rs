//! A plugin's store in Redis: one key for each entry, one command or script for each step, one connection.

use super::{
    Failure, Patience,
    outage::Outage,
    store::{Entry, no_number},
};
use crate::{connection::Connector, event};
use bytes::Bytes;
use redis::{Cmd, RedisError, Script, aio::MultiplexedConnection};
use std::{
    io,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// A new key gets its end, an old one keeps its own. The answer is read as text, as Lua's numbers have only 53 bits.
static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local new = redis.call('EXISTS', KEYS[1]) == 0
         redis.call('INCRBY', KEYS[1], ARGV[1])
         if new and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
         return redis.call('GET', KEYS[1])",
    )
});

/// See the module. All keys have one hash tag, so that one server of a Cluster has them all.
pub(super) struct Shelf {
    plugin: Arc<str>,
    connector: Connector,
    prefix: String,
    connection: Mutex<Option<Open>>,
    outage: Outage,
}

#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    /// Told apart from the one before.
    since: Instant,
}

impl Shelf {
    pub(super) fn new(redis: &Connector, plugin: &Arc<str>) -> Self {
        let prefix = format!("gristmill:store:{{{plugin}}}:");
        Self {
            plugin: Arc::clone(plugin),
            connector: redis.at(&prefix),
            prefix,
            connection: Mutex::default(),
            outage: Outage::default(),
        }
    }

    pub(super) async fn get(&self, patience: &mut Patience, key: &str) -> Result<Option<Bytes>, Failure> {
        let value: Option<Vec<u8>> = self.ask(patience, &self.command("GET", key)).await?;
        Ok(value.map(Bytes::from))
    }

    pub(super) async fn set(&self, patience: &mut Patience, entry: Entry<'_>) -> Result<(), Failure> {
        let mut command = self.put(&entry);
        self.ask(patience, end(&mut command, entry.lasts)).await
    }

    pub(super) async fn add(&self, patience: &mut Patience, entry: Entry<'_>) -> Result<bool, Failure> {
        let mut command = self.put(&entry);
        command.arg("NX");
        let done: Option<String> = self.ask(patience, end(&mut command, entry.lasts)).await?;
        Ok(done.is_some())
    }

    pub(super) async fn increment(
        &self,
        patience: &mut Patience,
        key: &str,
        by: i64,
        lasts: Option<Duration>,
    ) -> Result<i64, Failure> {
        let mut script = INCREMENT.key(self.key(key));
        script.arg(by).arg(lasts.map_or_else(String::new, |lasts| millis(lasts).to_string()));
        let asked = async {
            let mut open = self.open().await?;
            let answer = script.invoke_async::<i64>(&mut open.connection).await;
            self.judge(&open, answer).await
        };
        self.patient(patience, asked).await
    }

    pub(super) async fn delete(&self, patience: &mut Patience, key: &str) -> Result<bool, Failure> {
        self.ask(patience, &self.command("DEL", key)).await
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn command(&self, name: &str, key: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(self.key(key));
        command
    }

    fn put(&self, entry: &Entry<'_>) -> Cmd {
        let mut command = self.command("SET", entry.key);
        command.arg(&entry.value[..]);
        command
    }

    async fn ask<T: redis::FromRedisValue>(&self, patience: &mut Patience, command: &Cmd) -> Result<T, Failure> {
        let asked = async {
            let mut open = self.open().await?;
            let answer = command.query_async(&mut open.connection).await;
            self.judge(&open, answer).await
        };
        self.patient(patience, asked).await
    }

    async fn patient<T>(
        &self,
        patience: &mut Patience,
        asked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        if let Some(answer) = patience.wait(asked).await {
            return answer;
        }
        if patience.was_long(start) {
            // Where it is locked somebody is about to connect anew.
            if let Ok(mut held) = self.connection.try_lock() {
                held.take_if(|open| open.since <= start);
            }
            self.away(&io::Error::from(io::ErrorKind::TimedOut).into());
        }
        Err(patience.late())
    }

    async fn open(&self) -> Result<Open, Failure> {
        let mut held = self.connection.lock().await;
        if let Some(open) = &*held {
            return Ok(open.clone());
        }
        let connection = self.connector.shared().await.map_err(|error| self.away(&error))?;
        let open = Open { connection, since: Instant::now() };
        *held = Some(open.clone());
        Ok(open)
    }

    async fn judge<T>(&self, open: &Open, answer: Result<T, RedisError>) -> Result<T, Failure> {
        let error = match answer {
            Ok(answer) => {
                if self.outage.worked(Instant::now()) {
                    event::store_back(&self.plugin);
                }
                return Ok(answer);
            }
            Err(error) => error,
        };
        let said = error.to_string();
        if ["not an integer", "would overflow", "WRONGTYPE"].iter().any(|text| said.contains(text)) {
            return Err(no_number());
        }
        if self.connector.is_lost(&error) {
            self.connection.lock().await.take_if(|held| held.since == open.since);
        }
        Err(self.away(&error))
    }

    fn away(&self, error: &RedisError) -> Failure {
        if self.outage.failed(Instant::now()) {
            let advice = self.connector.advice(error, &self.prefix);
            let keys = format!("{}*", self.prefix);
            event::store_away(&self.plugin, self.connector.url(), &keys, error, &advice);
        }
        Failure::Unreachable("Redis does not do what the store asks of it; the log of the node says why".to_owned())
    }
}

/// With the end that it has, if it has one.
fn end(command: &mut Cmd, lasts: Option<Duration>) -> &Cmd {
    if let Some(lasts) = lasts {
        command.arg("PX").arg(millis(lasts));
    }
    command
}

fn millis(lasts: Duration) -> u64 {
    u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX).max(1)
}
