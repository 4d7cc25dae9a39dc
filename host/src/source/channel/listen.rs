//! Keeps a subscription: connects, subscribes, notices when the connection is dead, and begins again.

use super::{backlog::Heard, intake::Intake};
use crate::{
    config::ChannelKind,
    event,
    source::{backoff::Backoff, connection::Connector, lane::now_ms},
};
use redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// A connection on which nothing has come for so long is asked whether it is alive.
const IDLE: Duration = Duration::from_secs(3);
/// A connection that has lasted so long was good: the next one need not wait.
const PROVEN: Duration = Duration::from_secs(1);

/// What is subscribed to on one connection.
#[derive(Debug)]
pub(super) struct Subscription {
    connector: Connector,
    kind: ChannelKind,
    /// By their bytes on the wire.
    names: Arc<HashMap<Vec<u8>, Arc<str>>>,
    /// The same, for the log.
    shown: String,
}

/// A connection that was lost.
struct Lost {
    /// When it was last known to be good.
    since: Instant,
    cause: RedisError,
}

impl Subscription {
    pub(super) fn new(connector: Connector, kind: ChannelKind, names: &[String]) -> Self {
        let shown = names.join(", ");
        let names = names.iter().map(|name| (name.clone().into_bytes(), name.as_str().into())).collect();
        Self { connector, kind, names: Arc::new(names), shown }
    }

    async fn open(&self, intake: &Arc<Intake>) -> Result<Wire, RedisError> {
        let ear = Arc::new(Ear {
            intake: Arc::clone(intake),
            names: Arc::clone(&self.names),
            stirred: AtomicBool::new(false),
            cut: CancellationToken::new(),
        });
        let listener = Arc::clone(&ear);
        let mut connection = self
            .connector
            .listening(move |push| {
                listener.take(push);
                Ok::<(), Infallible>(())
            })
            .await?;
        // One command for each name, as each is answered once for each name.
        let mut pipe = redis::pipe();
        for name in self.names.keys() {
            pipe.cmd(command(self.kind)).arg(name);
        }
        pipe.exec_async(&mut connection).await?;
        Ok(Wire { connection, ear })
    }
}

fn command(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Exact => "SUBSCRIBE",
        ChannelKind::Pattern => "PSUBSCRIBE",
        ChannelKind::Sharded => "SSUBSCRIBE",
    }
}

/// Listens until it is dropped; it can be dropped at any time.
pub(super) async fn run(intake: Arc<Intake>, subscription: Subscription) {
    let mut backoff = Backoff::new();
    let mut gap: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        let lost = match subscription.open(&intake).await {
            Ok(wire) => {
                if let Some(since) = gap.take() {
                    event::channel_gap(&subscription.shown, since.elapsed());
                    intake.pace.restart();
                }
                wire.attend().await
            }
            Err(cause) => Lost { since: begun, cause },
        };
        if gap.is_none() {
            let Subscription { connector, shown, .. } = &subscription;
            event::redis_trouble(shown, connector.url(), &lost.cause, &connector.advice(&lost.cause, shown));
            gap = Some(lost.since);
            if begun.elapsed() > PROVEN {
                backoff.reset();
                continue;
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// A connection that is subscribed.
struct Wire {
    connection: MultiplexedConnection,
    ear: Arc<Ear>,
}

impl Wire {
    /// Watches over the connection until it is lost.
    async fn attend(self) -> Lost {
        let Self { mut connection, ear } = self;
        let mut good = Instant::now();
        loop {
            if tokio::time::timeout(IDLE, ear.cut.cancelled()).await.is_ok() {
                let cause = io::Error::from(io::ErrorKind::ConnectionAborted).into();
                return Lost { since: Instant::now(), cause };
            }
            // The answer comes behind the messages that are already on their way.
            if !ear.has_stirred()
                && let Err(cause) = ping(&mut connection).await
                && !ear.has_stirred()
            {
                return Lost { since: good, cause };
            }
            good = Instant::now();
        }
    }
}

/// A server that refuses is as alive as one that answers.
async fn ping(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match redis::cmd("PING").exec_async(connection).await {
        Err(error) if error.is_unrecoverable_error() || error.is_timeout() => Err(error),
        _ => Ok(()),
    }
}

/// Takes what comes on one connection.
struct Ear {
    intake: Arc<Intake>,
    names: Arc<HashMap<Vec<u8>, Arc<str>>>,
    /// A message has come since the last look.
    stirred: AtomicBool,
    /// The connection is of no more use.
    cut: CancellationToken,
}

impl Ear {
    fn has_stirred(&self) -> bool {
        self.stirred.swap(false, Ordering::Relaxed)
    }

    /// Called by whatever reads the connection.
    fn take(&self, push: PushInfo) {
        let mut parts = push.data.into_iter().map(bytes);
        let mut next = || parts.next().flatten();
        let heard = match push.kind {
            PushKind::Message | PushKind::SMessage => self.heard(None, next(), next()),
            PushKind::PMessage => self.heard(next(), next(), next()),
            // We never unsubscribe: a slot has moved to another server, or we may no longer listen.
            PushKind::Disconnection | PushKind::Unsubscribe | PushKind::PUnsubscribe | PushKind::SUnsubscribe => {
                return self.cut.cancel();
            }
            _ => None,
        };
        if let Some(heard) = heard {
            self.stirred.store(true, Ordering::Relaxed);
            self.intake.hear(heard);
        }
    }

    fn heard(&self, pattern: Option<Vec<u8>>, channel: Option<Vec<u8>>, payload: Option<Vec<u8>>) -> Option<Heard> {
        let (channel, payload) = (channel?, payload?);
        let topic = self.name(&channel);
        let source = pattern.map_or_else(|| Arc::clone(&topic), |pattern| self.name(&pattern));
        Some(Heard { source, topic, received_ms: now_ms(), payload: payload.into() })
    }

    fn name(&self, name: &[u8]) -> Arc<str> {
        self.names.get(name).map_or_else(|| String::from_utf8_lossy(name).into(), Arc::clone)
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}
