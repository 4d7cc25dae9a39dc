//! Asks a node over HTTP, as any program could.

use gristmill_tests::Mill;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

pub(crate) const FULL: &str = "full-token-for-tests-only";
pub(crate) const READ: &str = "read-token-for-tests-only";

/// Somebody with a token, or without.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    address: String,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }
}

impl Caller {
    /// Without a token.
    pub(crate) fn of(mill: &Mill) -> Self {
        let config = fs::read_to_string(mill.config_file()).unwrap();
        let listen = config.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
        Self { address: listen.trim_end_matches('"').to_owned(), headers: Vec::new() }
    }

    /// Where the node is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// With this token.
    pub(crate) fn with(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With this header, too.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Sends a request and reads the whole answer.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut answer = String::new();
        self.open(method, path, body).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// Sends a request.
    #[track_caller]
    pub(crate) fn open(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.0\r\ncontent-length: {}\r\n", body.len());
        if !self.headers.iter().any(|(name, _)| name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        write!(stream, "{head}\r\n{body}").unwrap();
        stream
    }
}
