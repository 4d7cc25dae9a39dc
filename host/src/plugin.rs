//! Plugins: from a name to the version in force. The first load, a new config and a changed file all go the same way.

mod anatomy;
mod answer;
mod cache;
mod clock;
mod code;
mod compile;
mod componentize;
mod console;
mod digest;
mod directory;
mod engine;
mod fault;
#[cfg(fuzzing)]
pub mod fuzz;
mod grants;
mod guest;
mod heard;
mod history;
mod idle;
mod load;
mod looking;
mod needs;
mod program;
mod refusal;
mod state;
mod stdout;
mod terms;
#[cfg(test)]
mod tests;
mod usage;
mod v0_1;
mod version;
pub mod watch;

pub use anatomy::{Anatomy, Nature, Tool, Wasi};
pub use compile::child::compile_stdin;
pub use componentize::{NoComponent, componentize};
pub use directory::plugin_name;
pub use heard::{Heard, Line, Said};
pub use history::{Step, Turn};
pub use needs::{Means, Need, Needs};
pub use program::{Garbled, parse_head, parse_line};
pub use refusal::{Cause, Refusal};
pub use usage::Usage;
pub use v0_1::Kind;
pub use version::{Lent, Started, Version};

use crate::{config, event, lookup::Lookups};
use arc_swap::ArcSwap;
use directory::Found;
use futures_util::future::join_all;
use history::History;
use load::Loader;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Why plugins cannot run on this machine at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system grants no thread.
    #[error("no thread for plugins")]
    Thread(#[source] io::Error),
    /// The engine does not come up.
    #[error("the plugin engine does not start: {0}")]
    Engine(String),
}

/// Which plugins there are to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Every `*.wasm` in it is a plugin.
    pub dir: PathBuf,
    /// By plugin name, with `_` written as `-`.
    pub settings: BTreeMap<String, config::Plugin>,
    /// For plugins without settings of their own.
    pub defaults: config::Plugin,
    /// What pipelines name, and as what; all others may be missing or broken.
    pub required: BTreeMap<String, Kind>,
}

impl Wanted {
    /// Whether nothing is wrong with the plugin but that the configuration says nothing of it.
    fn leaves_idle(&self, refusal: &Refusal) -> bool {
        let unsaid = matches!(refusal.cause, Cause::Config(_) | Cause::Ungranted(_));
        unsaid && !self.required.contains_key(&refusal.plugin) && !self.settings.contains_key(&refusal.plugin)
    }

    fn settings(&self, name: &str) -> &config::Plugin {
        self.settings.get(name).unwrap_or(&self.defaults)
    }
}

/// A plugin's place: the version in it changes, the place stays for as long as the plugin does.
#[derive(Debug)]
pub struct Slot {
    current: ArcSwap<Version>,
}

impl Slot {
    /// The version in force now. Whoever holds it keeps it alive, so that a message ends on the version it began with.
    pub fn current(&self) -> Arc<Version> {
        self.current.load_full()
    }
}

type Slots = BTreeMap<String, Arc<Slot>>;

/// All plugins of a node.
pub struct Plugins {
    loader: Loader,
    slots: RwLock<Slots>,
    history: std::sync::Mutex<History>,
    /// What the slots were last filled from; whoever changes the slots holds it.
    wanted: Arc<Mutex<Option<Wanted>>>,
}

/// Plugins that came up and wait to take over, all at once. Nothing else changes while this exists.
#[derive(Debug)]
pub struct Prepared {
    versions: BTreeMap<String, Arc<Version>>,
    refused: Vec<Refusal>,
    wanted: Wanted,
    turn: OwnedMutexGuard<Option<Wanted>>,
}

impl Prepared {
    /// What will be in force.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.versions.values()
    }

    /// Plugins that no pipeline names and that did not come up.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }
}

impl Plugins {
    /// Starts the engine; plugins are compiled as `compile` says, by this program called once more, kept in
    /// `cache_dir`, and look things up in `lookups`.
    ///
    /// # Errors
    /// Where the machine grants no threads or hardly any address space.
    pub fn new(cache_dir: &Path, compile: &config::Compile, lookups: Lookups) -> Result<Self, Error> {
        Ok(Self::with(Loader::new(cache_dir, compile, lookups)?))
    }

