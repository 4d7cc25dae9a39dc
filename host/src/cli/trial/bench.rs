//! One plugin on the bench: it takes message after message, and everything about each is kept.

use super::{batch::Together, replies::Canned, settings::Setting};
use crate::{
    cli::figures,
    config::{self, Reserved, Secrets},
    effect::Allowance,
    message::{Fault, Message, Verdict as Answer},
    plugin::{Heard, Kind, Lent, Plugins, Said, Version},
    request::{FileAppend, HttpRequest, Reply, Request, WebSocketSend},
};
use bytes::Bytes;
use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What became of one message.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) message: Message,
    pub(super) end: End,
    /// Of a publisher's requests; one that several messages share is only with the first of them.
    pub(super) rounds: Vec<Vec<Exchange>>,
    /// How many messages were in the batch in which it came to its end.
    pub(super) batch: Option<usize>,
    /// The batch that broke and of which it was the first message.
    pub(super) broke: Option<Broke>,
    /// What the plugin wrote and logged meanwhile.
    pub(super) said: Said,
    /// How long a fresh instance took to start, where the message got one.
    pub(super) start: Option<Duration>,
    /// In the guest, all rounds together; its share of what a batch took.
    pub(super) took: Duration,
    /// Bytes of the instance's memory afterwards, where it came up.
    pub(super) memory: Option<usize>,
}

/// A request, and what came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) reply: Reply,
    /// The ids of the messages of a batch that it was for.
    pub(super) carries: Vec<Arc<str>>,
}

/// A batch over which the plugin broke, so that each of its messages was tried alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Broke {
    pub(super) size: usize,
    pub(super) reason: String,
}

/// What a plugin made of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Pass,
    /// By this one.
    Replace(Message),
    /// Into these.
    Split(Vec<Message>),
    Drop(Option<String>),
    /// A publisher has nothing more to send.
    Done,
    Retry {
        after: Option<Duration>,
        reason: String,
    },
    Reject(String),
    Broken(String),
}

/// An end without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Verdict {
    Pass,
    Replace,
    Split,
    Drop,
    Done,
    Retry,
    Reject,
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Replace => "replace",
            Self::Split => "split",
            Self::Drop => "drop",
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Broken => "broken",
        })
    }
}

impl End {
    /// What it is called.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Pass => Verdict::Pass,
            Self::Replace(_) => Verdict::Replace,
            Self::Split(_) => Verdict::Split,
            Self::Drop(_) => Verdict::Drop,
            Self::Done => Verdict::Done,
            Self::Retry { .. } => Verdict::Retry,
            Self::Reject(_) => Verdict::Reject,
            Self::Broken(_) => Verdict::Broken,
        }
    }

    /// The words that the plugin, or the host, gave for it.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Drop(reason) => reason.as_deref(),
            Self::Retry { reason, .. } | Self::Reject(reason) | Self::Broken(reason) => Some(reason),
            Self::Pass | Self::Replace(_) | Self::Split(_) | Self::Done => None,
        }
    }

    /// The messages that go on.
    pub(super) fn messages(&self) -> &[Message] {
        match self {
            Self::Replace(message) => std::slice::from_ref(message),
            Self::Split(messages) => messages,
            _ => &[],
        }
    }

    fn of_answer(answer: Answer, message: &Message) -> Self {
        match answer {
            Answer::Pass => Self::Pass,
            Answer::Replace(change) => Self::Replace(message.clone().changed(change)),
            Answer::Split(changes) => {
                let children = changes.into_iter().enumerate();
                Self::Split(children.map(|(index, change)| message.child(index, change)).collect())
            }
            Answer::Drop(reason) => Self::Drop(reason),
        }
    }

    pub(super) fn of_fault(fault: Fault) -> Self {
        match fault {
            Fault::Retry { after, reason } => Self::Retry { after, reason },
            Fault::Reject { reason } => Self::Reject(reason),
            Fault::Broken { reason, .. } => Self::Broken(reason),
        }
    }
}

/// Where plugins are loaded, one version after the other.
#[derive(Debug)]
pub(super) struct Workshop {
    plugins: Plugins,
    heard: Arc<Heard>,
}

impl Workshop {
    /// Starts the engine.
    pub(super) fn open(setting: &Setting) -> anyhow::Result<Self> {
        let (plugins, heard) = Plugins::overheard(&setting.cache, &setting.compile)?;
        Ok(Self { plugins, heard })
    }

