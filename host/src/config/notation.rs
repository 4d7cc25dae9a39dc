//! How durations, hosts, names and the like are written; addresses of Redis in a file of their own.

mod address;
#[cfg(test)]
mod tests;

pub(super) use address::{Address, Servers, redis_address};

use super::{HostPattern, HttpGrant, OrderBy};
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

/// What must be shared to be kept in order; `None` for nothing.
pub(super) fn order_by(text: &str) -> Result<Option<OrderBy>, Wrong> {
    const HELP: &str =
        "write \"topic\", \"header:NAME\", \"json:/pointer/into/the/payload\", or \"nothing\" for no order";
    match (text, text.split_once(':')) {
        ("nothing", _) => Ok(None),
        ("topic", _) => Ok(Some(OrderBy::Topic)),
        (_, Some(("header", ""))) => Err(wrong("names no header", HELP)),
        (_, Some(("header", name))) => Ok(Some(OrderBy::Header(name.to_owned()))),
        (_, Some(("json", pointer))) => json_pointer(pointer).map(|()| Some(OrderBy::Json(pointer.to_owned()))),
        _ => Err(wrong("is nothing to keep in order by", HELP)),
    }
}

/// Source: RFC 6901, section 3; not its empty pointer, because a whole payload is no key.
fn json_pointer(text: &str) -> Result<(), Wrong> {
    let escapes_well = |part: &str| part.starts_with(['0', '1']);
    if text.is_empty() {
        return Err(wrong("has no pointer", "write what the key is in the payload: \"json:/user/id\""));
    }
    if !text.starts_with('/') {
        return Err(wrong("has a pointer without a slash", "put a slash before every name: \"json:/user/id\""));
    }
    if !text.split('~').skip(1).all(escapes_well) {
        return Err(wrong(
            "has a pointer with a lone `~`",
            "write `~0` for a `~` in a name, and `~1` for a `/` in one (RFC 6901)",
        ));
    }
    Ok(())
}

/// The id of a stream's entry: milliseconds, and behind a hyphen a number.
pub(super) fn entry_id(text: &str) -> Result<(), Wrong> {
    let number = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit()) && part.parse::<u64>().is_ok();
    let (time, sequence) = text.split_once('-').unwrap_or((text, "0"));
    if number(time) && number(sequence) {
        return Ok(());
    }
    Err(wrong(
        "is no place in a stream",
        "write \"oldest\", \"newest\", or the id of an entry, such as \"1700000000000-0\"",
    ))
}

/// What stands for the host in the ids of Resque workers, which colons divide.
pub(super) fn resque_host(text: &str) -> Result<(), Wrong> {
    match text.contains(':') {
        true => Err(wrong("holds a colon", "write a name without colons; they divide the ids of Resque workers")),
        false => Ok(()),
    }
}

/// What goes before the keys of Resque.
pub(super) fn resque_namespace(text: &str) -> Result<(), Wrong> {
    match text.ends_with(':') {
        true => Err(wrong("ends in a colon", "leave the colon out; one is put behind it")),
        false => Ok(()),
    }
}

/// A queue, or a pattern for some.
pub(super) fn resque_queue(text: &str) -> Result<(), Wrong> {
    match text.contains(',') {
        true => Err(wrong("holds a comma", "write several queues as a list: `resque = [\"critical\", \"*\"]`")),
        false => Ok(()),
    }
}
