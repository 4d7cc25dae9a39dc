//! How grants are written: hosts, directories, variables, and the names of secrets.

use super::{
    super::{Commands, DirAccess, HostPattern, HttpGrant, RedisGrant, expand::is_name},
    Wrong, wrong,
};
use crate::command::{self, Pattern};
use std::net::{Ipv4Addr, Ipv6Addr};

const HOST_HELP: &str = "write a host such as \"api.example.com\", \"api.example.com:8443\", \"*.example.com\", \"10.0.0.7\" or \"[::1]:80\", or \"*\"";

/// One entry of `allow_http`.
pub(in crate::config) fn http_grant(text: &str) -> Result<HttpGrant, Wrong> {
    if text.is_empty() {
        return Err(wrong("holds an empty entry", HOST_HELP));
    }
    if text.contains("://") || text.contains('@') {
        return Err(wrong(
            "names a URL",
            "write the host only, such as \"api.example.com\" or \"api.example.com:8443\"",
        ));
    }
    if let Some((address, _)) = text.split_once('/') {
        return Err(match address.parse::<std::net::IpAddr>() {
            Ok(_) => wrong("names a range of addresses", "name each address"),
            Err(_) => wrong("names a path", "write the host only, such as \"api.example.com\""),
        });
    }
    let (host, port) = match text.parse::<Ipv6Addr>() {
        Ok(address) => (address.to_string(), None),
        Err(_) => host_and_port(text)?,
    };
    if port == Some(0) {
        return Err(wrong("has a port that is not from 1 to 65535", HOST_HELP));
    }
    Ok(HttpGrant { host: host_pattern(&host)?, port })
}

/// Splits at the last colon; an IPv6 address stands in brackets, and comes back without them.
pub(super) fn host_and_port(text: &str) -> Result<(String, Option<u16>), Wrong> {
    const PORT: Wrong = wrong("has a port that is not from 1 to 65535", HOST_HELP);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(wrong("has a bracket that is not closed", HOST_HELP))?;
            let address: Ipv6Addr =
                address.parse().map_err(|_| wrong("has brackets around what is not an IPv6 address", HOST_HELP))?;
            let port = match port.strip_prefix(':') {
                None if port.is_empty() => None,
                None => return Err(PORT),
                Some(port) => Some(port),
            };
            (address.to_string(), port)
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    // `u16::from_str` would take a plus sign.
    let number = |port: &str| match port.bytes().all(|digit| digit.is_ascii_digit()) {
        true => port.parse().map_err(|_| PORT),
        false => Err(PORT),
    };
    Ok((host, port.map(number).transpose()?))
}

fn host_pattern(host: &str) -> Result<HostPattern, Wrong> {
    if host == "*" {
        return Ok(HostPattern::Any);
    }
    if host.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv4Addr>().is_ok() {
        return Ok(HostPattern::Exact(host.to_owned()));
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    check_host_name(name)?;
    let name = name.to_ascii_lowercase();
    Ok(match host.starts_with("*.") {
        true => HostPattern::Below(format!(".{name}")),
        false => HostPattern::Exact(name),
    })
}

/// Letters, digits, `-` and `_` between dots; what a URL would read as an IPv4 address in odd notation is none.
fn check_host_name(name: &str) -> Result<(), Wrong> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or("");
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    match name {
        _ if name.contains('*') => Err(wrong(
            "has a `*` in the wrong place",
            "`*` stands alone, or for everything below a name: \"*.example.com\"",
        )),
        _ if name.ends_with('.') && name.len() > 1 => Err(wrong("ends in a dot", "leave the last dot out")),
        _ if !name.is_ascii() => Err(wrong(
            "has a host with letters beyond ASCII",
            "write the form that DNS uses, which begins with \"xn--\"",
        )),
        _ if name.len() > 253 || !name.split('.').all(label) => Err(wrong("names no valid host", HOST_HELP)),
        _ if number => Err(wrong(
            "names an address that is not valid",
            "write an IPv4 address as four numbers from 0 to 255: \"10.0.0.7\"",
        )),
        _ => Ok(()),
    }
}

