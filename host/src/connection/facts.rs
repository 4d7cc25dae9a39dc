//! What a server tells of itself: its version, and what it may lose.

use crate::event;
use redis::{RedisError, Value, aio::MultiplexedConnection};

/// What one server has told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// As it tells it, and to be compared; a Valkey tells the version of Redis that it is compatible with.
    version: Option<(String, (u32, u32))>,
    /// The rule by which it throws away what it has no room for.
    evicts: Option<String>,
    forgets: bool,
}

impl Told {
    /// Asks for everything; what the user may not ask stays unknown.
    pub(super) async fn by(connection: &mut MultiplexedConnection) -> Result<Self, RedisError> {
        let asked = redis::cmd("INFO").query_async::<String>(connection).await;
        let info = match asked {
            Ok(info) => info,
            Err(error) if error.code() == Some("NOPERM") => {
                return Ok(Self { version: greeted(connection).await, ..Self::default() });
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            version: version(&info),
            evicts: evicts(&info),
            forgets: field(&info, "aof_enabled") == Some("0") && saves_nothing(connection).await,
        })
    }

    /// Its version, if it is older than `least`.
    pub(super) fn older_than(&self, least: (u32, u32)) -> Option<&str> {
        self.version.as_ref().filter(|(_, known)| *known < least).map(|(version, _)| &**version)
    }
}

/// Says once what may be lost in any of them.
pub(super) fn warn(all: &[Told], url: &str) {
    if let Some(policy) = all.iter().find_map(|told| told.evicts.as_deref()) {
        event::redis_evicts(url, policy);
    }
    if all.iter().any(|told| told.forgets) {
        event::redis_forgets(url);
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Everybody may say hello, and is told the version in return.
/// Source: Redis documentation, `HELLO`: an array of names and values.
async fn greeted(connection: &mut MultiplexedConnection) -> Option<(String, (u32, u32))> {
    let told = redis::cmd("HELLO").query_async::<Vec<Value>>(connection).await.ok()?;
    let named = |pair: &&[Value]| matches!(pair, [Value::BulkString(name), _] if name == b"version");
    match told.chunks(2).find(named)? {
        [_, Value::BulkString(version)] => parse(str::from_utf8(version).ok()?),
        _ => None,
    }
}

fn version(info: &str) -> Option<(String, (u32, u32))> {
    parse(field(info, "redis_version")?)
}

fn parse(version: &str) -> Option<(String, (u32, u32))> {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    Some((version.to_owned(), (parts.next()?, parts.next()?)))
}

fn evicts(info: &str) -> Option<String> {
    let policy = field(info, "maxmemory_policy").filter(|policy| *policy != "noeviction")?;
    let bound = field(info, "maxmemory").is_some_and(|most| most != "0");
    bound.then(|| policy.to_owned())
}

/// Only when it is sure: who may not ask learns nothing.
async fn saves_nothing(connection: &mut MultiplexedConnection) -> bool {
    let asked = redis::cmd("CONFIG").arg("GET").arg("save").query_async::<Vec<String>>(connection).await;
    asked.is_ok_and(|pair| matches!(&pair[..], [_, when] if when.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("x:1\r\nredis_version:6.0.16\r\n"), Some(("6.0.16".into(), (6, 0))));
        assert!(version("redis_version:10.1.0").is_some_and(|(_, known)| known > (6, 2)));
    }

    #[test]
    fn a_server_evicts_only_with_a_bound() {
        let info = |most: u32, policy: &str| format!("maxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(evicts(&info(100, "allkeys-lru")), Some("allkeys-lru".to_owned()));
        assert_eq!(evicts(&info(0, "allkeys-lru")), None);
        assert_eq!(evicts(&info(100, "noeviction")), None);
    }
}
