//! Who may do what: tokens out of a file, and how often anything may be asked.

use crate::bucket::Bucket;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::{
    fmt, fs, io,
    path::Path,
    sync::{Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// Requests each second, and at once, of all callers together.
const RATE: (f64, u32) = (50.0, 200);
/// Wrong tokens each second, and at once.
const WRONG: (f64, u32) = (1.0, 10);
/// A token that is shorter could be guessed.
const SHORTEST: usize = 16;
/// A file of tokens that is longer is none.
const LONGEST: u64 = 64 * 1024;

/// How far somebody is trusted; each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Learns whether the node is well, and nothing else.
    Nobody,
    /// Looks, and sees no message.
    Look,
    /// Sees messages, without what is to be redacted.
    Read,
    /// Sees everything and steers the node.
    Full,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Look => "look",
            Self::Read => "read",
            Self::Full => "full",
        }
    }
}

/// Where somebody comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the socket, whose owner and mode say who may.
    Socket,
    /// Through a port.
    Port,
}

/// The tokens of a file, of which only digests are kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<(Role, [u8; 32])>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

/// Why a file holds no tokens.
#[derive(Debug, thiserror::Error)]
pub enum NoTokens {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is no such file.
    #[error("it is longer than {LONGEST} bytes, so it is no file of tokens")]
    Long,
    /// A line that says something else.
    #[error("line {0} is neither `read TOKEN` nor `full TOKEN`")]
    Line(usize),
    /// A token that anybody may come upon.
    #[error("the token in line {0} is shorter than {SHORTEST} characters; `openssl rand -hex 32` makes a good one")]
    Short(usize),
    /// Nobody could do anything.
    #[error(
        "there is no token in it; write a line such as `full TOKEN`, with a token that `openssl rand -hex 32` makes"
    )]
    None,
}

impl Tokens {
    /// Those of the file at `path`.
    ///
    /// # Errors
    /// Where there is none, or something else is in it.
    pub fn read(path: &Path) -> Result<Self, NoTokens> {
        Ok(Self(words(path)?.iter().map(|(role, token)| (*role, digest(token))).collect()))
    }

    /// A token of the file at `path` that allows everything, or else the first one.
    ///
    /// # Errors
    /// As [`Tokens::read`].
    pub fn best(path: &Path) -> Result<String, NoTokens> {
        let words = words(path)?;
        let best = words.into_iter().rev().max_by_key(|(role, _)| *role);
        best.map(|(_, token)| token).ok_or(NoTokens::None)
    }

    /// What `token` allows. Digests are compared, so how long that takes tells nothing of a token.
    fn role(&self, token: &str) -> Option<Role> {
        let digest = digest(token);
        self.0.iter().filter(|(_, known)| *known == digest).map(|(role, _)| *role).max()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn words(path: &Path) -> Result<Vec<(Role, String)>, NoTokens> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(NoTokens::Long);
    }
    let text = fs::read_to_string(path)?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let words: Vec<_> = meant.map(|(number, line)| word(number, line)).collect::<Result<_, _>>()?;
    if words.is_empty() { Err(NoTokens::None) } else { Ok(words) }
}

fn word(number: usize, line: &str) -> Result<(Role, String), NoTokens> {
    let (role, token) = line.split_once(char::is_whitespace).ok_or(NoTokens::Line(number))?;
    let role = match role {
        "read" => Role::Read,
        "full" => Role::Full,
        _ => return Err(NoTokens::Line(number)),
    };
    let token = token.trim();
    match token.len() {
        _ if token.contains(char::is_whitespace) => Err(NoTokens::Line(number)),
        ..SHORTEST => Err(NoTokens::Short(number)),
        _ => Ok((role, token.to_owned())),
    }
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Another page's script asks, or a name that is not ours was looked up for it.
    Foreign,
    /// No token, or a wrong one.
    Unknown,
    /// The token allows less.
    Role,
    /// There are no tokens, so nobody is known.
    NoTokens,
    /// Too often; there is room again after so long.
    Often(Duration),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Access {
    tokens: RwLock<Option<Tokens>>,
    rate: Mutex<Bucket>,
    wrong: Mutex<Bucket>,
}

impl Access {
    pub(super) fn new(tokens: Option<Tokens>) -> Self {
        let bucket = |(rate, burst)| Mutex::new(Bucket::new(rate, burst, Duration::ZERO, Instant::now()));
        Self { tokens: RwLock::new(tokens), rate: bucket(RATE), wrong: bucket(WRONG) }
    }

    /// From now on these hold. Where callers have to show a token they have to until the node ends, as other machines may reach it.
    pub(super) fn change(&self, new: Option<Tokens>) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        *tokens = new.or_else(|| tokens.as_ref().map(|_| Tokens::default()));
    }

    /// Whether callers have to show a token.
    pub(super) fn asks(&self) -> bool {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// How far whoever sends these headers is trusted, where at least `wanted` is needed.
    pub(super) fn admit(&self, way: Way, headers: &HeaderMap, wanted: Role) -> Result<Role, Denied> {
        if !is_own_page(headers) {
            return Err(Denied::Foreign);
        }
        let role = self.role(way, headers)?;
        if role < wanted {
            return Err(match role {
                Role::Nobody => Denied::Unknown,
                Role::Look => Denied::NoTokens,
                Role::Read | Role::Full => Denied::Role,
            });
        }
        pass(&self.rate)?;
        Ok(role)
    }

    fn role(&self, way: Way, headers: &HeaderMap) -> Result<Role, Denied> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        match (way, &*tokens, bearer(headers)) {
            (Way::Socket, ..) => Ok(Role::Full),
            (Way::Port, None, _) if is_here(headers) => Ok(Role::Look),
            (Way::Port, None, _) => Err(Denied::Foreign),
            (Way::Port, Some(_), None) => Ok(Role::Nobody),
            (Way::Port, Some(tokens), Some(token)) => match tokens.role(token) {
                Some(role) => Ok(role),
                None => pass(&self.wrong).and(Err(Denied::Unknown)),
            },
        }
    }
}

