//! From a plugin's bytes to machine code: out of the cache, or compiled by a process of its own, one plugin at a time.
//!
//! What strangers wrote can make any compiler take time and memory without end, so it works where both are bounded and
//! where its death is nobody else's. What it answers is trusted as if it had been made here: it is the same program,
//! started by us, talking to us alone. The process is there to bound it, not to distrust it.

pub(super) mod child;
mod parent;
#[cfg(test)]
mod tests;

use super::{
    cache::{self, Cache},
    code::{Code, Form},
    digest::Digest,
    fault,
    refusal::Cause,
};
use crate::{config, event};
use bytes::Bytes;
use parent::Parent;
use std::{path::Path, sync::Arc, time::Instant};
use tokio::sync::Mutex;
use wasmtime::Engine;

/// Compiles one plugin after the other, off the runtime's threads.
pub(super) struct Compiler {
    cache: Arc<Cache>,
    engine: Engine,
    parent: Parent,
    /// Whoever holds it may compile.
    turn: Mutex<()>,
}

impl Compiler {
    /// Compiled plugins are kept in `cache_dir`.
    pub(super) fn new(engine: &Engine, cache_dir: &Path, settings: &config::Compile) -> Self {
        let cache = Arc::new(Cache::new(cache_dir, engine));
        Self { cache, engine: engine.clone(), parent: Parent::of_this_program(settings), turn: Mutex::default() }
    }

    /// The machine code of `bytes`; `digest` is theirs.
    ///
    /// # Errors
    /// Bytes that are no Wasm are refused, and so is what cannot be compiled within its limits.
    pub(super) async fn code(&self, bytes: Bytes, digest: Digest) -> Result<Code, Cause> {
        let form = Form::of(&bytes).ok_or(Cause::NotWasm)?;
        if let Some(code) = self.cached(form, digest).await {
            return Ok(code);
        }
        let _turn = self.turn.lock().await;
        // It may have been compiled under another name meanwhile.
        if let Some(code) = self.cached(form, digest).await {
            return Ok(code);
        }
        let start = Instant::now();
        let entry = self.parent.entry(&bytes, digest).await?;
        let code = self.load_and_keep(entry, form, digest).await?;
        event::plugin_compiled(&digest.short(), start.elapsed());
        Ok(code)
    }

    async fn cached(&self, form: Form, digest: Digest) -> Option<Code> {
        let cache = Arc::clone(&self.cache);
        tokio::task::spawn_blocking(move || cache.load(form, digest)).await.ok()?
    }

    async fn load_and_keep(&self, entry: Vec<u8>, form: Form, digest: Digest) -> Result<Code, Cause> {
        let (cache, engine) = (Arc::clone(&self.cache), self.engine.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            let artifact = cache::sound(&entry).ok_or_else(|| parent::garbage(digest))?;
            let code = form.load(&engine, artifact).map_err(|error| unusable(&fault::one_line(&error)))?;
            cache.store(digest, &entry);
            Ok(code)
        });
        loaded.await.map_err(|_| Cause::Ending)?
    }
}

/// What wasmtime says of bytes that it does not compile or load; that may be for want of room.
fn unusable(line: &str) -> Cause {
    match fault::limit_named_in(line) {
        Some(limit) => Cause::Beyond(limit, line.to_owned()),
        None => Cause::Invalid(line.to_owned()),
    }
}
