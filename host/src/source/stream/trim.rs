//! Removes entries that no group of the stream needs any more.

use super::{Member, scripts};
use crate::source::backoff::Backoff;
use redis::RedisError;
use std::time::Duration;

/// How often that is looked for.
const TRIM: Duration = Duration::from_secs(2);

/// Trims until it is time to take nothing more.
pub(super) async fn run(member: Member) {
    let shared = &member.shared;
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        let pause = match trim(&member).await {
            Ok(()) => {
                backoff.reset();
                TRIM
            }
            Err(error) => {
                shared.failed(&error).await;
                backoff.next()
            }
        };
        shared.pause(pause).await;
    }
}

async fn trim(member: &Member) -> Result<(), RedisError> {
    let mut link = member.shared.link().await?;
    scripts::TRIM.key(&*member.shared.keys.list).arg(member.group.name()).invoke_async(&mut link).await
}
