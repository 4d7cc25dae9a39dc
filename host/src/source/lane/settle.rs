//! Carries out what became of the messages of a lane: one call of the script for all that has gathered meanwhile.

use super::{
    Content, Lane, Work,
    along::{Last, Refused},
    scripts,
    settlement::{Settlement, Step},
    take::{WATCHDOG, outlasted},
};
use crate::{
    event,
    source::{backoff::Backoff, keys, queue::shared::Shared, stream},
};
use redis::{RedisError, ScriptInvocation, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Settles `lane`, which has begun to be cared for, until it is closed and empty, or lost.
pub(in crate::source) async fn run(shared: Arc<Shared>, lane: Arc<Lane>) {
    settle_all(&shared, &lane).await;
    shared.end(&lane.key);
}

async fn settle_all(shared: &Shared, lane: &Lane) {
    loop {
        match lane.collect() {
            Work::Settle(settlement) => {
                let held = carry_out(shared, lane, settlement).await;
                if !held {
                    event::lane_lost(&shared.source, &lane.key, lane.lose());
                    return;
                }
            }
            Work::Idle => lane.work().await,
            Work::Finished if lane.is_lost() => return,
            Work::Finished => return retire(shared, lane).await,
        }
    }
}

/// Forgets a lane that is closed and settled. One that still holds something unread stays for others to take over.
async fn retire(shared: &Shared, lane: &Lane) {
    if lane.content == Content::Pending {
        return stream::retire(shared, lane).await;
    }
    let retired = async {
        let mut link = shared.link().await?;
        let mut retirement = scripts::RETIRE.prepare_invoke();
        retirement.key(shared.keys.lanes()).key(&*lane.key).key(keys::slow(&lane.key));
        retirement.invoke_async::<()>(&mut link).await
    };
    if let Err(error) = retired.await {
        shared.failed(&error).await;
    }
}

/// False when the lane is no longer ours.
async fn carry_out(shared: &Shared, lane: &Lane, mut settlement: Settlement) -> bool {
    let mut answer = send(shared, lane, &settlement).await;
    if matches!(answer, Answer::Damaged) {
        event::lane_damaged(&shared.source, &lane.key);
        settlement = lane.rescue(settlement);
        answer = send(shared, lane, &settlement).await;
    }
    let held = match answer {
        Answer::Done(refused) => {
            lane.tell(&mut settlement, refused);
            true
        }
        Answer::Lost | Answer::Damaged => false,
    };
    lane.done(&settlement, held);
    held
}

/// What the script says.
enum Answer {
    /// The lane is no longer ours.
    Lost,
    /// But for these messages, whose commands were refused.
    Done(Vec<Refused>),
    /// Nothing was done, as items are missing from the lane.
    Damaged,
}

/// Tries until Redis has answered: sending the same settlement twice does no harm.
async fn send(shared: &Shared, lane: &Lane, settlement: &Settlement) -> Answer {
    let mut backoff = Backoff::new();
    loop {
        match try_to_send(shared, lane, settlement).await {
            Ok(answer) => {
                shared.healthy();
                return answer;
            }
            Err(error) => {
                shared.failed(&error).await;
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

async fn try_to_send(shared: &Shared, lane: &Lane, settlement: &Settlement) -> Result<Answer, RedisError> {
    let _step = shared.step("settling messages of");
    let (mut link, since) = shared.link.redis_since().await?;
    let sent = Instant::now();
    let answer = scripts::SETTLE.run(&mut link, |invocation| fill(shared, lane, settlement, invocation));
    let answer: Value = shared.link.connector.answer(since, WATCHDOG, answer).await?;
    if !shared.link.connector.is_answered_by(since, sent, Duration::ZERO).await {
        return Err(outlasted());
    }
    Ok(match answer {
        Value::Int(0) => Answer::Lost,
        Value::Int(2) => Answer::Damaged,
        Value::Int(_) => lane.refused(settlement).await?.map_or(Answer::Lost, Answer::Done),
        refused => Answer::Done(redis::from_redis_value(refused)?),
    })
}

fn fill(shared: &Shared, lane: &Lane, settlement: &Settlement, invocation: &mut ScriptInvocation<'_>) {
    let keys = &shared.keys;
    invocation.key(keys.lanes()).key(&*lane.key).key(keys::slow(&lane.key)).key(keys.delayed()).key(&*shared.dead);
    invocation.arg(&*settlement.before).arg(&*settlement.after);
    invocation.arg(settlement.least).arg(settlement.trim);
    let steps: Vec<_> = settlement.steps.iter().flat_map(Step::arguments).collect();
    invocation.arg(steps.len());
    for argument in steps.into_iter().chain(settlement.last.iter().flat_map(Last::arguments)) {
        invocation.arg(&argument[..]);
    }
}
