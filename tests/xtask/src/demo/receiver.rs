//! The HTTP server that the demo delivers to: says 200 to everything and hands it on to be shown.

use super::{Event, http::Request};
use std::{
    io::{self, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::SyncSender,
    },
    thread,
    time::Duration,
};

/// What the quickstart's config names, so that people find it where they read of it.
const USUAL_PORT: u16 = 8089;
const MOST_CONNECTIONS: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(300);

/// The server; it ends with the program.
pub(crate) struct Receiver {
    url: String,
}

impl Receiver {
    /// Listens at the usual port, or at any when another program has that.
    pub(crate) fn start(events: SyncSender<Event>) -> io::Result<Self> {
        let at = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listener = at(USUAL_PORT).or_else(|_| at(0))?;
        let url = format!("http://{}/", listener.local_addr()?);
        thread::spawn(move || accept(&listener, &events));
        Ok(Self { url })
    }

    /// Ends in a slash.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

fn accept(listener: &TcpListener, events: &SyncSender<Event>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if open.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (open, events) = (Arc::clone(&open), events.clone());
        thread::spawn(move || {
            // A connection that breaks is the node's to notice and to open again.
            converse(&stream, &events).ok();
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn converse(stream: &TcpStream, events: &SyncSender<Event>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = Request::read(&mut reader, || (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n"))? {
        let last = request.is_last();
        if events.send(Event::Arrived(request)).is_err() {
            return Ok(());
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        if last {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, Read},
        sync::mpsc::sync_channel,
    };

    #[test]
    fn every_request_is_answered_and_handed_on() {
        let (events, inbox) = sync_channel(8);
        let receiver = Receiver::start(events).unwrap();
        let authority = receiver.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut stream = TcpStream::connect(authority).unwrap();
        stream
            .write_all(
                b"POST /one HTTP/1.1\r\ncontent-length: 1\r\n\r\n1POST /two HTTP/1.1\r\nconnection: close\r\n\r\n",
            )
            .unwrap();
        let mut replies = String::new();
        BufReader::new(&stream).fill_buf().unwrap();
        stream.read_to_string(&mut replies).unwrap_or_default();
        let paths: Vec<String> = inbox
            .try_iter()
            .filter_map(|event| if let Event::Arrived(request) = event { Some(request.path) } else { None })
            .collect();
        assert_eq!(paths, ["/one", "/two"]);
    }
}
