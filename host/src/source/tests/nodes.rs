//! A server of a test's own, and sources on it whose deliveries the test settles by hand.

use super::LIST;
use crate::{
    config,
    message::Trouble,
    pulse::Pulse,
    shutdown::Shutdown,
    source::{
        Connector, Delivery, Opening, Ordered, Source, Start,
        embedded::Embedded,
        keys::{self, Keys},
        lane::register::Register,
    },
};
use redis::aio::MultiplexedConnection;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::mpsc::{Receiver, channel},
};

/// What nothing takes, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

pub(in crate::source) struct Server {
    embedded: Embedded,
    dir: TempDir,
}

impl Server {
    pub(in crate::source) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        Self { embedded: Embedded::start(dir.path(), 0).await.unwrap(), dir }
    }

    pub(in crate::source) async fn redis(&self) -> MultiplexedConnection {
        self.connector().shared().await.unwrap()
    }

    pub(in crate::source) fn connector(&self) -> Connector {
        Connector::new(&self.url()).unwrap()
    }

    pub(in crate::source) fn url(&self) -> String {
        self.embedded.url()
    }

    /// Where its data lie.
    pub(in crate::source) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where it listens on loopback.
    pub(in crate::source) fn port(&self) -> u16 {
        self.embedded.port
    }

    /// Kills the server without a word, and starts one again with the same data at the same place.
    pub(in crate::source) async fn kill_and_restart(self) -> Self {
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut self.redis().await).await.unwrap();
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let Self { embedded, dir } = self;
        drop(embedded);
        Self { embedded: Embedded::start(dir.path(), 0).await.unwrap(), dir }
    }

    pub(in crate::source) async fn push(&self, payloads: impl IntoIterator<Item = String>) {
        self.push_to(LIST, payloads).await;
    }

    pub(in crate::source) async fn push_to(&self, list: &str, payloads: impl IntoIterator<Item = String>) {
        let mut redis = self.redis().await;
        let mut push = redis::cmd("RPUSH");
        push.arg(list);
        for payload in payloads {
            push.arg(payload);
        }
        push.exec_async(&mut redis).await.unwrap();
    }

    pub(in crate::source) async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query_async(&mut self.redis().await).await.unwrap()
    }

    pub(in crate::source) async fn lanes(&self) -> HashMap<String, String> {
        redis::cmd("HGETALL").arg(Keys::new(LIST).lanes()).query_async(&mut self.redis().await).await.unwrap()
    }

    /// Messages in the lanes that are not settled.
    pub(in crate::source) async fn in_lanes(&self) -> usize {
        let mut redis = self.redis().await;
        let mut sum = 0;
        for (lane, register) in self.lanes().await {
            sum += redis::cmd("LLEN").arg(&lane).query_async::<usize>(&mut redis).await.unwrap();
            sum += redis::cmd("HLEN").arg(keys::slow(&lane)).query_async::<usize>(&mut redis).await.unwrap();
            let register = Register::parse(&register).unwrap();
            sum -= (register.head..register.head + 1_000).filter(|seq| register.is_done(*seq)).count();
        }
        sum
    }
}

pub(in crate::source) fn from() -> config::From {
    config::From::Lists(config::Lists { names: vec![LIST.to_owned()], weights: None, pushed: config::End::Right })
}

pub(in crate::source) fn pipeline(in_flight: usize) -> config::Pipeline {
    pipeline_of(from(), in_flight)
}

pub(in crate::source) fn pipeline_of(from: config::From, in_flight: usize) -> config::Pipeline {
    config::Pipeline {
        from,
        filters: Vec::new(),
        publish: Vec::new(),
        edge: config::EdgeTarget { channel: config::Template::default(), event: config::Template::default() },
        in_flight,
        rate: None,
        take: config::Take::Oldest,
        backlog: None,
        order: None,
        retry: config::Retry {
            attempts: 8,
            crashes: 3,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(9),
        },
        dead_letters: None,
        journal: true,
        keep_dead: config::KeepDead { most: 1_000, longest: Duration::from_secs(3_600) },
    }
}

/// A source that does nothing with what it takes.
pub(in crate::source) fn opening(connector: Connector, name: &str, config: &config::Pipeline) -> Opening {
    Opening {
        pipeline: "test".to_owned(),
        config: config.clone(),
        node: name.to_owned(),
        lease: Duration::from_secs(1),
        connector,
        shutdown: Shutdown::default(),
        pulse: Pulse::default(),
        start: Arc::new(drop),
        ordered: None,
    }
}

