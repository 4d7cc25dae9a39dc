//! Reads what lies in a lane and nobody here knows of: after a lost connection, or after taking the lane over.

use super::{
    Content, Lane, scripts,
    suspects::{self, Trial},
};
use crate::source::{Delivery, backoff::Backoff, dialect::Item, keys, queue::shared::Shared};
use redis::RedisError;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Items read from a lane at a time.
const PAGE: usize = 256;
/// A blocked command of a lost connection can still move an item until then.
pub(in crate::source) const ARMED: Duration = Duration::from_secs(3);

/// A connection as the server knows it.
#[derive(Clone, Debug)]
pub(in crate::source) struct ClientId {
    pub(in crate::source) id: i64,
    /// Unlike the number, never used again after the server was restarted.
    pub(in crate::source) name: String,
}

/// Why a lane is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum Why {
    /// Its connection broke.
    Broken,
    /// Its node is gone, perhaps because of what lies in it.
    Adopted,
}

/// The connection of `lane` broke: delivers what Redis has put into the lane without our knowing.
pub(in crate::source) async fn recover(shared: Arc<Shared>, lane: Arc<Lane>, client: ClientId) {
    disarmed(&shared, &client).await;
    resume(shared, lane, Why::Broken).await;
}

/// Ends the old connection on the server's side: a blocked command may still be armed there.
pub(in crate::source) async fn disarmed(shared: &Shared, client: &ClientId) {
    let mut backoff = Backoff::new();
    while let Err(error) = disarm(shared, client).await {
        shared.failed(&error).await;
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn disarm(shared: &Shared, client: &ClientId) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    // Where these commands are not allowed, the old connection is waited out instead.
    let listed = redis::cmd("CLIENT").arg("LIST").arg("ID").arg(client.id).query_async::<String>(&mut link).await;
    match listed {
        Ok(line) if line.contains(&format!(" name={} ", client.name)) => {
            let killed = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(client.id).exec_async(&mut link).await;
            killed.or_else(|error| if error.is_io_error() { Err(error) } else { Ok(()) })
        }
        Err(error) if error.is_io_error() => Err(error),
        _ => Ok(()),
    }
}

/// Delivers what is in `lane` beyond what is known of it, then closes it.
pub(super) async fn resume(shared: Arc<Shared>, lane: Arc<Lane>, why: Why) {
    let until = Instant::now() + if why == Why::Adopted { Duration::ZERO } else { ARMED };
    let mut backoff = Backoff::new();
    let mut parked = why == Why::Adopted;
    let mut trial = Trial::default();
    while !shared.shutdown.quiet().is_cancelled() && !lane.is_lost() {
        let read = if parked {
            deliver_parked(&shared, &lane, &mut trial).await.map(|()| None)
        } else {
            deliver_unread(&shared, &lane, &mut trial, why).await
        };
        match read {
            Ok(None) => parked = false,
            Ok(Some(0)) if Instant::now() >= until => break,
            Ok(Some(0)) => shared.pause(ARMED / 6).await,
            Ok(Some(_)) => backoff.reset(),
            Err(error) => {
                shared.failed(&error).await;
                shared.pause(backoff.next()).await;
            }
        }
    }
    lane.close();
}

/// Delivers one page; tells how many items there were.
async fn deliver_unread(
    shared: &Arc<Shared>,
    lane: &Arc<Lane>,
    trial: &mut Trial,
    why: Why,
) -> Result<Option<usize>, RedisError> {
    let permits = page(shared).await;
    let first = lane.tail();
    let read = read_page(shared, lane, first, permits, why).await;
    let found = read.as_ref().map_or(0, |page| page.as_ref().map_or(0, |(_, items)| items.len()));
    shared.flow.unused(permits - found);
    match read? {
        Some((first, items)) => {
            hand_on(shared, lane.append_from(first, items), trial, why).await;
            Ok(Some(found))
        }
        None => {
            lane.lose();
            Ok(Some(0))
        }
    }
}

/// Up to `count` items from the sequence `first` on, and the sequence of the first of them; none when the lane is no longer ours.
async fn read_page(
    shared: &Shared,
    lane: &Lane,
    first: u64,
    count: usize,
    why: Why,
) -> Result<Option<(u64, Vec<Item>)>, RedisError> {
    let mut link = shared.link().await?;
    let mut unread = scripts::UNREAD.prepare_invoke();
    unread.key(shared.keys.lanes()).key(&*lane.key).arg(first).arg(count);
    let unread: Option<(u64, Vec<Vec<u8>>)> = unread.invoke_async(&mut link).await?;
    let Some((first, raw)) = unread else { return Ok(None) };
    let items = read(shared, lane, raw).await?;
    let mut items: Vec<(u64, Item)> = (first..).zip(items).collect();
    if why == Why::Adopted {
        suspects::mark(shared, lane, &mut items).await?;
    }
    Ok(Some((first, items.into_iter().map(|(_, item)| item).collect())))
}

async fn read(shared: &Shared, lane: &Lane, raw: Vec<Vec<u8>>) -> Result<Vec<Item>, RedisError> {
    match lane.content {
        Content::Raw => shared.dialect.read(&mut shared.link().await?, raw).await,
        Content::Sealed | Content::Pending => Ok(raw.into_iter().map(Item::from).collect()),
    }
}

pub(in crate::source) async fn hand_on(shared: &Arc<Shared>, deliveries: Vec<Delivery>, trial: &mut Trial, why: Why) {
    match why {
        Why::Broken if deliveries.is_empty() => {}
        Why::Broken => (shared.start)(deliveries),
        Why::Adopted if shared.ordered => suspects::put_back(deliveries),
        Why::Adopted => trial.hand_on(shared, deliveries).await,
    }
}

/// Delivers what an earlier holder had put aside.
async fn deliver_parked(shared: &Arc<Shared>, lane: &Arc<Lane>, trial: &mut Trial) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    let slow = keys::slow(&lane.key);
    let mut seqs: Vec<u64> = redis::cmd("HKEYS").arg(&slow).query_async(&mut link).await?;
    seqs.sort_unstable();
    while !seqs.is_empty() && !shared.shutdown.quiet().is_cancelled() {
        let permits = page(shared).await;
        let rest = seqs.split_off(permits.min(seqs.len()));
        let items = read_parked(shared, lane, &slow, seqs).await.inspect_err(|_| shared.flow.unused(permits))?;
        shared.flow.unused(permits - items.len());
        hand_on(shared, lane.append_parked(items), trial, Why::Adopted).await;
        seqs = rest;
    }
    Ok(())
}

async fn read_parked(shared: &Shared, lane: &Lane, slow: &str, seqs: Vec<u64>) -> Result<Vec<(u64, Item)>, RedisError> {
    let mut link = shared.link().await?;
    let values: Vec<Option<Vec<u8>>> = redis::cmd("HMGET").arg(slow).arg(&seqs).query_async(&mut link).await?;
    let there = seqs.into_iter().zip(values).filter_map(|(seq, value)| Some((seq, value?)));
    let (seqs, raw): (Vec<u64>, Vec<Vec<u8>>) = there.unzip();
    let mut items: Vec<(u64, Item)> = seqs.into_iter().zip(read(shared, lane, raw).await?).collect();
    suspects::mark(shared, lane, &mut items).await?;
    Ok(items)
}

/// Permits for one page: one at least, more if they are free.
pub(in crate::source) async fn page(shared: &Shared) -> usize {
    shared.flow.page(PAGE).await
}
