//! Who does the job.

use gristmill_tests::{Mill, Node, built, replace_file};
use std::{fs, process::Command};

/// The list that both take from.
pub(crate) const LIST: &str = "jobs";

/// One of the programs compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// `native-job`, written by hand.
    Native,
    /// The host with three plugins.
    Gristmill,
}

const CONFIG: &str = r#"
[pipeline.jobs]
from = { list = "jobs" }
filters = ["without-ip", "without-email"]
publish = ["http"]
in_flight = 256

[plugin.without-ip]
file = "anonymize.wasm"
config = { fields = ["ip"], mode = "drop" }

[plugin.without-email]
file = "anonymize.wasm"
config = { fields = ["user.email"], mode = "drop" }

[plugin.http]
config = { url = "$URL", method = "POST" }
allow_http = ["127.0.0.1"]
"#;

impl Candidate {
    /// In the order of their turns.
    pub(crate) const ALL: [Self; 2] = [Self::Native, Self::Gristmill];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Gristmill => "gristmill",
        }
    }

    /// Starts it; it takes from the mill's Redis and delivers to `url`.
    pub(crate) fn start(self, mill: &Mill, url: &str) -> Node {
        match self {
            Self::Native => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_native-job"));
                Node::start("native-job", command.args([&mill.redis.url(), LIST, url]), &mill.dir().join("native.log"))
            }
            Self::Gristmill => {
                for name in ["anonymize", "http"] {
                    replace_file(&mill.plugin_file(name), &fs::read(built::plugin(name)).unwrap());
                }
                mill.write_config(&CONFIG.replace("$URL", url));
                mill.node()
            }
        }
    }
}
