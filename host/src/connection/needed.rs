//! Scripts that must do their work also when Redis is full.

use redis::{FromRedisValue, RedisError, Script, ScriptInvocation, aio::MultiplexedConnection};

/// A script that must do its work even when Redis is full, because it makes room or keeps what there is.
pub(crate) struct Needed {
    usual: Script,
    /// Refused by servers before Redis 7, which do not know such flags.
    full: Script,
}

impl Needed {
    pub(crate) fn new(code: &str) -> Self {
        Self { usual: Script::new(code), full: Script::new(&format!("#!lua flags=allow-oom\n{code}")) }
    }

    /// Runs it with the keys and arguments that `fill` gives it.
    pub(crate) async fn run<T: FromRedisValue>(
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
pub(crate) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.to_string().contains("OOM command not allowed")
}
