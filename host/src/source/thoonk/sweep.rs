//! Ends claims of others that are too old. Thoonk notes when a job is claimed, but nothing in it acts on that.

use super::{mend::Mender, names::Names};
use crate::{
    config, event,
    source::{queue::shared::Shared, script::Needed},
};
use redis::RedisError;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// Claims looked at by one call.
const PAGE: u64 = 200;
/// How often is swept, at most and at least.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(30);

/// Cancels claims that are too old, or stalls the job where that was done often enough; renews those that are ours.
///
/// Keys: claimed, cancelled, stalled, published, ids, items, held. Arguments: the greatest age in milliseconds, cancels,
/// how many claims to pass over, how many to look at. Returns how many were looked at, are not old enough, were cancelled,
/// were stalled. What is ours is renewed at half the age, so that others who sweep as we do never find it too old.
static SWEEP: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local half = string.format('%.0f', now - ARGV[1] / 2)
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', half, 'WITHSCORES', 'LIMIT', ARGV[3], ARGV[4])
local young, cancelled, stalled = 0, 0, 0
for at = 1, #old, 2 do
  local id = old[at]
  if redis.call('SISMEMBER', KEYS[7], id) == 1 then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), id)
  elseif tonumber(old[at + 1]) > now - ARGV[1] then
    young = young + 1
  elseif redis.call('HEXISTS', KEYS[6], id) == 0 then
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[4], id)
  elseif (tonumber(redis.call('HGET', KEYS[2], id) or 0) or 0) < tonumber(ARGV[2]) then
    redis.call('HINCRBY', KEYS[2], id, 1)
    redis.call('LPUSH', KEYS[5], id)
    redis.call('ZREM', KEYS[1], id)
    cancelled = cancelled + 1
  else
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('SADD', KEYS[3], id)
    redis.call('ZREM', KEYS[4], id)
    stalled = stalled + 1
  end
end
return {#old / 2, young, cancelled, stalled}
",
    )
});

/// Sweeps until it is time to take nothing more, and puts back what workers have lost.
pub(super) async fn run(shared: Arc<Shared>, feed: config::Thoonk) {
    let names = Names::new(&feed.feed);
    let tick = (feed.claim / 10).clamp(OFTEN, SELDOM);
    let mut mender = Mender::default();
    while !shared.shutdown.quiet().is_cancelled() {
        let swept = sweep(&shared, &names, &feed).await;
        let mended = mender.mend(&shared, &names).await;
        for error in [swept.err(), mended.err()].into_iter().flatten() {
            shared.failed(&error).await;
        }
        shared.pause(tick).await;
    }
}

async fn sweep(shared: &Shared, names: &Names, feed: &config::Thoonk) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    let claim = u64::try_from(feed.claim.as_millis()).unwrap_or(u64::MAX);
    let (mut offset, mut cancelled, mut stalled) = (0, 0, 0);
    loop {
        let page = SWEEP.run(&mut link, |sweep| {
            sweep.key(&names.claimed).key(&names.cancelled).key(&names.stalled).key(&names.published);
            sweep.key(&names.ids).key(&names.items).key(&names.held);
            sweep.arg(claim).arg(feed.cancels).arg(offset).arg(PAGE);
        });
        let (seen, young, made_available, given_up): (u64, u64, u64, u64) = page.await?;
        offset += young;
        cancelled += made_available;
        stalled += given_up;
        if seen < PAGE {
            break;
        }
    }
    if cancelled + stalled > 0 {
        event::claims_swept(&feed.feed, cancelled, stalled);
    }
    Ok(())
}
