//! Who holds what: keeps this node's lease, and takes over lanes whose holder is gone.

use super::{
    keys::{self},
    lane::{Content, Lane, Register},
    scripts, settle,
    shared::{Backoff, Shared},
};
use crate::event;
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Items read from a lane at a time.
const PAGE: usize = 64;
/// A blocked command of a lost connection can still move an item until then.
const ARMED: Duration = Duration::from_secs(3);
/// How often what is due is looked for, at least.
const DUE_AT_MOST: Duration = Duration::from_millis(250);
const DUE_AT_LEAST: Duration = Duration::from_millis(5);
/// Due items moved by one call.
const DUE_PAGE: usize = 200;

/// A connection as the server knows it.
#[derive(Clone, Debug)]
pub(super) struct ClientId {
    pub(super) id: i64,
    /// Unlike the number, never used again after the server was restarted.
    pub(super) name: String,
}

/// Renews the lease until it is dropped.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.lease / 3).await;
        if let Err(error) = renew(&shared).await {
            shared.failed(&error).await;
        }
    }
}

async fn renew(shared: &Shared) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    let lease = shared.lease.as_millis() as u64;
    redis::cmd("SET").arg(shared.keys.lease(&shared.node)).arg(1).arg("PX").arg(lease).exec_async(&mut link).await
}

/// Gives the lease back, so that others need not wait for what this node left.
pub(super) async fn release(shared: &Shared) {
    let released = async {
        let mut link = shared.link().await?;
        redis::cmd("UNLINK").arg(shared.keys.lease(&shared.node)).exec_async(&mut link).await
    };
    if let Err(error) = released.await {
        shared.failed(&error).await;
    }
}

/// Moves retries that are due to where they are taken from, until it is time to take nothing more.
pub(super) async fn move_due(shared: Arc<Shared>) {
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        let pause = match due(&shared).await {
            Ok((moved, _)) if moved == DUE_PAGE => Duration::ZERO,
            Ok((_, next)) => {
                backoff.reset();
                u64::try_from(next).map_or(DUE_AT_MOST, Duration::from_millis).clamp(DUE_AT_LEAST, DUE_AT_MOST)
            }
            Err(error) => {
                shared.failed(&error).await;
                backoff.next()
            }
        };
        shared.pause(pause).await;
    }
}

async fn due(shared: &Shared) -> Result<(usize, i64), RedisError> {
    let mut link = shared.link().await?;
    scripts::DUE.key(shared.keys.delayed()).key(shared.keys.retry()).arg(DUE_PAGE).invoke_async(&mut link).await
}

/// Takes over lanes of nodes that are gone, and lanes of this node that nobody cares for any more.
pub(super) async fn reap(shared: Arc<Shared>) {
    let mut orphans: HashMap<String, Instant> = HashMap::new();
    let tick = shared.lease / 5;
    while !shared.shutdown.quiet().is_cancelled() {
        match look_for_orphans(&shared).await {
            Ok(found) => {
                orphans.retain(|lane, _| found.contains(lane));
                for lane in found {
                    // Seen orphaned twice: after a pause of Redis itself, living nodes have renewed by then.
                    if orphans.entry(lane.clone()).or_insert_with(Instant::now).elapsed() >= tick / 2 {
                        orphans.remove(&lane);
                        take_over(&shared, lane).await;
                    }
                }
            }
            Err(error) => shared.failed(&error).await,
        }
        shared.pause(tick).await;
    }
}

async fn look_for_orphans(shared: &Shared) -> Result<Vec<String>, RedisError> {
    let mut link = shared.link().await?;
    let lanes: Vec<String> = redis::cmd("HKEYS").arg(shared.keys.lanes()).query_async(&mut link).await?;
    let mut alive: HashMap<String, bool> = HashMap::new();
    let mut orphans = Vec::new();
    for lane in lanes {
        let Some((holder, _)) = shared.keys.holder(&lane) else { continue };
        let orphaned = if holder == shared.node {
            !shared.is_live(&lane)
        } else {
            !is_alive(shared, &mut link, &mut alive, holder).await?
        };
        if orphaned {
            orphans.push(lane);
        }
    }
    Ok(orphans)
}

async fn is_alive(
    shared: &Shared,
    link: &mut MultiplexedConnection,
    known: &mut HashMap<String, bool>,
    node: &str,
) -> Result<bool, RedisError> {
    if let Some(alive) = known.get(node) {
        return Ok(*alive);
    }
    let alive = redis::cmd("EXISTS").arg(shared.keys.lease(node)).query_async(link).await?;
    known.insert(node.to_owned(), alive);
    Ok(alive)
}

async fn take_over(shared: &Arc<Shared>, lane: String) {
    match adopt(shared, &lane).await {
        Ok(Some((key, register))) => {
            event::lane_taken_over(&shared.source, &lane, register.takeovers);
            let content = content(&shared.keys, &key);
            let lane = Lane::new(Arc::clone(shared), key, content, register);
            shared.shutdown.track_until_stop(settle::run(Arc::clone(shared), Arc::clone(&lane)));
            shared.shutdown.track_until_stop(resume(Arc::clone(shared), lane, true));
        }
        Ok(None) => {}
        Err(error) => shared.failed(&error).await,
    }
}

