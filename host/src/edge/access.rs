//! Who may do what: tokens, and the pages that may connect.

mod keys;
mod token;

pub(super) use keys::Unusable;
pub(super) use token::{Invalid, Rights};

use super::head::Head;
use crate::config;
use keys::Key;
use std::time::{SystemTime, UNIX_EPOCH};

/// The cookie that may hold a token.
const COOKIE: &str = "gristmill_token";

/// What requests are checked with.
#[derive(Debug)]
pub(super) struct Access {
    keys: Vec<Key>,
    audience: Option<String>,
    origins: Vec<String>,
}

/// What a page is told about reading the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// It needs no leave: it is no page, or one of the same host.
    #[default]
    Own,
    /// Any page may.
    Any,
    /// This one may, and send its cookies.
    This(String),
}

impl Access {
    /// As `settings` have it; `key_set` is the text of the file with keys.
    pub(super) fn new(settings: &config::Edge, key_set: Option<&str>) -> Result<Self, Unusable> {
        let mut keys: Vec<Key> = settings.token_secret.as_deref().map(Key::secret).into_iter().collect();
        if let Some(text) = key_set {
            keys.extend(Key::set(text)?);
        }
        Ok(Self { keys, audience: settings.token_audience.clone(), origins: settings.origins.clone() })
    }

    /// What the token of a request allows; nothing where it has none.
    pub(super) fn rights(&self, head: &Head) -> Result<Rights, Invalid> {
        match token(head) {
            Some(token) => token::verify(&token, &self.keys, self.audience.as_deref(), now()),
            None => Ok(Rights::default()),
        }
    }

    /// Whether the page that the request comes from may connect; nothing where it may not.
    pub(super) fn origin(&self, head: &Head) -> Option<Origin> {
        let Some(origin) = head.header("origin") else { return Some(Origin::Own) };
        let host = origin.split_once("://").map(|(_, host)| host);
        if host.is_some() && host == head.header("host") {
            return Some(Origin::Own);
        }
        let known = |wanted: &str| self.origins.iter().any(|origin| origin == wanted);
        if known(&origin.to_ascii_lowercase()) {
            return Some(Origin::This(origin.to_owned()));
        }
        known("*").then_some(Origin::Any)
    }
}

impl Origin {
    /// The headers of an answer, each with its line's end.
    pub(super) fn headers(&self) -> String {
        match self {
            Self::Own => String::new(),
            Self::Any => "access-control-allow-origin: *\r\n".to_owned(),
            Self::This(origin) => format!(
                "access-control-allow-origin: {origin}\r\naccess-control-allow-credentials: true\r\nvary: origin\r\n"
            ),
        }
    }
}

/// In the header, in the address, which is all that `EventSource` and `WebSocket` leave to a page, or in a cookie.
fn token(head: &Head) -> Option<String> {
    let bearer = head.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let cookie = || {
        let mut pairs = head.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| token.to_owned())
    };
    bearer.or_else(|| head.argument("access_token")).or_else(cookie)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &str) -> Head {
        let text = format!("GET /sse/a?access_token=query HTTP/1.1\r\nhost: edge:8080\r\n{headers}\r\n");
        Head::parse(text.as_bytes()).expect("is a request").expect("is whole")
    }

    fn access(origins: &[&str]) -> Access {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let settings = config::Edge { origins, ..config::Edge::default() };
        Access::new(&settings, None).expect("is good")
    }

    #[test]
    fn a_token_stands_in_the_header_the_address_or_a_cookie() {
        assert_eq!(token(&head("Authorization: bearer abc\r\n")).as_deref(), Some("abc"));
        assert_eq!(token(&head("Authorization: Basic abc\r\n")).as_deref(), Some("query"));
        let text = b"GET /sse/a HTTP/1.1\r\ncookie: a=b; gristmill_token=c=d\r\n\r\n";
        let head = Head::parse(text).expect("is a request").expect("is whole");
        assert_eq!(token(&head).as_deref(), Some("c=d"));
    }

    #[test]
    fn pages_of_the_same_host_and_those_that_are_named_may_connect() {
        let some = access(&["https://app.example.com"]);
        assert_eq!(some.origin(&head("")), Some(Origin::Own));
        assert_eq!(some.origin(&head("origin: http://edge:8080\r\n")), Some(Origin::Own));
        let named = Origin::This("https://App.example.com".to_owned());
        assert_eq!(some.origin(&head("origin: https://App.example.com\r\n")), Some(named));
        for other in ["null", "https://evil.example.com", "http://app.example.com", "http://edge", "edge:8080"] {
            assert_eq!(some.origin(&head(&format!("origin: {other}\r\n"))), None, "{other}");
        }
        assert_eq!(access(&["*"]).origin(&head("origin: null\r\n")), Some(Origin::Any));
    }
}
