//! Who holds what: keeps this node's lease, and takes over lanes whose holder is gone.

use super::{Content, Lane, recover, register::Register, scripts, settle};
use crate::{
    event,
    source::{backoff::Backoff, dialect::Dialect, keys, queue::shared::Shared, stream},
};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How often what is due is looked for, at least.
const DUE_AT_MOST: Duration = Duration::from_millis(250);
const DUE_AT_LEAST: Duration = Duration::from_millis(5);
/// Due items moved by one call.
const DUE_PAGE: usize = 200;

/// Renews the lease until it is dropped.
pub(in crate::source) async fn keep(shared: Arc<Shared>) {
    loop {
        if let Err(error) = renew(&shared).await {
            shared.failed(&error).await;
        }
        tokio::time::sleep(shared.lease / 3).await;
    }
}

async fn renew(shared: &Shared) -> Result<(), RedisError> {
    let _step = shared.step("renewing the lease of");
    let mut link = shared.link().await?;
    let lease = shared.lease.as_millis() as u64;
    let key = shared.keys.lease(&shared.node);
    scripts::RENEW
        .run::<()>(&mut link, |renewal| {
            renewal.key(&*key).arg(lease);
        })
        .await?;
    event::lease_renewed(&shared.tally, shared.lease);
    Ok(())
}

/// Gives the lease back, so that others need not wait for what this node left.
pub(in crate::source) async fn release(shared: &Shared) {
    let released = async {
        let mut link = shared.link().await?;
        redis::cmd("UNLINK").arg(shared.keys.lease(&shared.node)).exec_async(&mut link).await
    };
    if let Err(error) = released.await {
        shared.failed(&error).await;
    }
}

/// Moves retries that are due to where they are taken from, until it is time to take nothing more.
pub(in crate::source) async fn move_due(shared: Arc<Shared>) {
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        // Whoever is about to lead reads what waits, which must not move meanwhile.
        if shared.shutdown.quiet().run_until_cancelled(shared.flow.opened()).await.is_none() {
            break;
        }
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
    let (delayed, retry) = (shared.keys.delayed(), shared.keys.retry());
    scripts::DUE
        .run(&mut link, |due| {
            due.key(&*delayed).key(&*retry).arg(DUE_PAGE);
        })
        .await
}

/// Takes over lanes of nodes that are gone, and lanes of this node that nobody cares for any more.
pub(in crate::source) async fn reap(shared: Arc<Shared>) {
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
    let mut lanes: HashSet<String> = redis::cmd("HKEYS").arg(shared.keys.lanes()).query_async(&mut link).await?;
    if let Dialect::Stream(group) = &shared.dialect {
        lanes.extend(stream::lanes(shared, group).await?);
    }
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
    if let (Content::Pending, Dialect::Stream(group)) = (content(&shared.keys, &lane), &shared.dialect) {
        return stream::take_over(shared, group, lane);
    }
    // Before the lane is ours: nobody is to think meanwhile that there is nothing to hand out.
    shared.resumes();
    match adopt(shared, &lane).await {
        Ok(Some((key, register))) => {
            event::lane_taken_over(&shared.tally, &shared.source, &lane, register.takeovers);
            let content = content(&shared.keys, &key);
            let lane = Lane::new(Arc::clone(shared), key, content, register);
            let settled = shared.shutdown.track_until_stop(settle::run(Arc::clone(shared), Arc::clone(&lane)));
            shared.shutdown.track_until_stop(hand_out(Arc::clone(shared), lane, settled));
        }
        Ok(None) => shared.resumed(),
        Err(error) => {
            shared.resumed();
            shared.failed(&error).await;
        }
    }
}

async fn hand_out(shared: Arc<Shared>, lane: Arc<Lane>, settled: JoinHandle<Option<()>>) {
    recover::resume(Arc::clone(&shared), lane, recover::Why::Adopted).await;
    // Only then can be read in Redis what was put back.
    drop(settled.await);
    shared.resumed();
}

async fn adopt(shared: &Shared, lane: &str) -> Result<Option<(String, Register)>, RedisError> {
    let keys = &shared.keys;
    let Some((holder, _)) = keys.holder(lane) else { return Ok(None) };
    let key = shared.new_lane(content(keys, lane));
    // A lane of our own that was left alone has no other lease than ours, which lives.
    let lease = if holder == shared.node { format!("{lane}:nobody") } else { keys.lease(holder) };
    let mut link = shared.link().await?;
    shared.begin(&key);
    let adopted: Result<Option<String>, _> = scripts::ADOPT
        .run(&mut link, |adoption| {
            adoption.key(keys.lanes()).key(lane).key(keys::slow(lane)).key(&*lease).key(&key).key(keys::slow(&key));
        })
        .await;
    let register = adopted.as_ref().ok().and_then(|register| Register::parse(register.as_deref()?));
    if register.is_none() {
        shared.end(&key);
    }
    adopted.map(|_| register.map(|register| (key, register)))
}

fn content(keys: &keys::Keys, lane: &str) -> Content {
    match keys.holder(lane) {
        Some((_, name)) if name.starts_with('c') => Content::Pending,
        Some((_, name)) if name.starts_with('r') => Content::Sealed,
        _ => Content::Raw,
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
        let register = Register::fresh(0);
        redis::cmd("HSETNX").arg(shared.keys.lanes()).arg(lane).arg(register.to_string()).exec_async(&mut link).await?;
    }
    Ok(())
}
