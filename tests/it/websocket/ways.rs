//! WebSockets by the ways that are said of their servers.

use super::*;
use crate::status::get;
use gristmill_tests::proxy::{Fault, Proxy};
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Connects those who ask by `CONNECT`; gone when the process is.
fn tunnels() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heads);
    thread::spawn(move || {
        for client in listener.incoming() {
            let log = Arc::clone(&log);
            thread::spawn(move || tunnel(client?, &log));
        }
    });
    (authority, heads)
}

fn tunnel(mut client: TcpStream, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap_or_default())?;
    log.lock().unwrap().push(head);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut back, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let copied = io::copy(&mut back, &mut to_client);
        to_client.shutdown(std::net::Shutdown::Both).and(copied)
    });
    io::copy(&mut reader, &mut server)?;
    server.shutdown(std::net::Shutdown::Both)
}

/// What a mill to `server` is told of all servers.
fn said(server: &Sockets, keys: &str) -> Mill {
    saying(to(server, "", "").env("PROXY_PASSWORD", "s3cret"), keys)
}

fn saying(mill: Mill, keys: &str) -> Mill {
    let config = fs::read_to_string(mill.config_file()).unwrap();
    fs::write(mill.config_file(), format!("{config}\n[endpoint.\"*\"]\n{keys}\n")).unwrap();
    mill
}

#[test]
fn a_proxy_gives_a_tunnel_and_its_password_is_nowhere_shown() {
    let server = Sockets::start();
    let (proxy, heads) = tunnels();
    let mill = said(&server, &format!("proxy = \"http://me:${{PROXY_PASSWORD}}@{proxy}\""));
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    eventually(SOON, "all have arrived", || (server.heard().len() == 50).then_some(()));
    nothing_is_left(&mill.redis);
    let authority = server.authority();
    let asked =
        format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\nproxy-authorization: Basic bWU6czNjcmV0\r\n\r\n");
    assert_eq!(*heads.lock().unwrap(), [asked]);
    assert!(!node.log().contains("s3cret"), "{}", node.log());
}

#[test]
fn a_handshake_that_is_not_answered_in_time_is_counted_and_made_again() {
    let server = Sockets::start();
    let net = Proxy::to(server.authority().parse::<std::net::SocketAddr>().unwrap());
    net.set(Fault::Hang);
    let authority = net.address().to_string();
    let mill = mill(&format!("ws://{authority}"), &authority, "", "");
    let mill = saying(mill, "first_byte_timeout = \"200ms\"");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..10));
    eventually(SOON, "it took too long", || {
        // The plugin's own time is 10 s.
        get(&mill, "/metrics").contains("gristmill_endpoint_timeouts_total{timeout=\"first_byte\"} 2\n").then_some(())
    });
    net.clear();
    eventually(SOON, "all have arrived", || (first_of_each(&numbers(&server)).len() == 10).then_some(()));
    nothing_is_left(&mill.redis);
    assert!(Dead::of(&mill, "jobs").list().is_empty());
}
