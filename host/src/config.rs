//! The configuration file as types. `load` makes them from a file, `check` says what is wrong with one.

mod check;
mod decode;
mod document;
mod edge;
mod effective;
mod endpoints;
mod expand;
mod fault;
mod fields;
mod from;
#[cfg(fuzzing)]
pub mod fuzz;
mod grants;
mod load;
mod lookups;
mod notation;
mod place;
mod rate;
mod read;
mod reference;
mod reserved;
mod secret;
mod secrets;
#[cfg(test)]
mod tests;
mod told;

pub use edge::{
    Channel, EDGE, Edge, EdgeLimits, EdgeTarget, EdgeTimeouts, HistoryBounds, Part, PushStream, Slow, Template,
};
pub use effective::effective;
pub use endpoints::{Breaker, Compress, Endpoint, Proxy, ProxyLogin};
pub use expand::{Environment, process_environment};
pub use fault::{Fault, Faults, Severity, did_you_mean};
pub use from::{
    Backlog, ChannelKind, Channels, Done, End, From, KeepDead, Lists, Order, OrderBy, Resque, Start, Stream, Take,
    Thoonk, ThoonkKind,
};
pub use grants::{Ambient, Commands, DirAccess, DirGrant, HostPattern, HttpGrant, RedisGrant};
pub use load::{Loaded, load};
pub use lookups::{Database, DatabaseAddress, Lookups, SqlGrant, Store, StoreBounds};
pub use place::Place;
pub use rate::{Rate, Scope};
pub use reference::DEFAULT;
pub use reserved::Reserved;
pub use secrets::Secrets;
pub use told::{Collector, LogFormat, Traces};

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

/// A duration as the file writes it, such as `30s` or `2h`; none if `text` is something else.
pub fn duration(text: &str) -> Option<Duration> {
    notation::duration(text).ok()
}

/// A place to listen at as the file writes it, such as `127.0.0.1:9464` or `admin.sock`; none if `text` is something else.
pub fn listen(text: &str) -> Option<Listen> {
    notation::listen(text).ok()
}

/// Everything a node is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the queues are.
    pub redis: Redis,
    /// For logging in at the Sentinels themselves, only together with a password; the one in the address is for the servers they watch.
    pub sentinel_user: Option<String>,
    /// The password for that.
    pub sentinel_password: Option<String>,
    /// Files for TLS.
    pub tls: Tls,
    /// Every `*.wasm` in it is a plugin.
    pub plugins_dir: PathBuf,
    /// Holds what the node keeps for itself: compiled plugins, the embedded server's data.
    pub data_dir: PathBuf,
    /// How long a silent node keeps what it has taken; at least one second.
    pub lease: Duration,
    /// By name.
    pub pipelines: BTreeMap<String, Pipeline>,
    /// By plugin name, with `_` written as `-`; a plugin without a table here has the defaults.
    pub plugins: BTreeMap<String, Plugin>,
    /// How plugins are compiled.
    pub compile: Compile,
    /// By `host`, `host:port`, or `*` for all that are not named.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// By the name that `allow_sql` calls them.
    pub databases: BTreeMap<String, Database>,
    /// Where clients subscribe to channels.
    pub edge: Edge,
    /// Where the node can be looked at.
    pub admin: Admin,
    /// How its log is written.
    pub log: LogFormat,
    /// Where traces of messages go.
    pub traces: Traces,
    /// How the node ends.
    pub shutdown: Shutdown,
}

/// Where the node can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Nowhere when absent.
    pub listen: Option<Listen>,
    /// The file that says by which token somebody may do what; whoever reaches a port without one only looks.
    pub tokens: Option<PathBuf>,
    /// Members of JSON, and headers, whose values are not shown with messages; lower case.
    pub redact: Vec<String>,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A unix socket.
    Socket(PathBuf),
    /// A port; one that other machines reach goes with `tokens`.
    Address(SocketAddr),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Where the queues are.
#[derive(Clone, Debug, PartialEq)]
pub enum Redis {
    /// A private server started by the node; on TCP it listens at this loopback port, 0 for any free one.
    Embedded {
        /// 0 to 65535.
        port: u16,
    },
    /// `redis://host:port/db`, `rediss://host:port/db`, `unix:///path`, `redis+cluster://host:port,host:port`,
    /// `redis+sentinel://host:port,host:port/master/db`, or the last two with `rediss`; each with `user:password@` if need be.
    Url(String),
}

/// Files for TLS, with Redis where its address begins with `rediss`, or with one server that requests go to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// The authorities that a server's certificate may come from, in PEM; those of the system when absent.
    pub ca: Option<PathBuf>,
    /// The certificate that the node shows, in PEM; there with `key` or not at all.
    pub cert: Option<PathBuf>,
    /// The private key to that, in PEM.
    pub key: Option<PathBuf>,
}

