//! A node under systemd: what it says to whom started it, the socket that it is handed, and the units that come with it.

use crate::jobs::{SOON, all_arrive, direct, jobs, pipeline};
use gristmill_tests::{Mill, Node, Redis, built, eventually, process::finish, redis::free_port};
use rustix::time::{ClockId, clock_gettime};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// What systemd hears of a node.
struct Ear(UnixDatagram);

impl Ear {
    /// Listens at what `NOTIFY_SOCKET` says here.
    fn at(name: &str) -> Self {
        let socket = match name.strip_prefix('@') {
            Some(name) => UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()),
            None => UnixDatagram::bind(name),
        };
        let socket = socket.unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    /// The next datagram.
    fn next(&self) -> String {
        let mut bytes = [0; 2_000];
        let length = self.0.recv(&mut bytes).expect("a datagram in time");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// The next one that is no sign of life.
    fn news(&self) -> String {
        loop {
            let next = self.next();
            if next != "WATCHDOG=1" {
                return next;
            }
        }
    }

    /// Waits for so many signs of life, and tells what else has come meanwhile.
    fn signs_of_life(&self, count: usize) -> Vec<String> {
        let (mut signs, mut news) = (0, Vec::new());
        while signs < count {
            match self.next() {
                sign if sign == "WATCHDOG=1" => signs += 1,
                other => news.push(other),
            }
        }
        news
    }
}

/// Microseconds of the clock that systemd goes by.
fn monotonic() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn whoever_started_a_node_is_told_how_it_goes() {
    for kind in ["path", "name"] {
        let mill = direct(Redis::start(), "");
        let name = match kind {
            "path" => mill.dir().join("notify").display().to_string(),
            _ => format!("@{}", mill.dir().display()),
        };
        let ear = Ear::at(&name);
        let mill = mill.env("NOTIFY_SOCKET", &name);
        let mut node = mill.node_unready();
        assert_eq!(ear.next(), "STATUS=loading plugins");
        assert_eq!(ear.next(), "READY=1\nSTATUS=1 pipeline at work");
        let before = monotonic();
        node.sighup();
        let reloading = ear.next();
        let lines: Vec<&str> = reloading.lines().collect();
        let told: i64 = lines[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(lines[0] == "RELOADING=1" && (before..monotonic()).contains(&told), "{reloading}");
        assert_eq!(ear.next(), "READY=1\nSTATUS=1 pipeline at work");
        mill.write_raw_config("redis = 7");
        let refused = loop {
            let news = ear.next();
            if news.contains("refused") {
                break news;
            }
        };
        assert!(refused.starts_with("READY=1\nSTATUS=1 pipeline at work; the changed configuration was"), "{refused}");
        node.sigterm();
        let ending = ear.next();
        // The grace is 30 s unless the configuration says otherwise.
        assert!(ending.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=60000000\n"), "{ending}");
        assert_eq!(node.exit_code(SOON), 0);
    }
}

#[test]
fn a_node_gives_signs_of_life_while_redis_is_away_and_while_it_ends() {
    let config = pipeline("in_flight = 32", "http_timeout = \"60s\"\n\n[shutdown]\ngrace = \"2s\"\n");
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let name = mill.dir().join("notify").display().to_string();
    let ear = Ear::at(&name);
    let mut mill = mill.env("NOTIFY_SOCKET", &name).env("WATCHDOG_USEC", "300000");
    let mut node = mill.node_unready();
    assert_eq!(ear.news(), "STATUS=loading plugins");
    assert_eq!(ear.news(), "READY=1\nSTATUS=1 pipeline at work");
    let begun = Instant::now();
    ear.signs_of_life(10);
    assert!(begun.elapsed() > Duration::from_millis(800), "ten in {:?}, which are three in 300 ms", begun.elapsed());
    mill.redis.kill9();
    node.says(&["Redis does not do what we ask"]);
    assert!(ear.signs_of_life(30).is_empty());
    mill.redis.restart();
    mill.sink.answer(gristmill_tests::Answer::Hang);
    mill.redis.push("jobs", jobs(0..1));
    eventually(SOON, "the job is under way", || (mill.sink.count() == 1).then_some(()));
    node.sigterm();
    assert!(ear.news().starts_with("STOPPING=1"));
    ear.signs_of_life(5);
    node.exit_code(SOON);
}

#[test]
fn a_watchdog_of_another_process_is_not_ours() {
    let mill = direct(Redis::start(), "");
    let name = mill.dir().join("notify").display().to_string();
    let ear = Ear::at(&name);
    let mill = mill.env("NOTIFY_SOCKET", &name).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..100));
    all_arrive(&mill.sink, 0..100);
    assert_eq!(node.terminate(), 0);
    let told: Vec<String> = (0..3).map(|_| ear.next()).collect();
    assert!(told[2].starts_with("STOPPING=1"), "{told:?}");
}

#[test]
fn a_supervisor_that_does_not_listen_is_told_of_and_stops_nothing() {
    for name in ["/nowhere/at/all", "neither a path nor a name"] {
        let mill = direct(Redis::start(), "").env("NOTIFY_SOCKET", name);
        let mut node = mill.node();
        node.says(&["NOTIFY_SOCKET", "not told"]);
        assert_eq!(node.log().matches("NOTIFY_SOCKET").count(), 1, "{}", node.log());
        mill.redis.push("jobs", jobs(0..10));
        all_arrive(&mill.sink, 0..10);
        assert_eq!(node.terminate(), 0);
    }
}

#[test]
fn a_hangup_while_a_node_starts_does_not_end_it() {
    let mill = direct(Redis::start(), "");
    let name = mill.dir().join("notify").display().to_string();
    let ear = Ear::at(&name);
    let mill = mill.env("NOTIFY_SOCKET", &name);
    let node = mill.node_unready();
    assert_eq!(ear.next(), "STATUS=loading plugins");
    node.sighup();
    let mut node = node.ready();
    node.says(&["configuration reloaded"]);
    assert_eq!(node.terminate(), 0);
}

/// A program of Debian's package `systemd`.
///
/// Nothing where it is missing: what needs it passes over, saying so.
fn systemd(program: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(program);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("GRISTMILL_ALL_SERVERS").is_none(), "{program} is missing: install `systemd`");
    eprintln!("no {program}, so what needs it is passed over");
    None
}

