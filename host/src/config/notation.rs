//! How durations, hosts, names and the like are written; addresses of Redis in a file of their own.

mod address;
mod database;
mod endpoint;
mod grants;
mod listen;
mod proxy;
mod template;
mod told;
#[cfg(test)]
mod tests;

pub(super) use address::{Address, Servers, redis_address};
pub(super) use database::{database_address, sql_grant};
pub(super) use endpoint::endpoint;
pub(super) use grants::{dir_grant, guest_dir, http_grant, redis_grant, secret_name, variable};
pub(super) use listen::{any_address, channel_pattern, listen, origin};
pub(super) use proxy::proxy;
pub(super) use template::template;
pub(super) use told::{collector, traceparent};

use super::OrderBy;
use std::time::Duration;

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

const RATE_HELP: &str = "write how many in which time: \"500/s\", \"30/min\" or \"10000/h\"";

/// How many in a second, from a number, which may have decimals, a slash, and `s`, `min` or `h`.
pub(super) fn rate(text: &str) -> Result<f64, Wrong> {
    let (number, unit) = text.split_once('/').ok_or(wrong("does not say in which time", RATE_HELP))?;
    let seconds = match unit {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong("does not say in which time", RATE_HELP)),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain).ok_or(wrong("is not a rate", RATE_HELP))?;
    let bounds = 1.0 / 3_600.0..=1e6;
    let per_second = number / seconds;
    if bounds.contains(&per_second) {
        return Ok(per_second);
    }
    Err(wrong("is out of range", "write a rate from \"1/h\" to \"1000000/s\", or \"unlimited\""))
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
