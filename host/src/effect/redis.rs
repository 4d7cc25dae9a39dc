//! Commands of Redis for plugins: granted by command and by every key, and carried out on a connection that only they share.

#[cfg(test)]
mod tests;

use crate::{
    command,
    config::{self, RedisGrant, Reserved},
    connection::{Connector, Verdict},
    request::{Failure, RedisValue, Settling},
    slot,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use redis::{RedisError, Value, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    fmt::{self, Display},
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};

/// One command, from looking for the server to the answer.
const LONGEST: Duration = Duration::from_secs(5);
/// After a failed attempt to connect, nobody tries again for so long.
const PAUSE: Duration = Duration::from_millis(500);
/// Connections at once: one, but in a Cluster one for each slot that plugins name.
const LINKS: usize = 64;
/// Words of one command.
const WORDS: usize = 10_000;
/// Of one that is carried out with the settling of a message, as a script can pass on.
const WORDS_WITH_SETTLING: usize = 1_000;
/// Characters of a command or key that are repeated in a failure.
const SHOWN: usize = 100;

/// Carries commands out.
#[derive(Default)]
pub(super) struct Redis {
    connector: Option<Connector>,
    links: SyncMutex<HashMap<Option<u16>, Arc<Link>>>,
    reserved: ArcSwap<Reserved>,
}

/// What one plugin may have done, and be told.
pub(super) struct Allowance {
    grants: Vec<RedisGrant>,
    largest: usize,
}

/// A connection that is opened when it is needed, and again when it is lost.
#[derive(Default)]
struct Link(Mutex<State>);

#[derive(Default)]
struct State {
    /// Counts the connections, so that a lost one is given up once.
    count: u64,
    connection: Option<MultiplexedConnection>,
    failed: Option<(Instant, String)>,
}

impl Allowance {
    pub(super) fn new(settings: &config::Plugin) -> Self {
        let largest = usize::try_from(settings.http_response_kib).unwrap_or(usize::MAX).saturating_mul(1024);
        Self { grants: settings.allow_redis.clone(), largest }
    }

    /// The name of the command in `words` and its arguments, if it is granted.
    pub(super) fn test<'a>(&self, words: &'a [Bytes], reserved: &Reserved) -> Result<(String, &'a [Bytes]), Failure> {
        let (name, arguments) = parted(words, WORDS)?;
        self.check(&name, arguments, reserved)?;
        Ok((name, arguments))
    }

    /// The name of the command in `words` and its keys, if it is granted and may be carried out with the settling of a message.
    pub(super) fn test_with_settling<'a>(
        &self,
        words: &'a [Bytes],
        reserved: &Reserved,
    ) -> Result<(String, Vec<&'a [u8]>), Failure> {
        let (name, arguments) = parted(words, WORDS_WITH_SETTLING)?;
        self.check(&name, arguments, reserved)?;
        let why = "only a command that is plain data can, and nothing else that `allow_redis` grants";
        let keys = command::keys(&name, arguments).ok_or_else(|| not_with_settling(&name, why))?;
        Ok((name, keys))
    }

    /// Refuses what is not granted: the command, or one of its keys. A key of the broker, or of what it takes from, has to be named in full.
    fn check(&self, name: &str, arguments: &[Bytes], reserved: &Reserved) -> Result<(), Failure> {
        if command::is_never_granted(name) {
            return Err(Failure::Denied(format!("`{}` is a command that plugins never get", Shown(name.as_bytes()))));
        }
        if !self.grants.iter().any(|grant| grant.names(name)) {
            return Err(Failure::Denied(format!("`allow_redis` does not name `{}`", Shown(name.as_bytes()))));
        }
        if !command::is_plain(name) {
            return Ok(());
        }
        let Some(keys) = command::keys(name, arguments) else {
            return Err(Failure::Invalid(format!("`{name}` has not the arguments that it should have")));
        };
        let admitted = |key: &[u8]| {
            let reaches = |grant: &RedisGrant| grant.keys.is_literal() || !reserved.holds(key);
            self.grants.iter().any(|grant| grant.names(name) && grant.keys.matches(key) && reaches(grant))
        };
        match keys.into_iter().find(|key| !admitted(key)) {
            None => Ok(()),
            Some(key) if reserved.holds(key) => Err(Failure::Denied(format!(
                "`{}` belongs to Gristmill or to what it takes from, and no `{name}` in `allow_redis` names it in full",
                Shown(key)
            ))),
            Some(key) => Err(Failure::Denied(format!("`allow_redis` does not grant `{name}` of `{}`", Shown(key)))),
        }
    }
}

