//! How channels are named in paths: `ch1.b2/ch9`, where the first is read from its last two messages on.

use crate::edge::hub::check_name;

/// Channels that one request may name.
const CHANNELS: usize = 100;

/// A channel, and how many of its messages are wanted first.
pub(super) type Named = (String, usize);

/// Why a path names no channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// There is none.
    None,
    /// One has no name that a channel can have.
    Wrong,
    /// There are too many.
    Many,
    /// One would be all, or some that begin alike.
    Several,
}

impl Unnamed {
    /// The status of the answer, and what it says, in the words that clients know.
    pub(super) fn told(self) -> (u16, &'static str) {
        match self {
            Self::None => (400, "No channel id provided."),
            Self::Wrong => (400, "Channel id is too large."),
            Self::Many => (403, "Subscribed too much channels."),
            Self::Several => (403, "Channel id not authorized for this method."),
        }
    }
}

/// The channels that a path names, which is decoded already. Empty parts are passed over: the client for browsers begins with one.
pub(super) fn channels(path: &str) -> Result<Vec<Named>, Unnamed> {
    let mut channels: Vec<Named> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let (name, back) = back_track(part);
        if name == "ALL" || name.contains('*') {
            return Err(Unnamed::Several);
        }
        check_name(name).map_err(|_| Unnamed::Wrong)?;
        match channels.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = back.max(*known),
            None => channels.push((name.to_owned(), back)),
        }
    }
    match channels.len() {
        0 => Err(Unnamed::None),
        1..=CHANNELS => Ok(channels),
        _ => Err(Unnamed::Many),
    }
}

fn back_track(part: &str) -> (&str, usize) {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let found = part.rsplit_once(".b").filter(|(name, back)| !name.is_empty() && digits(back));
    found.and_then(|(name, back)| Some((name, back.parse().ok()?))).unwrap_or((part, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_channels_and_how_far_back_each_is_read() {
        let named = |path| {
            channels(path).map(|all| all.iter().map(|(name, back)| format!("{name} {back}")).collect::<Vec<_>>())
        };
        for (path, expected) in [
            ("ch1.b2/ch9", vec!["ch1 2", "ch9 0"]),
            ("f.b", vec!["f.b 0"]),
            ("/ch1//ch2/", vec!["ch1 0", "ch2 0"]),
            ("a.b1/a.b3/a", vec!["a 3"]),
            ("a.b1.b2", vec!["a.b1 2"]),
            (".b2", vec![".b2 0"]),
            ("a.b+3", vec!["a.b+3 0"]),
            ("ü", vec!["ü 0"]),
        ] {
            assert_eq!(named(path).expect(path), expected);
        }
    }

    #[test]
    fn what_names_none_is_refused_in_known_words() {
        let many: String = (0..101).map(|number| format!("/{number}")).collect();
        let long = "x".repeat(201);
        for (path, status, why) in [
            ("", 400, "No channel id provided."),
            ("//", 400, "No channel id provided."),
            ("ALL", 403, "Channel id not authorized for this method."),
            ("a/b*", 403, "Channel id not authorized for this method."),
            (&long, 400, "Channel id is too large."),
            (&many, 403, "Subscribed too much channels."),
        ] {
            assert_eq!(channels(path).map_err(Unnamed::told), Err((status, why)), "{path}");
        }
    }
}
