//! Keeps what waits in a queue, and what has died there, within the bounds the configuration sets.

use super::{
    scripts,
    shared::{Backoff, Shared},
};
use crate::{
    config::{Backlog, End, Take},
    event,
};
use redis::RedisError;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often the length of a bounded list is looked at.
const BACKLOG: Duration = Duration::from_millis(500);
/// How often dead letters are.
const DEAD: Duration = Duration::from_secs(60);

/// Drops what is too much in the list, until it is time to take nothing more.
pub(super) async fn bound(shared: Arc<Shared>, backlog: Backlog) {
    let sampler = event::Sampler::default();
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        let pause = match drop_surplus(&shared, backlog).await {
            Ok(dropped) => {
                if dropped > 0 {
                    event::backlog_dropped(&sampler, &shared.source, dropped);
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
    scripts::BOUND.key(&*shared.keys.list).arg(backlog.keep).arg(end).invoke_async(&mut link).await
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
    scripts::EXPIRE.key(&*shared.dead).arg(keep.most).arg(longest).invoke_async(&mut link).await
}
