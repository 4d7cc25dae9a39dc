//! Keeps what waits in a queue, and what has died there, within the bounds the configuration sets.

use super::shared::Shared;
use crate::{
    config::{Backlog, End, Take},
    event,
    source::{backoff::Backoff, script::FORGET_EMPTY},
};
use redis::{RedisError, Script};
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// How often the length of a bounded list is looked at.
const BACKLOG: Duration = Duration::from_millis(500);
/// How often dead letters are.
const DEAD: Duration = Duration::from_secs(60);

/// Drops what is too much in a list. Keys: the list. Arguments: how many may stay, the end that goes first.
/// Returns how many were dropped.
static BOUND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local over = redis.call('LLEN', KEYS[1]) - ARGV[1]
if over <= 0 then return 0 end
if ARGV[2] == 'LEFT' then redis.call('LTRIM', KEYS[1], over, -1)
else redis.call('LTRIM', KEYS[1], 0, -over - 1) end
return over
",
    )
});

/// Forgets entries of a stream. Keys: the stream. Arguments: how many may stay, and for how many milliseconds.
/// Returns how many were forgotten.
static EXPIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        r"
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2]
local expired = redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', math.max(oldest, 0)))
expired = expired + redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[1])
{FORGET_EMPTY}
return expired
"
    ))
});

/// Drops what is too much in the list, until it is time to take nothing more.
pub(in crate::source) async fn bound(shared: Arc<Shared>, backlog: Backlog) {
    let sampler = event::Sampler::default();
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        let pause = match drop_surplus(&shared, backlog).await {
            Ok(dropped) => {
                if dropped > 0 {
                    event::backlog_dropped(&shared.tally, &sampler, &shared.source, dropped);
                }
                backoff.reset();
                BACKLOG
            }
            Err(error) => {
                shared.failed(&error).await;
                backoff.next()
            }
        };
        shared.pause(pause).await;
    }
}

async fn drop_surplus(shared: &Shared, backlog: Backlog) -> Result<u64, RedisError> {
    let mut link = shared.link().await?;
    let end = match (backlog.drop, shared.oldest) {
        (Take::Oldest, End::Left) | (Take::Newest, End::Right) => "LEFT",
        (Take::Oldest, End::Right) | (Take::Newest, End::Left) => "RIGHT",
    };
    BOUND.key(&*shared.keys.list).arg(backlog.keep).arg(end).invoke_async(&mut link).await
}

/// Forgets dead letters that are too many or too old, until it is time to take nothing more.
pub(super) async fn expire(shared: Arc<Shared>) {
    let mut last: Option<Instant> = None;
    while !shared.shutdown.quiet().is_cancelled() {
        if last.is_none_or(|last| last.elapsed() >= DEAD) {
            last = Some(Instant::now());
            match forget(&shared).await {
                Ok(0) => {}
                Ok(expired) => event::dead_letters_expired(&shared.source, expired),
                Err(error) => shared.failed(&error).await,
            }
        }
        shared.pause(DEAD / 4).await;
    }
}

async fn forget(shared: &Shared) -> Result<u64, RedisError> {
    let mut link = shared.link().await?;
    let keep = &shared.keep_dead;
    let longest = keep.longest.as_millis() as u64;
    EXPIRE.key(&*shared.dead).arg(keep.most).arg(longest).invoke_async(&mut link).await
}