/// A source whose deliveries a test settles by hand.
pub(in crate::source) struct Node {
    pub(in crate::source) source: Source,
    pub(in crate::source) shutdown: Shutdown,
    pub(in crate::source) taken: Receiver<Delivery>,
}

impl Node {
    pub(in crate::source) fn start(server: &Server, name: &str, in_flight: usize) -> Self {
        Self::with(server, name, &pipeline(in_flight))
    }

    pub(in crate::source) fn with(server: &Server, name: &str, config: &config::Pipeline) -> Self {
        Self::open(server, name, config, None)
    }

    pub(in crate::source) fn open(
        server: &Server,
        name: &str,
        config: &config::Pipeline,
        ordered: Option<Ordered>,
    ) -> Self {
        Self::opened(Opening { ordered, ..opening(server.connector(), name, config) })
    }

    /// Everything as it is said, but what to do with what is taken.
    pub(in crate::source) fn opened(opening: Opening) -> Self {
        let (hand, taken) = channel(20_000);
        let shutdown = opening.shutdown.clone();
        let start: Start = Arc::new(move |batch| {
            for delivery in batch {
                // A test that has ended takes no more.
                drop(hand.try_send(delivery));
            }
        });
        Self { source: Source::open(&Opening { start, ..opening }), shutdown, taken }
    }

    pub(in crate::source) async fn next(&mut self) -> Delivery {
        tokio::time::timeout(LONG, self.taken.recv()).await.expect("a message in time").unwrap()
    }

    /// Whether nothing comes for so long.
    pub(in crate::source) async fn has_nothing_for(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.taken.recv()).await.is_err()
    }

    pub(in crate::source) async fn end(self) {
        drop(self.taken);
        self.shutdown.end(Duration::from_secs(5)).await;
        self.source.close().await;
    }

    /// As after a kill -9: nothing is settled, nothing released.
    pub(in crate::source) async fn die(self) -> Receiver<Delivery> {
        self.shutdown.stop().cancel();
        self.shutdown.end(Duration::ZERO).await;
        self.source.forget().await;
        self.taken
    }
}

/// A way to a server that loses an answer when it is told to.
pub(in crate::source) struct Through {
    url: String,
    cut: Arc<Mutex<Option<&'static [u8]>>>,
    _task: tokio::task::JoinSet<()>,
}

impl Through {
    pub(in crate::source) async fn to(server: &Server) -> Self {
        let (behind, socket) = (server.dir().join("redis.sock"), server.dir().join("through.sock"));
        let (listener, cut) = (UnixListener::bind(&socket).unwrap(), Arc::<Mutex<_>>::default());
        let (mut task, cuts) = (tokio::task::JoinSet::new(), Arc::clone(&cut));
        task.spawn(async move {
            let mut ways = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&behind).await.unwrap();
                ways.spawn(pass(client, server, Arc::clone(&cuts)));
            }
        });
        Self { url: format!("unix://{}", socket.display()), cut, _task: task }
    }

    pub(in crate::source) fn connector(&self) -> Connector {
        Connector::new(&self.url).unwrap()
    }

    /// The next answer to something with these bytes in it is lost.
    pub(in crate::source) fn cut_behind(&self, mark: &'static [u8]) {
        *self.cut.lock().unwrap() = Some(mark);
    }

    /// Whether it has been.
    pub(in crate::source) fn has_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

async fn pass(mut client: UnixStream, mut server: UnixStream, cut: Arc<Mutex<Option<&'static [u8]>>>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            Ok(count @ 1..) = client.read(&mut asked) => {
                let asked = &asked[..count];
                if server.write_all(asked).await.is_err() {
                    return;
                }
                let is_marked = |mark: &mut &[u8]| asked.windows(mark.len()).any(|window| window == *mark);
                if cut.lock().unwrap().take_if(is_marked).is_some() {
                    // What Redis says is heard, and told to nobody.
                    let moment = Duration::from_millis(100);
                    while let Ok(Ok(1..)) = tokio::time::timeout(moment, server.read(&mut answered)).await {}
                    return;
                }
            }
            Ok(count @ 1..) = server.read(&mut answered) => {
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

pub(in crate::source) fn trouble(attempt: u32, reason: &str) -> Trouble {
    Trouble { attempt, plugin: Some("p".into()), digest: None, broke: false, limit: None, reason: reason.into() }
}

pub(in crate::source) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < LONG, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
