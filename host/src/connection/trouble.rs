//! What errors of Redis mean: whether the connection is still of use, and what an operator can do.

use super::{
    files::FileFault,
    find::{Astray, Servers},
};
use redis::{ErrorKind, RedisError};
use std::{error::Error, io, sync::Arc};

/// What is wrong with Redis, as far as it matters to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No connection, or a broken or silent one.
    Connection,
    /// TLS does not come about.
    Tls,
    /// The sentinels do not know the name.
    UnknownMaster,
    /// What came is no answer.
    Garbled,
    /// Another server holds the slot.
    Moved,
    /// It only copies another one, by now.
    Replica,
    /// Too few of the cluster's servers see each other.
    ClusterDown,
    /// It has just started, or gets everything from another one.
    Loading,
    /// It has all the clients it may have.
    Crowded,
    /// It does not let us in.
    Login,
    /// The slot is on its way to another server.
    Migrating,
    /// A script does not end.
    Busy,
    /// `maxmemory` is reached.
    Full,
    /// It cannot write to its disk.
    Unsaved,
    /// Too few replicas follow.
    FewReplicas,
    /// The user may not do this.
    Forbidden,
    /// A key holds something else.
    WrongType,
    /// Keys of one script in different slots.
    CrossSlot,
    /// There are no clusters here.
    NoCluster,
    /// Anything else.
    Other,
}

/// The first word of a server's error.
const CODES: [(&str, Trouble); 19] = [
    ("MOVED", Trouble::Moved),
    ("READONLY", Trouble::Replica),
    ("UNBLOCKED", Trouble::Replica),
    ("MASTERDOWN", Trouble::Replica),
    ("CLUSTERDOWN", Trouble::ClusterDown),
    ("LOADING", Trouble::Loading),
    ("NOAUTH", Trouble::Login),
    ("WRONGPASS", Trouble::Login),
    ("ASK", Trouble::Migrating),
    ("TRYAGAIN", Trouble::Migrating),
    ("BUSY", Trouble::Busy),
    ("OOM", Trouble::Full),
    ("MISCONF", Trouble::Unsaved),
    ("NOREPLICAS", Trouble::FewReplicas),
    ("NOGOODSLAVE", Trouble::FewReplicas),
    ("NOPERM", Trouble::Forbidden),
    ("WRONGTYPE", Trouble::WrongType),
    ("CROSSSLOT", Trouble::CrossSlot),
    ("IDONTKNOW", Trouble::UnknownMaster),
];

impl Trouble {
    pub(super) fn of(error: &RedisError) -> Self {
        if let Some(trouble) = cause(error) {
            return trouble;
        }
        match error.kind() {
            ErrorKind::Io => Self::Connection,
            ErrorKind::Parse => Self::Garbled,
            ErrorKind::AuthenticationFailed => Self::Login,
            _ => answer(error),
        }
    }

    /// Whether the server is to be found anew. Otherwise the connection is good, and waiting may help.
    ///
    /// A server that is loading, or cut off from its cluster, may have been replaced meanwhile.
    pub(super) fn ends_connection(self) -> bool {
        match self {
            Self::Connection
            | Self::Tls
            | Self::UnknownMaster
            | Self::Garbled
            | Self::Moved
            | Self::Replica
            | Self::ClusterDown
            | Self::Loading
            | Self::Crowded
            | Self::NoCluster
            // A connection that is not let in never will be.
            | Self::Login => true,
            Self::Migrating
            | Self::Busy
            | Self::Full
            | Self::Unsaved
            | Self::FewReplicas
            | Self::Forbidden
            | Self::WrongType
            | Self::CrossSlot
            | Self::Other => false,
        }
    }

    /// What it is and what to do, for an operator. `source` is what is taken from.
    pub(super) fn advice(self, error: &RedisError, servers: &Servers, source: &str) -> String {
        match self {
            Self::Connection => connection(servers).into(),
            Self::Moved => moved(servers).into(),
            Self::Replica => replica(servers).into(),
            Self::Login => login(servers).into(),
            Self::Forbidden => {
                format!(
                    "the user in the address may not do this: {}; grant it with `ACL SETUSER`, as \"What Redis must allow\" \
                     in the README shows",
                    said(error)
                )
            }
            Self::WrongType => format!(
                "`{source}`, or one of the `gristmill:` keys beside it, holds another type than it should; \
                 `TYPE` tells which"
            ),
            Self::CrossSlot => format!(
                "the keys of `{source}` do not lie in one slot: give `dead_letters` the same hash tag, \
                 as in `{{{source}}}:dead`"
            ),
            Self::Other => format!("Redis answered: {}", said(error)),
            _ => self.plainly().into(),
        }
    }

