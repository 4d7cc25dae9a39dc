//! A publisher that triggers events of Pusher Channels, and of servers that speak its protocol.

mod event;
mod names;
mod settings;
mod sign;

use event::{Event, Reader};
use gristmill_sdk::{BatchPublisher, BatchedReply, HttpReply, Message, Plan, Reply, Result, batch, publisher};
use serde::{Deserialize, Serialize};
use settings::Config;
use sign::App;

gristmill_sdk::needs!("http", "clock");

/// How many channels one request may name.
const CHANNELS: usize = 100;
/// How many events one request may hold.
const EVENTS: usize = 10;

/// The publisher.
pub struct Pusher {
    app: App,
    reader: Reader,
}

/// The body of a request for one event.
#[derive(Serialize)]
struct Trigger<'e> {
    name: &'e str,
    channels: &'e [String],
    data: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_id: Option<&'e str>,
}

/// The body of a request for several.
#[derive(Serialize)]
struct Batch<'e> {
    batch: Vec<Single<'e>>,
}

/// One event on one channel.
#[derive(Serialize)]
struct Single<'e> {
    channel: &'e str,
    name: &'e str,
    data: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_id: Option<&'e str>,
}

#[publisher]
impl BatchPublisher for Pusher {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let (app, reader) = config.ready()?;
        Ok(Self { app, reader })
    }

    fn publish_batch(&mut self, messages: &[Message]) -> Result<Plan> {
        let mut plan = Plan::new();
        let mut single = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            match self.reader.read(message) {
                // A batch has one channel for each event, so an event for several is a request of its own.
                Ok(event) if event.channels.len() > 1 => self.trigger(&mut plan, place, &event)?,
                Ok(event) => single.push((place, event)),
                Err(error) => plan.fail(place, error),
            }
        }
        for some in single.chunks(EVENTS) {
            match some {
                [(place, event)] => self.trigger(&mut plan, *place, event)?,
                some => self.trigger_all(&mut plan, some)?,
            }
        }
        Ok(plan)
    }

    fn answered_batch(&mut self, _: &[Message], replies: &[BatchedReply]) -> Result<Plan> {
        let meant = |reply: &BatchedReply| BatchedReply::new(meant(&reply.reply), reply.carries.clone());
        Ok(batch::judge(&replies.iter().map(meant).collect::<Vec<_>>()))
    }
}

impl Pusher {
    /// One event, in as many requests as it has hundreds of channels.
    fn trigger(&self, plan: &mut Plan, place: usize, event: &Event) -> Result<()> {
        let Event { name, data, socket_id, channels } = event;
        for channels in channels.chunks(CHANNELS) {
            let body = serde_json::to_vec(&Trigger { name, channels, data, socket_id: socket_id.as_deref() })?;
            plan.send(self.app.post("events", body, sign::now()), [place]);
        }
        Ok(())
    }

    /// Several events in one request, in their order.
    fn trigger_all(&self, plan: &mut Plan, events: &[(usize, Event)]) -> Result<()> {
        let batch = events.iter().flat_map(|(_, event)| event.singles()).collect();
        let body = serde_json::to_vec(&Batch { batch })?;
        plan.send(self.app.post("batch_events", body, sign::now()), events.iter().map(|(place, _)| *place));
        Ok(())
    }
}

impl Event {
    fn singles(&self) -> impl Iterator<Item = Single<'_>> {
        let Self { name, data, socket_id, channels } = self;
        channels.iter().map(move |channel| Single { channel, name, data, socket_id: socket_id.as_deref() })
    }
}

/// How soketi words a refusal.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "error")]
    _error: String,
    code: u16,
}

/// The reply with the status that is meant: soketi says 200 and has the true one in the body.
fn meant(reply: &Reply) -> Reply {
    let refusal = reply.success().ok().and_then(|http| serde_json::from_slice::<Refusal>(&http.body).ok());
    match (reply, refusal) {
        (Reply::Http(Ok(http)), Some(refusal)) => Reply::Http(Ok(HttpReply { status: refusal.code, ..http.clone() })),
        _ => reply.clone(),
    }
}

#[cfg(test)]
mod tests;
