//! The sink of the benchmark, as a process of its own: says 200 to everything and counts.
//!
//! Prints its port; then answers each line on standard input with the count so far, and ends with its input.
#![expect(clippy::print_stdout, reason = "the benchmark reads the port and the counts here")]

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

static COUNT: AtomicU64 = AtomicU64::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
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
        println!("{}", COUNT.load(Ordering::Relaxed));
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
    Ok(Response::new(Empty::new()))
}
