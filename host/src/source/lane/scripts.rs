//! The scripts that change who holds what: each is atomic, and can be sent again after a lost reply.
//!
//! `register.rs` says what a lane's register is.

use crate::source::script::Needed;
use redis::Script;
use std::sync::LazyLock;

/// Settles the oldest items of a lane, if it is still held as the caller thinks.
///
/// Keys: lanes, lane, slow, delayed, dead. Arguments: the register as it was, as it will be, items that must be there, items to trim, how many
/// arguments the operations have, then these: `unpark seq`, `park seq bytes`, `later ms envelope`, `dead n field value …`, `call n command argument …`,
/// `only skip n command argument …` (passes over `skip` arguments unless the command answers), `score key ms member`, `note journal id publisher`.
/// Then, for each message that is settled along with commands: its `seq`, its place in the lane or `-`, how many commands, how many arguments
/// operations have that follow them, then each command with the number of its words before it, then those operations.
///
/// Returns 1 when an earlier copy of this call has done it, 0 when the lane is no longer held, 2 when items are missing
/// from it: then those at its head are not the ones to trim, and nothing is done. Else those whose commands were refused: which, which command, why.
/// Copies are made before the trim: an error on the way leaves the item where it was.
///
/// Behind the first such command nothing fails that would have all of them carried out again: what is needed there has been tried before,
/// idly; and once something was written, a full Redis refuses nothing more, so that is asked at first.
pub(super) static SETTLE: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local held = redis.call('HGET', KEYS[1], KEYS[2])
if held == ARGV[2] then return 1 end
if held ~= ARGV[1] then return 0 end
if ARGV[3] ~= '0' and redis.call('LLEN', KEYS[2]) < tonumber(ARGV[3]) then return 2 end
local function due(after)
  local now = redis.call('TIME')
  return string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) + after)
end
local function carry_out(at, behind, call)
  while at < behind do
    local op = ARGV[at]
    if op == 'unpark' then
      call('HDEL', KEYS[3], ARGV[at + 1])
      at = at + 2
    elseif op == 'park' then
      call('HSET', KEYS[3], ARGV[at + 1], ARGV[at + 2])
      at = at + 3
    elseif op == 'later' then
      call('ZADD', KEYS[4], due(ARGV[at + 1]), ARGV[at + 2])
      at = at + 3
    elseif op == 'call' then
      local words = tonumber(ARGV[at + 1])
      call(unpack(ARGV, at + 2, at + 1 + words))
      at = at + 2 + words
    elseif op == 'only' then
      local words = tonumber(ARGV[at + 2])
      local answer = call(unpack(ARGV, at + 3, at + 2 + words))
      local skip = (not answer or answer == 0) and ARGV[at + 1] or 0
      at = at + 3 + words + skip
    elseif op == 'score' then
      call('ZADD', ARGV[at + 1], 'XX', due(ARGV[at + 2]), ARGV[at + 3])
      at = at + 4
    elseif op == 'note' then
      local noted = call('HGET', ARGV[at + 1], ARGV[at + 2])
      call('HSET', ARGV[at + 1], ARGV[at + 2], (noted and noted .. ',' or '') .. ARGV[at + 3])
      at = at + 4
    else
      local fields = tonumber(ARGV[at + 1])
      call('XADD', KEYS[5], '*', unpack(ARGV, at + 2, at + 1 + fields))
      at = at + 2 + fields
    end
  end
end
local last, refused = 6 + ARGV[5], {}
local full = false
if last <= #ARGV then
  local room = redis.pcall('ZADD', KEYS[4], 'XX', 0, '')
  full = type(room) == 'table' and room.err and string.find(room.err, 'OOM', 1, true) and room.err
  redis.call('HDEL', KEYS[3], '')
  if ARGV[4] ~= '0' then redis.call('LTRIM', KEYS[2], 0, -1) end
