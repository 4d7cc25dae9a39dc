//! The scripts that change which consumer of a group has what: each is atomic, and can be sent again after a lost reply.

use crate::source::script::Needed;
use redis::Script;
use std::sync::LazyLock;

/// Makes a group, and its stream where that is missing. Keys: the stream. Arguments: group, where it begins.
/// Returns 1 when it was made, 0 when it was there.
pub(super) static CREATE: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if not made.err then return 1 end
if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
return made
",
    )
});

/// Registers a consumer and renews the lease, when the commands of a round are refused.
///
/// Keys: lanes, lane, lease. Arguments: register, the lease in milliseconds. Returns 1 when it was not registered.
pub(super) static REGISTER: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
return redis.call('HSETNX', KEYS[1], KEYS[2], ARGV[1])
",
    )
});

/// What a consumer has pending: id, deliveries, and fields or nil for each entry. Nil when the consumer is no longer
/// registered. Entries that were deleted meanwhile are acknowledged.
///
/// Keys: lanes, lane, stream. Arguments: group, consumer, the lowest id as `XPENDING` takes it, how many at most.
pub(super) static UNREAD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HEXISTS', KEYS[1], KEYS[2]) == 0 then return false end
local pending = redis.pcall('XPENDING', KEYS[3], ARGV[1], ARGV[3], '+', ARGV[4], ARGV[2])
if pending.err then return {} end
local unread = {}
for _, told in ipairs(pending) do
  local entry = redis.call('XRANGE', KEYS[3], told[1], told[1])[1]
  if not entry then redis.call('XACK', KEYS[3], ARGV[1], told[1]) end
  unread[#unread + 1] = {told[1], told[4], entry and entry[2] or false}
end
return unread
",
    )
});

/// Takes over what a consumer has pending whose node's lease is gone, and deletes one that has nothing left.
///
/// Keys: lanes, lane, lease, stream, the new lane. Arguments: group, consumer, new consumer, its register, how many at
/// most. Returns how many. How often they were delivered stays as it is: what nodes do is counted elsewhere.
pub(super) static TAKE_OVER: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('HDEL', KEYS[1], KEYS[2])
local pending = redis.pcall('XPENDING', KEYS[4], ARGV[1], '-', '+', ARGV[5], ARGV[2])
if pending.err then return 0 end
if #pending > 0 then
  local claim = {'XCLAIM', KEYS[4], ARGV[1], ARGV[3], 0}
  for _, told in ipairs(pending) do claim[#claim + 1] = told[1] end
  claim[#claim + 1] = 'JUSTID'
  redis.call('HSETNX', KEYS[1], KEYS[5], ARGV[4])
  redis.call(unpack(claim))
end
if #redis.call('XPENDING', KEYS[4], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
  redis.call('XGROUP', 'DELCONSUMER', KEYS[4], ARGV[1], ARGV[2])
end
return #pending
",
    )
});

/// Claims what a consumer has left idle, which counts as one more delivery.
///
/// Keys: lanes, the new lane, stream. Arguments: group, consumer, new consumer, its register, how many at most, for how
/// many milliseconds idle, the lowest id as `XPENDING` takes it. Returns how many, and the id looked at last, empty when
/// there are no more.
pub(super) static CLAIM: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local page = 1000
local pending = redis.pcall('XPENDING', KEYS[3], ARGV[1], ARGV[7], '+', page, ARGV[2])
if pending.err then return {0, ''} end
local claim, claimed, looked = {'XCLAIM', KEYS[3], ARGV[1], ARGV[3], ARGV[6]}, 0, 0
for _, told in ipairs(pending) do
  if claimed == tonumber(ARGV[5]) then break end
  looked = looked + 1
  if told[3] >= tonumber(ARGV[6]) then
    claim[#claim + 1] = told[1]
    claimed = claimed + 1
  end
end
if claimed > 0 then
  redis.call('HSETNX', KEYS[1], KEYS[2], ARGV[4])
  redis.call(unpack(claim))
end
if looked < #pending or #pending == page then return {claimed, pending[looked][1]} end
return {claimed, ''}
",
    )
});

/// Forgets a consumer that has nothing pending. Keys: lanes, lane, stream. Arguments: group, consumer.
/// Returns 1 when it is forgotten.
pub(super) static RETIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local pending = redis.pcall('XPENDING', KEYS[3], ARGV[1], '-', '+', 1, ARGV[2])
if not pending.err then
  if #pending > 0 then return 0 end
  redis.call('XGROUP', 'DELCONSUMER', KEYS[3], ARGV[1], ARGV[2])
end
redis.call('HDEL', KEYS[1], KEYS[2])
return 1
",
    )
});

/// Removes entries that every group of a stream has settled, as far as no older one is needed by any of them.
/// Nothing where the caller's group is not there yet, or no more. Keys: the stream. Arguments: the caller's group.
/// Returns how many were removed.
///
/// Ids are compared as text, as Lua's numbers are not exact enough.
pub(super) static TRIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function before(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return less(a_ms, b_ms) end
  return less(a_seq, b_seq)
end
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return 0 end
local first, settled, is_there
for _, told in ipairs(groups) do
  local group = {}
  for at = 1, #told, 2 do group[told[at]] = told[at + 1] end
  if group['name'] == ARGV[1] then is_there = true end
  local id, done = group['last-delivered-id'], true
  if group['pending'] > 0 then
    id, done = redis.call('XPENDING', KEYS[1], group['name'])[2], false
  end
  if not first or before(id, first) or (id == first and not done) then first, settled = id, done end
end
if not is_there then return 0 end
local removed = redis.call('XTRIM', KEYS[1], 'MINID', first)
if settled then removed = removed + redis.call('XDEL', KEYS[1], first) end
return removed
",
    )
});
