//! A real Prometheus that scrapes what a test runs, and its own judgement of what it reads.

use crate::{
    built, eventually,
    process::{Process, fed},
    redis::free_port,
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(60);

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    #[expect(dead_code, reason = "held for its drop, which ends the server")]
    process: Process,
    #[expect(dead_code, reason = "held for its drop, which removes the server's data")]
    dir: TempDir,
}

impl Prometheus {
    /// Scrapes `target`, host and port, every second as the job `gristmill`; nothing when it is not installed, which is then said.
    ///
    /// # Panics
    /// When it is not installed where `GRISTMILL_ALL_SERVERS` is set, or does not come up.
    #[track_caller]
    pub fn scrape(target: &str) -> Option<Self> {
        let program = program("prometheus")?;
        let dir = tempfile::Builder::new().prefix("gristmill-prometheus-").tempdir().expect("a temporary directory");
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- {{job_name: gristmill, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
        let (file, port) = (dir.path().join("prometheus.yml"), free_port());
        fs::write(&file, config).expect("a fresh directory can be written to");
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display())).current_dir(dir.path());
        let process = Process::start("prometheus", &mut command, &dir.path().join("log"));
        let prometheus = Self { port, process, dir };
        eventually(START, "Prometheus has scraped the node", || {
            prometheus.ask("up == 1").filter(|samples| !samples.is_empty()).map(drop)
        });
        Some(prometheus)
    }

    /// The samples that `query` has now; nothing while the server does not answer.
    ///
    /// # Panics
    /// When the server does not understand the query.
    #[track_caller]
    pub fn ask(&self, query: &str) -> Option<Vec<Value>> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}"))?;
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        assert_eq!(answer["status"], "success", "`{query}`: {answer}");
        Some(answer["data"]["result"].as_array()?.clone())
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        // A reply of version 1.0 is not in chunks.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

/// What `promtool check metrics` says of an exposition; nothing where it is well, and nothing at all where the tool is not installed.
///
/// # Panics
/// When it is not installed where `GRISTMILL_ALL_SERVERS` is set.
#[track_caller]
pub fn complaints(exposition: &str) -> Option<String> {
    let mut command = Command::new(program("promtool")?);
    let checked = fed(command.args(["check", "metrics"]), exposition.as_bytes(), START);
    Some(format!("{}{}", checked.stdout, checked.stderr)).map(|said| match checked.code {
        0 => said,
        code => format!("exit code {code}: {said}"),
    })
}

#[track_caller]
fn program(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    built::pass_over("the package `prometheus` is not installed");
    None
}
