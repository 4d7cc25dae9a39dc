//! Processes of `redis-server` for the tests of connections: each ends with its value.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use redis::{aio::MultiplexedConnection, cmd};
use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A server on loopback, with its files in a directory of its own.
pub(super) struct Process {
    pub(super) port: u16,
    child: Child,
    dir: TempDir,
}

impl Process {
    /// Plain, without persistence, and with `options` as a command line has them.
    pub(super) fn start(options: &str) -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let port_text = port.to_string();
        let mut all = vec!["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        all.extend(options.split_ascii_whitespace());
        Self { port, child: spawn(&dir, &all), dir }
    }

    /// One that copies `master`.
    pub(super) fn replica(master: &Process) -> Self {
        Self::start(&format!("--replicaof 127.0.0.1 {} --repl-diskless-sync-delay 0", master.port))
    }

    /// One that becomes part of a cluster, once the others are made known to it.
    pub(super) fn cluster_node() -> Self {
        Self::start(&format!("--cluster-enabled yes --cluster-port {} --cluster-node-timeout 2000", free_port()))
    }

    /// One that watches `master` by the name `mymaster`, alone.
    pub(super) fn sentinel(master: &Process, options: &[&str]) -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let watched = format!("sentinel monitor mymaster 127.0.0.1 {} 1\n", master.port);
        let file_text = format!("port {port}\nbind 127.0.0.1\n{watched}{}\n", options.join("\n"));
        std::fs::write(&file, file_text).unwrap();
        Self { port, child: spawn(&dir, &[file.to_str().unwrap(), "--sentinel"]), dir }
    }

    /// One that speaks TLS only, as `names`, and asks its clients for a certificate.
    pub(super) fn tls(authority: &Authority, names: &[&str]) -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let (cert, key) = authority.issue(names);
        let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let port_text = port.to_string();
        let [cert, key, ca] = [path(&cert), path(&key), path(&authority.ca())];
        let options =
            ["--tls-port", &port_text, "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        let all = [&["--port", "0", "--bind", "127.0.0.1", "--save", ""], &options[..]].concat();
        Self { port, child: spawn(&dir, &all), dir }
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.host())
    }

    /// A connection past everything that is tested, once the server answers.
    pub(super) async fn redis(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        let mut open = None;
        eventually("the server answers", async || {
            open = client.get_multiplexed_async_connection().await.ok();
            match &mut open {
                Some(connection) => cmd("PING").exec_async(connection).await.is_ok(),
                None => false,
            }
        })
        .await;
        open.unwrap()
    }

    /// The answer to a command in one line.
    pub(super) async fn say<T: redis::FromRedisValue>(&self, line: &str) -> T {
        self.try_say(line).await.unwrap()
    }

    pub(super) async fn try_say<T: redis::FromRedisValue>(&self, line: &str) -> redis::RedisResult<T> {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>()).query_async(&mut self.redis().await).await
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(dir: &TempDir, arguments: &[&str]) -> Child {
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut command = Command::new("redis-server");
    command.current_dir(dir.path()).args(arguments).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
    command.spawn().unwrap()
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Three masters, each with a third of the slots.
pub(super) struct Cluster(pub(super) Vec<Process>);

impl Cluster {
    pub(super) async fn start() -> Self {
        let nodes: Vec<Process> = (0..3).map(|_| Process::cluster_node()).collect();
        for (index, (node, slots)) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]).enumerate() {
            let () = node.say(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1)).await;
            let () = node.say(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        }
        for node in &nodes[1..] {
            let bus: Vec<String> = node.say("CONFIG GET cluster-port").await;
            let () = nodes[0].say(&format!("CLUSTER MEET 127.0.0.1 {} {}", node.port, bus[1])).await;
        }
        let cluster = Self(nodes);
        cluster.settled().await;
        cluster
    }

    /// Everybody knows everybody.
    async fn settled(&self) {
        for node in &self.0 {
            eventually("the cluster is up", async || {
                let info: String = node.say("CLUSTER INFO").await;
                info.contains("cluster_state:ok")
                    && info.contains("cluster_known_nodes:3")
                    && info.contains("cluster_size:3")
            })
            .await;
        }
    }

    /// Gives one empty slot from one server to another.
    pub(super) async fn move_slot(&self, slot: u16, to: &Process) {
        let id: String = to.say("CLUSTER MYID").await;
        let () = to.say(&format!("CLUSTER SETSLOT {slot} NODE {id}")).await;
        let () = to.say("CLUSTER BUMPEPOCH").await;
        for node in &self.0 {
            let () = node.say(&format!("CLUSTER SETSLOT {slot} NODE {id}")).await;
        }
    }

    pub(super) fn hosts(&self) -> String {
        self.0.iter().map(Process::host).collect::<Vec<_>>().join(",")
    }
}

/// Whoever it vouches for is trusted by those that trust it.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        // OpenSSL takes a certificate of its issuer's name for one that vouches for itself.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for `names`, and its key.
    pub(super) fn issue(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let name = names.first().map_or("client", String::as_str);
        let [cert_path, key_path] = ["pem", "key"].map(|end| self.dir.path().join(format!("{name}.{end}")));
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(&cert_path, certificate.pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        (cert_path, key_path)
    }
}

#[track_caller]
pub(super) fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < Duration::from_secs(30), "{caller}: not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
