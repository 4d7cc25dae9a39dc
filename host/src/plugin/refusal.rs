//! Why a version of a plugin does not come into force, in one sentence.

use super::{
    needs::Need,
    v0_1::{Kind, VERSION},
};
use crate::message::{Fault, Limit};
use std::{fmt, path::PathBuf};

/// A version of a plugin that does not come into force.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    /// The plugin it would have been.
    pub plugin: String,
    /// Where it was read from.
    pub file: PathBuf,
    /// The first 12 hex digits of the SHA-256 of its file, if that could be read.
    pub digest: Option<String>,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, file, digest, cause } = self;
        match cause {
            Cause::Config(reason) => write!(f, "plugin `{plugin}` refused its config: {reason}")?,
            Cause::Ungranted(needs) => write!(f, "plugin `{plugin}` cannot be used: {}", Ungranted { plugin, needs })?,
            cause => write!(f, "plugin `{plugin}` cannot be used: {cause}")?,
        }
        match digest {
            Some(digest) => write!(f, " (`{}`, {digest})", file.display()),
            None => write!(f, " (`{}`)", file.display()),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// The limit that the plugin went beyond, if that is why.
    pub fn limit(&self) -> Option<Limit> {
        match &self.cause {
            Cause::TooLarge { .. } => Some(Limit::File),
            Cause::Start(fault) => fault.limit(),
            Cause::Beyond(limit, _) => Some(*limit),
            _ => None,
        }
    }
}

/// Needs that are not met, and the lines that would meet them.
struct Ungranted<'a> {
    plugin: &'a str,
    needs: &'a [Need],
}

impl fmt::Display for Ungranted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs: Vec<String> = self.needs.iter().map(Need::to_string).collect();
        let mut lines: Vec<String> =
            self.needs.iter().filter_map(Need::grant).map(|line| format!("`{line}`")).collect();
        lines.dedup();
        write!(f, "it needs {}, which it was not granted", needs.join(", "))?;
        match lines.is_empty() {
            true => f.write_str("; nothing grants that"),
            false => write!(f, "; if it may, add {} to [plugin.{}]", lines.join(" and "), self.plugin),
        }
    }
}

/// Why a version of a plugin does not come into force.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Cause {
    /// There is no such file.
    #[error("its file does not exist")]
    NoFile,
    /// The file cannot be read.
    #[error("its file cannot be read: {0}")]
    Unreadable(String),
    /// The file is larger than those that are read.
    #[error("its file has {bytes} bytes, more than `compile.file_mib` = {most_mib} allows")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The longest.
        most_mib: u32,
    },
    /// Another file has the same name but for `_` and `-`.
    #[error("`{0}` has the same name, because `_` and `-` are the same; rename one of them")]
    SameName(String),
    /// Not Wasm at all, or not yet.
    #[error("its file is not WebAssembly; if it is still being written it is read again when that is done")]
    NotWasm,
    /// A core module that is no program.
    #[error(
        "it is a core WebAssembly module, not a component, and no WASI program either, as it exports no `_start`; build it for `wasm32-wasip2`, or make a component of it with `gristmill componentize`"
    )]
    CoreModule,
    /// Wasm that does not hold what it promises.
    #[error("it does not compile: {0}")]
    Invalid(String),
    /// A component that is something else.
    #[error(
        "it is a component but no plugin: it exports neither `gristmill:plugin/filtering@{spoken}` nor `gristmill:plugin/publishing@{spoken}` nor `gristmill:plugin/batching@{spoken}`, and it is no WASI program, as it exports no `wasi:cli/run`"
    )]
    NoPlugin {
        /// The version this host speaks.
        spoken: &'static str,
    },
    /// Filter and publisher at once.
    #[error(
        "it exports more than one of `filtering`, `publishing` and `batching`; a plugin is either a filter or a publisher, of single messages or of batches, so make several of it"
    )]
    TwoKinds,
    /// A pipeline wants the other kind.
    #[error("it is a {found}, and a pipeline names it as a {wanted}")]
    OtherKind {
        /// What it is.
        found: Kind,
        /// What the pipeline needs.
        wanted: Kind,
    },
    /// A pipeline wants a plain program to publish.
    #[error(
        "it is a WASI program, which answers with a payload and asks for nothing to be sent; name it in `filters`, or build a publisher with the SDK"
    )]
    ProgramPublishes,
    /// `mode` is set for what is no plain program.
    #[error("its `mode` is for WASI programs, and it is a component that speaks the plugin API; leave `mode` out")]
    NoProgram,
    /// A version of the API that this host does not speak.
    #[error(
        "it speaks version {found} of the plugin API and this host speaks {spoken}; build it with an SDK of that version"
    )]
    OtherVersion {
        /// What it speaks.
        found: String,
        /// What the host speaks.
        spoken: &'static str,
    },
    /// It names the version of the API that is spoken here, but not all that this version holds is the same there; in which way is said.
    #[error(
        "it was built against another state of version {VERSION} of the plugin API than this host speaks; build it again with the SDK, or the WIT file, of gristmill {host}: {0}",
        host = env!("CARGO_PKG_VERSION")
    )]
    OtherShape(String),
    /// It wants what no plugin gets.
    #[error("it imports `{0}`, which plugins do not get; build it without what needs that")]
    Import(String),
    /// It cannot work without what the operator did not grant.
    #[error("it needs what it was not granted")]
    Ungranted(Vec<Need>),
    /// It declares a need of a newer host.
    #[error("it needs `{0}`, which this host does not know; a newer one may")]
    UnknownNeed(String),
    /// A directory that it was granted is not there.
    #[error("`allow_dirs` gives it `{host}` as `{name}`, which cannot be opened: {reason}")]
    Directory {
        /// What the plugin calls it.
        name: String,
        /// Where it should be.
        host: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It wants something known in a form the host does not have.
    #[error("it does not fit this host: {0}")]
    Unlinkable(String),
    /// Its first instance could not be made, or `init` did not return.
    #[error("it did not start: {}", .0.reason())]
    Start(Fault),
    /// It is more than may be compiled or loaded.
    #[error("{1}")]
    Beyond(Limit, String),
    /// `init` said no.
    #[error("it refused its config: {0}")]
    Config(String),
    /// The host is ending.
    #[error("the host is ending")]
    Ending,
}
