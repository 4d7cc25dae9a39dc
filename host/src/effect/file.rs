//! Lines for the ends of files: only in granted directories, whole or not at all, and answered when they are written.

mod line;
mod place;
mod queue;
mod rotation;
#[cfg(test)]
mod tests;
mod torn;
mod writer;

use crate::{
    config::{self, DirAccess, DirGrant},
    request::{Failure, FileAppend},
};
use line::Line;
use place::Place;
use queue::Queue;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::timeout};

/// From asking for a line to its being in the file.
const LONGEST: Duration = Duration::from_secs(30);
/// How often it is looked for files that are to be synced or closed.
const TICK: Duration = Duration::from_millis(100);

/// Appends lines to files.
#[derive(Default)]
pub(super) struct Files(Arc<Queue>);

/// Where one plugin may write.
pub(super) struct Allowance(BTreeMap<String, DirGrant>);

impl Allowance {
    pub(super) fn new(settings: &config::Plugin) -> Self {
        Self(settings.allow_dirs.clone())
    }

    fn place(&self, dir: &str, path: &str) -> Result<Place, Failure> {
        let shown = place::shown(dir, path);
        match self.0.get(dir) {
            None => Err(Failure::Denied(format!("`{shown}`: `allow_dirs` names no such directory"))),
            Some(grant) if grant.access == DirAccess::Read => {
                Err(Failure::Denied(format!("`{shown}`: `allow_dirs` grants reading there, and no writing")))
            }
            Some(grant) => Place::new(&grant.host, path).map_err(|why| Failure::Invalid(format!("`{shown}`: {why}"))),
        }
    }
}

impl Allowance {
    /// Refuses a line for a place that is not granted.
    pub(super) fn test(&self, wanted: &FileAppend) -> Result<(), Failure> {
        self.place(&wanted.dir, &wanted.path).map(drop)
    }
}

impl Files {
    /// Returns when the line that is `wanted` is in its file, as safe as wanted; dropped, it may yet be written.
    pub(super) async fn append(&self, allowance: &Allowance, wanted: FileAppend) -> Result<(), Failure> {
        let place = allowance.place(&wanted.dir, &wanted.path)?;
        let named =
            |failure: Failure| failure.reworded(|why| format!("`{}`: {why}", place::shown(&wanted.dir, &wanted.path)));
        if wanted.line.contains(&b'\n') {
            return Err(named(Failure::Invalid("a line has no line feed in it".to_owned())));
        }
        let (answer, answered) = oneshot::channel();
        let line = Line::new(wanted.line.clone(), wanted.rotation, wanted.durability, answer);
        self.0.put(place, line).map_err(named)?;
        match timeout(LONGEST, answered).await {
            Ok(Ok(result)) => result.map_err(named),
            Ok(Err(_)) => Err(named(Failure::Unreachable("the line was given up".to_owned()))),
            Err(_) => Err(named(Failure::Unreachable(format!("the line was not written within {LONGEST:?}")))),
        }
    }

    /// Syncs and closes files when it is time, for ever.
    pub(super) async fn tend(&self) {
        loop {
            tokio::time::sleep(TICK).await;
            self.0.tend();
        }
    }

    /// Syncs and closes all files that nobody writes to right now.
    pub(super) async fn finish(&self) {
        let queue = Arc::clone(&self.0);
        // What did not go well has been told.
        drop(tokio::task::spawn_blocking(move || queue.finish()).await);
    }
}
