//! Where something may listen.

use super::{super::Listen, Wrong, wrong};
use std::{net::SocketAddr, path::PathBuf};

const HELP: &str = "write an address of this machine alone such as \"127.0.0.1:9464\" or \"[::1]:9464\", or the path of a unix socket such as \"admin.sock\"";

/// A loopback address with its port, or the path of a unix socket, which ends in `.sock`.
pub(in crate::config) fn listen(text: &str) -> Result<Listen, Wrong> {
    if text.ends_with(".sock") {
        return Ok(Listen::Socket(PathBuf::from(text)));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if !address.ip().is_loopback() => {
            Err(wrong("is an address that other machines could reach, and nothing there asks who they are", HELP))
        }
        Ok(address) => Ok(Listen::Address(address)),
        Err(_) => Err(wrong("is neither an address nor a socket", HELP)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_loopback_addresses_are_taken() {
        assert_eq!(listen("a/b.sock"), Ok(Listen::Socket(PathBuf::from("a/b.sock"))));
        for text in ["127.0.0.1:0", "127.8.8.8:9464", "[::1]:9464"] {
            assert_eq!(listen(text).map(|listen| listen.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_others_could_reach_is_refused() {
        for text in ["0.0.0.0:9464", "10.0.0.1:9464", "[::]:9464", "[2001:db8::1]:1"] {
            assert!(listen(text).is_err_and(|wrong| wrong.what.contains("other machines")), "{text}");
        }
        for text in ["localhost:9464", "9464", "127.0.0.1", "admin"] {
            assert!(listen(text).is_err_and(|wrong| wrong.what.contains("neither")), "{text}");
        }
    }
}
