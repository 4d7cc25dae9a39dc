//! How durations, hosts, Redis addresses and names are written.

use super::{HostPattern, HttpGrant};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Why a text is not what its key takes. Fixed words only, so that no value of the environment gets into a message.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    /// Follows the key's name.
    pub(super) what: &'static str,
    pub(super) help: &'static str,
}

const fn wrong(what: &'static str, help: &'static str) -> Wrong {
    Wrong { what, help }
}

const DURATION_HELP: &str = "write a whole number and its unit: \"250ms\", \"1s\", \"5m\", \"2h\" or \"1d\"";

/// A whole number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        _ if number.is_empty() => return Err(wrong("is not a duration", DURATION_HELP)),
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(wrong("has no unit", DURATION_HELP)),
        _ => return Err(wrong("is not a duration", DURATION_HELP)),
    };
    let ms = number.parse().ok().and_then(|number: u64| number.checked_mul(unit_ms));
    ms.map(Duration::from_millis).ok_or(wrong("is too long", DURATION_HELP))
}

const REDIS_HELP: &str = "write \"redis://host:port/db\", \"unix:///path/to/socket\" or \"embedded\"";

/// Checks an address of a Redis server, of which `embedded` is none.
pub(super) fn redis_url(text: &str) -> Result<(), Wrong> {
    match text.split_once("://") {
        Some(("redis", rest)) => redis_server(rest),
        Some(("unix" | "redis+unix", path)) if path.starts_with('/') && path.len() > 1 => Ok(()),
        Some(("unix" | "redis+unix", _)) => {
            Err(wrong("names no absolute path", "write three slashes: \"unix:///path/to/socket\""))
        }
        Some(("rediss", _)) => Err(wrong(
            "asks for TLS, which is not supported yet",
            "write \"redis://\", and let a tunnel such as stunnel speak TLS to a server across an open network",
        )),
        Some(("redis+cluster" | "redis+sentinel", _)) => Err(wrong(
            "asks for Cluster or Sentinel, which are not supported yet",
            "write \"redis://host:port/db\" with the address of one server",
        )),
        Some(_) => Err(wrong("has an unknown scheme", REDIS_HELP)),
        None => Err(wrong("is not an address of a Redis server", REDIS_HELP)),
    }
}

/// `user:password@host:port/db?options`, all but the host optional.
fn redis_server(rest: &str) -> Result<(), Wrong> {
    let rest = rest.split(['?', '#']).next().unwrap_or("");
    let (server, db) = rest.split_once('/').unwrap_or((rest, ""));
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    let (host, port) = host_and_port(server)?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.is_empty() || !(host.bytes().all(letter) || host.parse::<Ipv6Addr>().is_ok()) {
        return Err(wrong("names no host", REDIS_HELP));
    }
    if port == Some(0) {
        return Err(wrong("has a port that is not from 1 to 65535", REDIS_HELP));
    }
    if !db.is_empty() && db.parse::<u32>().is_err() {
        return Err(wrong(
            "has a database that is not a number",
            "write the number after the last slash: \"redis://host:port/0\"",
        ));
    }
    Ok(())
}

const HOST_HELP: &str = "write a host such as \"api.example.com\", \"api.example.com:8443\", \"*.example.com\", \"10.0.0.7\" or \"[::1]:80\", or \"*\"";

/// One entry of `allow_http`.
pub(super) fn http_grant(text: &str) -> Result<HttpGrant, Wrong> {
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
fn host_and_port(text: &str) -> Result<(String, Option<u16>), Wrong> {
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

/// A plugin's name with `_` written as `-`.
pub(super) fn plugin_name(text: &str) -> Result<String, Wrong> {
    if text.ends_with(".wasm") {
        return Err(wrong("names a file", "write the plugin's name, which is the file's without \".wasm\""));
    }
    check_name(text)?;
    Ok(text.replace('_', "-"))
}

/// Names end up in keys, labels and log lines.
pub(super) fn check_name(text: &str) -> Result<(), Wrong> {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    match text {
        "" => Err(wrong("has an empty name", "give it a name")),
        _ if text.chars().count() > 100 => Err(wrong("has a name of more than 100 characters", "shorten the name")),
        _ if text.starts_with('.') || !text.chars().all(fits) => Err(wrong(
            "has a name with characters that do not belong there",
            "use letters, digits, `-`, `_` and, not at the beginning, `.`",
        )),
        _ => Ok(()),
    }
}

/// A file in the plugins directory.
pub(super) fn wasm_file(text: &str) -> Result<(), Wrong> {
    match text.strip_suffix(".wasm") {
        None | Some("") => Err(wrong("names no plugin", "write the name of a file that ends in \".wasm\"")),
        Some(_) if text.contains(['/', '\\', '\0']) => {
            Err(wrong("names a path", "write the name of a file that lies in `plugins_dir` itself"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
