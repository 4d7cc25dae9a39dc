//! The scripts that change who holds what: each is atomic, and can be sent again after a lost reply.
//!
//! A lane's register is the text `revision head origin takeovers`: every settlement raises the revision, `head` is the
//! sequence of the lane's oldest item, `origin` the prefix of its messages' ids.

use redis::Script;
use std::sync::LazyLock;

/// Settles the oldest items of a lane, if it is still held as the caller thinks.
///
/// Keys: lanes, lane, slow, delayed, dead. Arguments: the register as it was, as it will be, items to trim, then
/// operations: `unpark seq`, `park seq bytes`, `later ms envelope`, `dead n field value …`.
/// Returns 1 when done (now or by an earlier copy of this call), 0 when the lane is no longer held.
/// Copies are made before the trim: an error on the way leaves the item where it was.
pub(super) static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local held = redis.call('HGET', KEYS[1], KEYS[2])
if held == ARGV[2] then return 1 end
if held ~= ARGV[1] then return 0 end
local at = 4
while at <= #ARGV do
  local op = ARGV[at]
  if op == 'unpark' then
    redis.call('HDEL', KEYS[3], ARGV[at + 1])
    at = at + 2
  elseif op == 'park' then
    redis.call('HSET', KEYS[3], ARGV[at + 1], ARGV[at + 2])
    at = at + 3
  elseif op == 'later' then
    local now = redis.call('TIME')
    local due = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[at + 1]
    redis.call('ZADD', KEYS[4], string.format('%.0f', due), ARGV[at + 2])
    at = at + 3
  else
    local fields = tonumber(ARGV[at + 1])
    redis.call('XADD', KEYS[5], '*', unpack(ARGV, at + 2, at + 1 + fields))
    at = at + 2 + fields
  end
end
if ARGV[3] ~= '0' then redis.call('LTRIM', KEYS[2], ARGV[3], -1) end
redis.call('HSET', KEYS[1], KEYS[2], ARGV[2])
return 1
",
    )
});

/// The register of a lane and its items from a sequence on; nil when the lane is no longer held.
///
/// Keys: lanes, lane. Arguments: sequence, how many at most.
pub(super) static UNREAD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local held = redis.call('HGET', KEYS[1], KEYS[2])
if not held then return false end
local head = string.match(held, '^%d+ (%d+) ')
local from = ARGV[1] - head
return redis.call('LRANGE', KEYS[2], from, from + ARGV[2] - 1)
",
    )
});

/// Takes a lane over from a node whose lease is gone.
///
/// Keys: lanes, lane, slow, the lease, the new lane, its slow. Returns the new register, or nil when there was nothing to take.
pub(super) static ADOPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('EXISTS', KEYS[4]) == 1 then return false end
local held = redis.call('HGET', KEYS[1], KEYS[2])
if not held then return false end
local items = 0
if redis.call('EXISTS', KEYS[2]) == 1 then items = 1; redis.call('RENAME', KEYS[2], KEYS[5]) end
if redis.call('EXISTS', KEYS[3]) == 1 then items = 1; redis.call('RENAME', KEYS[3], KEYS[6]) end
redis.call('HDEL', KEYS[1], KEYS[2])
if items == 0 then return false end
local head, origin, takeovers = string.match(held, '^%d+ (%d+) (%S+) (%d+)$')
local register = '0 ' .. head .. ' ' .. origin .. ' ' .. (takeovers + 1)
redis.call('HSET', KEYS[1], KEYS[5], register)
return register
",
    )
});

/// Forgets a lane that holds nothing. Keys: lanes, lane, slow. Returns 1 when it is forgotten.
pub(super) static RETIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return 0 end
redis.call('HDEL', KEYS[1], KEYS[2])
return 1
",
    )
});

/// Moves what is due to where it is taken from. Keys: delayed, retry. Argument: how many at most.
/// Returns how many were moved, and in how many milliseconds the next one is due, -1 for never.
pub(super) static DUE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, item in ipairs(due) do
  redis.call('RPUSH', KEYS[2], item)
  redis.call('ZREM', KEYS[1], item)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #next == 0 then return {#due, -1} end
return {#due, math.max(0, math.ceil(next[2] - now))}
",
    )
});
