//! What clients who only listen cost a node.

use super::{SOON, mill, started};
use gristmill_tests::eventually;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

/// Of each transport. More would need more descriptors than some machines let a process have.
const CLIENTS: usize = 400;

fn resident(id: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process tells its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Connects so many clients, each of which has been answered.
fn listeners(port: u16, transport: &str, count: usize) -> Vec<TcpStream> {
    let more = match transport {
        "ws" => {
            "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        _ => "",
    };
    let connect = |_| {
        let mut stream = eventually(SOON, "the edge listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET /{transport}/news HTTP/1.1\r\nhost: h\r\n{more}\r\n").unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1_024];
        while !answer.windows(10).any(|window| window == b"subscribed") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend(&buffer[..length]);
        }
        stream
    };
    (0..count).map(connect).collect()
}

#[test]
fn a_client_that_only_listens_takes_at_most_two_kilobytes() {
    let (mill, port) = mill("threads = 1");
    let node = started(&mill, port);
    // What is made once, and what the allocator keeps, is there before it is counted.
    let mut clients = Vec::new();
    for transport in ["sse", "ws"] {
        clients.extend(listeners(port, transport, CLIENTS));
        let before = resident(node.id());
        clients.extend(listeners(port, transport, CLIENTS));
        let each = resident(node.id()).saturating_sub(before) / CLIENTS;
        assert!(each <= 2_048, "{transport}: {each} bytes each");
        eprintln!("{transport}: {each} bytes for each client");
    }
}
