//! The sockets of a proxy: an entrance that can be shut and opened at the same port, and a task for each connection.

use super::{
    Shared, Target,
    faults::{Ending, Faults, Way},
    line::carry,
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpSocket, TcpStream, UnixStream},
    runtime::Runtime,
    task::JoinSet,
};

const BACKLOG: u32 = 1024;

/// A port, listened at or not.
pub(super) struct Entrance {
    /// Bound and never listened at: keeps the port ours while it refuses.
    keeper: TcpSocket,
    listener: Option<TcpListener>,
}

impl Entrance {
    pub(super) fn open(runtime: &Runtime) -> Self {
        let _inside = runtime.enter();
        let keeper = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let mut entrance = Self { keeper, listener: None };
        entrance.set_open(true);
        entrance
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.keeper.local_addr().expect("a bound socket has an address")
    }

    fn set_open(&mut self, open: bool) {
        if !open {
            self.listener = None;
        } else if self.listener.is_none() {
            let listener = bound(self.address()).and_then(|socket| socket.listen(BACKLOG));
            self.listener = Some(listener.expect("the port is ours"));
        }
    }

    /// The next connection; none comes while the entrance is shut.
    async fn next(&self) -> io::Result<TcpStream> {
        match &self.listener {
            Some(listener) => listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

pub(super) async fn accept(mut entrance: Entrance, shared: Arc<Shared>) {
    let mut faults = shared.faults.subscribe();
    let mut connections = JoinSet::new();
    loop {
        let open = !faults.borrow_and_update().refuses();
        entrance.set_open(open);
        shared.listening.store(open, Ordering::Release);
        tokio::select! {
            accepted = entrance.next() => {
                if let Ok(client) = accepted {
                    // Read before the connection is counted: `kill_all` waits for all that are counted.
                    let kills = faults.borrow().kills();
                    connections.spawn(attend(client, shared.enter(), kills, Arc::clone(&shared)));
                }
            }
            _ = faults.changed() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Shared {
    fn enter(&self) -> u64 {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.numbers.insert(number);
        number
    }
}

/// One connection from its start to its end.
async fn attend(mut client: TcpStream, number: u64, kills: u64, shared: Arc<Shared>) {
    let mut faults = shared.faults.subscribe();
    let ending = tokio::select! {
        ended = connect(&mut client, &shared) => ended.err(),
        _ = faults.wait_for(|faults| faults.kills() != kills) => Some(Ending::Reset),
    };
    match ending {
        Some(Ending::Reset) => client.set_zero_linger().ok(),
        Some(Ending::Close) => client.shutdown().await.ok(),
        None => None,
    };
    drop(client);
    shared.open().numbers.remove(&number);
}

async fn connect(client: &mut TcpStream, shared: &Shared) -> Result<(), Ending> {
    // The sender lives in `shared`, so this ends only when the connection may go on.
    shared.faults.subscribe().wait_for(Faults::admits).await.ok();
    client.set_nodelay(true).ok();
    match &shared.target {
        Target::Tcp(address) => {
            let server = TcpStream::connect(address).await.map_err(|_| Ending::Reset)?;
            server.set_nodelay(true).ok();
            converse(client, server, shared).await
        }
        Target::Unix(path) => {
            let server = UnixStream::connect(path).await.map_err(|_| Ending::Reset)?;
            converse(client, server, shared).await
        }
    }
}

async fn converse(
    client: &mut TcpStream,
    server: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Shared,
) -> Result<(), Ending> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = split(server);
    tokio::try_join!(
        carry(Way::ToServer, from_client, to_server, shared),
        carry(Way::ToClient, from_server, to_client, shared),
    )?;
    Ok(())
}
