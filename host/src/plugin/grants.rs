//! What one plugin was granted of the machine, handed to its instances through WASI; nothing else is there.

use super::{refusal::Cause, state::State};
use crate::{
    config::{self, Ambient, DirAccess},
    message::Fault,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::{
    FsPerms, HostMonotonicClock, HostWallClock, WasiCtxBuilder, WasiView, p2::bindings::random::random,
};

/// The grants of one version of a plugin.
pub(super) struct Grants {
    dirs: Vec<Dir>,
    variables: Vec<(String, String)>,
    clock: bool,
    random: bool,
}

struct Dir {
    name: String,
    host: PathBuf,
    access: DirAccess,
}

impl Grants {
    /// What `settings` grant.
    ///
    /// # Errors
    /// Where a directory cannot be opened.
    pub(super) fn new(settings: &config::Plugin) -> Result<Self, Cause> {
        let dirs = settings.allow_dirs.iter().map(|(name, grant)| {
            let (name, host, access) = (name.clone(), grant.host.clone(), grant.access);
            Dir { name, host, access }
        });
        let variable = |name: &String| Some((name.clone(), config::process_environment(name)?));
        let grants = Self {
            dirs: dirs.collect(),
            variables: settings.allow_env.iter().filter_map(variable).collect(),
            clock: settings.allow.contains(&Ambient::Clock),
            random: settings.allow.contains(&Ambient::Random),
        };
        grants.open_dirs(&mut WasiCtxBuilder::new()).map_err(|(dir, reason)| Cause::Directory {
            name: dir.name.clone(),
            host: dir.host.clone(),
            reason,
        })?;
        Ok(grants)
    }

    /// Hands them to an instance, whose clocks show `moment` if it has none of its own.
    ///
    /// # Errors
    /// A directory may have gone meanwhile, and may come back.
    pub(super) fn give(&self, wasi: &mut WasiCtxBuilder, moment: &Moment) -> Result<(), Fault> {
        self.open_dirs(wasi).map_err(|(dir, reason)| Fault::Retry {
            after: None,
            reason: format!("its directory `{}` (`{}`) cannot be opened: {reason}", dir.name, dir.host.display()),
        })?;
        wasi.envs(&self.variables);
        if !self.clock {
            wasi.wall_clock(moment.clone()).monotonic_clock(Still);
        }
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        Ok(())
    }

    /// Whether it may have chance that is good for keys.
    pub(super) fn random(&self) -> bool {
        self.random
    }

    fn open_dirs(&self, wasi: &mut WasiCtxBuilder) -> Result<(), (&Dir, String)> {
        for dir in &self.dirs {
            let perms = match dir.access {
                DirAccess::Read => FsPerms::ReadOnly,
                DirAccess::Write => FsPerms::ReadWrite,
            };
            let opened = wasi.preopened_dir(&dir.host, &dir.name, perms);
            opened.map_err(|error| (dir, error.root_cause().to_string()))?;
        }
        Ok(())
    }
}

/// When the message of the call was first taken, in milliseconds since 1970; 0 before the first one.
#[derive(Clone, Default)]
pub(super) struct Moment(Arc<AtomicU64>);

impl Moment {
    pub(super) fn set(&self, received_ms: u64) {
        self.0.store(received_ms, Ordering::Relaxed);
    }
}

/// A message has one time, however often and wherever it is tried.
impl HostWallClock for Moment {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A clock that measures nothing. Sleeping works with it all the same, within the plugin's timeout.
struct Still;

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    /// Not 0: Go's runtime takes that for a clock that is broken.
    fn now(&self) -> u64 {
        1
    }
}

/// A plugin asked for chance that is good for keys and was not granted it. Something guessable instead would be worse than nothing.
#[derive(Debug, thiserror::Error)]
#[error("asked for secure randomness, which it was not granted; add `allow = [\"random\"]` to its table")]
pub(super) struct NoChance;

/// Stands before WASI's own secure randomness.
struct Gate<'a>(&'a mut State);

/// The gates of any instance.
struct Gated;

impl HasData for Gated {
    type Data<'a> = Gate<'a>;
}

impl Gate<'_> {
    fn pass(&mut self) -> wasmtime::Result<&mut dyn random::Host> {
        if !self.0.random {
            return Err(NoChance.into());
        }
        Ok(self.0.ctx().ctx.random())
    }
}

impl random::Host for Gate<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.pass()?.get_random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.pass()?.get_random_u64()
    }
}

/// Puts the gates in the place of what `linker` has for components.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    random::add_to_linker::<State, Gated>(linker, |state| Gate(state))?;
    linker.allow_shadowing(false);
    Ok(())
}
