//! One batch: its requests, their replies, and each message told as soon as it is known what becomes of it.

use super::{
    Halt, Out, Publisher, Why,
    along::{self, Along},
    gather::{Gather, Joined, Member},
};
use crate::{
    config,
    effect::limit::Admitted,
    event,
    message::{Fault, Message},
    plugin::Version,
    request::{BatchAnswer, Batched, Fate, Reply, Request, Settling},
};
use bytes::Bytes;
use futures_util::future::{Either, join, join_all, select};
use std::{collections::HashMap, mem, pin::pin, sync::Arc, time::Instant};

/// A batch under way.
struct Batch<'a> {
    version: &'a Arc<Version>,
    /// Those that have not been told yet.
    open: Vec<Member>,
}

impl Publisher {
    /// Publishes `message` together with others.
    pub(super) async fn publish_gathered(
        &self,
        gather: &Gather,
        terms: &config::Batch,
        out: &Out<'_>,
        message: &Message,
    ) -> Result<Along, Why> {
        let Joined { told, full, lead } = gather.join(message, out.settling, terms);
        let own = async {
            let Some(lead) = lead else {
                return told.await;
            };
            // Where the batch fills up, somebody else sees to it and tells.
            match select(told, pin!(lead.batch())).await {
                Either::Left((told, _)) => told,
                Either::Right((members, told)) => {
                    self.see_to(out, members.unwrap_or_default()).await;
                    told.await
                }
            }
        };
        let full = join_all(full.into_iter().map(|members| self.see_to(out, members)));
        let (told, _) = join(own, full).await;
        told.unwrap_or_else(|_| {
            let fault = Fault::Retry { after: None, reason: "the batch that it was in was interrupted".to_owned() };
            Err(Halt::Fault(fault).of(&self.slot.current(), message))
        })
    }

    /// Publishes all of `members` and tells each what became of it.
    async fn see_to(&self, out: &Out<'_>, members: Vec<Member>) {
        let version = self.slot.current();
        let mut batch = Batch { version: &version, open: members };
        let together = version.takes_batches() && batch.open.len() > 1;
        let ended = if together { self.batch_rounds(out, &mut batch).await } else { Ok(false) };
        match ended {
            Ok(true) => {}
            Ok(false) => self.singly(out, &mut batch).await,
            // One of them may be what broke it; alone each shows.
            Err(Halt::Fault(Fault::Broken { reason, .. })) => {
                event::batch_broke(version.name(), version.digest(), batch.open.len(), &reason);
                self.singly(out, &mut batch).await;
            }
            Err(halt) => batch.tell_all(&halt),
        }
    }

    /// Each by itself, side by side.
    async fn singly(&self, out: &Out<'_>, batch: &mut Batch<'_>) {
        let version = batch.version;
        // That of whoever sees to the batch, which is not that of the others.
        let trace = out.trace.filter(|_| batch.open.len() == 1);
        join_all(batch.open.drain(..).map(|member| async move {
            let out = Out { settling: member.settling, trace, ..*out };
            let outcome = self.rounds(version, &out, &member.message).await;
            tell(version, member, outcome);
        }))
        .await;
    }

    /// Together, until nothing more is asked for any of them; true when all have been told.
    async fn batch_rounds(&self, out: &Out<'_>, batch: &mut Batch<'_>) -> Result<bool, Halt> {
        let version = batch.version;
        let mut requests = batch.take(version.lend().await?.publish_batch(&batch.messages()).await?);
        let (mut round, mut asked) = (1, 0);
        let mut admitted = Admitted::default();
        while !requests.is_empty() {
            asked += requests.len();
            version.allows_requests(asked, round)?;
            if round == 1 {
                let first = requests.iter().map(|request| &request.what);
                admitted = out.effects.admit(out.share, first, out.quiet).await.map_err(Halt::Held)?;
            }
            let (count, start) = (requests.len(), Instant::now());
            let wanted = along::wanted(requests.iter().map(|request| &request.what));
            let replies = self.carry_out_batch(out, batch, round, requests, &mut admitted).await;
            version.carried_out(count, start.elapsed());
            for (place, words) in wanted {
                batch.queue(words, replies.get(place));
            }
            let answer = version.lend().await?.answered_batch(&batch.messages(), &replies, round).await?;
            requests = batch.take(answer);
            round += 1;
        }
        Ok(true)
    }

