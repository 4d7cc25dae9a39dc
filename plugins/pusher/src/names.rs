//! What Pusher lets channels, events and connections be called.

use gristmill_sdk::{Error, Result};

/// Bytes of a name of a channel or an event that every library lets through.
const LONGEST: usize = 200;
/// What begins a channel that is for one user and no subscriber names.
const USER: &str = "#server-to-user-";
/// What begins the channels whose data only subscribers with a key can read.
pub(crate) const ENCRYPTED: &str = "private-encrypted-";
/// What begins the channels that need a right to join.
const GUARDED: [&str; 3] = [ENCRYPTED, "private-", "presence-"];

/// # Errors
/// A rejection of a name that no channel can have.
pub(crate) fn channel(name: &str) -> Result<()> {
    let wrong = |why: &str| Err(Error::reject(format!("no channel can be called `{}`: {why}", shown(name))));
    let own = name.strip_prefix(USER).unwrap_or(name);
    if own.is_empty() || GUARDED.contains(&own) {
        return wrong("there is nothing of its own in the name");
    }
    if name.len() > LONGEST {
        return wrong("it is longer than 200 bytes");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-=@,.;".contains(c);
    match own.chars().find(|&c| !allowed(c)) {
        Some(c) => wrong(&format!("{c:?} is none of letters, digits and `_-=@,.;`")),
        None => Ok(()),
    }
}

/// # Errors
/// A rejection of a name that no event can have.
pub(crate) fn event(name: &str) -> Result<()> {
    match name.len() {
        0 => Err(Error::reject("the event has no name")),
        1..=LONGEST => Ok(()),
        bytes => Err(Error::reject(format!("the event's name has {bytes} bytes, more than {LONGEST}"))),
    }
}

/// # Errors
/// A rejection of what is no connection.
pub(crate) fn socket_id(id: &str) -> Result<()> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match id.split_once('.') {
        Some((one, other)) if digits(one) && digits(other) => Ok(()),
        _ => Err(Error::reject(format!("`socket_id` is `{}`, not two numbers with a dot between them", shown(id)))),
    }
}

/// The beginning of a text that anybody may have written.
fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_called_as_pusher_allows() {
        let long = "c".repeat(200);
        for name in
            ["a", "my-channel_1=@,.;", "private-a", "presence-a", "private-encrypted-a", "#server-to-user-7", &long]
        {
            assert_eq!(channel(name), Ok(()), "{name}");
        }
        let longer = "c".repeat(201);
        for name in [
            "",
            "a b",
            "ü",
            "a/b",
            "#a",
            "private-",
            "presence-",
            "private-encrypted-",
            "#server-to-user-",
            "a\n",
            &longer,
        ] {
            assert!(!channel(name).unwrap_err().is_retry(), "{name}");
        }
        assert!(channel(&"é".repeat(5_000)).unwrap_err().reason().len() < 400);
    }

    #[test]
    fn a_connection_is_two_numbers() {
        assert_eq!(socket_id("8197.5651"), Ok(()));
        for id in ["", "1", "1.", ".1", "1.2.3", "a.1", "1.2\n"] {
            assert!(socket_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn an_event_has_a_name_of_some_length() {
        assert_eq!(event("hit"), Ok(()));
        assert!(event("").is_err() && event(&"e".repeat(201)).is_err());
    }
}
