//! How a running node is looked at from outside: HTTP at a unix socket or a loopback port, to be read only.

mod handed;
mod listen;
mod metrics;
mod route;
mod status;

pub use handed::Handed;
pub use listen::Unusable;
pub use status::{EndpointStatus, PipelineStatus, PluginStatus, Status};

use crate::{
    config::{Listen, Rate},
    effect::Effects,
    plugin::Plugins,
    shutdown::Shutdown,
};
use listen::Listener;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

/// What can be looked at.
pub struct Window {
    node: String,
    started: SystemTime,
    plugins: Arc<Plugins>,
    effects: Effects,
    /// The pipelines that run; whoever starts and ends them says so.
    pipelines: RwLock<Vec<Shown>>,
}

/// A pipeline that runs.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// How fast it takes, if that is limited.
    pub rate: Option<Rate>,
}

impl Window {
    /// Looks into the node `node`, which starts now.
    pub fn new(node: &str, plugins: Arc<Plugins>, effects: Effects) -> Arc<Self> {
        let pipelines = RwLock::default();
        Arc::new(Self { node: node.to_owned(), started: SystemTime::now(), plugins, effects, pipelines })
    }

    /// These pipelines run now.
    pub fn shows(&self, pipelines: Vec<Shown>) {
        *self.pipelines.write().unwrap_or_else(PoisonError::into_inner) = pipelines;
    }

    fn pipelines(&self) -> Vec<Shown> {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Answers at `listen` until `shutdown` stops.
///
/// # Errors
/// Where that cannot be listened at: another node does, or the system does not allow it.
pub fn serve(window: &Arc<Window>, listen: &Listen, shutdown: &Shutdown) -> Result<(), Unusable> {
    open(window, Listener::bind(listen)?, shutdown);
    Ok(())
}

/// The same at a socket that was handed over.
///
/// # Errors
/// Where the system does not allow it, or others than this machine could look.
pub fn serve_at(window: &Arc<Window>, handed: Handed, shutdown: &Shutdown) -> Result<(), Unusable> {
    open(window, Listener::at(handed)?, shutdown);
    Ok(())
}

fn open(window: &Arc<Window>, listener: Listener, shutdown: &Shutdown) {
    let (window, tasks) = (Arc::clone(window), shutdown.clone());
    drop(shutdown.track_until_stop(async move { listener.serve(&window, &tasks).await }));
}
