//! Tries dead letters again: as they were, edited, or through another pipeline.

use super::{DeadLetters, Error, Letter, Place, Stream, walk::page};
use crate::{
    random, slot,
    source::{
        keys::Keys,
        lane::envelope::Envelope,
        script::{FORGET_EMPTY, Needed},
        thoonk,
    },
};
use std::sync::LazyLock;

/// The header of an edited message that holds the id of the one it was made of.
const REPLAYED_FROM: &str = "replayed-from";

/// How a replay differs from the letter; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Through this pipeline.
    pub to: Option<Place>,
    /// With these bytes.
    pub payload: Option<Vec<u8>>,
}

/// What a letter has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The message's id, another one where it was edited.
    pub id: String,
    /// The pipeline that takes it.
    pub to: String,
}

/// Keys: the stream, the list; for a Thoonk feed config, stalled, claimed, published, held. Arguments: entry, envelope; for a
/// Thoonk feed the id, which is claimed again if it is a job's. Returns 1 when the letter was there.
static REPLAY: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(&format!(
        r"
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
if ARGV[3] and redis.call('HGET', KEYS[3], 'type') == 'job' then
  local time = redis.call('TIME')
  local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SREM', KEYS[4], ARGV[3])
  redis.call('ZADD', KEYS[5], now, ARGV[3])
  redis.call('ZADD', KEYS[6], now, ARGV[3])
  redis.call('SADD', KEYS[7], ARGV[3])
end
redis.call('XDEL', KEYS[1], ARGV[1])
{FORGET_EMPTY}
return 1
"
    ))
});

impl DeadLetters {
    /// Tries a letter again from the first attempt. None when it is no longer there.
    ///
    /// Where the letter and the queue lie in different Cluster slots, a connection lost between two commands can leave
    /// the letter there although it is replayed.
    pub async fn replay(&mut self, letter: &Letter, changes: &Changes) -> Result<Option<Replayed>, Error> {
        let home = || self.places.iter().find(|place| place.pipeline == letter.pipeline);
        let homeless = || Error::Homeless { entry: letter.entry.clone(), pipeline: letter.pipeline.clone() };
        let place = changes.to.as_ref().or_else(home).ok_or_else(homeless)?;
        let (to, retry) = (place.pipeline.clone(), place.retry(letter)?);
        let payload = changes.payload.as_ref().unwrap_or(&letter.payload);
        let feed = place.feed.clone().filter(|_| to == letter.pipeline);
        let envelope = again(letter, to != letter.pipeline, *payload != letter.payload);
        let sealed = envelope.seal(payload);
        let was_there = if slot::of(&retry) == slot::of(&letter.stream) {
            self.hand_over(letter, &retry, &sealed, feed).await?
        } else {
            self.copy_over(letter, &retry, &sealed).await?
        };
        Ok(was_there.then_some(Replayed { id: envelope.id, to }))
    }

    async fn hand_over(
        &mut self,
        letter: &Letter,
        retry: &str,
        sealed: &[u8],
        feed: Option<thoonk::Names>,
    ) -> Result<bool, Error> {
        let mut link = self.link(&letter.stream).await?;
        let replay = REPLAY.run(&mut link, |replay| {
            replay.key(&letter.stream).key(retry).arg(&letter.entry).arg(sealed);
            if let (Some(feed), Some(id)) = (&feed, &letter.item) {
                replay.key(&feed.config).key(&feed.stalled).key(&feed.claimed).key(&feed.published);
                replay.key(Keys::new(&feed.ids).held()).arg(id);
            }
        });
        Ok(replay.await?)
    }

    /// No script reaches two slots: rather twice than lost.
    async fn copy_over(&mut self, letter: &Letter, retry: &str, sealed: &[u8]) -> Result<bool, Error> {
        let mut stream = Stream { key: letter.stream.clone(), link: self.link(&letter.stream).await? };
        if page(&mut stream, &letter.entry, &letter.entry, 1).await?.is_empty() {
            return Ok(false);
        }
        let mut link = self.link(retry).await?;
        redis::cmd("RPUSH").arg(retry).arg(sealed).exec_async(&mut link).await?;
        self.drop(letter).await?;
        Ok(true)
    }
}

/// What is known of the message when it is tried again. Its id makes receivers take it for the one they may have got
/// already, so an edited one has another. A publisher that succeeded did so with these bytes and in this pipeline.
fn again(letter: &Letter, elsewhere: bool, edited: bool) -> Envelope {
    let Letter { id, received_ms, succeeded, topic, headers, item, .. } = letter.clone();
    let mut envelope = Envelope { id, received_ms, succeeded, topic, headers, item, ..Envelope::default() };
    if elsewhere {
        envelope.item = None;
    }
    if elsewhere || edited {
        envelope.succeeded.clear();
    }
    if edited {
        envelope.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(REPLAYED_FROM));
        let before = std::mem::replace(&mut envelope.id, random::unique());
        envelope.headers.push((REPLAYED_FROM.to_owned(), before));
    }
    envelope
}