    /// What needs no further words.
    fn plainly(self) -> &'static str {
        match self {
            Self::Tls => {
                "TLS does not come about: `ca` must vouch for the server's certificate, which must name the host as the \
                 address does, and a server that asks for a certificate needs `cert` and `key`"
            }
            Self::UnknownMaster => {
                "no such name: `SENTINEL MASTERS` tells the names of the masters the sentinels watch"
            }
            Self::Garbled => "what answers there does not speak Redis' protocol, or something between garbles it",
            Self::ClusterDown => {
                "the cluster is down for this slot: a master is away with its replicas, or the slot has no server; \
                 `CLUSTER INFO` and `CLUSTER NODES` tell more"
            }
            Self::Loading => "Redis is loading its data, which takes its time after a start",
            Self::Crowded => {
                "Redis has all the clients it may have; raise its `maxclients`, or find who opens so many with `CLIENT LIST`"
            }
            Self::Migrating => "the slot is moving to another server; it goes on when it has moved",
            Self::Busy => {
                "a script or function that does not end keeps Redis busy; `SCRIPT KILL` or `FUNCTION KILL` ends it \
                 unless it has written"
            }
            Self::Full => "Redis is full: raise its `maxmemory`, or make room; what it holds is safe",
            Self::Unsaved => {
                "Redis cannot write to its disk and therefore changes nothing: look in its log for a full disk or \
                 missing rights"
            }
            Self::FewReplicas => {
                "too few replicas follow Redis for its `min-replicas-to-write`; bring them back, or lower it"
            }
            Self::NoCluster => {
                "the server there is not part of a cluster: write `redis://` instead of `redis+cluster://`"
            }
            _ => "Redis refuses",
        }
    }
}

fn login(servers: &Servers) -> &'static str {
    match servers {
        Servers::Sentinel(..) => {
            "user or password is wrong: those in the address are for the servers, those for the sentinels are \
             `sentinel_user` and `sentinel_password`"
        }
        _ => "Redis does not let us in: correct user and password in the address",
    }
}

fn connection(servers: &Servers) -> &'static str {
    match servers {
        // One that is crowded says so and hangs up, which is often all that is seen of it.
        Servers::Single(_) => {
            "the connection broke, or nothing answers there: start Redis, or correct the address; one that hangs up at \
             once may have all the clients that its `maxclients` allows"
        }
        Servers::Sentinel(..) => {
            "no sentinel answers, or the master they name does not; the address they announce must be reachable from here"
        }
        Servers::Cluster(_) => {
            "no server of the cluster answers, or the one with this slot does not; the addresses they announce must be \
             reachable from here"
        }
    }
}

fn moved(servers: &Servers) -> &'static str {
    match servers {
        Servers::Cluster(_) => "the slot has moved to another server, which is looked for now",
        _ => "the server is part of a Redis Cluster: write `redis+cluster://` instead of `redis://`",
    }
}

fn replica(servers: &Servers) -> &'static str {
    match servers {
        Servers::Single(_) => {
            "the server is a replica and takes no writes: name its master, or the sentinels with `redis+sentinel://`"
        }
        _ => "the server is a replica by now; its master is looked for",
    }
}

/// What lies below an error that no server has sent.
fn cause(error: &RedisError) -> Option<Trouble> {
    if below(error)?.is::<rustls::Error>() {
        return Some(Trouble::Tls);
    }
    let wrapped = wrapped(error)?;
    if wrapped.is::<rustls::Error>() || wrapped.is::<FileFault>() {
        return Some(Trouble::Tls);
    }
    Some(astray(wrapped.downcast_ref::<Astray>()?))
}

fn below(error: &RedisError) -> Option<&(dyn Error + Send + Sync + 'static)> {
    error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>().map(|below| &**below)
}

/// The error inside an `io::Error`.
fn wrapped(error: &RedisError) -> Option<&(dyn Error + Send + Sync + 'static)> {
    below(error)?.downcast_ref::<io::Error>()?.get_ref()
}

/// Of many failures, the one that tells most: not being reached is the least.
fn astray(astray: &Astray) -> Trouble {
    match astray {
        Astray::Replica => Trouble::Replica,
        Astray::Unassigned(_) | Astray::ClusterDown(_) => Trouble::ClusterDown,
        Astray::UnknownMaster(_) => Trouble::UnknownMaster,
        Astray::Nowhere(failed) => failed
            .iter()
            .map(|(_, error)| Trouble::of(error))
            .find(|trouble| *trouble != Trouble::Connection)
            .unwrap_or(Trouble::Connection),
    }
}

/// What a server's error means.
fn answer(error: &RedisError) -> Trouble {
    let said = said(error);
    let named = |word: &str| CODES.iter().find(|(code, _)| *code == word).map(|(_, trouble)| *trouble);
    let mut words = said.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    match named(first) {
        // What was waited for is gone, and the server is as it was.
        Some(Trouble::Replica) if said.contains("key no longer exists") => Trouble::Other,
        Some(trouble) => trouble,
        None if said.contains("max number of clients") => Trouble::Crowded,
        None if said.contains("cluster support disabled") => Trouble::NoCluster,
        // What a script asks for, in versions 6 to 8.
        None if said.contains("ACL failure in script") || said.contains("The user executing the script can't") => {
            Trouble::Forbidden
        }
        None if said.contains("AUTH <password> called without any password") => Trouble::Login,
        // Before version 7, what goes wrong in a script is told behind words of its own.
        None if first == "ERR" && said.contains("script") => {
            words.find_map(|word| named(word.trim_start_matches('-'))).unwrap_or(Trouble::Other)
        }
        None => Trouble::Other,
    }
}

