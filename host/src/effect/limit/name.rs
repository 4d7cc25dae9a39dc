//! How endpoints are told apart: by host and port, read off a URL for each request, so without a look at the rest and without memory of its own.

use crate::effect::http::spelled;

/// Of a host, in bytes; no name is longer (RFC 1035, section 2.3.4).
const LONGEST: usize = 255;
/// With a colon and a port behind.
const ROOM: usize = LONGEST + 6;

/// `host:port`, in small letters.
pub(super) struct Name {
    bytes: [u8; ROOM],
    length: usize,
}

impl Name {
    /// Where `url` leads; none if nothing can be sent there.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is = |known: &str| scheme.eq_ignore_ascii_case(known);
        let usual = match scheme {
            _ if is("http") || is("ws") => 80,
            _ if is("https") || is("wss") => 443,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A colon within the brackets of an IPv6 address divides nothing.
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, usual),
        };
        Self::new(&spelled(host), port)
    }

    fn new(host: &str, port: u16) -> Option<Self> {
        if host.is_empty() {
            return None;
        }
        let mut name = Self { bytes: [0; ROOM], length: 0 };
        name.push(host.as_bytes())?;
        name.push(b":")?;
        let (mut digits, mut rest, mut start) = ([0; 5], port, 5);
        loop {
            start -= 1;
            *digits.get_mut(start)? = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                name.push(digits.get(start..)?)?;
                return Some(name);
            }
        }
    }

    fn push(&mut self, more: &[u8]) -> Option<()> {
        let end = self.length + more.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(more);
        self.length = end;
        Some(())
    }

    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Uri;

    #[test]
    fn the_name_is_where_the_request_will_go() {
        for (url, expected) in [
            ("http://a.b", "a.b:80"),
            ("https://A.b/x?y#z", "a.b:443"),
            ("HTTPS://a.b?x", "a.b:443"),
            ("http://a.b:8080/http://c:1/", "a.b:8080"),
            ("https://a.b:65535#x", "a.b:65535"),
            ("http://[::1]/", "[::1]:80"),
            ("http://[0:0::1]:7/", "[::1]:7"),
            ("http://10.0.0.1:0080/", "10.0.0.1:80"),
            ("ws://a.b/x", "a.b:80"),
            ("WSS://a.b", "a.b:443"),
            ("wss://a.b:8443/", "a.b:8443"),
        ] {
            let name = Name::of(url).expect(url);
            assert_eq!(name.as_str(), expected, "{url}");
            let uri: Uri = url.parse().expect(url);
            let port = crate::effect::http::port(&uri);
            assert_eq!(format!("{}:{port}", spelled(uri.host().expect("one"))), expected, "{url}, as it is sent");
        }
    }

    #[test]
    fn what_cannot_be_sent_has_none() {
        let long = format!("http://{}/", "a".repeat(300));
        for url in
            ["", "a.b", "ftp://a.b/", "http://", "http:///x", "http://:80/", "http://a:99999/", "http://a:x/", &long]
        {
            assert!(Name::of(url).is_none(), "{url}");
        }
    }
}