/// A node that is started by whoever comes first to this place, which it is handed.
fn activated(mill: Mill, place: &str) -> Option<(Mill, Node)> {
    let activate = systemd("systemd-socket-activate")?;
    let mill = mill.under(&[&activate.display().to_string(), "--listen", place]);
    let node = mill.node_unready();
    node.says(&["listening on"]);
    Some((mill, node))
}

/// Asks for a path over what is connected already.
fn get(mut stream: impl Read + Write, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_node_answers_at_the_port_that_it_was_handed() {
    let address = format!("127.0.0.1:{}", free_port());
    let config = pipeline("", &format!("\n[admin]\nlisten = \"{address}\"\n"));
    let Some((mill, node)) = activated(Mill::new().plugins(&["http"]).config(&config), &address) else { return };
    // Who comes before there is a node waits for it.
    let answer = get(TcpStream::connect(&address).unwrap(), "/health/live");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut node = node.ready();
    assert!(!node.log().contains("metrics are off"), "{}", node.log());
    let status = finish(
        Command::new(built::gristmill()).args(["status", "--config"]).arg(mill.config_file()),
        Duration::from_secs(30),
    );
    assert_eq!(status.code, 0, "{}", status.stderr);
    mill.redis.push("jobs", jobs(0..10));
    all_arrive(&mill.sink, 0..10);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_node_answers_at_the_unix_socket_that_it_was_handed_and_leaves_it_there() {
    let mill = direct(Redis::start(), "");
    let place = mill.dir().join("handed.sock");
    let Some((_mill, node)) = activated(mill, &place.display().to_string()) else { return };
    let answer = get(UnixStream::connect(&place).unwrap(), "/health/live");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut node = node.ready();
    assert_eq!(node.terminate(), 0);
    assert!(place.exists(), "it belongs to who listens there");
}

#[test]
fn a_node_that_is_handed_several_sockets_does_not_guess() {
    let address = format!("127.0.0.1:{}", free_port());
    let other = format!("127.0.0.1:{}", free_port());
    let Some(activate) = systemd("systemd-socket-activate") else { return };
    let mill =
        direct(Redis::start(), "").under(&[&activate.display().to_string(), "--listen", &address, "--listen", &other]);
    let mut node = mill.node_unready();
    node.says(&["listening on", &other]);
    let _caller = TcpStream::connect(&address).unwrap();
    assert_eq!(node.exit_code(SOON), 1, "{}", node.log());
    assert!(node.log().contains("2 sockets were handed over"), "{}", node.log());
}

fn deploy(file: &str) -> PathBuf {
    built::repository().join("examples/deploy/systemd").join(file)
}

#[test]
fn the_units_that_come_with_it_are_what_systemd_understands_and_calls_safe() {
    let Some(analyze) = systemd("systemd-analyze") else { return };
    let dir = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(deploy("gristmill.service")).unwrap();
    let here = unit.replace("/usr/local/bin/gristmill", &built::gristmill().display().to_string());
    assert_ne!(here, unit);
    for name in ["gristmill.service", "gristmill@.service"] {
        fs::write(dir.path().join(name), &here).unwrap();
    }
    fs::copy(deploy("gristmill.socket"), dir.path().join("gristmill.socket")).unwrap();
    let run = |words: &[&str]| finish(Command::new(&analyze).args(words).current_dir(dir.path()), SOON);
    for unit in ["./gristmill.service", "./gristmill.socket", "./gristmill@a.service"] {
        let verified = run(&["verify", unit]);
        assert_eq!((verified.code, verified.stderr.as_str()), (0, ""), "{unit}");
    }
    // Of 10, of which a service without any hardening has 9.6.
    let exposed = run(&["security", "--offline=true", "--threshold=20", "./gristmill.service"]);
    assert_eq!(exposed.code, 0, "{}\n{}", exposed.stdout, exposed.stderr);
}

#[test]
fn the_configuration_beside_the_units_is_one_and_goes_with_them() {
    let text = fs::read_to_string(deploy("gristmill.toml")).unwrap();
    let mill = Mill::new().env("REDIS_PASSWORD", "hunter2").env("STATE_DIRECTORY", "/var/lib/gristmill");
    mill.write_raw_config(&text);
    let effective = mill.run(&["config", "effective"]);
    assert_eq!(effective.code, 0, "{}", effective.stderr);
    assert!(effective.stdout.contains("${STATE_DIRECTORY}"), "{}", effective.stdout);
    let socket = fs::read_to_string(deploy("gristmill.socket")).unwrap();
    let listens = socket.lines().find_map(|line| line.strip_prefix("ListenStream=")).unwrap();
    assert!(text.contains(&format!("listen = \"{listens}\"")), "{listens}");
    let unit = fs::read_to_string(deploy("gristmill.service")).unwrap();
    let seconds: u64 =
        unit.lines().find_map(|l| l.strip_prefix("TimeoutStopSec=")?.strip_suffix('s')?.parse().ok()).unwrap();
    assert!(text.contains("grace = \"30s\"") && seconds > 60, "systemd waits for longer than the grace");
}
