use super::*;
use crate::eventually::holds_for;
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Instant,
};
use tokio::{net::TcpListener, task::JoinSet};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);
/// How late a busy machine may be without a test failing.
const SLACK: Duration = Duration::from_secs(5);

/// A server that says everything back.
struct Echo {
    address: SocketAddr,
    _background: Background,
}

impl Echo {
    fn start() -> Self {
        let runtime = Background::runtime();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            _background: Background::start("echo", runtime, serve(listener)),
        }
    }
}

async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.ok();
        });
    }
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends `text` and reads as much back.
fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes())?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    Ok(String::from_utf8_lossy(&back).into_owned())
}

/// Whether nothing comes for a while.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(SHORT)).unwrap();
    let read = stream.read(&mut [0]);
    stream.set_read_timeout(Some(LONG)).unwrap();
    matches!(read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// The names of our threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let name = |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    tasks.map(|task| name(&task.unwrap()).trim().to_owned()).collect()
}

/// How many TCP sockets a process holds that listen or were accepted at the port `own`, or were connected to `other`.
fn owned_sockets([own, other]: [u16; 2]) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let held = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: &str| u16::from_str_radix(field.rsplit(':').next().unwrap(), 16).unwrap();
        fields[9] != "0" && (port(fields[1]) == own || port(fields[2]) == other)
    };
    table.lines().skip(1).filter(held).count()
}

#[test]
fn bytes_and_ends_pass_both_ways_and_are_counted() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut stream = client(&proxy);
    assert_eq!(say(&mut stream, "hello").unwrap(), "hello");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the server's end arrives");
    assert_eq!((proxy.connections(), proxy.bytes_to_server(), proxy.bytes_to_client()), (1, 5, 5));
    eventually(LONG, "the connection is gone", || (proxy.open() == 0).then_some(()));
}

#[test]
fn a_megabyte_in_small_pieces_arrives_whole() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    proxy.set(Fault::Chunks(7));
    let mut stream = client(&proxy);
    let text: String = (0..100_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = text.clone();
    let thread = std::thread::spawn(move || writer.write_all(sent.as_bytes()).unwrap());
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    thread.join().unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), text);
}

#[test]
fn a_delay_holds_each_way_and_ends_when_cleared() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut stream = client(&proxy);
    for (to_server, to_client) in [(SHORT, Duration::ZERO), (Duration::ZERO, SHORT), (SHORT, SHORT)] {
        proxy.set(Fault::Delay { to_server, to_client });
        let before = Instant::now();
        assert_eq!(say(&mut stream, "late").unwrap(), "late");
        assert!(before.elapsed() >= to_server + to_client, "{:?}", before.elapsed());
    }
    proxy.set(Fault::Delay { to_server: Duration::from_secs(3600), to_client: Duration::ZERO });
    stream.write_all(b"held").unwrap();
    assert!(is_silent(&mut stream));
    proxy.clear();
    let mut back = [0; 4];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"held");
}

#[test]
fn a_delay_lets_many_bytes_be_under_way_at_once() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    proxy.set(Fault::Delay { to_server: SHORT, to_client: SHORT });
    let mut stream = client(&proxy);
    let before = Instant::now();
    // Forty blocks one after another would take sixteen seconds.
    assert_eq!(say(&mut stream, &"x".repeat(640 * 1024)).unwrap().len(), 640 * 1024);
    assert!(before.elapsed() < Duration::from_secs(12), "{:?}", before.elapsed());
}

#[test]
fn a_rate_is_kept() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    proxy.set(Fault::Rate(20_000));
    let mut stream = client(&proxy);
    let before = Instant::now();
    say(&mut stream, &"x".repeat(10_000)).unwrap();
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(450) && took < SLACK, "{took:?}");
}

#[test]
fn a_cut_strikes_each_connection_after_so_many_bytes() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    proxy.set(Fault::Cut(3, Ending::Reset));
    for _ in 0..2 {
        let mut stream = client(&proxy);
        assert_eq!(say(&mut stream, "ab").unwrap(), "ab");
        let error = say(&mut stream, "cd").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(proxy.bytes_to_client(), 6);
}

#[test]
fn a_cut_can_look_like_an_end_in_peace_and_counts_from_when_it_was_set() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut stream = client(&proxy);
    assert_eq!(say(&mut stream, "before").unwrap(), "before");
    proxy.set(Fault::Cut(2, Ending::Close));
    stream.write_all(b"after").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"af");
}

