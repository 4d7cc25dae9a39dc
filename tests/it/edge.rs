//! The edge as a whole node has it: from a list to clients.

mod deploys;
mod weight;

use crate::jobs::nothing_is_left;
use gristmill_tests::{Dead, Mill, Node, eventually, redis::free_port};
use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::TcpStream,
    time::Duration,
};

const SOON: Duration = Duration::from_secs(20);

/// A mill whose posts go to a channel for each user, which anyone may read; and its port.
fn mill(keys: &str) -> (Mill, u16) {
    let port = free_port();
    let mill = Mill::new().config(&format!(
        r#"
[pipeline.posts]
from = {{ list = "posts" }}
publish = ["edge"]
edge = {{ channel = "user-{{json:/user}}" }}
retry = {{ attempts = 1 }}

[edge]
listen = "127.0.0.1:{port}"
reconnect = "100ms"
{keys}

[channel."*"]
read = "anyone"
history = {{ messages = 10000, kib = 10240, age = "5m" }}
"#
    ));
    (mill, port)
}

/// A client that reads events.
struct Events {
    reader: BufReader<TcpStream>,
    /// Where it stands.
    id: String,
}

impl Events {
    fn open(port: u16, path: &str, id: &str) -> Self {
        let mut stream = eventually(SOON, "the edge listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nlast-event-id: {id}\r\n\r\n");
        // Where the node ends before it has accepted this, reading tells so.
        drop(stream.write_all(request.as_bytes()));
        Self { reader: BufReader::new(stream), id: id.to_owned() }
    }

    /// Reads up to the word that it is subscribed: from now on it misses nothing.
    fn subscribed(mut self) -> Self {
        let mut line = String::new();
        while !line.contains("\"subscribed\":true") {
            line.clear();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "the connection has ended");
            if let Some(id) = line.strip_prefix("id: ") {
                self.id = id.trim_end().to_owned();
            }
        }
        // An event ends with an empty line.
        if line.starts_with("data: ") {
            self.reader.read_line(&mut line).unwrap();
        }
        self
    }

    /// The data of the next event that is a message; nothing at the end.
    fn next(&mut self) -> Option<String> {
        let (mut id, mut event, mut data) = (String::new(), String::new(), Vec::new());
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return None,
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return None;
                }
                read => read.unwrap(),
            };
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => event = value.to_owned(),
                Some(("data", value)) => data.push(value.to_owned()),
                _ if line == "\n" => {
                    if !id.is_empty() {
                        self.id = std::mem::take(&mut id);
                    }
                    let whole = std::mem::take(&mut data);
                    if std::mem::take(&mut event).is_empty() && !whole.is_empty() {
                        return Some(whole.join("\n"));
                    }
                }
                _ => {}
            }
        }
    }
}

fn post(user: u32, number: u32) -> String {
    format!("{{\"user\":{user},\"n\":{number}}}")
}

fn started(mill: &Mill, port: u16) -> Node {
    let node = mill.node();
    node.says(&["the edge listens", &port.to_string()]);
    node
}

#[test]
fn what_is_pushed_to_a_list_reaches_those_who_read_its_channel() {
    let (mill, port) = mill("");
    let _node = started(&mill, port);
    let mut seven = Events::open(port, "/sse/user-7", "").subscribed();
    let mut both = Events::open(port, "/stream/user-7/user-8", "").subscribed();
    mill.redis.push("posts", (0..200).map(|number| post(7 + number % 2, number)));
    nothing_is_left(&mill.redis);
    let got: Vec<String> = (0..100).map(|_| seven.next().unwrap()).collect();
    let mut expected: Vec<String> = (0..100).map(|half| post(7, half * 2)).collect();
    let (mut sorted, _) = (got.clone(), expected.sort());
    sorted.sort();
    assert_eq!(sorted, expected);
    let mut lines = String::new();
    while lines.matches("\"channel\"").count() < 200 {
        both.reader.read_line(&mut lines).unwrap();
    }
    assert_eq!(lines.matches("\"channel\":\"user-8\"").count(), 100);
    let mut late = Events::open(port, "/sse/user-7?last=3", "");
    assert_eq!((0..3).map(|_| late.next().unwrap()).collect::<Vec<_>>(), got[97..]);
}

#[test]
fn what_has_no_channel_or_is_no_text_is_a_dead_letter() {
    let (mill, port) = mill("");
    let _node = started(&mill, port);
    mill.redis.push("posts", ["{}", "none"]);
    mill.redis.push("posts", [&b"{\"user\":1,\"x\":\"\xff\"}"[..]]);
    let dead = Dead::of(&mill, "posts");
    let letters = eventually(SOON, "all are dead letters", || {
        let letters = dead.list();
        (letters.len() == 3).then(|| format!("{letters:?}"))
    });
    for why in ["`/user`", "is not JSON"] {
        assert!(letters.contains(why), "{letters}");
    }
}

#[test]
fn a_node_that_ends_sends_its_clients_away_when_they_have_heard_everything() {
    let (mill, port) = mill("");
    let mut node = started(&mill, port);
    let mut clients: Vec<Events> = (0..20).map(|_| Events::open(port, "/sse/user-1", "").subscribed()).collect();
    for client in &mut clients {
        mill.redis.push("posts", [post(1, 0)]);
        client.next().unwrap();
    }
    mill.redis.push("posts", (1..=500).map(|number| post(1, number)));
    // One of these, at last, has come.
    for _ in 0..20 {
        clients[0].next().unwrap();
    }
    assert_eq!(node.terminate(), 0);
    let all: Vec<Vec<String>> =
        clients.iter_mut().map(|client| std::iter::from_fn(|| client.next()).collect()).collect();
    let left = mill.redis.len("posts");
    let last = |got: &Vec<String>| got.last().cloned();
    assert!(all.iter().all(|got| last(got) == last(&all[0])), "all have heard the same to the end");
    assert!(left < 500, "{left} wait for the next node");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn the_edge_can_be_switched_on_and_its_keys_changed_by_a_reload() {
    let mill = Mill::new().plugins(&["http"]).config("[pipeline.p]\nfrom = { list = \"q\" }\npublish = [\"http\"]\n[plugin.http]\nconfig = { url = \"$SINK\" }\nallow_http = [\"$AUTHORITY\"]\n");
    let node = mill.node();
    let port = free_port();
    mill.write_config(&format!(
        "[pipeline.p]\nfrom = {{ list = \"q\" }}\npublish = [\"edge\"]\n[edge]\nlisten = \"127.0.0.1:{port}\"\n[channel.\"*\"]\nread = \"anyone\"\n"
    ));
    node.says(&["configuration reloaded"]);
    let mut client = Events::open(port, "/sse/q", "").subscribed();
    mill.redis.push("q", ["hello"]);
    assert_eq!(client.next().as_deref(), Some("hello"));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let (mill, port) = mill("");
    let _listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut node = mill.node_unready();
    assert_eq!(node.exit_code(SOON), 1);
    assert!(node.log().contains("choose another `[edge] listen`"), "{}", node.log());
}
