//! Taking jobs: the id and the claim in one step, so that a job is never taken by nobody.

use crate::source::script::Needed;
use std::sync::LazyLock;

/// As `TAKE` does, claims each as Thoonk's `get` does, and notes that it is ours.
///
/// Keys: lanes, lane, lease, ids, claimed, held. Arguments: the lane's register, the lease in milliseconds, how many at
/// most, the end to take from. Returns 1 if the lane was registered anew or else 0, then the ids.
pub(super) static CLAIM: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local taken = {redis.call('HSETNX', KEYS[1], KEYS[2], ARGV[1])}
redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _ = 1, ARGV[3] do
  local id = redis.call('LMOVE', KEYS[4], KEYS[2], ARGV[4], 'RIGHT')
  if not id then break end
  redis.call('ZADD', KEYS[5], now, id)
  redis.call('SADD', KEYS[6], id)
  redis.call('PUBLISH', KEYS[5], id)
  taken[#taken + 1] = id
end
return taken
",
    )
});
