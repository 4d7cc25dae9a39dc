//! What a ciphertext is bound to: it opens nowhere else.

use gristmill_sdk::{Error, Message, Result};

/// What of a message its ciphertext is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Topic,
    /// By its name in small letters.
    Header(String),
}

/// Those things of one message, as the cipher takes them: nothing where nothing is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound(Vec<u8>);

impl Bind {
    /// Reads `topic` and `header:NAME`.
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn read(entries: &[String]) -> Result<Self> {
        entries.iter().enumerate().map(|(at, entry)| Part::read(at, entry)).collect::<Result<_>>().map(Self)
    }

    /// What `message` has there.
    ///
    /// # Errors
    /// A rejection that names the header it lacks.
    pub fn of(&self, message: &Message) -> Result<Bound> {
        self.0.iter().try_fold(Bound::default(), |bound, part| match part {
            Part::Topic => Ok(bound.with("topic", &message.topic())),
            Part::Header(name) => match message.header(name) {
                Some(value) => Ok(bound.with(&format!("header:{name}"), &value)),
                None => Err(Error::reject(format!("the message lacks the header `{name}`, which `config.bind` names"))),
            },
        })
    }
}

impl Part {
    fn read(at: usize, entry: &str) -> Result<Self> {
        match entry.split_once(':') {
            None if entry == "topic" => Ok(Self::Topic),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            _ => Err(Error::reject(format!("config.bind[{at}]: expected `topic` or `header:NAME`, not `{entry}`"))),
        }
    }
}

impl Bound {
    /// Bound to the field at this path besides.
    #[must_use]
    pub fn to_field(&self, path: &str) -> Self {
        self.clone().with("field", &path.replace("[*]", "[]"))
    }

    /// Each text has its length before it, so that no two lists of them are the same bytes.
    fn with(mut self, name: &str, value: &str) -> Self {
        for text in [name, value] {
            self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    /// The associated data.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(entries: &[&str]) -> Result<Bind> {
        Bind::read(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_bound_tells_messages_apart() {
        let bound = |entries: &[&str], message: &Message| bind(entries).unwrap().of(message).unwrap();
        let one = Message::test("").with_topic("a").with_header("Tenant", "bc");
        let other = Message::test("").with_topic("ab").with_header("tenant", "c");
        assert!(bound(&[], &one).as_bytes().is_empty());
        assert_ne!(bound(&["topic"], &one), bound(&["topic"], &other));
        assert_ne!(bound(&["topic", "header:tenant"], &one), bound(&["topic", "header:tenant"], &other));
        assert_eq!(bound(&["header:TENANT"], &one).as_bytes(), b"\0\0\0\0\0\0\0\x0dheader:tenant\0\0\0\0\0\0\0\x02bc");
        let fields = ["a", "b"].map(|path| bound(&["topic"], &one).to_field(path));
        assert_ne!(fields[0], fields[1]);
        assert_eq!(Bound::default().to_field("a[*].b"), Bound::default().to_field("a[].b"));
    }

    #[test]
    fn a_missing_header_and_an_unknown_entry_are_named() {
        let error = bind(&["header:tenant"]).unwrap().of(&Message::test("")).unwrap_err();
        assert_eq!(error.reason(), "the message lacks the header `tenant`, which `config.bind` names");
        for wrong in ["id", "header:", "topic:x"] {
            let error = bind(&["topic", wrong]).unwrap_err();
            assert_eq!(error.reason(), format!("config.bind[1]: expected `topic` or `header:NAME`, not `{wrong}`"));
        }
    }
}
