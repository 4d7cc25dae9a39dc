//! What stands between the driver that speaks to a database and its server: it counts the bytes of each answer.
//!
//! The driver takes a message in whole, however long the server makes it. So it gets a socket whose other end is here. What goes
//! through is not looked at and may be encrypted; the answer is what comes since the driver has last sent something.

use crate::random;
use std::{
    future::pending,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener as Listener},
    },
    path::{Path, PathBuf},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream, unix},
};

/// What is read of a question at once, and of an answer.
const ASKED: usize = 4 << 10;
const ANSWERED: usize = 16 << 10;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Carries one connection of the driver.
pub(super) struct Relay {
    server: Server,
    name: PathBuf,
    state: State,
}

enum State {
    Expecting(UnixListener),
    Open(Box<Pair>),
    Closed,
}

/// Why nothing is carried any more.
pub(super) enum Broken {
    /// The answer is longer than it may be.
    Long,
    /// There is no connection to the server.
    Away(io::Error),
}

impl Relay {
    /// For a connection to this socket, whose name ends with `tail`.
    pub(super) fn new(server: Server, tail: &str) -> io::Result<Self> {
        // A name without a file: nothing is left of it, whatever ends the process.
        let name = format!("gristmill-{}", random::unique());
        let listener = Listener::bind_addr(&SocketAddr::from_abstract_name(format!("{name}{tail}"))?)?;
        listener.set_nonblocking(true)?;
        let state = State::Expecting(UnixListener::from_std(listener)?);
        Ok(Self { server, name: format!("\0{name}").into(), state })
    }

    /// What the driver is to connect to, without the tail.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// Carries what goes both ways for as long as it is polled; dropped and called again, it goes on where it was.
    ///
    /// Where one side has closed the connection, the other finds it closed, and this waits.
    pub(super) async fn carry(&mut self, longest: usize) -> Broken {
        if let State::Expecting(listener) = &self.state {
            match Pair::between(listener, &self.server).await {
                Ok(pair) => self.state = State::Open(Box::new(pair)),
                Err(error) => return Broken::Away(error),
            }
        }
        if let State::Open(pair) = &mut self.state {
            let end = pair.carry(longest).await;
            self.state = State::Closed;
            if let End::Long = end {
                return Broken::Long;
            }
        }
        pending().await
    }
}

/// The driver and the server, and what is on the way between them.
struct Pair {
    driver: (unix::OwnedReadHalf, unix::OwnedWriteHalf),
    server: (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>),
    asked: Way<ASKED>,
    answered: Way<ANSWERED>,
    /// Of the answer so far.
    length: usize,
}

enum End {
    Long,
    Closed,
}

impl Pair {
    async fn between(listener: &UnixListener, server: &Server) -> io::Result<Self> {
        let driver = accept(listener).await?.into_split();
        let (asked, answered) = (Way::new(), Way::new());
        let server: (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>) = match server {
            Server::Tcp(host, port) => {
                let stream = TcpStream::connect((host.trim_matches(['[', ']']), *port)).await?;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
            Server::Unix(path) => {
                let (read, write) = UnixStream::connect(path).await?.into_split();
                (Box::new(read), Box::new(write))
            }
        };
        Ok(Self { driver, server, asked, answered, length: 0 })
    }

    async fn carry(&mut self, longest: usize) -> End {
        loop {
            let moved = tokio::select! {
                moved = self.asked.step(&mut self.driver.0, &mut self.server.1) => {
                    self.length = 0;
                    moved
                }
                moved = self.answered.step(&mut self.server.0, &mut self.driver.1) => {
                    self.length += moved.as_ref().map_or(0, |moved| moved.read);
                    moved
                }
            };
            match moved {
                Ok(moved) if moved.ended => return End::Closed,
                Ok(_) if self.length > longest => return End::Long,
                Ok(_) => {}
                Err(_) => return End::Closed,
            }
        }
    }
}

/// The connection of this process, whoever else knocks.
async fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
    let own = i32::try_from(std::process::id()).ok();
    loop {
        let (stream, _) = listener.accept().await?;
        if stream.peer_cred()?.pid() == own {
            return Ok(stream);
        }
    }
}

