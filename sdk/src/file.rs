//! Lines for the ends of files.

use crate::{Request, Result};
use std::time::Duration;

/// A line for the end of a file in a directory that was granted for writing (`allow_dirs`).
///
/// The host makes the file and the directories in it that are missing, writes the line whole or not at all, and replies when it is
/// written. It may be written more than once, as everything that is tried again.
///
/// ```
/// use gristmill_sdk::{Durability, Request};
/// use std::time::Duration;
///
/// let append = Request::append("out", "orders/2026-11-21.ndjson").json(&[1, 2])?;
/// let append = append.rotate_at(100 << 20).rotate_every(Duration::from_secs(3600)).keep(24).durability(Durability::Always);
/// assert_eq!(append.line.as_deref(), Some(&b"[1,2]"[..]));
/// # Ok::<(), gristmill_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileAppend {
    /// The name of the directory.
    pub dir: String,
    /// In that directory.
    pub path: String,
    /// Without the line feed behind it; the payload of the message if there is none.
    pub line: Option<Vec<u8>>,
    /// When another file is begun.
    pub rotation: Rotation,
    /// When the line outlasts a power cut.
    pub durability: Durability,
}

/// When a file is put aside, under its name with the time behind it, and another one is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it would be longer than so many bytes.
    pub bytes: Option<u64>,
    /// At the first line of each span of so many seconds, counted from 1970.
    pub every: Option<Duration>,
    /// How many that were put aside are kept; all if there is none.
    pub keep: Option<u32>,
}

/// When what was written is made to outlast a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the system thinks fit, usually within half a minute. A crash of the node loses nothing.
    #[default]
    Never,
    /// At the latest so long after it was written, to the millisecond.
    Within(Duration),
    /// Before the reply; lines that come together share the effort.
    Always,
}

impl FileAppend {
    pub(crate) fn new(dir: String, path: String) -> Self {
        Self { dir, path, line: None, rotation: Rotation::default(), durability: Durability::default() }
    }

    /// With this line, in which there is no line feed, instead of the payload.
    #[must_use]
    pub fn line(mut self, line: impl Into<Vec<u8>>) -> Self {
        self.line = Some(line.into());
        self
    }

    /// With `value` as the line, in JSON.
    ///
    /// # Errors
    /// A rejection if `value` has no form in JSON, such as a map whose keys are not strings.
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self> {
        Ok(self.line(serde_json::to_vec(value)?))
    }

    /// With another file begun before this one would be longer than so many bytes.
    #[must_use]
    pub fn rotate_at(mut self, bytes: u64) -> Self {
        self.rotation.bytes = Some(bytes);
        self
    }

    /// With another file begun at the first line of each such span, to the second: a day is one of UTC.
    #[must_use]
    pub fn rotate_every(mut self, span: Duration) -> Self {
        self.rotation.every = Some(span);
        self
    }

    /// With so many old files kept.
    #[must_use]
    pub fn keep(mut self, files: u32) -> Self {
        self.rotation.keep = Some(files);
        self
    }

    /// With a say in when it outlasts a power cut.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

impl From<FileAppend> for Request {
    fn from(append: FileAppend) -> Self {
        Self::File(append)
    }
}

/// So that a publisher with one request ends in `Ok(request.into())`.
impl From<FileAppend> for Vec<Request> {
    fn from(append: FileAppend) -> Self {
        vec![append.into()]
    }
}
