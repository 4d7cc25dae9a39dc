//! Consumers whose entries become ours: those of nodes that are gone, and those of other programs that leave them idle.

use super::{Member, consumers, group, pending::Rest, scripts};
use crate::{
    event,
    source::{
        backoff::Backoff,
        lane::{
            Content, Lane,
            recover::{self, Why},
            register::Register,
            settle,
        },
    },
};
use redis::RedisError;
use std::{sync::Arc, time::Duration};

/// How often idle entries of others are looked for: four times as often as they can become idle, within these bounds.
const LOOK_AT_LEAST: Duration = Duration::from_millis(100);
const LOOK_AT_MOST: Duration = Duration::from_secs(30);

/// Whose entries.
enum Prey {
    /// The consumer of this lane, whose node is gone, perhaps because of them.
    Orphan { lane: String },
    /// A consumer of another program.
    Idle {
        consumer: String,
        idle: Duration,
        /// The lowest id to look at, as `XPENDING` takes it; empty when all have been looked at.
        from: String,
    },
}

/// Takes over what the consumer of `lane` has pending.
pub(super) async fn take_over(member: Member, lane: String) {
    drain(member, Prey::Orphan { lane }).await;
}

/// Claims what other programs leave idle, until it is time to take nothing more.
pub(super) async fn claim_idle(member: Member, idle: Duration) {
    let shared = Arc::clone(&member.shared);
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        let pause = match consumers(&shared, &member.group).await {
            Ok(all) => {
                let others = all.into_iter().filter(|other| group::lane(&shared.keys, &other.name).is_none());
                for other in others.filter(|other| other.pending > 0) {
                    let prey = Prey::Idle { consumer: other.name, idle, from: "-".to_owned() };
                    drain(member.clone(), prey).await;
                }
                backoff.reset();
                (idle / 4).clamp(LOOK_AT_LEAST, LOOK_AT_MOST)
            }
            Err(error) => {
                shared.failed(&error).await;
                backoff.next()
            }
        };
        shared.pause(pause).await;
    }
}

/// Claims and delivers page by page under a new consumer, until there is nothing left.
async fn drain(member: Member, mut prey: Prey) {
    let shared = Arc::clone(&member.shared);
    let key = shared.new_lane(Content::Pending);
    shared.begin(&key);
    let lane = Lane::new(Arc::clone(&shared), key, Content::Pending, Register { takeovers: 1, ..Register::fresh(0) });
    let settled = shared.shutdown.track_until_stop(settle::run(Arc::clone(&shared), Arc::clone(&lane)));
    let mut rest = Rest::new(member, Arc::clone(&lane), None);
    let mut backoff = Backoff::new();
    let mut told = false;
    while !shared.shutdown.quiet().is_cancelled() && !lane.is_lost() {
        match page(&mut prey, &mut rest, &mut told).await {
            Ok(false) => break,
            Ok(true) => backoff.reset(),
            Err(error) => {
                shared.failed(&error).await;
                shared.pause(backoff.next()).await;
            }
        }
    }
    lane.close();
    if matches!(prey, Prey::Orphan { .. }) {
        // Only then can be read in Redis what was put back.
        drop(settled.await);
    }
}

/// Claims and delivers one page; false when there is nothing left.
async fn page(prey: &mut Prey, rest: &mut Rest, told: &mut bool) -> Result<bool, RedisError> {
    let flow = Arc::clone(&rest.member.shared.flow);
    let permits = recover::page(&rest.member.shared).await;
    let claimed = prey.claim(rest, permits).await.inspect_err(|_| flow.unused(permits))?;
    if claimed > 0 && !std::mem::replace(told, true) {
        prey.tell(rest, claimed);
    }
    // Also when nothing was claimed: the reply to an earlier claim may have been lost.
    let found = rest.hand_out(permits, prey.why()).await?;
    Ok(claimed > 0 || found > 0)
}

impl Prey {
    fn why(&self) -> Why {
        match self {
            Self::Orphan { .. } => Why::Adopted,
            Self::Idle { .. } => Why::Broken,
        }
    }

    fn tell(&self, heir: &Rest, claimed: usize) {
        let source = &heir.member.shared.source;
        match self {
            Self::Orphan { lane } => {
                event::lane_taken_over(&heir.member.shared.tally, source, lane, heir.lane.register().takeovers);
            }
            Self::Idle { consumer, .. } => event::entries_claimed(source, consumer, claimed),
        }
    }

    /// Makes up to `most` of the entries pending with `heir`, and says how many.
    async fn claim(&mut self, heir: &Rest, most: usize) -> Result<usize, RedisError> {
        match self {
            Self::Orphan { lane } => claim_orphaned(heir, lane, most).await,
            Self::Idle { consumer, idle, from } => {
                let mut claimed = 0;
                while claimed == 0 && !from.is_empty() {
                    let last;
                    (claimed, last) = claim_left(heir, consumer, *idle, from, most).await?;
                    *from = if last.is_empty() { last } else { format!("({last}") };
                }
                Ok(claimed)
            }
        }
    }
}

async fn claim_orphaned(heir: &Rest, lane: &str, most: usize) -> Result<usize, RedisError> {
    let Member { shared, group } = &heir.member;
    let keys = &shared.keys;
    let (Some((holder, _)), Some(consumer)) = (keys.holder(lane), group::consumer(keys, lane)) else { return Ok(0) };
    // A consumer of our own that was left alone has no other lease than ours, which lives.
    let lease = if holder == shared.node { format!("{lane}:nobody") } else { keys.lease(holder) };
    let register = heir.register();
    let mut link = shared.link().await?;
    scripts::TAKE_OVER
        .run(&mut link, |claim| {
            claim.key(keys.lanes()).key(lane).key(&*lease).key(&*keys.list).key(&*heir.lane.key);
            claim.arg(group.name()).arg(&*consumer).arg(&*heir.consumer).arg(&*register).arg(most);
        })
        .await
}

async fn claim_left(
    heir: &Rest,
    consumer: &str,
    idle: Duration,
    from: &str,
    most: usize,
) -> Result<(usize, String), RedisError> {
    let Member { shared, group } = &heir.member;
    let keys = &shared.keys;
    let (register, idle_ms) = (heir.register(), idle.as_millis() as u64);
    let mut link = shared.link().await?;
    scripts::CLAIM
        .run(&mut link, |claim| {
            claim.key(keys.lanes()).key(&*heir.lane.key).key(&*keys.list);
            claim.arg(group.name()).arg(consumer).arg(&*heir.consumer).arg(&*register).arg(most).arg(idle_ms).arg(from);
        })
        .await
}
