//! Finds out what a feed is, creates it where that is wanted, and waits for it otherwise.

use super::names::Names;
use crate::{
    config::{self, ThoonkKind},
    event,
    shutdown::Shutdown,
    source::connection::Connector,
};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{sync::LazyLock, time::Duration};

/// How often a feed is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Tells this process from others in Thoonk's notices.
static INSTANCE: LazyLock<String> = LazyLock::new(crate::random::hex);

/// Why a feed cannot be taken from yet.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("there is no Thoonk feed of this name; put something into it, or set `kind` and it is created")]
    Absent,
    #[error("this is a Thoonk feed of type `{found}`, but `kind` is \"{}\"; correct `kind` or leave it out", name(*.wanted))]
    Mismatch { found: String, wanted: ThoonkKind },
    #[error("a Thoonk feed of type `{0}` cannot be taken from; name one of type `feed`, `queue` or `job`")]
    Unsupported(String),
    #[error("Redis does not say what the feed is")]
    Redis(#[from] RedisError),
}

/// What `feed` is, as soon as it can be taken from; none when it is time to take nothing more.
pub(super) async fn kind(connector: &Connector, shutdown: &Shutdown, feed: &config::Thoonk) -> Option<ThoonkKind> {
    let mut said: Option<String> = None;
    while !shutdown.quiet().is_cancelled() {
        match look(connector, feed).await {
            Ok(kind) => {
                if said.is_some() {
                    event::feed_found(&feed.feed);
                }
                return Some(kind);
            }
            Err(obstacle) => {
                let reason = obstacle.to_string();
                if said.as_ref() != Some(&reason) {
                    match &obstacle {
                        Obstacle::Redis(cause) => {
                            let advice = connector.advice(cause, &feed.feed);
                            event::redis_trouble(&feed.feed, connector.url(), cause, &advice);
                        }
                        _ => event::feed_waits(&feed.feed, &reason),
                    }
                    said = Some(reason);
                }
            }
        }
        // Elapsing is what usually happens.
        let _ended = tokio::time::timeout(LOOK, shutdown.quiet().cancelled()).await.is_ok();
    }
    None
}

async fn look(connector: &Connector, feed: &config::Thoonk) -> Result<ThoonkKind, Obstacle> {
    let names = Names::new(&feed.feed);
    let mut redis = connector.at(&names.config).shared().await?;
    let mut found = type_of(&mut redis, &names).await?;
    if let (None, Some(kind)) = (&found, feed.kind) {
        // The register of all feeds lies elsewhere in a Cluster.
        let mut register = connector.at("feeds").shared().await?;
        create(&mut redis, &mut register, &names, &feed.feed, kind).await?;
        found = type_of(&mut redis, &names).await?;
    }
    judge(found, feed.kind)
}

async fn type_of(redis: &mut MultiplexedConnection, names: &Names) -> Result<Option<String>, RedisError> {
    redis::cmd("HGET").arg(&names.config).arg("type").query_async(redis).await
}

/// As Thoonk does, and where somebody else has begun to create it and has not got far, in his stead.
async fn create(
    redis: &mut MultiplexedConnection,
    register: &mut MultiplexedConnection,
    names: &Names,
    feed: &str,
    kind: ThoonkKind,
) -> Result<(), RedisError> {
    let added: bool = redis::cmd("SADD").arg("feeds").arg(feed).query_async(register).await?;
    redis::cmd("HSETNX").arg(&names.config).arg("type").arg(name(kind)).exec_async(redis).await?;
    if added {
        let notice = format!("{feed}\0{}", *INSTANCE);
        for channel in ["newfeed", "conffeed"] {
            redis::cmd("PUBLISH").arg(channel).arg(&notice).exec_async(redis).await?;
        }
    }
    Ok(())
}

fn judge(found: Option<String>, wanted: Option<ThoonkKind>) -> Result<ThoonkKind, Obstacle> {
    let found = found.ok_or(Obstacle::Absent)?;
    let kind = match (&*found, wanted) {
        ("feed", _) => ThoonkKind::Feed,
        ("queue", _) => ThoonkKind::Queue,
        // The same on the wire; its items are pickled.
        ("pyqueue", Some(ThoonkKind::Queue)) => ThoonkKind::Queue,
        ("job", _) => ThoonkKind::Job,
        _ => return Err(Obstacle::Unsupported(found)),
    };
    match wanted {
        Some(wanted) if wanted != kind => Err(Obstacle::Mismatch { found, wanted }),
        _ => Ok(kind),
    }
}

/// As Thoonk names it.
fn name(kind: ThoonkKind) -> &'static str {
    match kind {
        ThoonkKind::Feed => "feed",
        ThoonkKind::Queue => "queue",
        ThoonkKind::Job => "job",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feeds_own_type_decides_and_must_not_contradict_the_configuration() {
        let judged = |found: &str, wanted| judge(Some(found.to_owned()), wanted).map_err(|refused| refused.to_string());
        assert_eq!(judged("job", None), Ok(ThoonkKind::Job));
        assert_eq!(judged("feed", Some(ThoonkKind::Feed)), Ok(ThoonkKind::Feed));
        assert_eq!(judged("pyqueue", Some(ThoonkKind::Queue)), Ok(ThoonkKind::Queue));
        assert!(judged("pyqueue", None).is_err_and(|why| why.contains("cannot be taken from")));
        assert!(judged("sorted_feed", Some(ThoonkKind::Job)).is_err_and(|why| why.contains("cannot be taken from")));
        assert!(judged("queue", Some(ThoonkKind::Job)).is_err_and(|why| why.contains("`kind` is \"job\"")));
        assert!(judge(None, None).is_err_and(|why| why.to_string().contains("set `kind`")));
    }
}
