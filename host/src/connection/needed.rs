//! Scripts that must do their work also when Redis is full.

use redis::{
    ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation, ServerErrorKind, aio::MultiplexedConnection,
};

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
        match invoke(&self.usual, redis, &fill).await {
            Err(error) if is_full(&error) => {
                let full = invoke(&self.full, redis, &fill).await;
                full.map_err(|other| if other.is_io_error() { other } else { error })
            }
            answered => answered,
        }
    }
}

/// Scripts may be flushed again between being loaded and being called.
async fn invoke<T: FromRedisValue>(
    script: &Script,
    redis: &mut MultiplexedConnection,
    fill: &impl Fn(&mut ScriptInvocation<'_>),
) -> Result<T, RedisError> {
    let mut invocation = script.prepare_invoke();
    fill(&mut invocation);
    let mut answer = invocation.invoke_async(redis).await;
    for _ in 0..3 {
        match &answer {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                answer = invocation.invoke_async(redis).await;
            }
            _ => break,
        }
    }
    answer
}

/// Whether Redis has refused because it has no memory left.
pub(crate) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.to_string().contains("OOM command not allowed")
}
