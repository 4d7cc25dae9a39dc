//! `pause-all-workers`: while an operator has set it, nothing is taken, retries neither.

use super::workers::Workers;
use crate::{shutdown::Shutdown, source::queue::flow::Flow};
use redis::RedisError;
use std::{sync::Arc, time::Duration};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Heeds it, until it is time to take nothing more.
pub(super) async fn heed(workers: Arc<Workers>, flow: Arc<Flow>, shutdown: Shutdown) {
    while !shutdown.quiet().is_cancelled() {
        let paused = is_set(&workers).await;
        workers.link.judge(&paused).await;
        if let Ok(paused) = paused {
            flow.turns.hold(paused);
        }
        // Elapsing is what usually happens.
        let _ended = tokio::time::timeout(LOOK, shutdown.quiet().cancelled()).await.is_ok();
    }
}

async fn is_set(workers: &Workers) -> Result<bool, RedisError> {
    let mut redis = workers.link.redis().await?;
    let value: Option<Vec<u8>> = redis::cmd("GET").arg(workers.names.pause()).query_async(&mut redis).await?;
    Ok(value.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"true")))
}
