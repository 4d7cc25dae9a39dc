//! One connection that is there when it is wanted: made for the first message, and made anew for the first after it broke.

use super::{Answer, Pace, Sent, Sockets, Target, handshake, session::Session, shown};
use crate::{
    effect::http::{Allowance, Refused},
    event, random,
    request::Failure,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages that wait for the connection; more wait for room.
const WAITING: usize = 256;

/// A message on its way.
pub(super) struct Sending {
    pub(super) message: Message,
    /// Whether what the server says next is the answer.
    pub(super) expect: bool,
    pub(super) answer: Answer,
}

impl Sending {
    fn fail(self, why: Refused) {
        // Who does not wait any more does not want to know.
        drop(self.answer.send(Err(why)));
    }
}

/// See the module. Dropped, it takes leave of the server.
pub(super) struct Link {
    queue: mpsc::Sender<Sending>,
    /// How failures name it.
    shown: String,
    _open: DropGuard,
}

impl Link {
    pub(super) fn new(
        sockets: &Sockets,
        allowance: &Arc<Allowance>,
        target: &Arc<Target>,
        pace: Pace,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let ended = sockets.tasks.quiet().child_token();
        let (sockets_, allowance, target) = (sockets.clone(), Arc::clone(allowance), Arc::clone(target));
        let shown = shown(&target.url);
        let open = ended.clone().drop_guard();
        let connecting =
            Connecting { sockets: sockets_, allowance, target, pace, pause: Pause::new(pace), ended, _place: place };
        sockets.tasks.track_until_stop(connecting.run(waiting));
        Self { queue, shown, _open: open }
    }

    pub(super) async fn send(&self, message: Message, expect: bool) -> Sent {
        let gone = || Failure::Unreachable(format!("{}: the connection ended before the message was sent", self.shown));
        let (answer, answered) = oneshot::channel();
        self.queue.send(Sending { message, expect, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone().into()))
    }
}

struct Connecting {
    sockets: Sockets,
    allowance: Arc<Allowance>,
    target: Arc<Target>,
    pace: Pace,
    pause: Pause,
    ended: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Connecting {
    async fn run(mut self, mut waiting: mpsc::Receiver<Sending>) {
        let ended = self.ended.clone();
        while let Some(Some(first)) = ended.run_until_cancelled(waiting.recv()).await {
            let Some(opened) = ended.run_until_cancelled(self.open(&first)).await else { return };
            match opened {
                None => {}
                Some(Ok(session)) => {
                    let end = session.run(first, &mut waiting, &ended).await;
                    event::websocket_ended(&self.hidden(shown(&self.target.url)), &self.hidden(end.why));
                    if end.healthy { self.pause.reset() } else { self.pause.grow() }
                }
                Some(Err(why)) => {
                    if matches!(why.failure, Failure::Unreachable(_)) {
                        self.pause.grow();
                    }
                    // They have waited for this attempt, and what it came to is their answer.
                    while let Ok(more) = waiting.try_recv() {
                        more.fail(why.clone());
                    }
                    first.fail(why);
                }
            }
        }
    }

    /// A connection for `first`; none if nobody waits any more for what becomes of it.
    async fn open(&self, first: &Sending) -> Option<Result<Session, Refused>> {
        sleep_until(self.pause.until).await;
        if first.answer.is_closed() { None } else { Some(self.session().await) }
    }

    async fn session(&self) -> Result<Session, Refused> {
        let (name, longest) = (shown(&self.target.url), self.allowance.longest(None));
        let opening = handshake::open(&self.sockets.http, &self.allowance, &self.target);
        let late = |_| Failure::Unreachable(format!("{name}: no connection within {longest:?}"));
        let switched = timeout(longest, opening).await.map_err(late)??;
        Ok(Session::new(switched, name, self.pace, longest, self.allowance.largest()).await)
    }

    /// `text` for a log.
    fn hidden(&self, text: String) -> String {
        self.allowance.veiled(Failure::Unreachable(text)).to_string()
    }
}

/// How long no new attempt is made.
struct Pause {
    until: Instant,
    next: Duration,
    bounds: (Duration, Duration),
}

impl Pause {
    fn new(pace: Pace) -> Self {
        Self { until: Instant::now(), next: pace.pause.0, bounds: pace.pause }
    }

    fn reset(&mut self) {
        *self = Self { until: Instant::now(), next: self.bounds.0, bounds: self.bounds };
    }

    fn grow(&mut self) {
        self.until = Instant::now() + self.next.mul_f64(0.5 + random::jitter() / 2.0);
        self.next = (self.next * 2).min(self.bounds.1);
    }
}