    /// Loads the plugin in `file`.
    pub(super) async fn load(&self, file: &Path, setting: &Setting) -> anyhow::Result<Bench> {
        let version = self.plugins.load(&setting.name, file, &setting.plugin).await?;
        let limits =
            setting.reserved.clone().map(|reserved| Limits { allowance: Allowance::new(&setting.plugin), reserved });
        Ok(Bench { version, heard: Arc::clone(&self.heard), limits })
    }
}

/// The plugin.
#[derive(Debug)]
pub(super) struct Bench {
    version: Arc<Version>,
    heard: Arc<Heard>,
    limits: Option<Limits>,
}

/// What a configuration lets the plugin ask for.
struct Limits {
    allowance: Allowance,
    reserved: Reserved,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Bench {
    /// What was loaded, on one line.
    pub(super) fn introduction(&self) -> String {
        let version = &self.version;
        let took = figures::time(version.took());
        format!("{} `{}` {}, loaded in {took}", version.title(), version.name(), version.digest())
    }

    /// What it said while it started.
    pub(super) fn first_words(&self) -> Said {
        self.heard.take()
    }

    /// What it is, such as `filter`.
    pub(super) fn title(&self) -> &'static str {
        self.version.title()
    }

    /// How many messages it is given at once, if that may be more than one.
    pub(super) fn batch(&self) -> Option<config::Batch> {
        self.version.batch()
    }

    /// Tries `messages`, together where there are several.
    pub(super) async fn take(&self, mut messages: Vec<Message>, canned: &Canned) -> Vec<Tried> {
        match messages.pop() {
            None => Vec::new(),
            Some(only) if messages.is_empty() => vec![self.alone(only, canned).await],
            Some(last) => {
                messages.push(last);
                self.together(messages, canned).await
            }
        }
    }

    async fn alone(&self, message: Message, canned: &Canned) -> Tried {
        let mut course = Course { calls: Calls::of(self), message: &message, rounds: Vec::new() };
        let end = match self.version.kind() {
            Kind::Filter => course.filter().await,
            Kind::Publisher => course.publish(canned).await,
        };
        let Course { calls, rounds, .. } = course;
        let Calls { start, took, .. } = calls;
        let memory = calls.memory();
        let end = end.unwrap_or_else(End::of_fault);
        Tried { message, end, rounds, batch: None, broke: None, said: self.heard.take(), start, took, memory }
    }

    async fn together(&self, messages: Vec<Message>, canned: &Canned) -> Vec<Tried> {
        let size = messages.len();
        let mut calls = Calls::of(self);
        let mut way = Together::of(&messages);
        let fault = way.publish(&mut calls, canned).await.err();
        let Together { ends, rounds, .. } = way;
        let (mut start, memory) = (calls.start, calls.memory());
        let took = calls.took / u32::try_from(size).unwrap_or(u32::MAX);
        // Its instance goes back before another one is lent.
        drop(calls);
        let mut said = self.heard.take();
        let mut broke = fault.as_ref().and_then(|fault| Broke::of(fault, size));
        let others = fault.filter(|_| broke.is_none()).map(End::of_fault);
        let mut all = Vec::with_capacity(size);
        for ((message, end), rounds) in messages.into_iter().zip(ends).zip(rounds) {
            let (start, broke, said) = (start.take(), broke.take(), std::mem::take(&mut said));
            all.push(match end.or_else(|| others.clone()) {
                Some(end) => Tried { message, end, rounds, batch: Some(size), broke, said, start, took, memory },
                None => Tried { broke, ..self.alone(message, canned).await }.after(rounds, said),
            });
        }
        all
    }
}

impl Broke {
    /// What to tell where `fault` is that of a whole batch: one of its messages may be to blame.
    fn of(fault: &Fault, size: usize) -> Option<Self> {
        matches!(fault, Fault::Broken { .. }).then(|| Self { size, reason: fault.reason().to_owned() })
    }
}

impl Tried {
    /// Puts in front what there was before it was tried alone.
    fn after(mut self, mut rounds: Vec<Vec<Exchange>>, mut said: Said) -> Self {
        rounds.append(&mut self.rounds);
        said.lines.append(&mut self.said.lines);
        said.more += self.said.more;
        Self { rounds, said, ..self }
    }
}