#[test]
fn what_strikes_once_spares_the_next_connection() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    proxy.set(Fault::CutOnce(1, Ending::Reset));
    proxy.set(Fault::FlipOnce(0));
    let mut first = client(&proxy);
    first.write_all(b"abc").unwrap();
    let mut byte = [0];
    // The reset may overtake the byte.
    if first.read(&mut byte).is_ok() {
        assert_eq!(byte, [!b'a']);
    }
    let mut second = client(&proxy);
    eventually(LONG, "the first one is cut", || first.read(&mut byte).is_err().then_some(()));
    assert_eq!(say(&mut second, "abc").unwrap(), "abc");
}

#[test]
fn a_byte_is_flipped_in_each_connection() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    proxy.set(Fault::Flip(4));
    for _ in 0..2 {
        let mut stream = client(&proxy);
        stream.write_all(b"abc").unwrap();
        stream.write_all(b"def").unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, &[b'a', b'b', b'c', b'd', !b'e', b'f']);
    }
}

#[test]
fn a_black_hole_swallows_old_and_new_connections_until_it_ends() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut old = client(&proxy);
    assert_eq!(say(&mut old, "before").unwrap(), "before");
    proxy.set(Fault::BlackHole);
    let mut new = client(&proxy);
    for stream in [&mut old, &mut new] {
        stream.write_all(b"lost?").unwrap();
        assert!(is_silent(stream));
    }
    assert_eq!(proxy.bytes_to_server(), 6);
    proxy.clear();
    for stream in [&mut old, &mut new] {
        let mut back = [0; 5];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"lost?");
    }
}

#[test]
fn an_end_does_not_leave_a_black_hole() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut stream = client(&proxy);
    assert_eq!(say(&mut stream, "before").unwrap(), "before");
    proxy.set(Fault::BlackHole);
    drop(stream);
    holds_for(SHORT, "the server keeps its connection", || proxy.open() == 1);
    proxy.clear();
    eventually(LONG, "the connection is gone", || (proxy.open() == 0).then_some(()));
}

#[test]
fn refusing_is_at_once_spares_old_connections_and_ends_at_the_same_port() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut old = client(&proxy);
    assert_eq!(say(&mut old, "one").unwrap(), "one");
    for _ in 0..3 {
        proxy.set(Fault::Refuse);
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(say(&mut old, "two").unwrap(), "two");
        proxy.clear();
        assert_eq!(say(&mut client(&proxy), "three").unwrap(), "three");
    }
}

#[test]
fn hanging_spares_old_connections() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut old = client(&proxy);
    assert_eq!(say(&mut old, "one").unwrap(), "one");
    proxy.set(Fault::Hang);
    let mut new = client(&proxy);
    new.write_all(b"two").unwrap();
    assert!(is_silent(&mut new));
    assert_eq!(say(&mut old, "three").unwrap(), "three");
}

#[test]
fn killing_resets_all_connections_and_spares_later_ones() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let mut streams: Vec<TcpStream> = (0..20).map(|_| client(&proxy)).collect();
    for stream in &mut streams {
        assert_eq!(say(stream, "one").unwrap(), "one");
    }
    proxy.kill_all();
    assert_eq!(proxy.open(), 0);
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(say(&mut client(&proxy), "two").unwrap(), "two");
}

#[test]
fn a_server_that_is_down_resets_the_client() {
    let address = Echo::start().address;
    let proxy = Proxy::to(address);
    assert!(client(&proxy).read(&mut [0]).is_err());
}

#[test]
fn nothing_is_left_of_a_dropped_proxy() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.address);
    let address = proxy.address();
    let mut stream = client(&proxy);
    assert_eq!(say(&mut stream, "one").unwrap(), "one");
    proxy.set(Fault::BlackHole);
    let _hung = client(&proxy);
    stream.write_all(b"two").unwrap();
    let (thread, ports) = (format!("proxy {}", address.port()), [address.port(), echo.address.port()]);
    assert!(threads().contains(&thread) && owned_sockets(ports) >= 3);
    drop(proxy);
    assert!(!threads().contains(&thread));
    assert_eq!(owned_sockets(ports), 0);
    assert!(TcpStream::connect(address).is_err());
}
