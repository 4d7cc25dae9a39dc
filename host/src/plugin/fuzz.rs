//! What `cargo xtask fuzz` does with the file of a plugin.

use super::{
    Kind, Plugins, Version, engine::Engine, fault::one_line, needs::Needs, parse_head, parse_line, v0_1::Exports,
};
use crate::{
    config,
    lookup::Lookups,
    message::{Fault, Message, Verdict},
};
use bytes::Bytes;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::Component;

/// For loading and two calls, on a machine that has other things to do; what has no limit takes for ever.
const PATIENCE: Duration = Duration::from_secs(20);
/// `(module (func (export "_start")))`.
const IDLER: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";
/// Descriptors and threads that may be there beside those of the start.
const MORE: usize = 8;

/// Whatever is in a file, it is a plugin of some kind or refused in one line of words; and so is what it needs.
pub fn component(bytes: &[u8]) {
    let needs = Needs::of(bytes);
    assert!(needs.iter().all(|need| !need.to_string().contains('\n')), "{needs}");
    static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(|| Engine::new().ok());
    let Some(engine) = ENGINE.as_ref().map(Engine::wasm) else { return };
    if !bytes.starts_with(b"\0asm\x0d\0\x01\0") {
        return;
    }
    let refused = match Component::new(engine, bytes) {
        Ok(component) => Exports::of(&component, engine).err().map(|cause| cause.to_string()),
        Err(error) => Some(one_line(&error)),
    };
    assert!(refused.is_none_or(|why| !why.is_empty() && !why.contains('\n')));
}

/// Whatever a program that is fed lines answers, it is a verdict or it is said why it is none.
pub fn line(bytes: &[u8]) {
    if let Err(garbled) = parse_line(bytes) {
        assert!(!garbled.to_string().is_empty());
    }
}

/// Whatever a program writes that puts headers in front, the rest of it is the payload.
pub fn head(bytes: &[u8]) {
    if let Ok(change) = parse_head(&Bytes::copy_from_slice(bytes)) {
        assert!(change.payload.is_some_and(|payload| bytes.ends_with(&payload)));
        assert!(change.headers.iter().all(|(name, _)| !name.contains(['\n', ':'])));
    }
}

/// Whatever Wasm comes, it is refused in one line or runs within its limits; and a program beside it, which drops everything,
/// goes on dropping.
pub fn whole(wasm: &[u8]) {
    static HOST: LazyLock<Host> = LazyLock::new(Host::new);
    HOST.runtime.block_on(HOST.meet(wasm));
}

/// A host that meets one plugin after the other.
struct Host {
    runtime: Runtime,
    plugins: Plugins,
    beside: Arc<Version>,
    file: PathBuf,
    held: usize,
}

impl Host {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(2).build().expect("a runtime");
        let compile = config::Compile { timeout: Duration::from_secs(60), memory_mib: 1_024, file_mib: 64 };
        // Nothing can be kept there.
        let plugins = Plugins::new(Path::new("/dev/null/cache"), &compile, Lookups::alone()).expect("an engine");
        let file = std::env::temp_dir().join(format!("gristmill-fuzz-{}.wasm", std::process::id()));
        fs::write(&file, IDLER).expect("a temporary file");
        let settings = config::Plugin::default();
        let beside = runtime.block_on(plugins.load("beside", &file, &settings)).expect("a good plugin");
        Self { runtime, plugins, beside, file, held: held() }
    }

    async fn meet(&self, wasm: &[u8]) {
        fs::write(&self.file, wasm).expect("a temporary file");
        let timeout = Duration::from_millis(20);
        let settings = config::Plugin { timeout, memory_mib: 4, ..config::Plugin::default() };
        let start = Instant::now();
        match self.plugins.load("wild", &self.file, &settings).await {
            Ok(version) => {
                call(&version).await;
                call(&version).await;
            }
            Err(refusal) => is_sentence(&refusal.to_string()),
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
        let mut lent = self.beside.lend().await.expect("there is room");
        assert_eq!(lent.filter(&message()).await, Ok(Verdict::Drop(None)));
        assert!(held() <= self.held + MORE, "{} descriptors and threads, {} at first", held(), self.held);
    }
}

async fn call(version: &Arc<Version>) {
    let mut lent = match version.lend().await {
        Ok(lent) => lent,
        Err(fault) => return is_sentence(fault.reason()),
    };
    let answer = match version.kind() {
        Kind::Filter => lent.filter(&message()).await.map(drop),
        Kind::Publisher => lent.publish(&message()).await.map(drop),
    };
    // Its own words may be anything.
    if let Err(Fault::Broken { reason, .. }) = answer {
        is_sentence(&reason);
    }
}

fn message() -> Message {
    Message {
        id: "m-1".into(),
        source: "wild".into(),
        topic: "wild".into(),
        attempt: 1,
        received_ms: 1,
        headers: Vec::new(),
        payload: Bytes::from_static(b"{}"),
    }
}

fn is_sentence(said: &str) {
    assert!(!said.is_empty() && !said.contains('\n'), "{said:?}");
}

/// Descriptors and threads of this process.
fn held() -> usize {
    ["/proc/self/fd", "/proc/self/task"].into_iter().filter_map(|dir| fs::read_dir(dir).ok()).map(Iterator::count).sum()
}