impl Redis {
    /// At the other end of `connector`.
    pub(super) fn at(connector: Connector) -> Self {
        Self { connector: Some(connector), ..Self::default() }
    }

    /// From now on these are the keys that patterns do not reach.
    pub(super) fn reserve(&self, reserved: Reserved) {
        self.reserved.store(Arc::new(reserved));
    }

    /// The answer to the command in `words`. It is sent once: whether to try again is for the plugin to judge.
    pub(super) async fn carry_out(&self, allowance: &Allowance, words: &[Bytes]) -> Result<RedisValue, Failure> {
        let (name, arguments) = allowance.test(words, &self.reserved.load())?;
        let answer = timeout(LONGEST, self.ask(&name, arguments)).await;
        let late = |_| Err(Failure::Unreachable(format!("Redis did not answer `{name}` within {LONGEST:?}")));
        let value = answer.unwrap_or_else(late)?;
        let mut room = allowance.largest;
        taken(value, &mut room).ok_or_else(|| {
            let kib = allowance.largest / 1024;
            Failure::TooLarge(format!("the answer to `{name}` is longer than {kib} KiB"))
        })
    }

    /// Looks whether the command in `words` can be carried out with the settling of its message, and answers in place of Redis.
    pub(super) fn queue(
        &self,
        allowance: &Allowance,
        settling: Settling,
        words: &[Bytes],
    ) -> Result<RedisValue, Failure> {
        let (name, keys) = allowance.test_with_settling(words, &self.reserved.load())?;
        let refused = |why: String| not_with_settling(&name, &why);
        let slot = settling.map_err(|why| refused(format!("{why}; ask for an ordinary command")))?;
        let is_cluster = self.connector.as_ref().is_some_and(Connector::is_cluster);
        // What is published goes to all servers, and has no slot.
        let bound = is_cluster && name != "PUBLISH";
        match keys.into_iter().find(|key| bound && slot::of_bytes(key) != slot) {
            None => Ok(RedisValue::queued()),
            Some(key) => Err(refused(format!(
                "`{}` lies in slot {} of the Cluster, and the message is settled in slot {slot}; give it the hash tag of what the \
                 message is taken from, as in `{{jobs}}:out` for the list `jobs`",
                Shown(key),
                slot::of_bytes(key)
            ))),
        }
    }

    async fn ask(&self, name: &str, arguments: &[Bytes]) -> Result<Value, Failure> {
        let Some(connector) = &self.connector else {
            return Err(Failure::Unreachable("there is no Redis here".to_owned()));
        };
        let key = command::keys(name, arguments).and_then(|keys| keys.first().map(|key| slot::of_bytes(key)));
        let slot = key.filter(|_| connector.is_cluster());
        let link = self.link(slot);
        let (count, mut connection) = link.get(&connector.at_slot(slot)).await?;
        let mut command = redis::cmd(name);
        for argument in arguments {
            command.arg(&argument[..]);
        }
        match command.query_async::<Value>(&mut connection).await {
            Ok(value) => Ok(value),
            Err(error) => {
                if connector.is_lost(&error) {
                    link.give_up(count).await;
                }
                Err(failure(connector, name, &error))
            }
        }
    }

