//! Scripts that several kinds of source use.

pub(super) use crate::connection::{Needed, is_full};

use redis::{RedisError, aio::MultiplexedConnection};
use std::{sync::LazyLock, time::Duration};

/// For a script that has taken entries out of the stream that is its first key: an empty one would stay as a key. One that groups read
/// from stays, or they would be gone with it; where the user may not ask for them, there are none.
pub(super) const FORGET_EMPTY: &str = r"
if redis.call('XLEN', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[1]) == 1
  and #redis.pcall('XINFO', 'GROUPS', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
";

/// Makes a node the holder of a key that expires, or lets it stay that. Keys: the key. Arguments: the node, milliseconds.
/// Returns whether it is.
static HOLD: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
",
    )
});

/// Whether `node` holds `key`, as nobody else does; then for as long as `lease` from now on.
pub(super) async fn hold(
    redis: &mut MultiplexedConnection,
    key: &str,
    node: &str,
    lease: Duration,
) -> Result<bool, RedisError> {
    HOLD.run(redis, |claim| {
        claim.key(key).arg(node).arg(lease.as_millis() as u64);
    })
    .await
}
