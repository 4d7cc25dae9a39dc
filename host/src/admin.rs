//! How a running node is looked at and steered from outside: HTTP at a unix socket or a port.

mod access;
mod dashboard;
mod handed;
mod health;
mod letters;
mod listen;
mod metrics;
mod nodes;
mod order;
pub(crate) mod payload;
mod query;
mod reply;
mod route;
mod status;
mod tap;

pub use access::{NoTokens, Tokens};
pub use handed::Handed;
pub(crate) use letters::{letter_object, letter_with_payload};
pub use listen::Unusable;
pub use nodes::NodeStatus;
pub use order::{Desk, Order, Orders, Refused, Wanted, desk};
pub use status::{Absent, EndpointStatus, PipelineStatus, PluginStatus, Status, StepStatus};

use crate::{
    config::{self, Listen, Rate},
    connection::Connector,
    effect::Effects,
    pipeline::tap::Taps,
    plugin::Plugins,
    shutdown::Shutdown,
    source::dead::Place,
};
use access::Access;
use listen::{Listener, Reach};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};
use tokio_util::sync::CancellationToken;

/// What can be looked at, and where it is said what is wanted.
pub struct Window {
    node: String,
    started: SystemTime,
    plugins: Arc<Plugins>,
    effects: Effects,
    connector: Connector,
    /// Cancelled when the node takes nothing new any more.
    quiet: CancellationToken,
    desk: Desk,
    access: Access,
    probe: health::Probe,
    taps: Taps,
    /// What whoever starts and ends pipelines has said last.
    view: RwLock<View>,
}

/// What a window is made of.
pub struct Frame<'a> {
    /// The node's id.
    pub node: &'a str,
    /// The node's plugins.
    pub plugins: Arc<Plugins>,
    /// What it sends requests with.
    pub effects: Effects,
    /// Where its Redis is.
    pub connector: Connector,
    /// The node's; that is what is ended when it is to drain.
    pub shutdown: &'a Shutdown,
    /// Where orders are left for it.
    pub desk: Desk,
    /// Where messages can be seen.
    pub taps: Taps,
    /// Who may do what.
    pub tokens: Option<Tokens>,
    /// What is hidden from those who only read.
    pub redact: &'a [String],
}

#[derive(Debug, Default)]
struct View {
    pipelines: Vec<Shown>,
    /// What is hidden from those who only read.
    redact: Arc<[String]>,
}

/// A pipeline that runs, or that is to run when it is told.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Whether it takes.
    pub stage: Stage,
    /// How fast it takes, if that is limited.
    pub rate: Option<Rate>,
    /// What it takes from, for people.
    pub from: String,
    /// What that is, for the node's own use.
    pub source: config::From,
    /// Plugins, in their order.
    pub filters: Vec<String>,
    /// Plugins.
    pub publish: Vec<String>,
    /// How many messages may be in flight.
    pub in_flight: usize,
    /// Where its dead letters lie, if it has any.
    pub letters: Option<Place>,
}

/// Whether a pipeline takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It does.
    Running,
    /// It is finishing what it has in flight, since somebody paused it then.
    Pausing(SystemTime),
    /// It has nothing in flight.
    Paused(SystemTime),
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pausing(_) => "pausing",
            Self::Paused(_) => "paused",
        }
    }
}

impl Shown {
    /// The pipeline called `name`, at this stage.
    pub fn of(name: &str, pipeline: &config::Pipeline, stage: Stage) -> Self {
        Self {
            name: name.to_owned(),
            stage,
            rate: pipeline.rate.clone(),
            from: pipeline.from.to_string(),
            source: pipeline.from.clone(),
            filters: pipeline.filters.clone(),
            publish: pipeline.publish.clone(),
            in_flight: pipeline.in_flight,
            letters: Place::of(name, pipeline).ok(),
        }
    }
}

impl Window {
    /// Looks into a node that starts now.
    pub fn new(frame: Frame<'_>) -> Arc<Self> {
        let Frame { node, plugins, effects, connector, shutdown, desk, taps, tokens, redact } = frame;
        Arc::new(Self {
            node: node.to_owned(),
            started: SystemTime::now(),
            plugins,
            effects,
            connector,
            quiet: shutdown.quiet().clone(),
            desk,
            access: Access::new(tokens),
            probe: health::Probe::default(),
            taps,
            view: RwLock::new(View { pipelines: Vec::new(), redact: redact.into() }),
        })
    }

    /// These pipelines there are now.
    pub fn shows(&self, pipelines: Vec<Shown>) {
        self.view.write().unwrap_or_else(PoisonError::into_inner).pipelines = pipelines;
    }

    /// From now on these may do what they say, and this is hidden from those who only read.
    pub fn admits(&self, tokens: Option<Tokens>, redact: &[String]) {
        self.access.change(tokens);
        self.view.write().unwrap_or_else(PoisonError::into_inner).redact = redact.into();
    }

    fn reach(&self) -> Reach {
        if self.access.asks() { Reach::Anywhere } else { Reach::Here }
    }

    fn pipelines(&self) -> Vec<Shown> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).pipelines.clone()
    }

    fn has(&self, pipeline: &str) -> bool {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.pipelines.iter().any(|shown| shown.name == pipeline)
    }

    fn redact(&self) -> Arc<[String]> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner).redact)
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
    open(window, Listener::bind(listen, window.reach())?, shutdown);
    Ok(())
}

/// The same at a socket that was handed over.
///
/// # Errors
/// Where the system does not allow it, or others than this machine could look.
pub fn serve_at(window: &Arc<Window>, handed: Handed, shutdown: &Shutdown) -> Result<(), Unusable> {
    open(window, Listener::at(handed, window.reach())?, shutdown);
    Ok(())
}

fn open(window: &Arc<Window>, listener: Listener, shutdown: &Shutdown) {
    let (window, tasks) = (Arc::clone(window), shutdown.clone());
    drop(shutdown.track_until_stop(async move { listener.serve(&window, &tasks).await }));
}
