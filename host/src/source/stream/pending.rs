//! What a consumer of this node has pending that was not handed out here: after a lost connection, or once claimed.

use super::{
    Member,
    entry::{Id, Told},
    scripts,
};
use crate::{
    event,
    source::{
        backoff::Backoff,
        dialect::{Dialect, Item},
        lane::{
            Lane,
            recover::{self, ARMED, ClientId, Why},
            suspects::{self, Trial},
        },
        queue::shared::Shared,
    },
};
use redis::RedisError;
use std::{sync::Arc, time::Instant};

/// The rest of what the consumer of a lane has pending.
pub(super) struct Rest {
    pub(super) member: Member,
    pub(super) lane: Arc<Lane>,
    pub(super) consumer: String,
    /// Everything up to here has been handed out.
    read_to: Option<Id>,
    trial: Trial,
}

/// One page of it.
struct Page {
    items: Vec<(u64, Item)>,
    last: Option<Id>,
    /// Entries of it, those that were deleted meanwhile included.
    found: usize,
}

impl Rest {
    pub(super) fn new(member: Member, lane: Arc<Lane>, read_to: Option<Id>) -> Self {
        let consumer = lane.consumer(&member.shared);
        Self { member, lane, consumer, read_to, trial: Trial::default() }
    }

    /// What registers the consumer where it is not: what has been handed out was registered before.
    pub(super) fn register(&self) -> String {
        if self.read_to.is_some() { self.lane.anew() } else { self.lane.register().to_string() }
    }

    /// Hands out up to `permits` entries; tells how many there were.
    pub(super) async fn hand_out(&mut self, permits: usize, why: Why) -> Result<usize, RedisError> {
        let shared = Arc::clone(&self.member.shared);
        let read = self.read(permits, why).await;
        let used = read.as_ref().map_or(0, |page| page.as_ref().map_or(0, |page| page.items.len()));
        shared.flow.unused(permits - used);
        let Some(page) = read? else {
            self.lane.lose();
            return Ok(0);
        };
        self.read_to = page.last.or(self.read_to);
        let items = page.items.into_iter().map(|(_, item)| item).collect();
        recover::hand_on(&shared, self.lane.append(items), &mut self.trial, why).await;
        Ok(page.found)
    }

    /// The next page, none when the lane is no longer ours.
    async fn read(&self, most: usize, why: Why) -> Result<Option<Page>, RedisError> {
        let Some(told) = self.unread(most).await? else { return Ok(None) };
        let found = told.len();
        let last = told.last().and_then(|(id, ..)| Id::parse(id));
        let mut items = Vec::with_capacity(found);
        for (id, deliveries, fields) in told {
            match fields {
                Some(fields) => items.push((0, Told { id, fields, deliveries }.item(&self.member.group))),
                None => event::entry_gone(&self.member.shared.source, &id),
            }
        }
        if why == Why::Adopted {
            suspects::mark(&self.member.shared, &self.lane, &mut items).await?;
        }
        Ok(Some(Page { items, last, found }))
    }

    async fn unread(&self, most: usize) -> Result<Option<Vec<Unread>>, RedisError> {
        let shared = &self.member.shared;
        let from = self.read_to.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut unread = scripts::UNREAD.prepare_invoke();
        unread.key(shared.keys.lanes()).key(&*self.lane.key).key(&*shared.keys.list);
        unread.arg(self.member.group.name()).arg(&self.consumer).arg(from).arg(most);
        unread.invoke_async(&mut shared.link().await?).await
    }
}

/// Id, deliveries, and names and values in turn unless the entry is gone.
type Unread = (String, u32, Option<Vec<Vec<u8>>>);

/// The connection of `lane` broke after it had read up to `read_to`: delivers what Redis has given it without our knowing.
pub(super) async fn recover(member: Member, lane: Arc<Lane>, client: ClientId, read_to: Option<Id>) {
    let shared = Arc::clone(&member.shared);
    recover::disarmed(&shared, &client).await;
    let until = Instant::now() + ARMED;
    let mut rest = Rest::new(member, Arc::clone(&lane), read_to);
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() && !lane.is_lost() {
        let permits = recover::page(&shared).await;
        match rest.hand_out(permits, Why::Broken).await {
            Ok(0) if Instant::now() >= until => break,
            Ok(0) => shared.pause(ARMED / 6).await,
            Ok(_) => backoff.reset(),
            Err(error) => {
                shared.failed(&error).await;
                shared.pause(backoff.next()).await;
            }
        }
    }
    lane.close();
}

/// Forgets a consumer that is closed and has nothing pending. One that has stays for others to take over.
pub(in crate::source) async fn retire(shared: &Shared, lane: &Lane) {
    let Dialect::Stream(group) = &shared.dialect else { return };
    let retired = async {
        let mut link = shared.link().await?;
        let mut retirement = scripts::RETIRE.prepare_invoke();
        retirement.key(shared.keys.lanes()).key(&*lane.key).key(&*shared.keys.list);
        retirement.arg(group.name()).arg(lane.consumer(shared));
        retirement.invoke_async::<()>(&mut link).await
    };
    if let Err(error) = retired.await {
        shared.failed(&error).await;
    }
}
