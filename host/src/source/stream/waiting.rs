//! How much of a stream its group has not been given yet, and since when.

use super::{Group, entry::Id};
use crate::source::keys::Keys;
use redis::{RedisError, Script, aio::MultiplexedConnection};
use std::{sync::LazyLock, time::Duration};

/// Keys: the stream. Arguments: the group. Returns how many entries it lags behind, as far as Redis knows, the id of the first of
/// them, and the time by the clock of Redis, in milliseconds. Redis knows the lag from version 7 on, unless entries were deleted.
static WAITING: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
local found = {}
if groups.err then groups = {} end
for _, group in ipairs(groups) do
  local told = {}
  for at = 1, #group, 2 do told[group[at]] = group[at + 1] end
  if told['name'] == ARGV[1] then found = told end
end
local last = found['last-delivered-id']
if not last then return {-1, '', 0} end
local next = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1)
local lag = found['lag']
if #next == 0 then lag = 0 end
local time = redis.call('TIME')
return {tonumber(lag) or -1, next[1] and next[1][1] or '', time[1] * 1000 + math.floor(time[2] / 1000)}
",
    )
});

/// How many entries wait, and for how long the first of them has; nothing of what Redis does not know.
pub(in crate::source) async fn waiting(
    keys: &Keys,
    group: &Group,
    link: &mut MultiplexedConnection,
) -> Result<(Option<u64>, Option<Duration>), RedisError> {
    let (lag, first, now): (i64, String, u64) = WAITING.key(&*keys.list).arg(group.name()).invoke_async(link).await?;
    let oldest = match Id::parse(&first) {
        Some(id) => Some(Duration::from_millis(now.saturating_sub(id.ms))),
        None => (now > 0).then_some(Duration::ZERO),
    };
    Ok((u64::try_from(lag).ok(), oldest))
}