const REDIS_HELP: &str = "write a command and the keys it may name: \"PUBLISH news.*\", \"GET|SET cache:*\", or \"* cache:*\" for every plain command";

/// One entry of `allow_redis`: commands and, behind a space, a pattern for keys. A pattern alone is for every plain command.
pub(in crate::config) fn redis_grant(text: &str) -> Result<RedisGrant, Wrong> {
    let (commands, keys) = match text.trim().split_once(' ') {
        Some((commands, keys)) => (commands, keys.trim_start()),
        None => ("*", text.trim()),
    };
    if keys.is_empty() {
        return Err(wrong("holds an empty entry", REDIS_HELP));
    }
    if keys.contains(' ') {
        return Err(wrong("has a space in a pattern for keys", "write `?` for a space in a key"));
    }
    if !text.trim().contains(' ') && (command::is_plain(keys) || command::is_never_granted(keys)) {
        return Err(wrong("names a command without the keys it may name", REDIS_HELP));
    }
    let keys = Pattern::new(keys);
    if commands == "*" {
        return Ok(RedisGrant { commands: Commands::Plain, keys });
    }
    let names: Vec<String> = commands.split('|').map(str::to_ascii_uppercase).collect();
    let word = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if !names.iter().all(word) {
        return Err(wrong("names no command of Redis", REDIS_HELP));
    }
    if names.iter().any(|name| command::is_never_granted(name)) {
        return Err(wrong(
            "names a command that plugins never get",
            "what blocks, subscribes, or changes a connection that all share is left to Gristmill",
        ));
    }
    if !keys.is_everything() && !names.iter().all(|name| command::is_plain(name)) {
        return Err(wrong(
            "names a command whose keys cannot be checked",
            "grant it for everything there is in Redis, as in \"EVAL *\", or choose a plain command",
        ));
    }
    Ok(RedisGrant { commands: Commands::Named(names), keys })
}

const DIR_HELP: &str =
    "write the directory, such as \"spool\" or \"/srv/data\", with \":ro\" behind it for one that it only reads";

/// One entry of `allow_dirs`: the directory, and what may be done in it.
pub(in crate::config) fn dir_grant(text: &str) -> Result<(&str, DirAccess), Wrong> {
    let (host, access) = match text.strip_suffix(":ro") {
        Some(host) => (host, DirAccess::Read),
        None => (text.strip_suffix(":rw").unwrap_or(text), DirAccess::Write),
    };
    match host {
        "" => Err(wrong("names no directory", DIR_HELP)),
        _ if host.contains('\0') => Err(wrong("has a NUL in its path", DIR_HELP)),
        _ => Ok((host, access)),
    }
}

/// The name under which a plugin sees a directory.
pub(in crate::config) fn guest_dir(name: &str) -> Result<(), Wrong> {
    const HELP: &str = "write a name such as `out` or \"/data\"; the plugin opens \"out/file\"";
    match name {
        "" => Err(wrong("names no directory of the plugin's", HELP)),
        _ if name.contains('\0') => Err(wrong("has a NUL in its name", HELP)),
        _ if name.split('/').any(|part| part == "..") => Err(wrong("leads upwards", HELP)),
        _ => Ok(()),
    }
}

/// One entry of `allow_env`.
pub(in crate::config) fn variable(name: &str) -> Result<(), Wrong> {
    match is_name(name) {
        true => Ok(()),
        false => Err(wrong(
            "holds what is no name of a variable",
            "write the name only, such as \"LANG\": letters, digits and `_`",
        )),
    }
}

/// A key of `secrets`.
pub(in crate::config) fn secret_name(name: &str) -> Result<(), Wrong> {
    match is_name(name) {
        true => Ok(()),
        false => Err(wrong("is no name for a secret", "use letters, digits and `_`")),
    }
}
