//! How addresses of Redis are written.

use super::{Wrong, grants::host_and_port, wrong};
use std::net::Ipv6Addr;

/// What an address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Address {
    pub(in crate::config) tls: bool,
    pub(in crate::config) servers: Servers,
}

/// How the servers are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Servers {
    /// One, over TCP or a socket.
    One,
    /// Those of a Cluster.
    Cluster,
    /// The one that Sentinels name.
    Sentinel,
}

const HELP: &str = "write \"redis://host:port/db\", \"unix:///path/to/socket\" or \"embedded\"";
const CLUSTER_HELP: &str = "write \"redis+cluster://host:port,host:port\"";
const SENTINEL_HELP: &str = "write \"redis+sentinel://host:port,host:port/master/db\"";

/// An address of Redis, of which `embedded` is none.
pub(in crate::config) fn redis_address(text: &str) -> Result<Address, Wrong> {
    let (scheme, rest) = text.split_once("://").ok_or(wrong("is not an address of a Redis server", HELP))?;
    if let "unix" | "redis+unix" = scheme {
        return socket(rest).map(|()| Address { tls: false, servers: Servers::One });
    }
    let (protocol, servers) = scheme.split_once('+').unwrap_or((scheme, ""));
    let tls = protocol == "rediss";
    if tls && rest.contains('#') {
        return Err(wrong(
            "has a part behind `#`, which could say that TLS is to trust anybody",
            "leave it out, and name the authority that vouches for the server with `ca` in [tls]",
        ));
    }
    let servers = match (protocol, servers) {
        ("redis" | "rediss", "") => one(rest).map(|()| Servers::One),
        ("redis" | "rediss", "cluster") => cluster(rest).map(|()| Servers::Cluster),
        ("redis" | "rediss", "sentinel") => sentinel(rest).map(|()| Servers::Sentinel),
        _ => Err(wrong("has an unknown scheme", HELP)),
    };
    servers.map(|servers| Address { tls, servers })
}

fn socket(path: &str) -> Result<(), Wrong> {
    match path.starts_with('/') && path.len() > 1 {
        true => Ok(()),
        false => Err(wrong("names no absolute path", "write three slashes: \"unix:///path/to/socket\"")),
    }
}

/// `user:password@host:port/db?options`, all but the host optional.
fn one(rest: &str) -> Result<(), Wrong> {
    let (servers, db) = parts(rest);
    host(without_login(servers), HELP)?;
    database(db, "write the number after the last slash: \"redis://host:port/0\"")
}

/// `user:password@host:port,host:port?options`, all but one host optional.
fn cluster(rest: &str) -> Result<(), Wrong> {
    let (servers, db) = parts(rest);
    hosts(servers, CLUSTER_HELP)?;
    match db {
        "" | "0" => Ok(()),
        _ => Err(wrong("names a database, of which a Cluster has only 0", "leave out what follows the last slash")),
    }
}

/// `user:password@host:port,host:port/master/db`, all but one host and the master optional.
fn sentinel(rest: &str) -> Result<(), Wrong> {
    let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (master, db) = path.split_once('/').unwrap_or((path, ""));
    hosts(servers, SENTINEL_HELP)?;
    if master.is_empty() || !master.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(wrong("does not name the master that the Sentinels watch", SENTINEL_HELP));
    }
    database(db, SENTINEL_HELP)
}

/// The servers with their login, and the database.
fn parts(rest: &str) -> (&str, &str) {
    let rest = rest.split(['?', '#']).next().unwrap_or("");
    rest.split_once('/').unwrap_or((rest, ""))
}

fn hosts(servers: &str, help: &'static str) -> Result<(), Wrong> {
    without_login(servers).split(',').try_for_each(|server| host(server, help))
}

fn without_login(servers: &str) -> &str {
    servers.rsplit_once('@').map_or(servers, |(_, hosts)| hosts)
}

fn host(server: &str, help: &'static str) -> Result<(), Wrong> {
    let (host, port) = host_and_port(server).map_err(|wrong| Wrong { help, ..wrong })?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.is_empty() || !(host.bytes().all(letter) || host.parse::<Ipv6Addr>().is_ok()) {
        return Err(wrong("names no host", help));
    }
    if port == Some(0) {
        return Err(wrong("has a port that is not from 1 to 65535", help));
    }
    Ok(())
}

