//! A node: a configuration made to run. The only module that knows all the others.

mod faults;
mod traces;

pub use faults::{check_databases, edge_settings, endpoints, explain, tokens};

use crate::{
    admin::{self, Desk, Frame, Handed, Shown, Stage, Window},
    config::{self, Config, EDGE, Faults, Loaded, Reserved},
    connection::{self, Access, Connector},
    edge::{self, Edge, Outlet},
    effect::{self, Allowance, Effects},
    event,
    lookup::Lookups,
    pipeline::{Parts, Pipeline, Way, tap::Taps},
    plugin::{self, Kind, Plugins, Refusal, Wanted},
    pulse::Pulse,
    random,
    shutdown::Shutdown,
    source::embedded::{self, Embedded},
};
use futures_util::future::join_all;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use traces::Traces;

/// Why a node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration, or a plugin it names, cannot be used.
    #[error("{}", .0.render(false))]
    Config(Faults),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] connection::Error),
    /// The private server does not come up.
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    /// This machine cannot run plugins.
    #[error(transparent)]
    Plugins(#[from] plugin::Error),
    /// Clients cannot be served.
    #[error(transparent)]
    Edge(#[from] edge::Unusable),
    /// This machine cannot send requests.
    #[error(transparent)]
    Effects(#[from] effect::Error),
}

/// What a node has to do with those who look at it and steer it.
#[derive(Debug)]
pub struct Front {
    /// A socket that others listened at before, to be listened at instead of where the configuration says.
    pub handed: Option<Handed>,
    /// Where orders are left.
    pub desk: Desk,
}

/// There is no pipeline with this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPipeline;

/// A running node.
#[derive(Debug)]
pub struct Node {
    id: String,
    config: Config,
    plugins: Arc<Plugins>,
    window: Arc<Window>,
    lookups: Lookups,
    effects: Effects,
    edge: Option<Edge>,
    connector: Connector,
    running: BTreeMap<String, Running>,
    /// Pipelines that are to take nothing, and since when.
    paused: BTreeMap<String, SystemTime>,
    taps: Taps,
    traces: Traces,
    shutdown: Shutdown,
    pulse: Pulse,
    #[expect(dead_code, reason = "held for its drop, which ends the server after everything else")]
    embedded: Option<Embedded>,
}

#[derive(Debug)]
struct Running {
    pipeline: Pipeline,
    config: config::Pipeline,
    /// The settings of its publishers, which say what they may send.
    publishers: Vec<config::Plugin>,
}

impl Node {
    /// Brings everything up, or says every reason why not.
    pub async fn start(loaded: &Loaded, shutdown: Shutdown, front: Front) -> Result<Self, Error> {
        let config = &loaded.config;
        let connector = connector(config)?;
        let lookups = Lookups::new(connector.clone());
        let plugins = Arc::new(Plugins::new(&config.data_dir.join("cache"), &config.compile, lookups.clone())?);
        check_databases(loaded)?;
        let (endpoints, tokens) = (endpoints(loaded)?, tokens(loaded)?);
        let settings = edge_settings(loaded)?;
        let prepared =
            plugins.prepare(wanted(config)).await.map_err(|refused| Error::Config(explain(loaded, &refused)))?;
        let embedded = match config.redis {
            config::Redis::Embedded { port } => Some(Embedded::start(&embedded_dir(config), port).await?),
            config::Redis::Url(_) => None,
        };
        connector.check().await?;
        if let Some(embedded) = &embedded {
            event::embedded_ready(embedded.port);
        }
        lookups.configure(&config.databases);
        let edge = config.edge.listen.map(|address| Edge::start(address, settings)).transpose()?;
        plugins.commit(prepared);
        let id = node_id();
        let effects = Effects::new()?.with_redis(connector.clone());
        let taps = Taps::default();
        let window = Window::new(Frame {
            node: &id,
            plugins: Arc::clone(&plugins),
            effects: effects.clone(),
            connector: connector.clone(),
            shutdown: &shutdown,
            desk: front.desk,
            taps: taps.clone(),
            tokens,
            redact: &config.admin.redact,
        });
        let mut node = Self {
            window,
            id,
            config: config.clone(),
            plugins,
            lookups,
            effects,
            edge,
            connector,
            running: BTreeMap::new(),
            paused: BTreeMap::new(),
            taps,
            traces: Traces::default(),
            shutdown,
            pulse: Pulse::default(),
            embedded,
        };
        node.effects.reserve(Reserved::of(&node.config));
        node.shutdown.track_until_stop(node.effects.clone().tend());
        node.effects.configure(&endpoints);
        node.traces = Traces::start(&node.config.traces, &node.id, &node.effects, &node.shutdown);
        node.start_pipelines();
        node.open_window(front.handed);
        event::ready(&node.id, node.running.len());
        Ok(node)
    }

    /// Makes the node do what `loaded` says, the same way as at the start; if it cannot, everything stays as it was.
    pub async fn apply(&mut self, loaded: &Loaded) -> Result<(), Error> {
        check_databases(loaded)?;
        let (endpoints, tokens) = (endpoints(loaded)?, tokens(loaded)?);
        let settings = edge_settings(loaded)?;
        let refused = |refused: Vec<Refusal>| Error::Config(explain(loaded, &refused));
        let prepared = tokio::select! {
            prepared = self.plugins.prepare(wanted(&loaded.config)) => prepared.map_err(refused)?,
            () = self.shutdown.quiet().cancelled() => return Ok(()),
        };
        match (&self.edge, loaded.config.edge.listen) {
            (Some(edge), _) => edge.configure(settings),
            (None, Some(address)) => self.edge = Some(Edge::start(address, settings)?),
            (None, None) => {}
        }
        for key in needs_restart(&self.config, &loaded.config) {
            event::needs_restart(key);
        }
        self.lookups.configure(&loaded.config.databases);
        self.plugins.commit(prepared);
        let Config {
            redis,
            sentinel_user,
            sentinel_password,
            tls,
            plugins_dir,
            data_dir,
            lease,
            compile,
            admin,
            log,
            traces,
            ..
        } = self.config.clone();
        let admin = config::Admin { listen: admin.listen, ..loaded.config.admin.clone() };
        let access = Config { redis, sentinel_user, sentinel_password, tls, admin, ..loaded.config.clone() };
        self.config = Config { plugins_dir, data_dir, lease, compile, log, traces, ..access };
        self.effects.reserve(Reserved::of(&self.config));
        self.effects.configure(&endpoints);
        self.window.admits(tokens, &self.config.admin.redact);
        self.end_outdated().await;
        self.start_pipelines();
        event::reloaded(self.running.len());
        Ok(())
    }

    /// Lets a pipeline take nothing new until it is resumed, whatever is reloaded meanwhile; ends when what it had in flight is done, or
    /// given back.
    pub async fn pause(&mut self, name: &str) -> Result<(), NoPipeline> {
        if !self.config.pipelines.contains_key(name) {
            return Err(NoPipeline);
        }
        if self.paused.contains_key(name) {
            return Ok(());
        }
        event::pausing(name);
        self.paused.insert(name.to_owned(), SystemTime::now());
        self.show(Some(name));
        if let Some(running) = self.running.remove(name) {
            event::paused(name, running.pipeline.end(self.config.shutdown.grace).await);
        }
        self.show(None);
        Ok(())
    }

    /// Lets a pipeline take again.
    pub fn resume(&mut self, name: &str) -> Result<(), NoPipeline> {
        if !self.config.pipelines.contains_key(name) {
            return Err(NoPipeline);
        }
        if self.paused.remove(name).is_some() {
            self.start_pipelines();
            event::resumed(name);
        }
        Ok(())
    }

    /// How many pipelines take.
    pub fn pipelines(&self) -> usize {
        self.running.len()
    }

    /// What tells whether it still does what it must.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// How long messages in flight may take to finish at the end.
    pub fn grace(&self) -> Duration {
        self.config.shutdown.grace
    }

    /// Looks at changed plugin files.
    pub async fn refresh(&self, changed: &[PathBuf]) {
        // What is refused has been told, and what was in force still is.
        drop(self.plugins.refresh(changed).await);
    }

    /// Takes nothing new, lets what is in flight finish, gives the rest back. True when all finished.
    pub async fn end(mut self) -> bool {
        self.shutdown.quiet().cancel();
        self.edge.iter().for_each(Edge::quiet);
        let grace = self.config.shutdown.grace;
        let running = std::mem::take(&mut self.running);
        let ended = join_all(running.into_values().map(|running| running.pipeline.end(grace))).await;
        // Last, so that clients have heard of everything, or find it when they come back.
        if let Some(edge) = &self.edge {
            edge.end(grace).await;
        }
        self.traces.finish().await;
        self.effects.finish().await;
        self.shutdown.end(Duration::ZERO).await;
        ended.into_iter().all(|finished| finished)
    }

    async fn end_outdated(&mut self) {
        let config = &self.config;
        let outdated = |name: &str, running: &Running| {
            config.pipelines.get(name) != Some(&running.config)
                || publishers(config, &running.config) != running.publishers
        };
        let ending = self.running.extract_if(.., |name, running| outdated(name, running));
        let grace = config.shutdown.grace;
        join_all(ending.map(|(_, running)| running.pipeline.end(grace))).await;
    }

    fn start_pipelines(&mut self) {
        let known = &self.config.pipelines;
        self.paused.retain(|name, _| known.contains_key(name));
        for (name, config) in &self.config.pipelines {
            if self.running.contains_key(name) || self.paused.contains_key(name) {
                continue;
            }
            let publishers = publishers(&self.config, config);
            let slots = |names: &[String]| names.iter().filter_map(|name| self.plugins.slot(name)).collect::<Vec<_>>();
            let pipeline = Pipeline::start(Parts {
                name,
                config,
                filters: slots(&config.filters),
                publishers: self.ways(config, &publishers),
                effects: self.effects.clone(),
                node: &self.id,
                lease: self.config.lease,
                connector: self.connector.clone(),
                tracer: self.traces.tracer(),
                shutdown: &self.shutdown,
                pulse: &self.pulse,
                taps: self.taps.clone(),
            });
            self.running.insert(name.clone(), Running { pipeline, config: config.clone(), publishers });
        }
        self.show(None);
    }

    /// Lets it be seen which pipelines there are; one of them may still be `ending`, to pause.
    fn show(&self, ending: Option<&str>) {
        let stage = |name: &str| match self.paused.get(name) {
            Some(since) if ending == Some(name) => Stage::Pausing(*since),
            Some(since) => Stage::Paused(*since),
            None => Stage::Running,
        };
        let shown = |(name, config): (&String, &config::Pipeline)| Shown::of(name, config, stage(name));
        self.window.shows(self.config.pipelines.iter().map(shown).collect());
    }

    /// What the `publish` of a pipeline names; `settings` are those of its publishers, in the same order.
    fn ways(&self, config: &config::Pipeline, settings: &[config::Plugin]) -> Vec<Way> {
        let way = |(name, settings): (&String, &config::Plugin)| match &self.edge {
            Some(edge) if name == EDGE => Some(Way::Edge(Outlet::new(edge.clone(), config.edge.clone()))),
            _ => Some(Way::Plugin(self.plugins.slot(name)?, Allowance::new(settings))),
        };
        config.publish.iter().zip(settings).filter_map(way).collect()
    }

    /// Messages flow whether anybody can look at the node or not.
    fn open_window(&self, handed: Option<Handed>) {
        let (place, opened) = match (handed, &self.config.admin.listen) {
            (Some(handed), _) => (handed.place(), admin::serve_at(&self.window, handed, &self.shutdown)),
            (None, Some(listen)) => (listen.to_string(), admin::serve(&self.window, listen, &self.shutdown)),
            (None, None) => return,
        };
        if let Err(reason) = opened {
            event::admin_off(&place, &reason);
        }
    }
}

/// Connects to where the server is, started or not.
pub fn connector(config: &Config) -> Result<Connector, connection::Error> {
    let url = match &config.redis {
        config::Redis::Embedded { .. } => embedded::url(&embedded_dir(config)),
        config::Redis::Url(url) => url.clone(),
    };
    Connector::with(&Access {
        url,
        tls: config.tls.clone(),
        sentinel_user: config.sentinel_user.clone(),
        sentinel_password: config.sentinel_password.clone(),
    })
}

fn embedded_dir(config: &Config) -> PathBuf {
    config.data_dir.join("redis")
}

/// The plugins `config` asks for.
pub fn wanted(config: &Config) -> Wanted {
    let mut required = BTreeMap::new();
    for pipeline in config.pipelines.values() {
        required.extend(pipeline.filters.iter().map(|name| (name.clone(), Kind::Filter)));
        let plugins = pipeline.publish.iter().filter(|name| *name != EDGE);
        required.extend(plugins.map(|name| (name.clone(), Kind::Publisher)));
    }
    Wanted {
        dir: config.plugins_dir.clone(),
        settings: config.plugins.clone(),
        defaults: config::Plugin::default(),
        required,
    }
}

fn publishers(config: &Config, pipeline: &config::Pipeline) -> Vec<config::Plugin> {
    pipeline.publish.iter().map(|name| config.plugins.get(name).cloned().unwrap_or_default()).collect()
}

/// Keys that a reload does not change.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        ("redis", old.redis != new.redis),
        ("sentinel_user", old.sentinel_user != new.sentinel_user),
        ("sentinel_password", old.sentinel_password != new.sentinel_password),
        ("tls", old.tls != new.tls),
        ("plugins_dir", old.plugins_dir != new.plugins_dir),
        ("data_dir", old.data_dir != new.data_dir),
        ("lease", old.lease != new.lease),
        ("compile", old.compile != new.compile),
        ("log", old.log != new.log),
        ("traces", old.traces != new.traces),
        ("edge.listen", old.edge.listen.is_some() && old.edge.listen != new.edge.listen),
        ("edge.threads", old.edge.threads != new.edge.threads),
        ("admin", old.admin.listen != new.admin.listen),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// Unique to this process, and telling where it runs: letters, digits and `-`.
fn node_id() -> String {
    let system = rustix::system::uname();
    let host: String =
        system.nodename().to_string_lossy().chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("{}-{}-{}", host.to_ascii_lowercase(), std::process::id(), random::unique())
}