/// A server's own words; of a pipeline, those for the first command it refused, and of many failures the most telling.
fn said(error: &RedisError) -> String {
    if let Some(Astray::Nowhere(failed)) = wrapped(error).and_then(|wrapped| wrapped.downcast_ref()) {
        let telling = failed.iter().find(|(_, error)| Trouble::of(error) != Trouble::Connection);
        return telling.map_or_else(|| error.to_string(), |(_, error)| said(error));
    }
    let errors = error.clone().into_server_errors();
    match errors.as_ref().and_then(|errors| errors.first()) {
        Some((_, error)) => format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{ConnectionAddr, make_extension_error};

    fn told(line: &str) -> RedisError {
        let bytes = format!("-{line}\r\n").into_bytes();
        redis::parse_redis_value(&bytes).unwrap().extract_error().unwrap_err()
    }

    fn single() -> Servers {
        Servers::Single(ConnectionAddr::Tcp("h".into(), 1))
    }

    fn advice(line: &str) -> String {
        let error = told(line);
        Trouble::of(&error).advice(&error, &single(), "jobs")
    }

    #[test]
    fn what_another_server_would_do_ends_the_connection() {
        for line in [
            "MOVED 3999 127.0.0.1:6381",
            "READONLY You can't write against a read only replica.",
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "CLUSTERDOWN The cluster is down",
            "LOADING Redis is loading the dataset in memory",
            "NOAUTH Authentication required.",
            "ERR max number of clients reached",
        ] {
            assert!(Trouble::of(&told(line)).ends_connection(), "{line}");
        }
        assert!(Trouble::of(&io::Error::from(io::ErrorKind::BrokenPipe).into()).ends_connection());
        assert!(Trouble::of(&io::Error::from(io::ErrorKind::TimedOut).into()).ends_connection());
        let garbled = redis::parse_redis_value(b"HTTP/1.1 200 OK\r\n").unwrap_err();
        assert!(Trouble::of(&garbled).ends_connection());
    }

    #[test]
    fn what_passes_or_wants_an_operator_leaves_the_connection() {
        for line in [
            "UNBLOCKED the stream key no longer exists",
            "ASK 3999 127.0.0.1:6381",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "BUSY Redis is busy running a script.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "NOREPLICAS Not enough good replicas to write.",
            "NOPERM this user has no permissions to run the 'lmove' command",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "CROSSSLOT Keys in request don't hash to the same slot",
            "ERR something nobody has thought of",
        ] {
            assert!(!Trouble::of(&told(line)).ends_connection(), "{line}");
        }
    }

    #[test]
    fn advice_names_what_the_server_named() {
        assert!(advice("NOPERM this user has no permissions to run the 'lmove' command").contains("'lmove'"));
        assert!(advice("WRONGTYPE Operation against a key holding the wrong kind of value").contains("`jobs`"));
        assert!(advice("OOM command not allowed when used memory > 'maxmemory'.").contains("`maxmemory`"));
        assert!(advice("MOVED 1 h:2").contains("redis+cluster://"));
        assert!(advice("READONLY You can't write against a read only replica.").contains("is a replica"));
        assert!(advice("ERR This instance has cluster support disabled").contains("not part of a cluster"));
        assert!(advice("ERR what else").contains("ERR what else"));
    }

    #[test]
    fn what_goes_wrong_in_a_script_of_an_old_server_is_recognised() {
        let old = told(
            "ERR Error running script (call to f_3c): @user_script:4: @user_script: 4: -OOM command not allowed when used memory > 'maxmemory'.",
        );
        assert_eq!(Trouble::of(&old), Trouble::Full);
        let word = told("ERR unknown command 'MOVED'");
        assert_eq!(Trouble::of(&word), Trouble::Other);
    }

    #[test]
    fn of_many_failures_the_telling_one_counts() {
        let at = |port| ConnectionAddr::Tcp("h".into(), port);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused).into();
        let wrong = make_extension_error("WRONGPASS".into(), Some("invalid username-password pair".into()));
        let error: RedisError = Astray::Nowhere(vec![(at(1), refused()), (at(2), wrong), (at(3), refused())]).into();
        assert_eq!(Trouble::of(&error), Trouble::Login);
        assert!(Trouble::Login.advice(&error, &single(), "jobs").contains("user and password"));
        let error: RedisError = Astray::Nowhere(vec![(at(1), refused()), (at(2), refused())]).into();
        assert_eq!(Trouble::of(&error), Trouble::Connection);
        assert!(error.to_string().contains("`h:1`") && error.to_string().contains("`h:2`"));
    }
}
