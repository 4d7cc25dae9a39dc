//! A socket that another program, such as systemd, listens at already and has handed over: nobody is ever turned away there, also
//! while one node ends and the next one starts.

use super::listen::Unusable;
use listenfd::ListenFd;
use std::{net::TcpListener, os::unix::net::UnixListener};

/// See the module.
#[derive(Debug)]
pub enum Handed {
    /// A port.
    Tcp(TcpListener),
    /// A socket in the file system, which stays when the node ends.
    Unix(UnixListener),
}

impl Handed {
    /// The one that `LISTEN_FDS` tells of. Those variables are taken away, so this is for the time when there is one thread only.
    ///
    /// # Errors
    /// Where that is not one socket that streams are accepted at.
    pub fn take() -> Result<Option<Self>, Unusable> {
        let mut handed = ListenFd::from_env();
        match handed.len() {
            0 => return Ok(None),
            1 => {}
            several => return Err(Unusable::Several(several)),
        }
        if let Ok(Some(listener)) = handed.take_tcp_listener(0) {
            return Ok(Some(Self::Tcp(listener)));
        }
        Ok(handed.take_unix_listener(0)?.map(Self::Unix))
    }

    /// Where that is, for people.
    pub fn place(&self) -> String {
        let path = |listener: &UnixListener| Some(listener.local_addr().ok()?.as_pathname()?.display().to_string());
        let place = match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            Self::Unix(listener) => path(listener),
        };
        place.unwrap_or_else(|| "the socket that was handed over".to_owned())
    }
}
