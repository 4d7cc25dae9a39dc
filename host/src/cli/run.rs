//! `gristmill run`: a node from its start to its end.

use super::talk;
use crate::{
    admin::{Handed, Order, Orders, Refused, Wanted, desk},
    config::{self, Config, LogFormat},
    event,
    node::{Error, Front, Node},
    plugin::watch::{Changes, Watcher},
    shutdown::Shutdown,
    supervisor::Supervisor,
};
use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs the node that the file at `path` describes.
pub(super) fn run(path: &Path) -> anyhow::Result<()> {
    // Before there is a second thread.
    let handed = Handed::take();
    let Config { plugins_dir, log, .. } = talk::load(path)?.config;
    log_to_stderr(log)?;
    raise_descriptor_limit();
    let watch = Watch::new(&plugins_dir, path);
    // Read once more: a change from now on is noticed, and one made before the watch began is in here.
    let loaded = config::load(path, &config::process_environment)?;
    let handed = handed.context("the socket of LISTEN_FDS cannot be used")?;
    let runtime = tokio::runtime::Runtime::new().context("no threads for the runtime")?;
    runtime.block_on(async {
        let shutdown = Shutdown::default();
        heed_signals(&shutdown)?;
        // From now on SIGHUP means that, and nothing else.
        let hangup = signal(SignalKind::hangup())?;
        let supervisor = Arc::new(Supervisor::of_environment());
        supervisor.starting();
        let (desk, orders) = desk();
        let node = tokio::select! {
            node = Node::start(&loaded, shutdown.clone(), Front { handed, desk }) => node?,
            () = shutdown.quiet().cancelled() => return Ok(()),
        };
        supervisor.ready(node.pipelines());
        let (watcher, pulse) = (Arc::clone(&supervisor), node.pulse());
        drop(shutdown.track_until_stop(async move { watcher.keep_watch(&pulse).await }));
        let mut operator = Operator { path, watch, hangup, orders, supervisor };
        operator.serve(node, &shutdown).await;
        Ok(())
    })
}

/// What is wanted of a running node from outside, and who is told how it goes.
struct Operator<'a> {
    path: &'a Path,
    watch: Watch,
    hangup: Signal,
    orders: Orders,
    supervisor: Arc<Supervisor>,
}

impl Operator<'_> {
    /// Reloads what changes until the node is to end, then ends it.
    async fn serve(&mut self, mut node: Node, shutdown: &Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.quiet().cancelled() => break,
                changed = self.watch.next() => {
                    if changed.iter().any(|file| self.watch.is_config(file)) {
                        drop(self.reload(&mut node).await);
                    }
                    // Compiling may take long, and nothing of it is needed any more once the node ends.
                    tokio::select! {
                        () = shutdown.quiet().cancelled() => break,
                        () = node.refresh(&changed) => {}
                    }
                }
                _ = self.hangup.recv() => drop(self.reload(&mut node).await),
                Some(order) = self.orders.recv() => self.obey(order, &mut node).await,
            }
        }
        self.orders.close();
        event::draining(node.grace());
        self.supervisor.draining(node.grace());
        let finished = node.end().await;
        event::ended(finished);
    }

    async fn obey(&self, order: Order, node: &mut Node) {
        let none = |name: &str| Refused::NoPipeline(name.to_owned());
        let done = match &order.wanted {
            Wanted::Pause(name) => node.pause(name).await.map_err(|_| none(name)),
            Wanted::Resume(name) => node.resume(name).map_err(|_| none(name)),
            Wanted::Reload => self.reload(node).await.map_err(|error| Refused::Config(error.to_string())),
        };
        if done.is_ok() {
            self.supervisor.ready(node.pipelines());
        }
        order.answer(done);
    }

    /// Reads the configuration again; one that cannot be used changes nothing.
    async fn reload(&self, node: &mut Node) -> Result<(), Error> {
        self.supervisor.reloading();
        let applied = match config::load(self.path, &config::process_environment) {
            Ok(loaded) => node.apply(&loaded).await,
            Err(faults) => Err(Error::Config(faults)),
        };
        match &applied {
            Ok(()) => self.supervisor.ready(node.pipelines()),
            Err(error) => {
                event::reload_refused(error);
                self.supervisor.unchanged(node.pipelines());
            }
        }
        applied
    }
}

struct Watch {
    /// Held because dropping it ends the watch.
    watching: Option<(Watcher, Changes)>,
    config: PathBuf,
}

impl Watch {
    fn new(plugins_dir: &Path, config: &Path) -> Self {
        let watching = Watcher::new(plugins_dir, Some(config));
        Self { watching: watching.inspect_err(|error| event::not_watching(error)).ok(), config: config.to_owned() }
    }

    fn is_config(&self, file: &Path) -> bool {
        file.file_name() == self.config.file_name()
    }

    /// The next files that changed; never where nothing is watched.
    async fn next(&mut self) -> Vec<PathBuf> {
        if let Some((_, changes)) = &mut self.watching
            && let Some(changed) = changes.next().await
        {
            return changed;
        }
        self.watching = None;
        std::future::pending().await
    }
}

/// The first SIGTERM or Ctrl-C quiets, the second stops.
fn heed_signals(shutdown: &Shutdown) -> io::Result<()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (quiet, stop) = (shutdown.quiet().clone(), shutdown.stop().clone());
    let heed = async move {
        let mut signals = (terminate, interrupt);
        next(&mut signals).await;
        quiet.cancel();
        next(&mut signals).await;
        stop.cancel();
    };
    drop(shutdown.track_until_stop(heed));
    Ok(())
}

async fn next((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// A request in flight holds a descriptor, and the usual soft limit of 1,024 is there for programs that use `select`.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        event::descriptors_limited(limit.current, &error);
    }
}

/// What a plugin's calls of WASI would add to every line of its own, and would cost.
const QUIET: &str = "wasmtime_wasi=warn";

/// `GRISTMILL_LOG` sets what is logged: a level, or `target=level,…`.
fn log_to_stderr(format: LogFormat) -> anyhow::Result<()> {
    let wanted = std::env::var("GRISTMILL_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(format!("{QUIET},{wanted}"))
        .with_context(|| format!("GRISTMILL_LOG=`{wanted}` is no log filter"))?;
    let terminal = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(terminal);
    // What cannot be logged is lost: to say so on a full disk would end the thread that says it.
    let log = log.with_target(false).log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).with_ansi(false).init(),
    }
    Ok(())
}