    fn link(&self, slot: Option<u16>) -> Arc<Link> {
        // A panic with the lock held has changed whole entries or none.
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= LINKS && !links.contains_key(&slot) {
            links.clear();
        }
        Arc::clone(links.entry(slot).or_default())
    }
}

impl Link {
    /// The connection, and its number. Who comes while one is being opened waits for that.
    async fn get(&self, connector: &Connector) -> Result<(u64, MultiplexedConnection), Failure> {
        let state = &mut *self.0.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((state.count, connection.clone()));
        }
        if let Some((_, why)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(Failure::Unreachable(why.clone()));
        }
        match connector.shared().await {
            Ok(connection) => {
                *state = State { count: state.count + 1, connection: Some(connection.clone()), failed: None };
                Ok((state.count, connection))
            }
            Err(error) => {
                let why = format!("no connection to Redis at `{}`: {error}", connector.url());
                state.failed = Some((Instant::now(), why.clone()));
                Err(Failure::Unreachable(why))
            }
        }
    }

    async fn give_up(&self, count: u64) {
        let state = &mut *self.0.lock().await;
        if state.count == count {
            state.connection = None;
        }
    }
}

/// Why a command cannot be put beside the settling of its message.
fn not_with_settling(name: &str, why: &str) -> Failure {
    Failure::Invalid(format!("`{name}` cannot be carried out with the settling of this message: {why}"))
}

/// The name of a command, in capitals, and its arguments, if they are not more than `most`.
fn parted(words: &[Bytes], most: usize) -> Result<(String, &[Bytes]), Failure> {
    let (name, arguments) = words.split_first().filter(|_| words.len() <= most).ok_or_else(|| {
        Failure::Invalid(format!("a command has 1 to {most} words here, and this one has {}", words.len()))
    })?;
    Ok((String::from_utf8_lossy(name).to_ascii_uppercase(), arguments))
}

fn failure(connector: &Connector, name: &str, error: &RedisError) -> Failure {
    let why = format!("`{name}`: {}", Shown(error.to_string().as_bytes()));
    match connector.verdict(error) {
        Verdict::Denied => Failure::Denied(why),
        Verdict::Invalid => Failure::Invalid(why),
        Verdict::Later => Failure::Unreachable(why),
    }
}

/// `value` as plugins see it, if it fits into `room` bytes; every value takes some, however short it is.
fn taken(value: Value, room: &mut usize) -> Option<RedisValue> {
    const EACH: usize = 16;
    let several = |values: Vec<Value>, room: &mut usize| {
        let values = values.into_iter().map(|value| taken(value, room));
        values.collect::<Option<_>>().map(RedisValue::List)
    };
    let taken = match value {
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => several(values, room)?,
        Value::Map(pairs) => several(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect(), room)?,
        Value::Attribute { data, .. } => taken(*data, room)?,
        Value::Nil => RedisValue::Nil,
        Value::Int(number) => RedisValue::Number(number),
        Value::Boolean(truth) => RedisValue::Number(truth.into()),
        Value::Okay => RedisValue::Bytes(Bytes::from_static(b"OK")),
        Value::BulkString(bytes) | Value::BigNumber(bytes) => RedisValue::Bytes(bytes.into()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => RedisValue::Bytes(text.into()),
        Value::Double(number) => RedisValue::Bytes(number.to_string().into()),
        Value::ServerError(error) => RedisValue::Bytes(RedisError::from(error).to_string().into()),
        _ => RedisValue::Nil,
    };
    let bytes = if let RedisValue::Bytes(bytes) = &taken { bytes.len() } else { 0 };
    *room = room.checked_sub(bytes + EACH)?;
    Some(taken)
}

/// A text of a plugin's own making, in one line and not endless.
struct Shown<'a>(&'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        let mut rest = text.chars();
        for shown in rest.by_ref().take(SHOWN) {
            write!(f, "{}", shown.escape_debug())?;
        }
        if rest.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}
