//! How a server is to be set up: its program, where it listens, who may come in, what it keeps.

use super::{Certificates, Program, Redis, free_port};
use std::{path::Path, process::Command};

/// A server that is not running yet; `start` runs it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    program: Program,
    pub(super) tcp: Option<u16>,
    pub(super) tls: Option<(u16, Clients)>,
    names: Vec<String>,
    durable: bool,
    pub(super) password: Option<String>,
    arguments: Vec<String>,
}

/// What a TLS server wants of its clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Clients {
    Any,
    WithCertificate,
}

impl Setup {
    /// Runs this program instead of the `redis-server` on the PATH.
    #[must_use]
    pub fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// Listens at a loopback TCP port too.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = Some(free_port());
        self
    }

    /// Speaks TLS at another loopback port, with a certificate for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = Some((free_port(), Clients::Any));
        self
    }

    /// As `tls`, for clients with a certificate only.
    #[must_use]
    pub fn mutual_tls(mut self) -> Self {
        self.tls = Some((free_port(), Clients::WithCertificate));
        self
    }

    /// As `tls`, with a certificate for these names only.
    #[must_use]
    pub fn tls_named(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|&name| name.to_owned()).collect();
        self.tls()
    }

    /// Answered writes outlive `kill9` and `stop`: an append-only file, synced at every write.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Nobody comes in without this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Lets in the user `name` by these rules, such as `[">secret", "~jobs*", "+@all"]`.
    #[must_use]
    pub fn user(mut self, name: &str, rules: &[&str]) -> Self {
        self.arguments.extend(["--user", name, "on"].map(str::to_owned));
        self.arguments.extend(rules.iter().map(|&rule| rule.to_owned()));
        self
    }

    /// Adds arguments, such as `["--maxmemory", "4mb"]`.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs the server.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn start(self) -> Redis {
        Redis::run(self)
    }

    pub(super) fn certify(&self, dir: &Path) -> Certificates {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        Certificates::make(dir, if names.is_empty() { &["localhost", "127.0.0.1"] } else { &names })
    }

    /// What runs the server with everything it keeps in `dir`.
    pub(super) fn command(&self, dir: &Path, socket: &Path, certificates: Option<&Certificates>) -> Command {
        let mut command = Command::new(self.program.found().expect("this server has been fetched"));
        command.arg("--port").arg(self.tcp.unwrap_or(0).to_string()).args(["--bind", "127.0.0.1"]);
        command.arg("--unixsocket").arg(socket).arg("--dir").arg(dir);
        command.args(["--save", "", "--daemonize", "no"]);
        if self.durable {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        if let Some(password) = &self.password {
            command.arg("--requirepass").arg(password);
        }
        if let (Some((port, clients)), Some(certificates)) = (self.tls, certificates) {
            speak_tls(&mut command, port, clients, certificates);
        }
        command.args(&self.arguments);
        command
    }
}

fn speak_tls(command: &mut Command, port: u16, clients: Clients, certificates: &Certificates) {
    command.arg("--tls-port").arg(port.to_string());
    command.arg("--tls-cert-file").arg(certificates.server()).arg("--tls-key-file").arg(certificates.server_key());
    command.arg("--tls-ca-cert-file").arg(certificates.authority());
    command.args(["--tls-auth-clients", if clients == Clients::WithCertificate { "yes" } else { "no" }]);
}
