//! Plugins as a node loads and calls them.

use bytes::Bytes;
use gristmill::{
    config::{self, Database, DatabaseAddress, SqlGrant, Store},
    lookup::Lookups,
    message::{Change, Message, Verdict},
    plugin::{Plugins, Version},
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

/// Where plugins are loaded.
pub(crate) struct Ours {
    home: tempfile::TempDir,
    lookups: Lookups,
    plugins: Plugins,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let (home, lookups) = (tempfile::tempdir().unwrap(), Lookups::alone());
        let compile = config::Compile { timeout: Duration::from_secs(600), memory_mib: 2_048, file_mib: 64 };
        let plugins = Plugins::new(&home.path().join("cache"), &compile, lookups.clone()).unwrap();
        Self { home, lookups, plugins }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.home.path()
    }

    pub(crate) async fn load(&self, name: &str, wasm: &[u8], settings: config::Plugin) -> Arc<Version> {
        let file = self.dir().join(format!("{name}.wasm"));
        fs::write(&file, wasm).unwrap();
        self.plugins.load(name, &file, &settings).await.unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    pub(crate) fn has_database(&self, name: &str, file: &Path) {
        let database = Database {
            address: DatabaseAddress::Sqlite(file.to_owned()),
            connections: 1,
            timeout: Duration::from_secs(10),
            rows: 10,
            answer_bytes: 64 << 10,
        };
        self.lookups.configure(&BTreeMap::from([(name.to_owned(), database)]));
    }
}

pub(crate) fn settings() -> config::Plugin {
    config::Plugin { timeout: Duration::from_secs(10), ..config::Plugin::default() }
}

/// Of the guest that looks things up.
pub(crate) fn looking_up(mode: &str) -> config::Plugin {
    let plain = settings();
    let sql = SqlGrant { database: "shop".to_owned(), write: false };
    let lookups = config::Lookups { store: Store::Memory, sql: vec![sql], ..plain.lookups.clone() };
    config::Plugin { config: serde_json::json!({ "mode": mode }), lookups, ..plain }
}

pub(crate) fn message(payload: &str) -> Message {
    Message {
        id: "m-1".into(),
        source: "jobs".into(),
        topic: "jobs".into(),
        attempt: 1,
        received_ms: 1,
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

/// One message's way through a filter, as a pipeline goes it.
pub(crate) async fn call(version: &Arc<Version>, message: &Message) -> Verdict {
    let mut lent = version.lend().await.unwrap();
    lent.filter(message).await.unwrap()
}

/// What took the payload's place.
pub(crate) fn payload_of(verdict: Verdict) -> Bytes {
    match verdict {
        Verdict::Replace(Change { payload: Some(payload), .. }) => payload,
        other => panic!("{other:?}"),
    }
}