end
carry_out(6, last, redis.call)
local nth, at = 0, last
while at <= #ARGV do
  local seq, place, commands, follow = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local failed, which = full, 0
  at = at + 4
  for command = 0, commands - 1 do
    local words = tonumber(ARGV[at])
    if not failed then
      local answer = redis.pcall(unpack(ARGV, at + 1, at + words))
      failed, which = type(answer) == 'table' and answer.err, command
    end
    at = at + 1 + words
  end
  if failed then
    local raw = place ~= '-' and redis.call('LRANGE', KEYS[2], place, place)[1]
    if raw then redis.call('HSET', KEYS[3], seq, raw) end
    refused[#refused + 1] = {nth, which, failed}
  else
    carry_out(at, at + follow, redis.pcall)
  end
  nth, at = nth + 1, at + follow
end
if ARGV[4] ~= '0' then redis.call('LTRIM', KEYS[2], ARGV[4], -1) end
redis.call('HSET', KEYS[1], KEYS[2], ARGV[2])
return refused
",
    )
});

/// Takes what is there, as a round of a taker does, without waiting; for when the commands of a round are refused.
///
/// Keys: lanes, lane, lease, the list. Arguments: the lane's register, the lease in milliseconds, how many at most, the
/// end to take from. Returns 1 if the lane was registered anew or else 0, then the items.
pub(in crate::source) static TAKE: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local taken = {redis.call('HSETNX', KEYS[1], KEYS[2], ARGV[1])}
redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
for _ = 1, ARGV[3] do
  local item = redis.call('LMOVE', KEYS[4], KEYS[2], ARGV[4], 'RIGHT')
  if not item then break end
  taken[#taken + 1] = item
end
return taken
",
    )
});

/// The items of a lane from a sequence on, or from its head if that has passed it; nil when the lane is no longer held.
///
/// Keys: lanes, lane. Arguments: sequence, how many at most. Returns the sequence of the first, and the items.
pub(in crate::source) static UNREAD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local held = redis.call('HGET', KEYS[1], KEYS[2])
if not held then return false end
local head = string.match(held, '^%d+ (%d+) ')
local from = math.max(ARGV[1] - head, 0)
return {head + from, redis.call('LRANGE', KEYS[2], from, from + ARGV[2] - 1)}
",
    )
});

/// Takes a lane over from a node whose lease is gone.
///
/// Keys: lanes, lane, slow, the lease, the new lane, its slow. Returns the new register, or nil when there was nothing to take.
pub(in crate::source) static ADOPT: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
if redis.call('EXISTS', KEYS[4]) == 1 then return false end
local held = redis.call('HGET', KEYS[1], KEYS[2])
if not held then return false end
local items = 0
if redis.call('EXISTS', KEYS[2]) == 1 then items = 1; redis.call('RENAME', KEYS[2], KEYS[5]) end
if redis.call('EXISTS', KEYS[3]) == 1 then items = 1; redis.call('RENAME', KEYS[3], KEYS[6]) end
redis.call('HDEL', KEYS[1], KEYS[2])
if items == 0 then return false end
local head, origin, takeovers, done = string.match(held, '^%d+ (%d+) (%S+) (%d+) (%S+)$')
local register = '0 ' .. head .. ' ' .. origin .. ' ' .. (takeovers + 1) .. ' ' .. done
redis.call('HSET', KEYS[1], KEYS[5], register)
return register
",
    )
});

/// Renews a lease. Keys: the lease. Arguments: milliseconds.
pub(in crate::source) static RENEW: LazyLock<Needed> =
    LazyLock::new(|| Needed::new("redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])"));

/// Notes how often messages of a lane were tried that are under suspicion; nothing when the lane is no longer the caller's,
/// as whoever settles them then may have done so. Keys: lanes, the lane, tried. Arguments: id and tries of each.
pub(in crate::source) static TRIED: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new("if redis.call('HEXISTS', KEYS[1], KEYS[2]) == 1 then redis.call('HSET', KEYS[3], unpack(ARGV)) end")
});

/// Forgets a lane that holds nothing. Keys: lanes, lane, slow. Returns 1 when it is forgotten.
pub(in crate::source) static RETIRE: LazyLock<Script> = LazyLock::new(|| {
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
pub(super) static DUE: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
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
