//! The sink of the benchmarks, as a process of its own: says 200 to everything and counts.
//!
//! `bench-sink [MILLISECONDS]`: answers so late. Prints its port; then answers each line on standard input with the requests so far,
//! those that wait for their answer, and the most that ever did at once; and ends with its input.
#![expect(clippy::print_stdout, reason = "the benchmark reads the port and the counts here")]

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    env, io,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

static COUNT: AtomicU64 = AtomicU64::new(0);
static WAITING: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(0);
static LATE: OnceLock<Duration> = OnceLock::new();

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let late = env::args().nth(1).and_then(|late| late.parse().ok());
    LATE.get_or_init(|| Duration::from_millis(late.unwrap_or_default()));
    // Each request that waits has a connection.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(tell_counts);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        connections.spawn(converse(stream));
        while connections.try_join_next().is_some() {}
    }
}

fn tell_counts() {
    for line in io::stdin().lines() {
        if line.is_err() {
            break;
        }
        let [count, waiting, most] = [&COUNT, &WAITING, &MOST].map(|number| number.load(Ordering::Relaxed));
        println!("{count} {waiting} {most}");
    }
    std::process::exit(0);
}

async fn converse(stream: TcpStream) {
    stream.set_nodelay(true).ok();
    // The candidates close their connections as they like.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(count)).await.ok();
}

async fn count(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    while let Some(frame) = request.body_mut().frame().await {
        frame?;
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    MOST.fetch_max(WAITING.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    if let Some(late) = LATE.get().filter(|late| !late.is_zero()) {
        tokio::time::sleep(*late).await;
    }
    WAITING.fetch_sub(1, Ordering::Relaxed);
    Ok(Response::new(Empty::new()))
}
