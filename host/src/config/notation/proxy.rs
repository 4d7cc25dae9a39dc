//! How a proxy is written.

use super::{
    super::{Proxy, ProxyLogin},
    Wrong,
    grants::{host_and_port, http_grant},
    wrong,
};

const HELP: &str = "write \"http://host:port\", or \"http://user:${PASSWORD}@host:port\"";
const ESCAPE_HELP: &str =
    "write `%25` for a `%` in a name or a password, and what a URL cannot hold as `%` and two digits";

/// `http://user:password@host:port`, without the login if there is none.
pub(in crate::config) fn proxy(text: &str) -> Result<Proxy, Wrong> {
    let (scheme, rest) = text.split_once("://").ok_or(wrong("is not the address of a proxy", HELP))?;
    match scheme {
        "http" => {}
        "https" => {
            let help = "begin it with \"http\"; what goes to `https` URLs is encrypted all the way to their servers";
            return Err(wrong("asks for TLS to the proxy itself, which Gristmill does not speak", help));
        }
        _ => return Err(wrong("is not the address of an HTTP proxy", HELP)),
    }
    let (login, server) = match rest.rsplit_once('@') {
        Some((login, server)) => (Some(login), server),
        None => (None, rest),
    };
    let (host, port) = server_of(server.strip_suffix('/').unwrap_or(server))?;
    Ok(Proxy { host, port, login: login.map(self::login).transpose()? })
}

fn server_of(server: &str) -> Result<(String, u16), Wrong> {
    let with_help = |wrong: Wrong| Wrong { help: HELP, ..wrong };
    let (host, port) = host_and_port(server).map_err(with_help)?;
    let port = port.filter(|port| *port != 0).ok_or(wrong("names no port", HELP))?;
    // What a grant may name is a host, unless it stands for several.
    match http_grant(server) {
        Ok(_) if !host.contains('*') => Ok((host, port)),
        _ => Err(wrong("names no host", HELP)),
    }
}

fn login(text: &str) -> Result<ProxyLogin, Wrong> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (unescaped(user)?, unescaped(password)?);
    match user.contains(':') {
        true => Err(wrong("has a colon in the name to log in with", "a proxy could not tell it from the password")),
        false => Ok(ProxyLogin { user, password }),
    }
}

/// `%` and two hexadecimal digits are a byte.
fn unescaped(text: &str) -> Result<String, Wrong> {
    const WRONG: Wrong = wrong("has a `%` that stands for no byte", ESCAPE_HELP);
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(WRONG)?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal).ok_or(WRONG)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| wrong("has a login that is no text", ESCAPE_HELP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Option<ProxyLogin> {
        Some(ProxyLogin { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn a_proxy_has_a_host_a_port_and_perhaps_a_login() {
        for (text, host, port, expected) in [
            ("http://proxy:3128", "proxy", 3128, None),
            ("http://proxy.example.com:80/", "proxy.example.com", 80, None),
            ("http://10.0.0.7:8080", "10.0.0.7", 8080, None),
            ("http://[::1]:8080", "::1", 8080, None),
            ("http://me:secret@proxy:1", "proxy", 1, login("me", "secret")),
            ("http://me@proxy:1", "proxy", 1, login("me", "")),
            ("http://me:p@s:s/w@proxy:1", "proxy", 1, login("me", "p@s:s/w")),
            ("http://a%40b:%c3%bc%25@proxy:1", "proxy", 1, login("a@b", "ü%")),
        ] {
            let read = proxy(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            assert_eq!(read, Proxy { host: host.to_owned(), port, login: expected }, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_says_what_is_missing() {
        for (text, what) in [
            ("proxy:3128", "is not the address of a proxy"),
            ("socks5://proxy:1080", "is not the address of an HTTP proxy"),
            ("https://proxy:3128", "asks for TLS to the proxy itself, which Gristmill does not speak"),
            ("http://proxy", "names no port"),
            ("http://proxy:0", "names no port"),
            ("http://proxy:99999", "has a port that is not from 1 to 65535"),
            ("http://:3128", "names no host"),
            ("http://*:3128", "names no host"),
            ("http://*.example.com:3128", "names no host"),
            ("http://proxy:3128/path", "has a port that is not from 1 to 65535"),
            ("http://a b:3128", "names no host"),
            ("http://me:100%@proxy:1", "has a `%` that stands for no byte"),
            ("http://me:%+1@proxy:1", "has a `%` that stands for no byte"),
            ("http://me:%ff@proxy:1", "has a login that is no text"),
            ("http://a%3ab:c@proxy:1", "has a colon in the name to log in with"),
        ] {
            assert_eq!(proxy(text).expect_err(text).what, what, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", proxy("http://me:s3cret@proxy:1"));
        assert!(shown.contains("\"me\"") && !shown.contains("s3cret"), "{shown}");
    }
}
