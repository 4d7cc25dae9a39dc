//! Scripts that must do their work also when Redis is full.

use redis::{FromRedisValue, RedisError, Script, ScriptInvocation, aio::MultiplexedConnection};
use std::{sync::LazyLock, time::Duration};

/// A script that must do its work even when Redis is full, because it makes room or keeps what there is.
pub(super) struct Needed {
    usual: Script,
    /// Refused by servers before Redis 7, which do not know such flags.
    full: Script,
}

impl Needed {
    pub(super) fn new(code: &str) -> Self {
        Self { usual: Script::new(code), full: Script::new(&format!("#!lua flags=allow-oom\n{code}")) }
    }

    /// Runs it with the keys and arguments that `fill` gives it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        redis: &mut MultiplexedConnection,
        fill: impl Fn(&mut ScriptInvocation<'_>),
    ) -> Result<T, RedisError> {
        let mut usual = self.usual.prepare_invoke();
        fill(&mut usual);
        match usual.invoke_async(redis).await {
            Err(error) if is_full(&error) => {
                let mut full = self.full.prepare_invoke();
                fill(&mut full);
                full.invoke_async(redis).await.map_err(|other| if other.is_io_error() { other } else { error })
            }
            answered => answered,
        }
    }
}

/// Whether Redis has refused because it has no memory left.
pub(super) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.to_string().contains("OOM command not allowed")
}

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
