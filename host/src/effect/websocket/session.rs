//! A connection from its first message to its end: what waits is written, what comes is a confirmation, an answer or a sign of life.
//!
//! WebSockets acknowledge nothing, but a server has to answer a ping with a pong of the same content (RFC 6455, section 5.5.3), and does so
//! in the order in which it reads. So the pong to a numbered ping behind a message tells that the server has read the message.

use super::{Answer, Pace, link::Sending};
use crate::{
    effect::http::{Refused, Switched, Usage},
    request::Failure,
};
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

/// How long the server may take to read that the connection ends.
const CLOSE: Duration = Duration::from_secs(1);
/// Messages that are written together.
const TOGETHER: usize = 64;
/// After so many bytes a ping stands between messages that are written together, so that the first need not wait for the last.
const STRETCH: usize = 64 * 1024;
/// What is read and written at once. Answers are short, as a rule, and connections many.
const BUFFER: usize = 16 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// See the module.
pub(super) struct Session {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    shared: Shared,
    pace: Pace,
    /// For one message to be taken by the system.
    longest: Duration,
}

/// How a connection ended.
pub(super) struct Ended {
    pub(super) why: String,
    /// Whether the server has said anything.
    pub(super) healthy: bool,
}

/// Why a connection ends.
struct End {
    why: String,
    /// What the server is told.
    code: Option<CloseCode>,
    /// Whether what the server has said is a judgement of a message.
    judges: bool,
}

/// What both directions know.
struct Shared {
    /// How failures name the connection.
    name: String,
    usage: Arc<Usage>,
    state: Mutex<State>,
}

struct State {
    /// Those who wait for an answer, in the order of their messages.
    waiting: VecDeque<Answer>,
    /// Those who wait until the server has read their message, each with the number of the ping behind it.
    unread: VecDeque<(u64, Answer)>,
    /// When the server last gave a sign of life.
    heard: Instant,
    /// Since when it is asked for one.
    asked: Option<Instant>,
    healthy: bool,
}

impl Session {
    pub(super) async fn new(switched: Switched, name: String, pace: Pace, longest: Duration, largest: usize) -> Self {
        let Switched { stream, usage, .. } = switched;
        let config = WebSocketConfig::default().max_message_size(Some(largest)).max_frame_size(Some(largest));
        let config = config.read_buffer_size(BUFFER).write_buffer_size(BUFFER);
        let (sink, stream) = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await.split();
        let state = State {
            waiting: VecDeque::new(),
            unread: VecDeque::new(),
            heard: Instant::now(),
            asked: None,
            healthy: false,
        };
        Self { sink, stream, shared: Shared { name, usage, state: Mutex::new(state) }, pace, longest }
    }

    /// Sends `first` and what is `queued` until the connection ends, or is not needed any more as `ended` tells. Who waits for something then
    /// is told why it does not come.
    pub(super) async fn run(
        self,
        first: Sending,
        queued: &mut mpsc::Receiver<Sending>,
        ended: &CancellationToken,
    ) -> Ended {
        let Self { mut sink, mut stream, shared, pace, longest } = self;
        let writer = Writer { sink: &mut sink, shared: &shared, pace, longest, number: 0 };
        let end = tokio::select! {
            end = writer.run(first, queued) => end,
            end = read(&mut stream, &shared) => end,
            () = ended.cancelled() => End::unneeded(),
        };
        // The server may be gone already.
        drop(timeout(CLOSE, leave(&mut sink, end.code)).await);
        shared.end(end)
    }
}

async fn leave(sink: &mut SplitSink<Socket, Message>, code: Option<CloseCode>) -> Result<(), tungstenite::Error> {
    if let Some(code) = code {
        sink.send(Message::Close(Some(CloseFrame { code, reason: Default::default() }))).await?;
    }
    sink.close().await
}

impl End {
    fn lost(why: impl Into<String>) -> Self {
        Self { why: why.into(), code: None, judges: false }
    }

    fn unneeded() -> Self {
        Self { code: Some(CloseCode::Normal), ..Self::lost("it is not needed any more") }
    }

    /// The server has closed the connection with `frame`.
    fn closed(frame: Option<CloseFrame>) -> Self {
        let Some(CloseFrame { code, reason }) = frame else { return Self::lost("the server closed the connection") };
        let reason: String = reason.chars().take(200).collect();
        let why = format!("the server closed the connection: {} {}", u16::from(code), reason.escape_debug());
        let judges = matches!(code, CloseCode::Unsupported | CloseCode::Invalid | CloseCode::Size);
        Self { judges, ..Self::lost(why.trim_end()) }
    }
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::error::{Error, ProtocolError};
        let (code, why) = match error {
            Error::Capacity(_) => {
                (Some(CloseCode::Size), "the server sent a message that is longer than `http_response_kib`".to_owned())
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => {
                (None, "the connection was closed".to_owned())
            }
            Error::Utf8(_) => (Some(CloseCode::Invalid), "the server sent a text that is not UTF-8".to_owned()),
            Error::Protocol(error) => {
                (Some(CloseCode::Protocol), format!("the server does not keep to RFC 6455: {error}"))
            }
            other => (None, format!("the connection broke: {other}")),
        };
        Self { code, ..Self::lost(why) }
    }
}

impl Shared {
    /// A message is about to be written, before the ping with this number if it expects no answer.
    fn sending(&self, expect: bool, number: u64, answer: Answer) {
        let mut state = self.state();
        if expect { state.waiting.push_back(answer) } else { state.unread.push_back((number, answer)) }
    }

    fn asked(&self) {
        self.state().asked.get_or_insert_with(Instant::now);
    }

    /// The server has given a sign of life.
    fn heard(&self) {
        let mut state = self.state();
        (state.heard, state.asked, state.healthy) = (Instant::now(), None, true);
    }