/// One source, its filters and its publishers.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// What it takes from.
    pub from: From,
    /// Plugin names, in the order in which they run.
    pub filters: Vec<String>,
    /// Plugin names, run side by side.
    pub publish: Vec<String>,
    /// Where they go at the edge, if it is one of the publishers.
    pub edge: EdgeTarget,
    /// Messages between reading and settling, 1 to 100,000.
    pub in_flight: usize,
    /// How fast they are taken; as fast as it goes when absent.
    pub rate: Option<Rate>,
    /// Which message of a list is taken first.
    pub take: Take,
    /// A bound on what waits in each list, or in this process for a channel.
    pub backlog: Option<Backlog>,
    /// What is kept in order; nothing when absent.
    pub order: Option<Order>,
    /// When again, and how often.
    pub retry: Retry,
    /// Whether Redis is told of publishers that have succeeded while others still work on a message.
    pub journal: bool,
    /// The Redis stream that holds what could not be delivered; one beside the source when absent.
    pub dead_letters: Option<String>,
    /// How many of those are kept.
    pub keep_dead: KeepDead,
}

/// When a failed message is tried again, and when it is given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// In all, the first one included; at least 1.
    pub attempts: u32,
    /// How often a message may break a plugin, or end the node, before it is quarantined; at least 1.
    pub crashes: u32,
    /// The pause after the first failure; doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

/// What the operator tells and allows one plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its file in `plugins_dir`; `<name>.wasm` when absent.
    pub file: Option<String>,
    /// Handed to the plugin as JSON.
    pub config: serde_json::Value,
    /// Of guest time per call.
    pub timeout: Duration,
    /// Linear memory of one instance, 1 to 4,096.
    pub memory_mib: u32,
    /// Whether an instance sees more than one message.
    pub isolation: Isolation,
    /// How much of everything else.
    pub limits: Limits,
    /// How many messages it is given at once, if it is a publisher that takes batches.
    pub batch: Batch,
    /// How it is run if it is a plain WASI program.
    pub mode: Mode,
    /// Where it may send HTTP requests.
    pub allow_http: Vec<HttpGrant>,
    /// For one HTTP exchange, from looking up the name to the last byte.
    pub http_timeout: Duration,
    /// The longest response body it is handed, 1 to 1,048,576.
    pub http_response_kib: u32,
    /// Commands that it may have carried out in Redis, and on which keys.
    pub allow_redis: Vec<RedisGrant>,
    /// Directories it sees, by the name it sees them under.
    pub allow_dirs: BTreeMap<String, DirGrant>,
    /// Variables of this process's environment that it sees.
    pub allow_env: Vec<String>,
    /// What it may ask of this machine.
    pub allow: BTreeSet<Ambient>,
    /// What the host puts into its requests.
    pub secrets: Secrets,
    /// What it may look up.
    pub lookups: Lookups,
}

/// How much one plugin may have of what is neither time nor memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one answer, payloads, headers and bodies together, 1 to 1,048,576.
    pub answer_kib: u32,
    /// Messages that one message may be behind this filter, 1 to 100,000.
    pub children: usize,
    /// For one message, in all rounds together, 1 to 100,000.
    pub requests: usize,
    /// How often requests may be asked for, for one message, 1 to 1,000.
    pub rounds: u32,
    /// In the log, each second; five times as many at once; 0 to 10,000.
    pub log_lines: u32,
    /// In all tables of an instance together, 1 to 100,000.
    pub table_elements: usize,
    /// Core instances and tables of its component, each, 1 to 1,000.
    pub parts: usize,
    /// To streams, timers and the like, at once, 1 to 100,000.
    pub handles: usize,
    /// That live at once, 1 to 1,000.
    pub instances: usize,
}

/// How many messages a publisher of batches is given at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// 1 to 10,000.
    pub size: usize,
    /// How long the first message of a batch that is not full waits for others; zero for those at hand.
    pub linger: Duration,
    /// Of all payloads together, in bytes; one message alone may be longer.
    pub bytes: usize,
}

/// Whether an instance sees more than one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Instances are used again.
    Reuse,
    /// A fresh instance for each message.
    Message,
}

/// How a plain WASI program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Afresh for each message; the output is the new payload. Also what every other plugin has.
    Auto,
    /// Afresh for each message; the output is headers, an empty line, and the new payload.
    Cgi,
    /// Kept, fed a line of JSON for each message, and answering with one.
    Lines,
}

/// What compiling one plugin may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compile {
    /// Of CPU time; by the clock three times as much.
    pub timeout: Duration,
    /// Of address space, 64 to 65,536.
    pub memory_mib: u32,
    /// The largest file that is read, 1 to 1,024.
    pub file_mib: u32,
}

/// How the node ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Shutdown {
    /// How long messages in flight may take to finish.
    pub grace: Duration,
}
