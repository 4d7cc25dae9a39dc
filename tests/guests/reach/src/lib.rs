//! A filter that reaches for whatever each message tells it to, and puts what came of it into the payload.

use gristmill_sdk::{Message, Result, Verdict, filter};
use serde::Deserialize;
use std::{
    collections::HashMap,
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What a message tells.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Deed {
    Read {
        path: String,
    },
    Write {
        path: String,
        text: String,
    },
    Append {
        path: String,
        text: String,
    },
    Truncate {
        path: String,
    },
    /// Opens for reading, and says that what is there is to be cut off.
    TruncateReading {
        path: String,
    },
    List {
        path: String,
    },
    Remove {
        path: String,
    },
    MakeDir {
        path: String,
    },
    Rename {
        path: String,
        to: String,
    },
    HardLink {
        path: String,
        to: String,
    },
    Symlink {
        path: String,
        to: String,
    },
    Environment,
    Clock,
    Sleep {
        millis: u64,
    },
    Random,
    HashMap,
    Connect {
        address: String,
    },
}

impl Deed {
    fn done(self) -> io::Result<String> {
        match self {
            Self::Read { path } => fs::read_to_string(path),
            Self::Write { path, text } => fs::write(path, text).map(said),
            Self::Append { path, text } => {
                let mut file = OpenOptions::new().append(true).open(path)?;
                file.write_all(text.as_bytes()).map(said)
            }
            Self::Truncate { path } => File::create(path).map(said),
            Self::TruncateReading { path } => {
                let mut text = String::new();
                OpenOptions::new().read(true).write(true).truncate(true).open(path)?.read_to_string(&mut text)?;
                Ok(text)
            }
            Self::List { path } => {
                let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
                let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
                names.sort();
                Ok(names.join(" "))
            }
            Self::Remove { path } => fs::remove_file(path).map(said),
            Self::MakeDir { path } => fs::create_dir(path).map(said),
            Self::Rename { path, to } => fs::rename(path, to).map(said),
            Self::HardLink { path, to } => fs::hard_link(path, to).map(said),
            Self::Symlink { path, to } => symlink(&path, &to).map(said),
            Self::Environment => {
                let mut variables: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
                variables.sort();
                Ok(variables.join(" "))
            }
            Self::Clock => {
                let (start, now) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH));
                // Long enough for a clock that moves to have moved.
                let spun = (0..100_000_u32).fold(0, |sum, n| std::hint::black_box(sum ^ n));
                let moved = start.elapsed() > Duration::ZERO && spun != u32::MAX;
                Ok(format!("{} {moved}", now.unwrap_or_default().as_millis()))
            }
            Self::Sleep { millis } => sleep(Duration::from_millis(millis)),
            Self::Random => random(),
            Self::HashMap => Ok(HashMap::from([("a", "b")]).len().to_string()),
            Self::Connect { address } => TcpStream::connect(address).map(said),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what the deed is for")]
fn sleep(pause: Duration) -> io::Result<String> {
    thread::sleep(pause);
    Ok(said(()))
}

fn said<T>(_: T) -> String {
    "done".into()
}

/// What `std` has for these on WASI is not stable, and the C library that it stands on has them.
#[cfg(target_family = "wasm")]
mod libc {
    use std::ffi::{c_char, c_int};

    #[expect(unsafe_code, reason = "declarations of the C library")]
    unsafe extern "C" {
        pub(super) fn symlink(target: *const c_char, link: *const c_char) -> c_int;
        pub(super) fn getentropy(buffer: *mut u8, length: usize) -> c_int;
    }
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "calls the C library")]
fn symlink(target: &str, link: &str) -> io::Result<()> {
    let text = |text: &str| std::ffi::CString::new(text).map_err(io::Error::other);
    let (target, link) = (text(target)?, text(link)?);
    // SAFETY: both end in NUL and live until the call is over.
    match unsafe { libc::symlink(target.as_ptr(), link.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_family = "wasm"))]
fn symlink(target: &str, link: &str) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "calls the C library")]
fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    // SAFETY: it writes as many bytes as there are.
    match unsafe { libc::getentropy(bytes.as_mut_ptr(), bytes.len()) } {
        0 => Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_family = "wasm"))]
fn random() -> io::Result<String> {
    File::open("/dev/urandom").map(said)
}

/// The payload becomes `ok ` and the result, or `no ` and the error.
#[filter]
fn reach(mut message: Message) -> Result<Verdict> {
    let deed: Deed = message.json()?;
    let came = match deed.done() {
        Ok(text) => format!("ok {text}"),
        Err(error) => format!("no {error}"),
    };
    message.set_payload(came);
    Ok(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::Change;

    #[test]
    fn a_deed_is_done_and_told() {
        let dir = env::temp_dir().join(format!("reach-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        let tell = |deed: &str| reach(Message::test(deed.replace("FILE", &path.display().to_string()))).unwrap();
        let said = |text: &str| Verdict::from(Change::payload(text));
        assert_eq!(tell(r#"{"do": "write", "path": "FILE", "text": "a"}"#), said("ok done"));
        assert_eq!(tell(r#"{"do": "append", "path": "FILE", "text": "b"}"#), said("ok done"));
        assert_eq!(tell(r#"{"do": "read", "path": "FILE"}"#), said("ok ab"));
        assert_eq!(tell(r#"{"do": "remove", "path": "FILE"}"#), said("ok done"));
        let Verdict::Replace(change) = tell(r#"{"do": "read", "path": "FILE"}"#) else { panic!() };
        assert!(change.payload.unwrap().starts_with(b"no "));
        fs::remove_dir_all(dir).unwrap();
    }
}
