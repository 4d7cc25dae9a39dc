//! The one way from a file to a version that works.

use super::{
    Error,
    code::Code,
    compile::Compiler,
    console::Voice,
    digest::Digest,
    engine::Engine,
    fault::in_full,
    grants::{self, Grants},
    guest::Blueprint,
    heard::Heard,
    needs::Needs,
    program::{self, Entry, Program},
    refusal::{Cause, Refusal},
    state::State,
    terms::Terms,
    v0_1::{self, Exports, Kind},
    version::{Body, Origin, Version},
};
use crate::{
    config::{self, Mode},
    lookup::Lookups,
};
use bytes::Bytes;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Instant,
};
use wasmtime::{
    Module,
    component::{Component, ComponentExportIndex, InstancePre, Linker},
};

/// The interfaces that plugins may import. What is behind them reaches outside of the instance as far as it was granted, but for the log.
const GRANTED: [&str; 32] = [
    "gristmill:plugin/types",
    "gristmill:plugin/envelope",
    "gristmill:plugin/log",
    // Whether an instance may use these is said where it does.
    "gristmill:plugin/store",
    "gristmill:plugin/sql",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    // Rust's standard library imports these for a plugin that merely names a type of `std::net`; every use is denied.
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What turns files into versions.
pub(super) struct Loader {
    engine: Arc<Engine>,
    compiler: Compiler,
    /// Of the largest file that is read.
    file_mib: u32,
    linker: Linker<State>,
    lookups: Lookups,
    /// Hears what plugins say; it is logged where nobody does.
    heard: Option<Arc<Heard>>,
}

impl Loader {
    pub(super) fn new(cache_dir: &Path, compile: &config::Compile, lookups: Lookups) -> Result<Self, Error> {
        let engine = Arc::new(Engine::new()?);
        lookups.fit(engine.instances());
        let compiler = Compiler::new(engine.wasm(), cache_dir, compile);
        let linker = linker(&engine).map_err(|error| Error::Engine(format!("{error:#}")))?;
        Ok(Self { engine, compiler, file_mib: compile.file_mib, linker, lookups, heard: None })
    }

    /// Lets `heard` hear what plugins say.
    pub(super) fn heard_by(self, heard: &Arc<Heard>) -> Self {
        Self { heard: Some(Arc::clone(heard)), ..self }
    }

    /// The version of the plugin `name` in `file`; `current` itself if neither the file's content nor `settings` differ from it.
    /// One that is not of the `wanted` kind is refused before it is started.
    pub(super) async fn load(
        &self,
        name: &str,
        file: &Path,
        settings: &config::Plugin,
        wanted: Option<Kind>,
        current: Option<Arc<Version>>,
    ) -> Result<Arc<Version>, Refusal> {
        let start = Instant::now();
        let refusal = |digest: Option<Digest>, cause| Refusal {
            plugin: name.to_owned(),
            file: file.to_owned(),
            digest: digest.map(|digest| digest.short()),
            cause,
        };
        let (bytes, digest) = read(file, self.file_mib).await.map_err(|cause| refusal(None, cause))?;
        if let Some(current) = current.filter(|current| current.digest == digest && current.settings == *settings) {
            return Ok(current);
        }
        let origin = Origin { name: name.into(), file: file.to_owned(), digest, settings: settings.clone() };
        let brought_up = self.bring_up(bytes, &origin, wanted).await;
        let (needs, body) = brought_up.map_err(|cause| refusal(Some(digest), cause))?;
        Ok(Arc::new(Version::new(origin, needs, body, start.elapsed())))
    }

    async fn bring_up(&self, bytes: Bytes, origin: &Origin, wanted: Option<Kind>) -> Result<(Needs, Body), Cause> {
        let code = self.compiler.code(bytes.clone(), origin.digest).await?;
        let found = Found::of(code, self.engine.wasm())?;
        found.fits(wanted, origin.settings.mode)?;
        if let Found::Plugin(component, _) | Found::Command(component, _) = &found {
            importable(component, self.engine.wasm())?;
        }
        let (needs, grants) = weigh(bytes, origin.settings.clone()).await?;
        let random = grants.random();
        let (lines, secrets) = (origin.settings.limits.log_lines, origin.settings.secrets.clone());
        let voice = Voice::new(&origin.name, origin.digest.short(), lines, secrets).heard_by(self.heard.clone());
        let terms = Terms::new(Arc::clone(&self.engine), voice, grants, &origin.settings);
        let entry = match found {
            Found::Plugin(component, exports) => {
                let access = self.lookups.access(&origin.name, &origin.settings.lookups);
                let plan = Blueprint::new(terms, self.link(&component)?, exports, access);
                return Ok((needs, Body::plugin(plan).await?));
            }
            Found::Command(component, run) => Entry::Command { pre: self.link(&component)?, run },
            Found::Module(module) => Entry::module(&module, random)?,
        };
        let program = Program::start(Arc::clone(&origin.name), entry, origin.settings.mode, terms).await?;
        Ok((needs, Body::Program(program)))
    }

    fn link(&self, component: &Component) -> Result<InstancePre<State>, Cause> {
        self.linker.instantiate_pre(component).map_err(|error| {
            let reason = in_full(&error);
            if reason.contains(v0_1::PACKAGE) { Cause::OtherShape(reason) } else { Cause::Unlinkable(reason) }
        })
    }
}

/// What a file turned out to be.
enum Found {
    Plugin(Component, Exports),
    Command(Component, ComponentExportIndex),
    Module(Module),
}

impl Found {
    fn of(code: Code, engine: &wasmtime::Engine) -> Result<Self, Cause> {
        Ok(match code {
            Code::Module(module) => Self::Module(module),
            Code::Component(component) => match program::command(&component, engine) {
                Some(run) => Self::Command(component, run),
                None => {
                    let exports = Exports::of(&component, engine)?;
                    Self::Plugin(component, exports)
                }
            },
        })
    }

    /// Refuses what is of another kind than `wanted`, or cannot have this `mode`.
    fn fits(&self, wanted: Option<Kind>, mode: Mode) -> Result<(), Cause> {
        match (self, wanted) {
            (Self::Plugin(_, exports), Some(wanted)) if wanted != exports.kind() => {
                Err(Cause::OtherKind { found: exports.kind(), wanted })
            }
            (Self::Plugin(..), _) if mode != Mode::Auto => Err(Cause::NoProgram),
            (Self::Command(..) | Self::Module(_), Some(Kind::Publisher)) => Err(Cause::ProgramPublishes),
            _ => Ok(()),
        }
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine.wasm());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    grants::link(&mut linker)?;
    v0_1::link(&mut linker)?;
    Ok(linker)
}

/// Refuses a component that imports what plugins do not get, and names it better than the linker would.
fn importable(component: &Component, engine: &wasmtime::Engine) -> Result<(), Cause> {
    for (import, _) in component.component_type().imports(engine) {
        let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
        if interface.starts_with(v0_1::PACKAGE) && !GRANTED.contains(&interface) {
            return Err(Cause::OtherShape(format!("it imports `{import}`, which this host does not have")));
        }
        if !GRANTED.contains(&interface) {
            return Err(Cause::Import(import.to_owned()));
        }
    }
    Ok(())
}

/// What the plugin in `bytes` needs, if `settings` grant it, and all that they grant; off the runtime's threads.
async fn weigh(bytes: Bytes, settings: config::Plugin) -> Result<(Needs, Grants), Cause> {
    let weighed = tokio::task::spawn_blocking(move || {
        let needs = Needs::of(&bytes);
        if let Some(strange) = needs.strange() {
            return Err(Cause::UnknownNeed(strange.to_owned()));
        }
        match needs.lacking(&settings) {
            lacking if lacking.is_empty() => Ok((needs, Grants::new(&settings)?)),
            lacking => Err(Cause::Ungranted(lacking)),
        }
    });
    weighed.await.map_err(|_| Cause::Ending)?
}

/// The content of `file`, read off the runtime's threads.
async fn read(file: &Path, most_mib: u32) -> Result<(Bytes, Digest), Cause> {
    let file = file.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let bytes = read_bounded(&file, most_mib)?;
        let digest = Digest::of(&bytes);
        Ok((bytes, digest))
    });
    read.await.map_err(|_| Cause::Ending)?
}

fn read_bounded(file: &Path, most_mib: u32) -> Result<Bytes, Cause> {
    let most = u64::from(most_mib) << 20;
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Cause::NoFile,
        _ => Cause::Unreadable(error.to_string()),
    };
    let mut bytes = Vec::new();
    let mut limited = File::open(file).map_err(unreadable)?.take(most + 1);
    let length = limited.read_to_end(&mut bytes).map_err(unreadable)?;
    match u64::try_from(length) {
        Ok(length) if length <= most => Ok(bytes.into()),
        _ => {
            let bytes = limited.into_inner().metadata().map_or(most + 1, |found| found.len());
            Err(Cause::TooLarge { bytes, most_mib })
        }
    }
}
