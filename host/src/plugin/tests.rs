//! Plugins that behave and plugins that do not, made of a few lines of Wasm text each.

mod calls;
mod cycles;
mod guests;
mod hostile;
mod limits;
mod programs;
mod reload;
mod start;
mod watched;

use super::{Kind, Plugins, Refusal, Version, Wanted};
use crate::{
    config::{self, Isolation},
    lookup::Lookups,
    message::Message,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// A plugins directory, a cache, and the plugins in them.
struct Bench {
    home: tempfile::TempDir,
    plugins: Plugins,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("plugins")).unwrap();
        let plugins = Plugins::new(&home.path().join("cache"), &compile(), Lookups::alone()).unwrap();
        Self { home, plugins }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("plugins")
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    /// Puts `wasm` where the plugin `name` is looked for.
    fn put(&self, name: &str, wasm: &[u8]) -> PathBuf {
        let file = self.dir().join(format!("{name}.wasm"));
        fs::write(&file, wasm).unwrap();
        file
    }

    fn wanted(&self, required: &[(&str, Kind)]) -> Wanted {
        Wanted {
            dir: self.dir(),
            settings: BTreeMap::new(),
            defaults: settings(),
            required: required.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
        }
    }

    async fn load(&self, wasm: &[u8]) -> Result<Arc<Version>, Refusal> {
        self.load_with(wasm, &settings()).await
    }

    async fn load_with(&self, wasm: &[u8], settings: &config::Plugin) -> Result<Arc<Version>, Refusal> {
        let file = self.put("it", wasm);
        self.plugins.load("it", &file, settings).await
    }

    /// Why `wasm` does not come up.
    async fn refusal(&self, wasm: &[u8]) -> String {
        self.load(wasm).await.unwrap_err().to_string()
    }
}

fn compile() -> config::Compile {
    config::Compile { timeout: Duration::from_secs(60), memory_mib: 2_048, file_mib: 64 }
}

fn settings() -> config::Plugin {
    config::Plugin {
        file: None,
        config: serde_json::json!({}),
        timeout: Duration::from_millis(50),
        memory_mib: 2,
        isolation: Isolation::Reuse,
        ..config::Plugin::default()
    }
}

fn message(payload: &str) -> Message {
    Message {
        id: "m-1".into(),
        source: "jobs".into(),
        topic: "news".into(),
        attempt: 1,
        received_ms: 7,
        headers: vec![("User".to_owned(), "ann".to_owned())],
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
