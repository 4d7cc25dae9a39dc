//! Puts back jobs that are in the feed and in no list of it: Thoonk's own workers take an id first and claim it afterwards,
//! and one that dies in between has lost it.

use super::names::Names;
use crate::{
    event,
    source::{queue::shared::Shared, script::Needed},
};
use redis::{RedisError, Script, aio::MultiplexedConnection};
use std::{collections::HashSet, sync::LazyLock};

/// Items and ids looked at by one command.
const PAGE: usize = 1_000;
/// Ids kept in memory while the list is compared with the items; what is beyond them is looked at the next time.
const MOST: usize = 100_000;
/// Jobs put back at a time.
const AT_ONCE: usize = 100;

/// A page of items whose ids are neither claimed nor stalled nor held; without the items themselves.
///
/// Keys: items, claimed, stalled, held. Arguments: cursor, how many. Returns the next cursor, then the ids.
static LOOSE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local loose = {page[1]}
for at = 1, #page[2], 2 do
  local id = page[2][at]
  if not redis.call('ZSCORE', KEYS[2], id) and redis.call('SISMEMBER', KEYS[3], id) == 0
    and redis.call('SISMEMBER', KEYS[4], id) == 0 then loose[#loose + 1] = id end
end
return loose
",
    )
});

/// Makes jobs available that are still in no list. Keys: items, claimed, stalled, held, ids. Arguments: the ids of jobs.
/// Returns how many there were.
static PUT_BACK: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local count = 0
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], id) == 1 and not redis.call('ZSCORE', KEYS[2], id)
    and redis.call('SISMEMBER', KEYS[3], id) == 0 and redis.call('SISMEMBER', KEYS[4], id) == 0
    and not redis.call('LPOS', KEYS[5], id) then
    redis.call('LPUSH', KEYS[5], id)
    count = count + 1
  end
end
return count
",
    )
});

/// Looks again and again.
#[derive(Debug, Default)]
pub(super) struct Mender {
    /// Jobs that were in no list when last looked at; a worker may have been about to claim them.
    suspects: HashSet<Vec<u8>>,
    /// Where the next look at the items begins.
    cursor: Vec<u8>,
}

impl Mender {
    /// Puts back what was lost before the last look, and looks for more.
    pub(super) async fn mend(&mut self, shared: &Shared, names: &Names) -> Result<(), RedisError> {
        let mut link = shared.link().await?;
        if !is_short(&mut link, names).await? {
            self.suspects.clear();
            return Ok(());
        }
        if !self.suspects.is_empty() {
            let back = put_back(&mut link, names, &self.suspects).await?;
            if back > 0 {
                event::jobs_put_back(&shared.source, back);
            }
        }
        self.suspects = self.look(&mut link, names).await?.into_iter().take(AT_ONCE).collect();
        Ok(())
    }

    async fn look(&mut self, link: &mut MultiplexedConnection, names: &Names) -> Result<HashSet<Vec<u8>>, RedisError> {
        let mut loose = HashSet::new();
        while loose.len() < MOST {
            let cursor = if self.cursor.is_empty() { b"0" } else { &*self.cursor };
            let mut page = LOOSE.key(&names.items);
            page.key(&names.claimed).key(&names.stalled).key(&names.held).arg(cursor).arg(PAGE);
            let mut found: Vec<Vec<u8>> = page.invoke_async(link).await?;
            loose.extend(found.drain(1.min(found.len())..));
            self.cursor = found.pop().unwrap_or_default();
            if self.cursor.is_empty() || self.cursor == b"0" {
                break;
            }
        }
        remove_waiting(link, names, &mut loose).await?;
        Ok(loose)
    }
}

/// Whether there are more items than places where their ids can be. Costs nothing, unlike looking for them.
async fn is_short(link: &mut MultiplexedConnection, names: &Names) -> Result<bool, RedisError> {
    let mut count = redis::pipe();
    count.atomic().cmd("HLEN").arg(&names.items).cmd("LLEN").arg(&names.ids);
    count.cmd("ZCARD").arg(&names.claimed).cmd("SCARD").arg(&names.stalled);
    let (items, waiting, claimed, stalled): (u64, u64, u64, u64) = count.query_async(link).await?;
    Ok(items > waiting + claimed + stalled)
}

/// Takes out of `loose` what waits in the list.
async fn remove_waiting(
    link: &mut MultiplexedConnection,
    names: &Names,
    loose: &mut HashSet<Vec<u8>>,
) -> Result<(), RedisError> {
    let mut first = 0;
    while !loose.is_empty() {
        let mut page = redis::cmd("LRANGE");
        page.arg(&names.ids).arg(first).arg(first + PAGE - 1);
        let ids: Vec<Vec<u8>> = page.query_async(link).await?;
        for id in &ids {
            loose.remove(id);
        }
        if ids.len() < PAGE {
            break;
        }
        first += PAGE;
    }
    Ok(())
}

async fn put_back(
    link: &mut MultiplexedConnection,
    names: &Names,
    suspects: &HashSet<Vec<u8>>,
) -> Result<u64, RedisError> {
    PUT_BACK
        .run(link, |put| {
            put.key(&names.items).key(&names.claimed).key(&names.stalled).key(&names.held).key(&names.ids);
            for id in suspects {
                put.arg(&**id);
            }
        })
        .await
}
