//! Where the order of messages matters, one node at a time takes from a source; the others stand by.
//!
//! Who takes holds a key with an expiry, renewed as its lease is. It begins when nothing of another node is left in any
//! lane, after what dead nodes left has been handed out, and knowing what waits for another attempt.

use super::shared::Shared;
use crate::{
    event,
    message::Message,
    source::{Ordered, Waiting, backoff::Backoff, dialect::Dialect, keys, lane::envelope::Envelope, script, stream},
};
use redis::{RedisError, Script, aio::MultiplexedConnection};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// How much of what waits is read at a time.
const PAGE: isize = 200;

/// Lets another node become the one that takes. Keys: the leader. Arguments: the node.
static RESIGN: LazyLock<Script> =
    LazyLock::new(|| Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"));

/// Opens the flow of `queues` while this node leads, until it is time to take nothing more.
pub(in crate::source) async fn run(queues: Vec<Arc<Shared>>, ordered: Ordered) {
    let Some(first) = queues.first() else { return };
    let mut leads = false;
    let mut backoff = Backoff::new();
    while !first.shutdown.quiet().is_cancelled() {
        let pause = match step(&queues, &ordered, &mut leads).await {
            Ok(()) => {
                backoff.reset();
                if leads { first.lease / 4 } else { first.lease / 20 }
            }
            Err(error) => {
                first.failed(&error).await;
                backoff.next()
            }
        };
        first.pause(pause).await;
    }
    if let Err(error) = resign(first).await {
        first.failed(&error).await;
    }
}

async fn step(queues: &[Arc<Shared>], ordered: &Ordered, leads: &mut bool) -> Result<(), RedisError> {
    let Some(first) = queues.first() else { return Ok(()) };
    let elected = elect(first).await?;
    if *leads && !elected {
        first.flow.shut();
        (ordered.lost)();
        event::stands_by(&first.source);
    } else if elected && !*leads {
        for queue in queues {
            if !is_clear(queue).await? {
                return Ok(());
            }
        }
        (ordered.lost)();
        for queue in queues {
            expect(queue, ordered).await?;
        }
        first.flow.open(now_ms(&mut first.link().await?).await?);
        event::leads(&first.source);
    }
    *leads = elected;
    Ok(())
}

async fn elect(shared: &Shared) -> Result<bool, RedisError> {
    let mut link = shared.link().await?;
    script::hold(&mut link, &shared.keys.leader(), &shared.node, shared.lease).await
}

async fn resign(shared: &Shared) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    RESIGN.key(shared.keys.leader()).arg(&*shared.node).invoke_async(&mut link).await
}

/// Whether nothing of another node is in flight, and all that was taken over has been handed out.
async fn is_clear(shared: &Shared) -> Result<bool, RedisError> {
    // Also what waits for another attempt is taken through lanes.
    if let Dialect::Stream(group) = &shared.dialect
        && !stream::is_clear(shared, group).await?
    {
        return Ok(false);
    }
    let mut link = shared.link().await?;
    let lanes: Vec<String> = redis::cmd("HKEYS").arg(shared.keys.lanes()).query_async(&mut link).await?;
    for lane in lanes {
        let foreign = shared.keys.holder(&lane).is_some_and(|(node, _)| node != shared.node);
        if foreign || !shared.is_live(&lane) {
            let slow = keys::slow(&lane);
            let held: usize = redis::cmd("EXISTS").arg(&lane).arg(slow).query_async(&mut link).await?;
            if held > 0 {
                return Ok(false);
            }
        }
    }
    // Last: what was taken over since is known here.
    Ok(!shared.is_resuming())
}

/// Tells of all messages that wait for another attempt, in the order in which they will come.
async fn expect(shared: &Shared, ordered: &Ordered) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    let now = now_ms(&mut link).await?;
    let mut from = 0;
    loop {
        let mut page = redis::cmd("LRANGE");
        let due: Vec<Vec<u8>> =
            page.arg(shared.keys.retry()).arg(from).arg(from + PAGE - 1).query_async(&mut link).await?;
        let more = due.len() as isize == PAGE;
        (ordered.waiting)(due.into_iter().filter_map(|sealed| waiting(shared, sealed, 0)).collect());
        if !more {
            break;
        }
        from += PAGE;
    }
    from = 0;
    loop {
        let mut page = redis::cmd("ZRANGE");
        page.arg(shared.keys.delayed()).arg(from).arg(from + PAGE - 1).arg("WITHSCORES");
        let later: Vec<(Vec<u8>, f64)> = page.query_async(&mut link).await?;
        let more = later.len() as isize == PAGE;
        let later = later.into_iter();
        (ordered.waiting)(
            later.filter_map(|(sealed, due)| waiting(shared, sealed, (due as u64).saturating_sub(now))).collect(),
        );
        if !more {
            return Ok(());
        }
        from += PAGE;
    }
}

async fn now_ms(link: &mut MultiplexedConnection) -> Result<u64, RedisError> {
    let (now, micros): (u64, u64) = redis::cmd("TIME").query_async(link).await?;
    Ok(now * 1_000 + micros / 1_000)
}

fn waiting(shared: &Shared, sealed: Vec<u8>, due_in_ms: u64) -> Option<Waiting> {
    let (envelope, payload) = Envelope::open(&sealed.into())?;
    let place = envelope.place.unwrap_or_else(|| envelope.id.clone());
    let message = Message {
        id: envelope.id.into(),
        source: Arc::clone(&shared.source),
        topic: envelope.topic.map_or_else(|| Arc::clone(&shared.source), Into::into),
        attempt: 1 + envelope.attempts,
        received_ms: envelope.received_ms,
        headers: envelope.headers,
        payload,
    };
    Some(Waiting { message, place, due_in: Duration::from_millis(due_in_ms) })
}
