//! What is worth telling: one function for each noteworthy event.
//!
//! `info` is something an operator did that came true, `warn` something refused or recovered from, `error` something lost.

mod admin;
mod channel;
mod edge;
mod endpoint;
mod loudness;
mod pipeline;
mod plugin;
mod rate;
mod source;
mod trace;

pub(crate) use admin::*;
pub(crate) use channel::*;
pub(crate) use edge::*;
pub(crate) use endpoint::*;
pub use loudness::Loudness;
pub(crate) use pipeline::*;
pub(crate) use plugin::*;
pub(crate) use rate::*;
pub(crate) use source::*;
pub(crate) use trace::*;

use crate::metrics::COUNTERS;
use std::{
    error::Error,
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::{debug, error, info, warn};

/// A command failed as none has since the source was last known to be healthy; `advice` says what can be done.
pub(crate) fn redis_trouble(source: &str, url: &str, cause: &(dyn Error + 'static), advice: &str) {
    warn!(source, redis = url, error = cause, "Redis does not do what we ask; trying again until it does: {advice}");
}

/// Redis throws messages away when it has no room for them.
pub(crate) fn redis_evicts(url: &str, policy: &str) {
    warn!(
        redis = url,
        policy,
        "messages can vanish: with this `maxmemory-policy` a full Redis throws keys away; set it to `noeviction`"
    );
}

/// Redis has neither an append-only file nor snapshots.
pub(crate) fn redis_forgets(url: &str) {
    warn!(
        redis = url,
        "Redis keeps nothing over a restart; messages waiting in it would be lost with it; `appendonly yes` keeps them"
    );
}

/// A message was taken or settled again.
pub(crate) fn redis_back(source: &str) {
    info!(source, "Redis is back");
}

/// What was in a lane can no longer be settled by this node; whoever holds the lane now delivers it again.
pub(crate) fn lane_lost(source: &str, lane: &str, messages: usize) {
    if messages == 0 {
        return debug!(source, lane, "an empty lane is gone");
    }
    warn!(source, lane, messages, "another node has taken these messages over, or Redis has lost them");
}

/// Fewer messages lie in a lane than this node has put there and not settled.
pub(crate) fn lane_damaged(source: &str, lane: &str) {
    warn!(
        source,
        lane,
        "messages in flight are gone from this lane: somebody has removed them, or Redis has lost them; this node goes on \
         with those it has, and what is left in the lane comes again"
    );
}

/// Messages of a node that is gone, or that was too long silent, are ours now.
pub(crate) fn lane_taken_over(story: &SourceStory, source: &str, lane: &str, takeovers: u32) {
    story.took_over();
    warn!(source, lane, takeovers, "took over the messages in flight of a node that is gone");
}

/// There was no such consumer group yet.
pub(crate) fn group_created(source: &str, group: &str) {
    info!(source, group, "made the consumer group");
}

/// The consumer group was there before, and with it is gone who held what.
pub(crate) fn group_vanished(source: &str, group: &str) {
    warn!(
        source,
        group, "the consumer group was gone and is made anew; what nodes held that are gone may come again or never"
    );
}

/// A program that is no node has left messages with a consumer group, and they are ours now.
pub(crate) fn entries_claimed(source: &str, consumer: &str, messages: usize) {
    warn!(source, consumer, messages, "claimed messages that another program has left idle");
}

/// An entry of a stream was handed over, and deleted before anybody has settled it.
pub(crate) fn entry_gone(source: &str, id: &str) {
    debug!(source, id, "deleted from the stream while it was pending");
}

/// More messages waited in a list than its pipeline keeps, and so many of them were dropped.
pub(crate) fn backlog_dropped(story: &SourceStory, sampler: &Sampler, source: &str, dropped: u64) {
    story.dropped(dropped);
    if let Some(before) = sampler.admit(dropped) {
        error!(source, dropped = dropped + before, "dropped messages: more were waiting than `backlog` keeps");
    }
}

/// So many dead letters were forgotten, as there were too many of them or they were too old.
pub(crate) fn dead_letters_expired(source: &str, expired: u64) {
    warn!(source, expired, "forgot dead letters beyond what `keep_dead` allows");
}

/// This node takes from a source whose order matters.
pub(crate) fn leads(source: &str) {
    info!(source, "taking in order; other nodes stand by");
}

/// Another node does.
pub(crate) fn stands_by(source: &str) {
    warn!(source, "another node takes in order now; standing by");
}

/// A Thoonk feed cannot be taken from yet.
pub(crate) fn feed_waits(feed: &str, reason: &dyn Display) {
    warn!(feed, "not taking from the feed: {reason}");
}

/// The Thoonk feed that was waited for is there.
pub(crate) fn feed_found(feed: &str) {
    info!(feed, "the feed can be taken from now");
}

/// Thoonk jobs were claimed by others for too long: so many were made available again, so many given up.
pub(crate) fn claims_swept(feed: &str, cancelled: u64, stalled: u64) {
    warn!(feed, cancelled, stalled, "ended claims of other workers that were older than `claim`");
}

/// Thoonk jobs that a worker had taken and lost before it claimed them are available again.
pub(crate) fn jobs_put_back(feed: &str, jobs: u64) {
    warn!(feed, jobs, "put back jobs that a worker lost between taking and claiming them");
}

/// Lets one line in five seconds through, and counts the others: a failing endpoint must not flood the log.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<Sampled>);

#[derive(Debug, Default)]
struct Sampled {
    last: Option<Instant>,
    suppressed: u64,
}

impl Sampler {
    const EVERY: Duration = Duration::from_secs(5);

    /// How much was held back since the last line, if this one, which stands for `weight`, is to be written.
    fn admit(&self, weight: u64) -> Option<u64> {
        let mut sampled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sampled.last.is_some_and(|last| last.elapsed() < Self::EVERY) {
            sampled.suppressed += weight;
            return None;
        }
        sampled.last = Some(Instant::now());
        Some(std::mem::take(&mut sampled.suppressed))
    }
}

/// An id as lines show it: some are chosen by producers, and may be of any length.
fn short(id: &str) -> &str {
    id.get(..id.floor_char_boundary(LONGEST_ID)).unwrap_or_default()
}

/// Of an id that is shown, in bytes.
const LONGEST_ID: usize = 200;

/// A plugin keeps more in memory than its `store` allows, so what was unused for longest went.
pub(crate) fn store_evicted(sampler: &Sampler, plugin: &str, evicted: u64) {
    if let Some(before) = sampler.admit(evicted) {
        let evicted = evicted + before;
        warn!(plugin, evicted, "the plugin's store is full; what was unused for longest went before its end");
    }
}

/// Redis does not do what a plugin's store asks of it.
pub(crate) fn store_away(plugin: &str, url: &str, keys: &str, cause: &(dyn Error + 'static), advice: &str) {
    warn!(
        plugin,
        redis = url,
        keys,
        error = cause,
        "the plugin's store does not answer; its lookups fail meanwhile: {advice}"
    );
}

/// It does again.
pub(crate) fn store_back(plugin: &str) {
    info!(plugin, "the plugin's store answers again");
}

/// A database does not answer; what plugins ask of it fails meanwhile.
pub(crate) fn database_away(database: &str, cause: &(dyn Error + 'static)) {
    warn!(database, error = cause, "the database does not answer; lookups in it fail until it does");
}

/// A database was asked something and has not answered in time.
pub(crate) fn database_slow(database: &str, timeout: Duration) {
    warn!(database, ?timeout, "the database takes longer than its `timeout`; lookups in it fail until it is quicker");
}

/// It answers again.
pub(crate) fn database_back(database: &str) {
    info!(database, "the database answers again");
}

/// A WebSocket is closed, and will be opened again when there is something to send.
pub(crate) fn websocket_ended(url: &str, why: &str) {
    debug!(url, why, "a WebSocket is closed");
}

/// A file ended in half a line, which is of a crash or of somebody else.
pub(crate) fn line_torn(file: &dyn Display, bytes: u64) {
    warn!(%file, bytes, "the file ended in half a line, which is now in the file beside it whose name ends in `.torn`");
}

/// Lines that publishers were told are written may be lost in a power cut.
pub(crate) fn file_not_synced(file: &dyn Display, cause: &(dyn Error + 'static)) {
    error!(%file, error = cause, "what was written last may not be on the disk");
}

/// More old files are there than are to be kept.
pub(crate) fn old_files_stay(file: &dyn Display, cause: &(dyn Error + 'static)) {
    warn!(%file, error = cause, "old files beside this one cannot be removed, so there are more than `keep` says");
}

/// The private server answers; producers may push there.
pub(crate) fn embedded_ready(port: u16) {
    info!(port, "embedded Redis ready: redis-cli -p {port}");
}

/// All pipelines take.
pub(crate) fn ready(node: &str, pipelines: usize) {
    info!(node, pipelines, "ready");
}

/// The configuration was read again and is in force.
pub(crate) fn reloaded(pipelines: usize) {
    COUNTERS.reloads("accepted").inc();
    info!(pipelines, "configuration reloaded");
}

/// The configuration was read again and cannot be used.
pub(crate) fn reload_refused(reason: &dyn Display) {
    COUNTERS.reloads("refused").inc();
    warn!("the changed configuration cannot be used, the old one stays in force\n{reason}");
}

/// A changed key that only a restart puts in force.
pub(crate) fn needs_restart(key: &str) {
    warn!(key, "this change takes effect when the node is started again");
}

/// The node takes nothing new.
pub(crate) fn draining(grace: Duration) {
    info!(?grace, "finishing what is in flight; a second signal stops at once");
}

/// The node has ended.
pub(crate) fn ended(finished: bool) {
    if finished {
        info!("ended, nothing was in flight");
    } else {
        warn!("ended with messages in flight; they are in Redis and will be delivered by the next node");
    }
}

/// No more files and connections can be open at once than before.
pub(crate) fn descriptors_limited(limit: Option<u64>, reason: &dyn Display) {
    warn!(limit, "the limit of open files stays as it is, and with it the requests in flight: {reason}");
}

/// The system has no descriptor left for a connection.
pub(crate) fn descriptors_exhausted(sampler: &Sampler) {
    if let Some(more) = sampler.admit(1) {
        warn!(
            more,
            "no file descriptor is left for a connection, requests wait for one: raise the limit (`ulimit -n`)"
        );
    }
}

/// Who has started this process cannot be told how it goes.
pub(crate) fn supervisor_deaf(reason: &dyn Display) {
    warn!("whoever set NOTIFY_SOCKET is not told how this node goes: {reason}");
}

/// Something that always ends does not, so there are no more signs of life; after `patience` the node is ended from outside.
pub(crate) fn stuck(what: &str, patience: Duration) {
    error!(?patience, "no more signs of life for the watchdog, since this node has got stuck: {what}");
}

/// Files are not watched.
pub(crate) fn not_watching(reason: &dyn Display) {
    warn!("changed files go unnoticed until SIGHUP: {reason}");
}

/// The system cannot tell about changed files, so they are looked at every so often.
pub(crate) fn watch_polls(every: Duration, reason: &dyn Display) {
    warn!(?every, "no notices about changed files here, looking at them every so often instead: {reason}");
}

/// More files changed at once than are told apart; the whole directory is looked at.
pub(crate) fn watch_overflowed() {
    debug!("many files changed at once; looking at all of them");
}