fn database(db: &str, help: &'static str) -> Result<(), Wrong> {
    match db.is_empty() || db.parse::<u32>().is_ok() {
        true => Ok(()),
        false => Err(wrong("has a database that is not a number", help)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(text: &str) -> (bool, Servers) {
        let address = redis_address(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        (address.tls, address.servers)
    }

    #[test]
    fn one_server_is_named_over_tcp_or_a_socket() {
        for text in [
            "redis://127.0.0.1:6379",
            "redis://localhost",
            "redis://:secret@redis.example.com:6380/3",
            "redis://[::1]:6379/0",
            "redis://host/?protocol=resp3",
            "unix:///run/redis.sock",
            "redis+unix:///run/redis.sock?db=2",
        ] {
            assert_eq!(asks(text), (false, Servers::One), "{text}");
        }
        assert_eq!(asks("rediss://me:p@ss@host:6380/3?protocol=resp3"), (true, Servers::One));
    }

    #[test]
    fn clusters_and_sentinels_are_named_by_some_of_their_servers() {
        for (text, tls, servers) in [
            ("redis+cluster://a:7000,b:7001", false, Servers::Cluster),
            ("redis+cluster://a", false, Servers::Cluster),
            ("rediss+cluster://me:secret@a:1,[::1]:2/0?protocol=resp3", true, Servers::Cluster),
            ("redis+sentinel://a:26379,b:26379/mymaster", false, Servers::Sentinel),
            ("redis+sentinel://me:secret@a,b/my-master.1/7", false, Servers::Sentinel),
            ("rediss+sentinel://[::1]:1/m/", true, Servers::Sentinel),
        ] {
            assert_eq!(asks(text), (tls, servers), "{text}");
        }
    }

    #[test]
    fn other_addresses_say_what_is_missing() {
        for (text, what) in [
            ("http://host", "has an unknown scheme"),
            ("rediss+unix:///r.sock", "has an unknown scheme"),
            ("redis+clusters://host", "has an unknown scheme"),
            ("localhost:6379", "is not an address of a Redis server"),
            ("Embedded", "is not an address of a Redis server"),
            ("unix://relative.sock", "names no absolute path"),
            ("unix:///", "names no absolute path"),
            ("redis://", "names no host"),
            ("redis://:6379", "names no host"),
            ("redis://a b", "names no host"),
            ("redis://::1", "names no host"),
            ("redis://host:0", "has a port that is not from 1 to 65535"),
            ("redis://host:65536", "has a port that is not from 1 to 65535"),
            ("redis://host:port", "has a port that is not from 1 to 65535"),
            ("redis://host/cache", "has a database that is not a number"),
            ("redis+cluster://", "names no host"),
            ("redis+cluster://a:1,", "names no host"),
            ("redis+cluster://a:1,b:0", "has a port that is not from 1 to 65535"),
            ("redis+cluster://a:1/2", "names a database, of which a Cluster has only 0"),
            ("redis+sentinel://a:1", "does not name the master that the Sentinels watch"),
            ("redis+sentinel://a:1/", "does not name the master that the Sentinels watch"),
            ("redis+sentinel://a:1//0", "does not name the master that the Sentinels watch"),
            ("redis+sentinel://a:1/my master", "does not name the master that the Sentinels watch"),
            ("redis+sentinel://,a:1/m", "names no host"),
            ("redis+sentinel://a:1/m/x", "has a database that is not a number"),
            ("redis+sentinel://a:1/m/0/1", "has a database that is not a number"),
        ] {
            assert_eq!(redis_address(text).expect_err(text).what, what, "{text}");
        }
    }

    #[test]
    fn tls_that_trusts_anybody_cannot_be_asked_for() {
        for text in ["rediss://host/#insecure", "rediss+cluster://a:1#insecure"] {
            let wrong = redis_address(text).expect_err(text);
            assert!(wrong.help.contains("[tls]"), "{text}: {}", wrong.help);
        }
    }

    #[test]
    fn help_shows_the_form_of_address_that_was_begun() {
        assert_eq!(redis_address("redis+cluster://a:x").expect_err("port").help, CLUSTER_HELP);
        assert_eq!(redis_address("redis+sentinel://a:x/m").expect_err("port").help, SENTINEL_HELP);
    }
}