    /// It has read all that was in front of the ping with this content; what is no number of ours is no confirmation.
    fn confirmed(&self, content: &[u8]) {
        let Ok(number) = content.try_into().map(u64::from_be_bytes) else { return };
        let mut state = self.state();
        while let Some((_, answer)) = state.unread.pop_front_if(|(ping, _)| *ping <= number) {
            drop(answer.send(Ok(None)));
        }
    }

    /// What nobody has asked for is not kept.
    fn answered(&self, answer: Bytes) {
        if let Some(waiting) = self.state().waiting.pop_front() {
            drop(waiting.send(Ok(Some(answer))));
        }
    }

    /// Lets others have the place of a connection over which nothing is under way.
    fn rest(&self) {
        let state = self.state();
        if state.waiting.is_empty() && state.unread.is_empty() {
            self.usage.rest();
        }
    }

    /// Why the connection ends that was last `used` then, if it does.
    fn of_no_use(&self, pace: Pace, used: Instant) -> Option<End> {
        let state = self.state();
        if let Some(silent) = state.asked.map(|asked| asked.elapsed()).filter(|silent| *silent > pace.ping * 2) {
            return Some(End::lost(format!("the server gave no sign of life for {silent:.1?}")));
        }
        // Whatever comes now may be the answer to that message, or to a later one.
        if state.waiting.front().is_some_and(Answer::is_closed) {
            return Some(End::lost("an answer did not come in time"));
        }
        let idle = state.waiting.is_empty() && state.unread.is_empty() && used.elapsed() > pace.idle;
        idle.then(End::unneeded)
    }

    fn is_silent(&self, pace: Pace) -> bool {
        let state = self.state();
        state.asked.is_none() && state.heard.elapsed() >= pace.ping
    }

    /// A server that judges does not say which message it means: what was under way alone is refused, of several the one is found when they
    /// come again.
    fn end(&self, end: End) -> Ended {
        let mut state = self.state();
        let refused = end.judges && state.waiting.len() + state.unread.len() == 1;
        let why = |missing: &str| {
            let text = format!("{}: {missing}: {}", self.name, end.why);
            Refused::from(if refused { Failure::Invalid(text) } else { Failure::Unreachable(text) })
        };
        for answer in state.waiting.drain(..) {
            drop(answer.send(Err(why("no answer"))));
        }
        for (_, answer) in state.unread.drain(..) {
            drop(answer.send(Err(why("not confirmed"))));
        }
        Ended { healthy: state.healthy, why: end.why.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the connection.
async fn read(stream: &mut SplitStream<Socket>, shared: &Shared) -> End {
    loop {
        let message = match stream.next().await {
            None => return End::lost("the connection was closed"),
            Some(Err(error)) => return error.into(),
            Some(Ok(Message::Close(frame))) => return End::closed(frame),
            Some(Ok(message)) => message,
        };
        shared.heard();
        match message {
            Message::Text(text) => shared.answered(text.into()),
            Message::Binary(bytes) => shared.answered(bytes),
            Message::Pong(content) => shared.confirmed(&content),
            // Pings are answered by the library with the next read.
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => {}
        }
        shared.rest();
    }
}

/// One direction.
struct Writer<'a> {
    sink: &'a mut SplitSink<Socket, Message>,
    shared: &'a Shared,
    pace: Pace,
    longest: Duration,
    /// Of the next ping.
    number: u64,
}

impl Writer<'_> {
    /// Ends with the connection, or when it is of no use any more.
    async fn run(mut self, first: Sending, queued: &mut mpsc::Receiver<Sending>) -> End {
        let mut tick = interval(self.pace.ping.min(Duration::from_secs(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut used = Instant::now();
        let mut batch = vec![first];
        loop {
            if !batch.is_empty() {
                used = Instant::now();
                if let Err(end) = self.all(&mut batch).await {
                    return end;
                }
            }
            tokio::select! {
                more = queued.recv_many(&mut batch, TOGETHER) => if more == 0 {
                    return End::unneeded();
                },
                _ = tick.tick() => {
                    if let Some(end) = self.shared.of_no_use(self.pace, used) {
                        return end;
                    }
                    self.shared.rest();
                    if self.shared.is_silent(self.pace) && let Err(end) = self.ping().await {
                        return end;
                    }
                }
            }
        }
    }

    /// Writes `batch`, with pings behind what expects no answer.
    async fn all(&mut self, batch: &mut Vec<Sending>) -> Result<(), End> {
        let (mut unconfirmed, mut stretch) = (false, 0);
        for Sending { message, expect, answer } in batch.drain(..).filter(|sending| !sending.answer.is_closed()) {
            unconfirmed |= !expect;
            stretch += message.len();
            self.shared.sending(expect, self.number, answer);
            self.put(message).await?;
            if unconfirmed && stretch > STRETCH {
                self.ping().await?;
                (unconfirmed, stretch) = (false, 0);
            }
        }
        if unconfirmed { self.ping().await } else { self.flush().await }
    }

    async fn ping(&mut self) -> Result<(), End> {
        let content = Bytes::copy_from_slice(&self.number.to_be_bytes());
        self.number += 1;
        self.put(Message::Ping(content)).await?;
        self.shared.asked();
        self.flush().await
    }

    async fn put(&mut self, message: Message) -> Result<(), End> {
        in_time(self.longest, self.sink.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        in_time(self.longest, self.sink.flush()).await
    }
}

async fn in_time(longest: Duration, written: impl Future<Output = Result<(), tungstenite::Error>>) -> Result<(), End> {
    let late = |_| End::lost(format!("the server took nothing for {longest:?}"));
    Ok(timeout(longest, written).await.map_err(late)??)
}