    async fn carry_out_batch(
        &self,
        out: &Out<'_>,
        batch: &Batch<'_>,
        round: u32,
        requests: Vec<Batched<Request>>,
        admitted: &mut Admitted,
    ) -> Vec<Batched<Reply>> {
        let keys = batch.keys(&self.name, round, &requests);
        join_all(requests.into_iter().zip(keys).map(|(Batched { what, carries }, key)| {
            let pass = what.url().and_then(|_| admitted.take_pass());
            async move {
                let settling = batch.settling(&carries);
                let what = self.send(out, &key, settling, what, pass).await;
                let first = carries.first().and_then(|place| batch.open.get(*place));
                if let (Some(why), Some(first)) = (what.denied(), first) {
                    event::request_denied(&self.name, &first.message, why);
                }
                Batched { what, carries }
            }
        }))
        .await
    }
}

impl Batch<'_> {
    fn messages(&self) -> Vec<&Message> {
        self.open.iter().map(|member| &member.message).collect()
    }

    /// Whether and where commands can be carried out with the settling of what a request carries.
    fn settling(&self, carries: &[usize]) -> Settling {
        match carries {
            [only] => self.open.get(*only).map_or(Ok(0), |member| member.settling),
            _ => Err("it was asked for several messages at once, and each is settled by itself"),
        }
    }

    /// A command for the settling of a message was asked for, and `reply` was the answer.
    fn queue(&mut self, words: Vec<Bytes>, reply: Option<&Batched<Reply>>) {
        let first = reply.and_then(|reply| reply.carries.first());
        if let Some(member) = first.and_then(|first| self.open.get_mut(*first)) {
            member.along.queue(self.version, words, reply.map(|reply| &reply.what));
        }
    }

    /// Tells those of whom `answer` says that they have failed or are done; returns the requests for the others, by their places
    /// among these.
    fn take(&mut self, answer: BatchAnswer) -> Vec<Batched<Request>> {
        let (fates, requests) = answer.fates(self.open.len());
        let mut left = Vec::new();
        for (mut member, fate) in self.open.drain(..).zip(fates) {
            match fate {
                Fate::Open => left.push(member),
                Fate::Done => {
                    let along = mem::take(&mut member.along);
                    tell(self.version, member, Ok(along));
                }
                Fate::Failed(fault) => tell(self.version, member, Err(fault.into())),
            }
        }
        self.open = left;
        requests
    }

    fn tell_all(&mut self, halt: &Halt) {
        for member in self.open.drain(..) {
            tell(self.version, member, Err(halt.clone()));
        }
    }

    /// An idempotency key for each request: that of a message alone where it carries one, else one of all that it carries, which comes
    /// again only where these come together again.
    fn keys(&self, publisher: &str, round: u32, requests: &[Batched<Request>]) -> Vec<String> {
        let mut counts: HashMap<&[usize], usize> = HashMap::new();
        for request in requests {
            *counts.entry(&request.carries).or_default() += 1;
        }
        let mut numbers: HashMap<&[usize], usize> = HashMap::new();
        let key = |request: &Batched<Request>, number: usize, count: usize| {
            let ids = request.carries.iter().filter_map(|place| self.open.get(*place));
            let ids: Vec<&str> = ids.map(|member| &*member.message.id).collect();
            let first = format!("{}/{publisher}", ids.join(","));
            if round == 1 && count == 1 { first } else { format!("{first}/{round}.{number}") }
        };
        let mut keys = Vec::with_capacity(requests.len());
        for request in requests {
            let number = numbers.entry(&request.carries).or_default();
            keys.push(key(request, *number, counts.get(&*request.carries).copied().unwrap_or_default()));
            *number += 1;
        }
        keys
    }
}

/// Whoever waited for that may have been told to end.
fn tell(version: &Version, member: Member, outcome: Result<Along, Halt>) {
    let outcome = outcome.map_err(|halt| halt.of(version, &member.message));
    drop(member.tell.send(outcome));
}
