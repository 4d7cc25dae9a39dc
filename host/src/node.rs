//! A node: a configuration made to run. The only module that knows all the others.

use crate::{
    admin::{self, Handed, Shown, Window},
    config::{self, Config, EDGE, Fault, Faults, Loaded, Place, Reserved, did_you_mean},
    connection::{self, Access, Connector},
    edge::{self, Edge, Outlet},
    effect::{self, Allowance, Effects, Endpoints, Unusable},
    event,
    lookup::{self, Lookups},
    pipeline::{Parts, Pipeline, Way},
    plugin::{self, Cause, Kind, Plugins, Refusal, Wanted},
    pulse::Pulse,
    random,
    shutdown::Shutdown,
    source::embedded::{self, Embedded},
};
use futures_util::future::join_all;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

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
    /// Brings everything up, or says every reason why not. At a socket that was `handed` over it is looked at there.
    pub async fn start(loaded: &Loaded, shutdown: Shutdown, handed: Option<Handed>) -> Result<Self, Error> {
        let config = &loaded.config;
        let connector = connector(config)?;
        let lookups = Lookups::new(connector.clone());
        let plugins = Arc::new(Plugins::new(&config.data_dir.join("cache"), &config.compile, lookups.clone())?);
        check_databases(loaded)?;
        let endpoints = endpoints(loaded)?;
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
        let mut node = Self {
            window: Window::new(&id, Arc::clone(&plugins), effects.clone()),
            id,
            config: config.clone(),
            plugins,
            lookups,
            effects,
            edge,
            connector,
            running: BTreeMap::new(),
            shutdown,
            pulse: Pulse::default(),
            embedded,
        };
        node.effects.reserve(Reserved::of(&node.config));
        node.shutdown.track_until_stop(node.effects.clone().tend());
        node.effects.configure(&endpoints);
        node.start_pipelines();
        node.open_window(handed);
        event::ready(&node.id, node.running.len());
        Ok(node)
    }

    /// Makes the node do what `loaded` says, the same way as at the start; if it cannot, everything stays as it was.
    pub async fn apply(&mut self, loaded: &Loaded) -> Result<(), Error> {
        check_databases(loaded)?;
        let endpoints = endpoints(loaded)?;
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
            redis, sentinel_user, sentinel_password, tls, plugins_dir, data_dir, lease, compile, admin, ..
        } = self.config.clone();
        let access = Config { redis, sentinel_user, sentinel_password, tls, admin, ..loaded.config.clone() };
        self.config = Config { plugins_dir, data_dir, lease, compile, ..access };
        self.effects.reserve(Reserved::of(&self.config));
        self.effects.configure(&endpoints);
        self.end_outdated().await;
        self.start_pipelines();
        event::reloaded(self.running.len());
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
        for (name, config) in &self.config.pipelines {
            if self.running.contains_key(name) {
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
                shutdown: &self.shutdown,
                pulse: &self.pulse,
            });
            self.running.insert(name.clone(), Running { pipeline, config: config.clone(), publishers });
        }
        let shown =
            |(name, running): (&String, &Running)| Shown { name: name.clone(), rate: running.config.rate.clone() };
        self.window.shows(self.running.iter().map(shown).collect());
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

/// Refuses databases whose addresses nobody can connect to.
pub fn check_databases(loaded: &Loaded) -> Result<(), Error> {
    let fault = |(name, reason): (&str, String)| {
        let text = format!("`url` of [database.{name}] cannot be used: {reason}");
        loaded.fault_at(Place::DatabaseKey(name, "url"), Fault::error(text))
    };
    let faults: Vec<Fault> = lookup::unusable(&loaded.config.databases).into_iter().map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Config(loaded.faults(faults))) }
}

/// What is said of servers, or every file for that which cannot be used.
pub fn endpoints(loaded: &Loaded) -> Result<Endpoints, Error> {
    let fault = |unusable: Unusable| {
        let text = format!("`tls` of [endpoint.\"{}\"] cannot be used: {}", unusable.endpoint, unusable.reason());
        loaded.fault_at(Place::EndpointKey(&unusable.endpoint, "tls"), Fault::error(text))
    };
    let unusable = |list: Vec<Unusable>| Error::Config(loaded.faults(list.into_iter().map(fault).collect()));
    Endpoints::read(&loaded.config.endpoints).map_err(unusable)
}

/// What holds at the edge, or why the keys of its tokens cannot be used.
pub fn edge_settings(loaded: &Loaded) -> Result<edge::Settings, Error> {
    edge::Settings::read(&loaded.config.edge).map_err(|error| {
        let fault = Fault::error(format!("`token_keys` of [edge] cannot be used: {error}"));
        Error::Config(loaded.faults(vec![loaded.fault_at(Place::EdgeKey("token_keys"), fault)]))
    })
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
        ("edge.listen", old.edge.listen.is_some() && old.edge.listen != new.edge.listen),
        ("edge.threads", old.edge.threads != new.edge.threads),
        ("admin", old.admin != new.admin),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// The refusals as faults of the file that names the plugins.
pub fn explain(loaded: &Loaded, refused: &[Refusal]) -> Faults {
    loaded
        .faults(refused.iter().map(|refusal| loaded.fault_at(place(loaded, refusal), fault(loaded, refusal))).collect())
}

fn place<'a>(loaded: &'a Loaded, refusal: &'a Refusal) -> Place<'a> {
    let key = match &refusal.cause {
        Cause::Config(_) => Some("config"),
        Cause::Ungranted(needs) => needs.first().and_then(|need| need.means.key()),
        Cause::NoProgram => Some("mode"),
        Cause::Directory { .. } => Some("allow_dirs"),
        _ => None,
    };
    if let Some(key) = key {
        return Place::PluginKey(&refusal.plugin, key);
    }
    let named = loaded.config.pipelines.iter().find_map(|(name, pipeline)| {
        let position = |names: &[String]| names.iter().position(|name| *name == refusal.plugin);
        let filter = position(&pipeline.filters).map(|index| Place::Filter(name, index));
        filter.or_else(|| position(&pipeline.publish).map(|index| Place::Publisher(name, index)))
    });
    named.unwrap_or(Place::Plugin(&refusal.plugin))
}

fn fault(loaded: &Loaded, refusal: &Refusal) -> Fault {
    let fault = Fault::error(refusal.to_string());
    if refusal.cause != Cause::NoFile {
        return fault;
    }
    let known = plugins_in(&loaded.config.plugins_dir);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match did_you_mean(&refusal.plugin, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => fault.help(format!(
            "there is no plugin in `{}`; put the `.wasm` file there, or set `plugins_dir`",
            loaded.config.plugins_dir.display()
        )),
        None => fault.help(format!("plugins in `{}`: {}", loaded.config.plugins_dir.display(), known.join(", "))),
    }
}

fn plugins_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| plugin::plugin_name(&entry.path())).collect();
    names.sort();
    names
}

/// Unique to this process, and telling where it runs: letters, digits and `-`.
fn node_id() -> String {
    let system = rustix::system::uname();
    let host: String =
        system.nodename().to_string_lossy().chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("{}-{}-{}", host.to_ascii_lowercase(), std::process::id(), random::unique())
}