    /// Like [`Plugins::new`] without any Redis, for an author: what plugins say is heard instead of logged, all of it.
    ///
    /// # Errors
    /// As [`Plugins::new`].
    pub fn overheard(cache_dir: &Path, compile: &config::Compile) -> Result<(Self, Arc<Heard>), Error> {
        let heard = Arc::<Heard>::default();
        let loader = Loader::new(cache_dir, compile, Lookups::alone())?.heard_by(&heard);
        Ok((Self::with(loader), heard))
    }

    fn with(loader: Loader) -> Self {
        Self { loader, slots: RwLock::default(), history: std::sync::Mutex::default(), wanted: Arc::default() }
    }

    /// Loads `file` as the plugin `name`: reads, compiles, links, makes an instance and runs its `init`. It is not in force.
    ///
    /// # Errors
    /// Whatever is wrong with the file, in one sentence.
    pub async fn load(&self, name: &str, file: &Path, settings: &config::Plugin) -> Result<Arc<Version>, Refusal> {
        self.loader.load(name, file, settings, None, None).await
    }

    /// The place of the plugin `name`.
    pub fn slot(&self, name: &str) -> Option<Arc<Slot>> {
        self.read().get(name).cloned()
    }

    /// All versions in force, by name.
    pub fn current(&self) -> Vec<Arc<Version>> {
        self.read().values().map(|slot| slot.current()).collect()
    }

