//! Names the files that changed, once they are quiet. It loads nothing: whoever asks for the next batch does that.

use super::directory::is_plugin_file;
use crate::event;
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{sync::mpsc, time::timeout};

/// A file counts as written when it has not changed for this long.
const QUIET: Duration = Duration::from_millis(80);
/// Between two looks where the system gives no notices.
const POLL: Duration = Duration::from_secs(2);
/// Changed files that are told apart before all of them are looked at instead.
const NAMES: usize = 256;

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error)]
#[error("changes in `{dir}` cannot be watched")]
pub struct Error {
    dir: PathBuf,
    #[source]
    cause: notify::Error,
}

/// Watches for as long as it lives.
pub struct Watcher {
    #[expect(dead_code, reason = "dropping it ends the watch")]
    by: By,
}

enum By {
    Notice(#[expect(dead_code, reason = "held for its drop")] RecommendedWatcher),
    Polling(#[expect(dead_code, reason = "held for its drop")] PollWatcher),
}

/// What is watched.
#[derive(Clone, Debug)]
struct Watched {
    plugins_dir: PathBuf,
    config: Option<PathBuf>,
}

impl Watcher {
    /// Watches the `*.wasm` files of `plugins_dir`, and the file `config` if there is one.
    ///
    /// # Errors
    /// Where a directory does not exist or cannot be read.
    pub fn new(plugins_dir: &Path, config: Option<&Path>) -> Result<(Self, Changes), Error> {
        let watched = Watched { plugins_dir: plugins_dir.to_owned(), config: config.map(Path::to_owned) };
        let (names, receiver) = mpsc::channel(NAMES);
        let overflowed = Arc::new(AtomicBool::new(false));
        let ear = Ear { watched: watched.clone(), names, overflowed: Arc::clone(&overflowed) };
        let by = watch(&watched, &ear)?;
        Ok((Self { by }, Changes { watched, names: receiver, overflowed, pending: BTreeMap::new() }))
    }
}

fn watch(watched: &Watched, ear: &Ear) -> Result<By, Error> {
    let noticed = RecommendedWatcher::new(ear.listen(), Config::default());
    let reason = match noticed.map_err(|cause| watched.error(cause)).and_then(|w| watched.add(w)) {
        Ok(watcher) => return Ok(By::Notice(watcher)),
        Err(error) => error,
    };
    let polling = PollWatcher::new(ear.listen(), Config::default().with_poll_interval(POLL));
    let polling = polling.map_err(|cause| watched.error(cause)).and_then(|w| watched.add(w))?;
    event::watch_polls(POLL, &reason.cause);
    Ok(By::Polling(polling))
}

impl Watched {
    fn dirs(&self) -> BTreeSet<&Path> {
        let config = self.config.as_deref().and_then(Path::parent);
        let config = config.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
        config.into_iter().chain([self.plugins_dir.as_path()]).collect()
    }

    fn add<W: notify::Watcher>(&self, mut watcher: W) -> Result<W, Error> {
        for dir in self.dirs() {
            let added = watcher.watch(dir, RecursiveMode::NonRecursive);
            added.map_err(|cause| Error { dir: dir.to_owned(), cause })?;
        }
        Ok(watcher)
    }

    fn error(&self, cause: notify::Error) -> Error {
        Error { dir: self.plugins_dir.clone(), cause }
    }

    /// What a change of `path` is a change of. A directory that is mounted from a volume changes by a link in it, so
    /// that no file in it does.
    fn concerns(&self, path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?;
        let link = name.to_str().is_some_and(|name| name.starts_with(".."));
        let of_plugins = path.parent().and_then(Path::file_name) == self.plugins_dir.file_name();
        if let Some(config) = self.config.as_ref().filter(|config| config.file_name() == Some(name) || link) {
            return Some(if link && of_plugins { self.plugins_dir.clone() } else { config.clone() });
        }
        if link {
            return Some(self.plugins_dir.clone());
        }
        is_plugin_file(path).then(|| self.plugins_dir.join(name))
    }
}

/// Hears the system's notices on a thread of its own, and passes on names.
#[derive(Clone)]
struct Ear {
    watched: Watched,
    names: mpsc::Sender<PathBuf>,
    overflowed: Arc<AtomicBool>,
}

impl Ear {
    fn listen(&self) -> impl FnMut(notify::Result<Event>) + Send + 'static {
        let ear = self.clone();
        move |notice| ear.hear(notice)
    }

    fn hear(&self, notice: notify::Result<Event>) {
        match notice {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) if !event.need_rescan() => {
                for path in event.paths.iter().filter_map(|path| self.watched.concerns(path)) {
                    self.tell(path);
                }
            }
            _ => self.tell(self.watched.plugins_dir.clone()),
        }
    }

    /// A full channel needs no waiting: what it holds will wake the reader, who then looks at everything.
    fn tell(&self, path: PathBuf) {
        if self.names.try_send(path).is_err() {
            self.overflowed.store(true, Ordering::Release);
        }
    }
}

/// Batches of changed files.
#[derive(Debug)]
pub struct Changes {
    watched: Watched,
    names: mpsc::Receiver<PathBuf>,
    overflowed: Arc<AtomicBool>,
    pending: BTreeMap<PathBuf, Option<Stamp>>,
}

/// What changes while a file is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    Gone,
    There { bytes: u64, modified: Option<SystemTime> },
}

impl Stamp {
    fn of(file: &Path) -> Self {
        fs::metadata(file)
            .map_or(Self::Gone, |found| Self::There { bytes: found.len(), modified: found.modified().ok() })
    }
}

impl Changes {
    /// The next files that changed, or are gone, and have been quiet since; the plugins directory itself stands for all
    /// files in it. Nothing is lost when this is dropped. `None` when the watcher is gone.
    pub async fn next(&mut self) -> Option<Vec<PathBuf>> {
        loop {
            if self.pending.is_empty() {
                let path = self.names.recv().await?;
                self.note(path);
            }
            match timeout(QUIET, self.names.recv()).await {
                Ok(Some(path)) => self.note(path),
                Ok(None) | Err(_) => {
                    let quiet = self.quiet();
                    if !quiet.is_empty() {
                        return Some(quiet);
                    }
                }
            }
        }
    }

    fn note(&mut self, path: PathBuf) {
        self.pending.insert(path, None);
        if self.overflowed.swap(false, Ordering::AcqRel) {
            event::watch_overflowed();
            self.pending.insert(self.watched.plugins_dir.clone(), None);
            self.pending.extend(self.watched.config.clone().map(|config| (config, None)));
        }
    }

    /// Takes the files that look as they did one look before.
    fn quiet(&mut self) -> Vec<PathBuf> {
        let mut quiet = Vec::new();
        self.pending.retain(|path, seen| {
            let now = Some(Stamp::of(path));
            let same = *seen == now;
            if same {
                quiet.push(path.clone());
            }
            *seen = now;
            !same
        });
        quiet
    }
}