async fn adopt(shared: &Shared, lane: &str) -> Result<Option<(String, Register)>, RedisError> {
    let keys = &shared.keys;
    let Some((holder, name)) = keys.holder(lane) else { return Ok(None) };
    let letter = name.get(..1).unwrap_or("q");
    let key = keys.lane(&shared.node, &format!("{letter}{:x}", shared.next_lane()));
    // A lane of our own that was left alone has no other lease than ours, which lives.
    let lease = if holder == shared.node { format!("{lane}:nobody") } else { keys.lease(holder) };
    let mut link = shared.link().await?;
    let mut adoption = scripts::ADOPT.prepare_invoke();
    adoption.key(keys.lanes()).key(lane).key(keys::slow(lane)).key(lease).key(&key).key(keys::slow(&key));
    shared.begin(&key);
    let adopted = adoption.invoke_async::<Option<String>>(&mut link).await;
    let register = adopted.as_ref().ok().and_then(|register| Register::parse(register.as_deref()?));
    if register.is_none() {
        shared.end(&key);
    }
    adopted.map(|_| register.map(|register| (key, register)))
}

fn content(keys: &keys::Keys, lane: &str) -> Content {
    match keys.holder(lane) {
        Some((_, name)) if name.starts_with('r') => Content::Sealed,
        _ => Content::Raw,
    }
}

/// The connection of `lane` broke: delivers what Redis has put into the lane without our knowing.
pub(super) async fn recover(shared: Arc<Shared>, lane: Arc<Lane>, client: ClientId) {
    let mut backoff = Backoff::new();
    while let Err(error) = disarm(&shared, &client).await {
        shared.failed(&error).await;
        tokio::time::sleep(backoff.next()).await;
    }
    resume(shared, lane, false).await;
}

/// Ends the old connection on the server's side: a blocked command may still be armed there.
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
async fn resume(shared: Arc<Shared>, lane: Arc<Lane>, adopted: bool) {
    let until = Instant::now() + if adopted { Duration::ZERO } else { ARMED };
    let mut backoff = Backoff::new();
    let mut parked = adopted;
    while !shared.shutdown.quiet().is_cancelled() && !lane.is_lost() {
        let read = if parked {
            deliver_parked(&shared, &lane).await.map(|()| None)
        } else {
            deliver_unread(&shared, &lane).await
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
async fn deliver_unread(shared: &Arc<Shared>, lane: &Arc<Lane>) -> Result<Option<usize>, RedisError> {
    let permits = page(shared).await;
    let result = read_page(shared, lane, permits).await;
    let taken = result.as_ref().map_or(0, |items| items.as_ref().map_or(0, Vec::len));
    shared.permits.add_permits(permits - taken);
    match result? {
        Some(items) if items.is_empty() => Ok(Some(0)),
        Some(items) => {
            shared.hold(items.len());
            (shared.start)(lane.append(items));
            Ok(Some(taken))
        }
        None => {
            lane.lose();
            Ok(Some(0))
        }
    }
}

async fn read_page(shared: &Shared, lane: &Lane, count: usize) -> Result<Option<Vec<Vec<u8>>>, RedisError> {
    let mut link = shared.link().await?;
    let mut unread = scripts::UNREAD.prepare_invoke();
    unread.key(shared.keys.lanes()).key(&*lane.key).arg(lane.tail()).arg(count);
    unread.invoke_async(&mut link).await
}

/// Delivers what an earlier holder had put aside.
async fn deliver_parked(shared: &Arc<Shared>, lane: &Arc<Lane>) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    let slow = keys::slow(&lane.key);
    let mut seqs: Vec<u64> = redis::cmd("HKEYS").arg(&slow).query_async(&mut link).await?;
    seqs.sort_unstable();
    while !seqs.is_empty() {
        let permits = page(shared).await;
        let rest = seqs.split_off(permits.min(seqs.len()));
        let read = redis::cmd("HMGET").arg(&slow).arg(&seqs).query_async::<Vec<Option<Vec<u8>>>>(&mut link).await;
        let values = read.inspect_err(|_| shared.permits.add_permits(permits))?;
        let items: Vec<_> = seqs.into_iter().zip(values).filter_map(|(seq, value)| Some((seq, value?))).collect();
        shared.permits.add_permits(permits - items.len());
        shared.hold(items.len());
        (shared.start)(lane.append_parked(items));
        seqs = rest;
    }
    Ok(())
}

/// Permits for one page: one at least, more if they are free.
async fn page(shared: &Shared) -> usize {
    if let Ok(permit) = shared.permits.acquire().await {
        permit.forget();
    }
    let more = (PAGE - 1).min(shared.permits.available_permits());
    match shared.permits.try_acquire_many(more as u32) {
        Ok(permits) => {
            permits.forget();
            1 + more
        }
        Err(_) => 1,
    }
}

/// A lane was lost while something may have been put into it: makes it known again, so that `reap` finds it.
pub(super) async fn abandon(shared: Arc<Shared>, lane: String) {
    let mut backoff = Backoff::new();
    while let Err(error) = make_known(&shared, &lane).await {
        shared.failed(&error).await;
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn make_known(shared: &Shared, lane: &str) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    let exists: bool = redis::cmd("EXISTS").arg(lane).query_async(&mut link).await?;
    if exists {
        let register = Register { revision: 0, head: 0, origin: crate::random::unique(), takeovers: 0 };
        redis::cmd("HSETNX").arg(shared.keys.lanes()).arg(lane).arg(register.to_string()).exec_async(&mut link).await?;
    }
    Ok(())
}