    /// What has become of the plugin's versions, oldest first.
    pub fn history(&self, name: &str) -> Vec<Step> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).of(name)
    }

    /// All plugins that there are, or were, or that were refused.
    pub fn known(&self) -> BTreeSet<String> {
        // One lock behind the other: whoever changes the slots holds theirs while it remembers.
        let mut known: BTreeSet<String> = self.read().keys().cloned().collect();
        known.extend(self.history.lock().unwrap_or_else(PoisonError::into_inner).names().cloned());
        known
    }

    fn remember(&self, name: &str, digest: Option<&str>, turn: Turn) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).add(name, digest, turn);
    }

    /// Brings up everything that `wanted` names, for [`Plugins::commit`]. A plugin whose file and settings are what
    /// they were keeps its version.
    ///
    /// # Errors
    /// All plugins that a pipeline names and that do not come up.
    pub async fn prepare(&self, wanted: Wanted) -> Result<Prepared, Vec<Refusal>> {
        let turn = Arc::clone(&self.wanted).lock_owned().await;
        let found = find(&wanted).await;
        let outcomes = join_all(found.files.iter().map(|(name, file)| self.bring_up(name, file, &wanted))).await;
        let mut refused = found.refused;
        let mut versions = BTreeMap::new();
        for (name, outcome) in found.files.into_keys().zip(outcomes) {
            match outcome {
                Ok(version) => drop(versions.insert(name, version)),
                Err(refusal) => refused.push(refusal),
            }
        }
        let fatal = |refusal: &Refusal| wanted.required.contains_key(&refusal.plugin);
        if refused.iter().any(fatal) {
            refused.retain(fatal);
            for refusal in &refused {
                self.remember(&refusal.plugin, refusal.digest.as_deref(), Turn::Refused(refusal.to_string()));
            }
            return Err(refused);
        }
        Ok(Prepared { versions, refused, wanted, turn })
    }

    /// Puts `prepared` in force, all of it at once.
    pub fn commit(&self, prepared: Prepared) {
        let Prepared { versions, refused, wanted, mut turn } = prepared;
        let (idle, broken): (Vec<&Refusal>, Vec<_>) = refused.iter().partition(|refusal| wanted.leaves_idle(refusal));
        event::plugins_idle(&idle.iter().map(|refusal| refusal.plugin.as_str()).collect::<Vec<_>>());
        for refusal in broken {
            self.tell_refused(refusal);
        }
        let kept = |name: &str| {
            let broken = |refusal: &Refusal| refusal.plugin == name && refusal.cause != Cause::NoFile;
            refused.iter().any(broken)
        };
        let gone: Vec<String> =
            self.read().keys().filter(|&name| !versions.contains_key(name) && !kept(name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
        for version in versions.into_values() {
            self.put_in_force(version);
        }
        *turn = Some(wanted);
    }

    /// Looks at the plugins behind the files in `changed` again; the plugins directory itself stands for all of them.
    /// Each changes on its own: one that does not come up leaves what was in force in its place.
    pub async fn refresh(&self, changed: &[PathBuf]) -> Vec<Refusal> {
        let turn = self.wanted.lock().await;
        let Some(wanted) = &*turn else {
            return Vec::new();
        };
        let Found { mut files, mut refused } = find(wanted).await;
        for version in self.current() {
            files.entry(version.name().to_owned()).or_insert_with(|| version.file.clone());
        }
        let names: BTreeSet<&Path> = changed.iter().filter_map(|path| path.file_name().map(Path::new)).collect();
        let all = changed.contains(&wanted.dir);
        let touched = |file: &Path| all || file.file_name().is_some_and(|name| names.contains(Path::new(name)));
        files.retain(|_, file| touched(file));
        refused.retain(|refusal| touched(&refusal.file));
        for refusal in &refused {
            self.tell_refused(refusal);
        }
        let refreshed = join_all(files.iter().map(|(name, file)| self.refresh_one(name, file, wanted))).await;
        refused.extend(refreshed.into_iter().flatten());
        refused
    }

    async fn refresh_one(&self, name: &str, file: &Path, wanted: &Wanted) -> Option<Refusal> {
        let refusal = match self.bring_up(name, file, wanted).await {
            Ok(version) => {
                self.put_in_force(version);
                return None;
            }
            Err(refusal) => refusal,
        };
        if refusal.cause == Cause::NoFile && !wanted.required.contains_key(name) {
            self.remove(name);
            return None;
        }
        self.tell_refused(&refusal);
        Some(refusal)
    }

    /// The version of `name` that is to be in force, which may be the one that is.
    async fn bring_up(&self, name: &str, file: &Path, wanted: &Wanted) -> Result<Arc<Version>, Refusal> {
        let current = self.slot(name).map(|slot| slot.current());
        let settings = wanted.settings(name);
        let required = wanted.required.get(name);
        let outcome = self.loader.load(name, file, settings, required.copied(), current.clone()).await;
        let version = match (outcome, current) {
            (Ok(version), _) => version,
            (Err(refusal), Some(current))
                if refusal.cause == Cause::NoFile && required.is_some() && current.settings() == settings =>
            {
                event::plugin_file_gone(name, current.digest(), file);
                current
            }
            (Err(refusal), _) => return Err(refusal),
        };
        match required {
            Some(&kind) if kind != version.kind() => Err(Refusal {
                plugin: name.to_owned(),
                file: file.to_owned(),
                digest: Some(version.digest().to_owned()),
                cause: Cause::OtherKind { found: version.kind(), wanted: kind },
            }),
            _ => Ok(version),
        }
    }

    fn put_in_force(&self, version: Arc<Version>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.get(version.name()) else {
            self.remember(version.name(), Some(version.digest()), Turn::Loaded);
            event::plugin_ready(version.name(), version.digest(), version.title(), version.took);
            slots.insert(version.name().to_owned(), Arc::new(Slot { current: ArcSwap::new(version) }));
            return;
        };
        let old = slot.current.load_full();
        if !Arc::ptr_eq(&old, &version) {
            slot.current.store(Arc::clone(&version));
            self.remember(version.name(), Some(version.digest()), Turn::Replaced(old.digest().to_owned()));
            event::plugin_swapped(version.name(), old.digest(), version.digest(), version.took);
        }
    }

    fn remove(&self, name: &str) {
        let removed = self.slots.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(slot) = removed {
            self.remember(name, Some(slot.current().digest()), Turn::Removed);
            event::plugin_removed(name, slot.current().digest());
        }
    }

    fn tell_refused(&self, refusal: &Refusal) {
        let current = self.slot(&refusal.plugin).map(|slot| slot.current());
        self.remember(&refusal.plugin, refusal.digest.as_deref(), Turn::Refused(refusal.to_string()));
        event::plugin_refused(
            &refusal.plugin,
            refusal,
            refusal.limit(),
            current.as_ref().map(|version| version.digest()),
        );
    }

    /// A panic with the lock held has changed whole entries or none.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins").field("current", &self.current()).finish_non_exhaustive()
    }
}

/// Reads the plugins directory off the runtime's threads.
async fn find(wanted: &Wanted) -> Found {
    let wanted = wanted.clone();
    let found = tokio::task::spawn_blocking(move || directory::scan(&wanted)).await;
    found.unwrap_or_default()
}
