//! The listener: few connections at a time, each bounded in time and in what it may send.

use super::{Handed, Window, access::Way, route::answer};
use crate::{config::Listen, shutdown::Shutdown};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener as StdUnixListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

/// Connections at once; more wait.
const CONNECTIONS: usize = 32;
/// From the connection, or the last answer, to the end of a request's head.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Before accepting is tried again where it failed, most often for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of a socket's path, without the zero behind it.
const PATH_BYTES: usize = 107;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Somebody answers there.
    #[error("another program listens there; choose another `[admin] listen`")]
    Taken,
    /// The path is too long.
    #[error(
        "the path of the socket is longer than {PATH_BYTES} bytes; choose a shorter `data_dir` or `[admin] listen`"
    )]
    TooLong,
    /// Something else is there.
    #[error("what is there is no socket; move it away, or choose another `[admin] listen`")]
    NoSocket,
    /// Which one it is to be, nobody has said.
    #[error("{0} sockets were handed over; hand over one, for `[admin]`")]
    Several(usize),
    /// Other machines could look.
    #[error(
        "what was handed over listens to other machines; set `[admin] tokens`, or let it listen at a loopback address"
    )]
    Open,
    /// The system refuses.
    #[error("{0}")]
    Refused(#[from] io::Error),
}

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _place: Option<Own> },
}

/// From where a port may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// From this machine alone.
    Here,
    /// From others, too, since callers show tokens.
    Anywhere,
}

/// A socket's place in the file system, removed at the end unless somebody else has taken it meanwhile.
pub(super) struct Own {
    path: PathBuf,
    /// Device and number of the file.
    file: (u64, u64),
}

impl Own {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: identity(path)? })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Whoever listens there next removes it if need be.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Listener {
    pub(super) fn bind(listen: &Listen, reach: Reach) -> Result<Self, Unusable> {
        match listen {
            Listen::Socket(path) => socket(path),
            Listen::Address(address) => {
                let bound = std::net::TcpListener::bind(address);
                let listener = bound.map_err(|error| match error.kind() {
                    io::ErrorKind::AddrInUse => Unusable::Taken,
                    _ => Unusable::Refused(error),
                })?;
                Self::at(Handed::Tcp(listener), reach)
            }
        }
    }

    pub(super) fn at(handed: Handed, reach: Reach) -> Result<Self, Unusable> {
        match handed {
            Handed::Tcp(listener) if reach == Reach::Here && !listener.local_addr()?.ip().is_loopback() => {
                Err(Unusable::Open)
            }
            Handed::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?))
            }
            Handed::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Self::Unix { listener: UnixListener::from_std(listener)?, _place: None })
            }
        }
    }

    pub(super) async fn serve(&self, window: &Arc<Window>, shutdown: &Shutdown) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Either::Tcp(stream)),
                Self::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| Either::Unix(stream)),
            };
            let Ok(stream) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let window = Arc::clone(window);
            drop(shutdown.track_until_stop(async move {
                match stream {
                    Either::Tcp(stream) => talk(stream, Way::Port, window).await,
                    Either::Unix(stream) => talk(stream, Way::Socket, window).await,
                }
                drop(permit);
            }));
        }
    }
}

enum Either {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// Answers one connection; whoever breaks it off is not missed.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, way: Way, window: Arc<Window>) {
    let service = service_fn(move |request| {
        let answer = answer(Arc::clone(&window), way, request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

/// Listens at `path`, which only this user can reach. The node that starts last has the path: it follows the one that was
/// killed, or that it is to replace.
fn socket(path: &Path) -> Result<Listener, Unusable> {
    if path.as_os_str().len() > PATH_BYTES {
        return Err(Unusable::TooLong);
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(Unusable::NoSocket),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        }
        Err(error) => return Err(error.into()),
    }
    let listener = StdUnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix { listener: UnixListener::from_std(listener)?, _place: Some(Own::new(path)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_its_user_alone_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("below/admin.sock");
        let listener = socket(&path).expect("listens");
        let mode = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_node_that_starts_last_has_the_socket_and_keeps_it_when_the_other_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("admin.sock");
        let (first, second) = (socket(&path).expect("listens"), socket(&path).expect("takes its place"));
        drop(first);
        std::os::unix::net::UnixStream::connect(&path).expect("the second one still listens");
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_node_left_is_replaced_and_anything_else_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("admin.sock");
        drop(StdUnixListener::bind(&path).expect("listens"));
        assert!(path.exists());
        drop(socket(&path).expect("takes its place"));
        fs::write(&path, "precious").expect("writes");
        assert!(matches!(socket(&path), Err(Unusable::NoSocket)));
        assert_eq!(fs::read(&path).expect("is there"), b"precious");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_and_a_port_that_is_taken_are_told() {
        let long = PathBuf::from("x".repeat(200));
        assert!(matches!(socket(&long), Err(Unusable::TooLong)));
        let other = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
        let listen = Listen::Address(other.local_addr().expect("an address"));
        assert!(matches!(Listener::bind(&listen, Reach::Here), Err(Unusable::Taken)));
    }
}
