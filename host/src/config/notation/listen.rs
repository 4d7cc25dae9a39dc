//! Where something may listen.

use super::{super::Listen, Wrong, wrong};
use std::{net::SocketAddr, path::PathBuf};

const HELP: &str = "write an address such as \"127.0.0.1:9464\" or \"[::1]:9464\", or the path of a unix socket such as \"admin.sock\"";

/// An address with its port, or the path of a unix socket, which ends in `.sock`.
pub(in crate::config) fn listen(text: &str) -> Result<Listen, Wrong> {
    if text.ends_with(".sock") {
        return Ok(Listen::Socket(PathBuf::from(text)));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(Listen::Address(address)),
        Err(_) => Err(wrong("is neither an address nor a socket", HELP)),
    }
}

const ANY_HELP: &str = "write an address with its port, such as \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\"";

/// An address with its port, that others may reach.
pub(in crate::config) fn any_address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| wrong("is no address", ANY_HELP))
}

/// The origin of pages, as browsers send it, or `*`.
pub(in crate::config) fn origin(text: &str) -> Result<String, Wrong> {
    const HELP: &str = "write what the browser's address bar has before the path, such as \"https://app.example.com\", or \"*\" for all";
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        _ if text == "*" => Ok(text.to_owned()),
        Some(host) if !host.is_empty() && !host.contains(['/', '*', ' ', '@', '?', '#']) => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(wrong("has something that is no origin", HELP)),
    }
}

/// The name of a channel, or a pattern for some.
pub(in crate::config) fn channel_pattern(text: &str) -> Result<(), Wrong> {
    let fits = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(wrong("has a name that no channel can have", "write 1 to 200 bytes without control characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_addresses_are_taken() {
        assert_eq!(listen("a/b.sock"), Ok(Listen::Socket(PathBuf::from("a/b.sock"))));
        for text in ["127.0.0.1:0", "127.8.8.8:9464", "[::1]:9464", "0.0.0.0:9464"] {
            assert_eq!(listen(text).map(|listen| listen.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn origins_are_what_browsers_send() {
        assert_eq!(origin("https://App.example.com:8443"), Ok("https://app.example.com:8443".to_owned()));
        assert_eq!(origin("*"), Ok("*".to_owned()));
        for text in ["", "app.example.com", "https://", "https://a/", "https://*.a", "ftp://a"] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["localhost:9464", "9464", "127.0.0.1", "admin"] {
            assert!(listen(text).is_err_and(|wrong| wrong.what.contains("neither")), "{text}");
        }
    }
}
