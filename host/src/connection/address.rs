//! Addresses of Redis: what the configuration writes, taken apart.

use super::dial::Login;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisError};

/// Where Redis is, and how its servers are arranged there.
#[derive(Debug)]
pub(super) enum Address {
    /// One server.
    Single(ConnectionAddr, Login),
    /// One server at a time, of which the sentinels know.
    Sentinel { sentinels: Vec<ConnectionAddr>, master: String, login: Login },
    /// Many servers that each know the others.
    Cluster { seeds: Vec<ConnectionAddr>, login: Login },
}

/// What is wrong with an address.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Not begun as one.
    #[error(
        "an address begins with `redis://`, `unix://`, `redis+sentinel://` or `redis+cluster://`; with `rediss` for TLS"
    )]
    Scheme,
    /// The rest of it.
    #[error(
        "after that come user and password if need be, host and port, and a database: `redis://user:password@host:6379/0`"
    )]
    Rest(#[source] RedisError),
    /// Sentinels without a name to ask for.
    #[error("behind the sentinels comes the name of the master they watch: `redis+sentinel://host:26379/mymaster`")]
    NoMaster,
    /// A database that is not a number, or that there cannot be.
    #[error("`{0}` is no database; that is a number, and in a Cluster always 0")]
    Database(String),
    /// TLS that checks nothing.
    #[error("`#insecure` would trust anybody; give the certificate of the server's authority as `ca` instead")]
    Insecure,
}

const SENTINEL_PORT: u16 = 26_379;
const REDIS_PORT: u16 = 6_379;

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let (scheme, rest) = url.split_once("://").ok_or(Fault::Scheme)?;
        match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix" => {
                let (server, login) = server(url)?;
                Ok(Self::Single(server, login))
            }
            "redis+cluster" => cluster("redis", rest),
            "rediss+cluster" => cluster("rediss", rest),
            "redis+sentinel" => sentinel("redis", rest),
            "rediss+sentinel" => sentinel("rediss", rest),
            _ => Err(Fault::Scheme),
        }
    }
}

fn cluster(scheme: &str, rest: &str) -> Result<Address, Fault> {
    let (servers, db) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(db, "" | "0") {
        return Err(Fault::Database(db.to_owned()));
    }
    let (seeds, login) = list(scheme, servers, REDIS_PORT)?;
    Ok(Address::Cluster { seeds, login })
}

fn sentinel(scheme: &str, rest: &str) -> Result<Address, Fault> {
    let (servers, path) = rest.split_once('/').ok_or(Fault::NoMaster)?;
    let (master, db) = path.split_once('/').unwrap_or((path, "0"));
    if master.is_empty() {
        return Err(Fault::NoMaster);
    }
    let (sentinels, mut login) = list(scheme, servers, SENTINEL_PORT)?;
    login.db = db.parse().map_err(|_| Fault::Database(db.to_owned()))?;
    Ok(Address::Sentinel { sentinels, master: master.to_owned(), login })
}

/// `user:password@host:port,host:port`.
fn list(scheme: &str, servers: &str, port: u16) -> Result<(Vec<ConnectionAddr>, Login), Fault> {
    let (user, hosts) =
        servers.rsplit_once('@').map_or(("", servers), |(_, hosts)| servers.split_at(servers.len() - hosts.len()));
    let one = |host: &str| match has_port(host) {
        true => server(&format!("{scheme}://{user}{host}")),
        false => server(&format!("{scheme}://{user}{host}:{port}")),
    };
    let found = hosts.split(',').map(|host| one(host.trim())).collect::<Result<Vec<_>, _>>()?;
    let (servers, logins): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    Ok((servers, logins.into_iter().next().unwrap_or_default()))
}

/// The colons of an IPv6 address stand between brackets.
fn has_port(host: &str) -> bool {
    host.rsplit_once(']').map_or(host, |(_, rest)| rest).contains(':')
}

fn server(url: &str) -> Result<(ConnectionAddr, Login), Fault> {
    let info = url.into_connection_info().map_err(Fault::Rest)?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err(Fault::Insecure);
    }
    let known = info.redis_settings();
    let login = Login {
        user: known.username().map(str::to_owned),
        password: known.password().map(str::to_owned),
        db: known.db(),
    };
    Ok((info.addr().clone(), login))
}

/// The address as it may be shown: nothing that could be a password, wherever it was meant to stand.
pub(super) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, _)| url.split_at(scheme.len() + 3));
    // The password of a socket stands in the query.
    let host = if scheme.contains("unix") { None } else { rest.rsplit_once('@') };
    let (hidden, rest) = host.map_or(("", rest), |(_, host)| ("…@", host));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?…"));
    format!("{scheme}{hidden}{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("redis://me:p@ss@host:1/0"), "redis://…@host:1/0");
        assert_eq!(without_password("unix:///tmp/r.sock"), "unix:///tmp/r.sock");
        assert_eq!(without_password("unix:///tmp/r.sock?pass=secret"), "unix:///tmp/r.sock?…");
        assert_eq!(without_password("redis:/me:secret@host"), "…@host");
        assert_eq!(without_password("redis+cluster://me:secret@a:1,b:2"), "redis+cluster://…@a:1,b:2");
        let address = Address::parse("redis+cluster://me:secret@a:1").unwrap();
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn a_password_in_or_behind_a_query_is_not_shown() {
        assert_eq!(without_password("redis://me:what?ever@host"), "redis://…@host");
        assert_eq!(without_password("unix:///r.sock?user=a@b&pass=secret"), "unix:///r.sock?…");
    }

    #[test]
    fn all_servers_of_a_cluster_are_seeds_with_one_login() {
        let address = Address::parse("rediss+cluster://me:p%40ss@one:7000,[::1],two").unwrap();
        let Address::Cluster { seeds, login } = address else { panic!("{address:?}") };
        let shown: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["one:7000", "::1:6379", "two:6379"]);
        assert!(seeds.iter().all(|seed| matches!(seed, ConnectionAddr::TcpTls { insecure: false, .. })));
        assert_eq!((login.user.as_deref(), login.password.as_deref()), (Some("me"), Some("p@ss")));
    }

    #[test]
    fn sentinels_are_asked_for_a_master_and_a_database() {
        let address = Address::parse("redis+sentinel://:secret@one,two:5000/orders/3").unwrap();
        let Address::Sentinel { sentinels, master, login } = address else { panic!("{address:?}") };
        assert_eq!(sentinels, [ConnectionAddr::Tcp("one".into(), 26_379), ConnectionAddr::Tcp("two".into(), 5_000)]);
        assert_eq!((&*master, login.db, login.password.as_deref()), ("orders", 3, Some("secret")));
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_with_what_is_missing() {
        let refused = |url: &str| Address::parse(url).unwrap_err().to_string();
        assert!(refused("http://host").contains("begins with"));
        assert!(refused("host:6379").contains("begins with"));
        assert!(refused("redis+sentinel://host:26379").contains("name of the master"));
        assert!(refused("redis+sentinel://host:26379/").contains("name of the master"));
        assert!(refused("redis+sentinel://host/m/x").contains("`x` is no database"));
        assert!(refused("redis+cluster://host/1").contains("in a Cluster always 0"));
        assert!(refused("redis+cluster://a,,b").contains("host and port"));
        assert!(refused("rediss://host/#insecure").contains("`ca`"));
    }
}