/// What goes one way: `size` bytes at most have been read and not yet written.
struct Way<const SIZE: usize> {
    buffer: Box<[u8; SIZE]>,
    start: usize,
    end: usize,
}

#[derive(Default)]
struct Moved {
    read: usize,
    ended: bool,
}

impl<const SIZE: usize> Way<SIZE> {
    fn new() -> Self {
        Self { buffer: Box::new([0; SIZE]), start: 0, end: 0 }
    }

    /// Reads where nothing waits, and else writes; nothing is lost when it is dropped.
    async fn step(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<Moved> {
        let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
        if waiting.is_empty() {
            let read = from.read(&mut self.buffer[..]).await?;
            (self.start, self.end) = (0, read);
            return Ok(Moved { read, ended: read == 0 });
        }
        self.start += to.write(waiting).await?;
        Ok(Moved::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::TcpListener;

    /// A relay, the driver's end of it, and the server's.
    async fn connected(longest: usize) -> (Relay, UnixStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let mut relay = Relay::new(server, "/tail").unwrap();
        let mut driver = UnixStream::connect(relay.name().join("tail")).await.unwrap();
        let greeted = async {
            let (mut server, _) = listener.accept().await.unwrap();
            server.write_all(b"!").await.unwrap();
            read(&mut driver, 1).await;
            server
        };
        let server = carrying(&mut relay, longest, greeted).await.unwrap();
        (relay, driver, server)
    }

    /// Does `work` while `relay` carries; nothing where it was broken first.
    async fn carrying<T>(relay: &mut Relay, longest: usize, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            broken = relay.carry(longest) => {
                assert!(matches!(broken, Broken::Long));
                None
            }
        }
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin), length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn whatever_is_dropped_in_the_middle_nothing_of_it_is_lost() {
        let (mut relay, driver, server) = connected(usize::MAX).await;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let ((mut from_driver, mut to_driver), (mut from_server, mut to_server)) =
            (driver.into_split(), server.into_split());
        let mut all = Box::pin(async {
            let (asked, answered) =
                (async { to_driver.write_all(&sent).await }, async { to_server.write_all(&sent).await });
            tokio::join!(asked, answered, read(&mut from_driver, sent.len()), read(&mut from_server, sent.len()))
        });
        let mut done = None;
        while done.is_none() {
            // Every time the relay is dropped where it is.
            let some = async { tokio::time::timeout(Duration::from_micros(300), &mut all).await.ok() };
            done = carrying(&mut relay, usize::MAX, some).await.unwrap();
        }
        let (_, _, answered, asked) = done.unwrap();
        assert!(answered == sent && asked == sent);
    }

    #[tokio::test]
    async fn an_answer_is_what_comes_since_the_last_question() {
        let (mut relay, mut driver, mut server) = connected(1_000).await;
        for _ in 0..5 {
            let talk = async {
                driver.write_all(b"?").await.unwrap();
                assert_eq!(read(&mut server, 1).await, b"?");
                server.write_all(&[7; 900]).await.unwrap();
                read(&mut driver, 900).await
            };
            assert_eq!(carrying(&mut relay, 1_000, talk).await.unwrap().len(), 900);
        }
        let more = async {
            server.write_all(&[7; 101]).await.unwrap();
            pending::<()>().await;
        };
        assert_eq!(carrying(&mut relay, 1_000, more).await, None);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0, "the server is told at once");
    }

    #[tokio::test]
    async fn what_a_server_says_before_it_goes_is_heard() {
        let (mut relay, mut driver, mut server) = connected(1_000).await;
        server.write_all(b"bye").await.unwrap();
        drop(server);
        let mut heard = Vec::new();
        carrying(&mut relay, 1_000, driver.read_to_end(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, b"bye");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_told_with_the_reason() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut relay = Relay::new(Server::Tcp("127.0.0.1".to_owned(), free), "").unwrap();
        let _driver = UnixStream::connect(relay.name()).await.unwrap();
        let Broken::Away(error) = relay.carry(1).await else { panic!("nobody is there") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
