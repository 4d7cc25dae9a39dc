//! Which file a plugin means.

use std::{
    ffi::OsStr,
    fmt::{self, Display},
    path::{Component, Path, PathBuf},
};

/// Of a path that is taken, in bytes.
const LONGEST: usize = 4_096;
/// Of one that is repeated in a failure, in characters.
const SHOWN: usize = 200;

/// A file in a granted directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    host: PathBuf,
    path: PathBuf,
}

impl Place {
    /// `path` in the directory `host`. What links on the way lead to shows when it is opened.
    pub(super) fn new(host: &Path, path: &str) -> Result<Self, &'static str> {
        if path.len() > LONGEST || path.contains('\0') || path.ends_with('/') {
            return Err("this is no path of a file");
        }
        let mut within = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) => within.push(name),
                Component::CurDir => {}
                _ => return Err("a path may not begin with `/` or have `..` in it"),
            }
        }
        if within.as_os_str().is_empty() {
            return Err("this is no path of a file");
        }
        Ok(Self { host: host.to_owned(), path: within })
    }

    /// The granted directory.
    pub(super) fn host(&self) -> &Path {
        &self.host
    }

    /// Where in it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that the file lies in, within the granted one.
    pub(super) fn parent(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// The path of a file beside this one, whose name has `.` and `ending` behind it.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(ending);
        path.into()
    }

    /// What stands in `name` behind the name of this file and a dot.
    pub(super) fn ending_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let own = self.path.file_name().and_then(OsStr::to_str)?;
        name.strip_prefix(own)?.strip_prefix('.')
    }
}

/// As the host knows it.
impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host.join(&self.path).display())
    }
}

/// As the plugin has named it, in one line and not endless.
pub(super) fn shown(dir: &str, path: &str) -> String {
    let mut shown: String = dir.chars().chain(['/']).chain(path.chars()).take(SHOWN).collect();
    if dir.len() + 1 + path.len() > shown.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}