fn pass(bucket: &Mutex<Bucket>) -> Result<(), Denied> {
    let now = Instant::now();
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    if bucket.take(1, now) == 1 { Ok(()) } else { Err(Denied::Often(bucket.until(1, now))) }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Browsers say which page a script belongs to; our own pages come from the host that they ask.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), host) => origin.split_once("://").map(|(_, origin)| origin) == host,
    }
}

/// Whether this machine was asked by its own name: any other may have been looked up by a page that somebody was lured to.
fn is_here(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const FULL: &str = "full-0123456789abcdef";
    const READ: &str = "read-0123456789abcdef";

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("writes");
        file
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    fn with(token: &str) -> HeaderMap {
        headers(&[("host", "127.0.0.1:1"), ("authorization", &format!("Bearer {token}"))])
    }

    fn access() -> Access {
        let file = file(&format!("# ours\n\nread {READ}\n  full\t{FULL}\n"));
        assert_eq!(Tokens::best(file.path()).expect("reads"), FULL);
        Access::new(Some(Tokens::read(file.path()).expect("reads")))
    }

    #[test]
    fn a_token_allows_what_its_line_says_and_no_token_nothing() {
        let access = access();
        let admit = |headers: &HeaderMap, wanted| access.admit(Way::Port, headers, wanted);
        assert_eq!(admit(&with(FULL), Role::Full), Ok(Role::Full));
        assert_eq!(admit(&with(READ), Role::Read), Ok(Role::Read));
        assert_eq!(admit(&with(READ), Role::Full), Err(Denied::Role));
        assert_eq!(admit(&with("nobody-knows-this-one"), Role::Nobody), Err(Denied::Unknown));
        assert_eq!(admit(&headers(&[]), Role::Nobody), Ok(Role::Nobody));
        assert_eq!(admit(&headers(&[]), Role::Look), Err(Denied::Unknown));
        assert_eq!(access.admit(Way::Socket, &headers(&[]), Role::Full), Ok(Role::Full));
        access.change(None);
        assert_eq!(
            admit(&with(FULL), Role::Read),
            Err(Denied::Unknown),
            "nobody is let in because there are no tokens"
        );
        assert_eq!(Access::new(None).admit(Way::Port, &with(FULL), Role::Read), Err(Denied::NoTokens));
    }

    #[test]
    fn pages_of_others_and_names_of_others_are_turned_away() {
        let access = Access::new(None);
        let admit = |pairs: &[(&'static str, &str)]| access.admit(Way::Port, &headers(pairs), Role::Look);
        for host in ["localhost:9464", "127.0.0.1:9464", "[::1]:9464", "LOCALHOST"] {
            assert_eq!(admit(&[("host", host)]), Ok(Role::Look), "{host}");
            assert!(admit(&[("host", host), ("origin", &format!("http://{host}"))]).is_ok(), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:9464", ""] {
            assert_eq!(admit(&[("host", host)]), Err(Denied::Foreign), "{host}");
        }
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            assert_eq!(admit(&[("host", "127.0.0.1:9464"), ("origin", origin)]), Err(Denied::Foreign), "{origin}");
        }
    }

    #[test]
    fn guesses_are_slowed_down_and_those_who_know_are_not() {
        let access = access();
        let guess = || access.admit(Way::Port, &with("a-guess-0123456789"), Role::Read);
        let slowed = (0..=WRONG.1 + 1).any(|_| matches!(guess(), Err(Denied::Often(_))));
        assert!(slowed);
        assert_eq!(access.admit(Way::Port, &with(FULL), Role::Full), Ok(Role::Full));
        let often = (0..2 * RATE.1).any(|_| access.admit(Way::Port, &with(FULL), Role::Full).is_err());
        assert!(often, "nobody asks without end");
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_with_its_line() {
        let read = |text: &str| Tokens::read(file(text).path()).expect_err("is refused").to_string();
        assert!(read("# nothing\n").contains("no token in it"));
        assert!(read("\nfull short\n").contains("line 2 is shorter"));
        for text in ["secret-0123456789abcdef", "admin secret-0123456789abcdef", "full two words-0123456789"] {
            assert!(read(text).contains("line 1 is neither"), "{text}");
        }
        assert!(read(&"#".repeat(70_000)).contains("longer than"));
        assert!(matches!(Tokens::read(Path::new("/nowhere")), Err(NoTokens::Unreadable(_))));
    }
}