/// The calls about a message or a batch.
pub(super) struct Calls<'a> {
    pub(super) version: &'a Arc<Version>,
    /// The instance that had the last one.
    lent: Option<Lent>,
    start: Option<Duration>,
    took: Duration,
    limits: Option<&'a Limits>,
}

impl<'a> Calls<'a> {
    fn of(bench: &'a Bench) -> Self {
        let Bench { version, limits, .. } = bench;
        Self { version, lent: None, start: None, took: Duration::ZERO, limits: limits.as_ref() }
    }

    /// The replies to `requests`: those that are `canned`, unless a node would not carry a request out.
    pub(super) fn replies(&self, canned: &Canned, round: u32, requests: &[Request]) -> Vec<Reply> {
        let replies = requests.iter().zip(canned.replies(round, requests));
        let refused =
            |request: &Request| self.limits.and_then(|limits| limits.allowance.test(request, &limits.reserved).err());
        replies.map(|(request, reply)| refused(request).map_or(reply, |failure| request.failed(failure))).collect()
    }

    /// Lends an instance for each call, as a node does, and counts the guest's time.
    pub(super) async fn call<T>(
        &mut self,
        message: &Message,
        call: impl AsyncFnOnce(&mut Lent) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        // What the call before has used goes back first, to be used again where it may.
        self.lent = None;
        let lent = self.lent.insert(self.version.lend().await?);
        let start = lent.prepare(message).await?;
        self.start = self.start.or(start);
        let begin = Instant::now();
        let answer = call(lent).await;
        self.took += begin.elapsed();
        answer
    }

    /// Of the last one, in bytes.
    fn memory(&self) -> Option<usize> {
        self.lent.as_ref().and_then(Lent::memory)
    }
}

/// The way of one message, as far as it has come.
struct Course<'a> {
    calls: Calls<'a>,
    message: &'a Message,
    rounds: Vec<Vec<Exchange>>,
}

impl Course<'_> {
    async fn filter(&mut self) -> Result<End, Fault> {
        let message = self.message;
        let answer = self.calls.call(message, async |lent| lent.filter(message).await).await?;
        Ok(End::of_answer(answer, message))
    }

    async fn publish(&mut self, canned: &Canned) -> Result<End, Fault> {
        let message = self.message;
        let mut requests = self.calls.call(message, async |lent| lent.publish(message).await).await?;
        let (mut round, mut asked) = (1, 0);
        while !requests.is_empty() {
            asked += requests.len();
            let version = self.calls.version;
            let allowed = version.allows_requests(asked, round);
            let replies = self.calls.replies(canned, round, &requests);
            let secrets = &version.settings().secrets;
            let exchanges = requests.into_iter().zip(&replies);
            self.rounds.push(
                exchanges.map(|(request, reply)| Exchange::new(request, reply.clone(), Vec::new(), secrets)).collect(),
            );
            allowed?;
            requests = self.calls.call(message, async |lent| lent.answered(message, &replies, round).await).await?;
            round += 1;
        }
        Ok(End::Done)
    }
}

impl Exchange {
    /// Without what is secret in the request.
    pub(super) fn new(request: Request, reply: Reply, carries: Vec<Arc<str>>, secrets: &Secrets) -> Self {
        Self { request: hidden(request, secrets), reply, carries }
    }
}

/// `request` with the names of secrets where it holds what stands for them.
fn hidden(request: Request, secrets: &Secrets) -> Request {
    let text = |text: String| secrets.hide(&text).into_owned();
    let bytes = |bytes: Bytes| secrets.hide_bytes(&bytes).map_or(bytes, Bytes::from);
    match request {
        Request::Redis(words) => Request::Redis(words.into_iter().map(bytes).collect()),
        Request::RedisWithSettling(words) => Request::RedisWithSettling(words.into_iter().map(bytes).collect()),
        Request::WebSocket(send) => Request::WebSocket(WebSocketSend {
            url: text(send.url),
            headers: send.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
            body: bytes(send.body),
            ..send
        }),
        Request::File(append) => Request::File(FileAppend { line: bytes(append.line), ..append }),
        Request::Http(HttpRequest { method, url, headers, body, template, timeout }) => Request::Http(HttpRequest {
            method,
            url: text(url),
            headers: headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
            body: bytes(body),
            template,
            timeout,
        }),
    }
}
