//! From a plugin's bytes to machine code: out of the cache, or compiled on one thread that gives way to everything else.

use super::{
    Error,
    cache::Cache,
    code::{Code, Form},
    digest::Digest,
    fault,
    refusal::Cause,
};
use crate::event;
use bytes::Bytes;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};
use wasmtime::Engine;

/// Plugins that may wait for the compiler before those who ask have to wait, too.
const WAITING: usize = 64;
/// Bytes of stack; the compiler recurses over what strangers have nested.
const STACK: usize = 16 << 20;
/// How much the compiler gives way, on the system's scale to 19.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Compiles one plugin after the other, off the runtime's threads; its thread ends when this is dropped.
pub(super) struct Compiler {
    cache: Arc<Cache>,
    jobs: mpsc::Sender<Job>,
}

struct Job {
    bytes: Bytes,
    form: Form,
    digest: Digest,
    done: oneshot::Sender<Result<Code, Cause>>,
}

impl Compiler {
    /// Starts the thread; compiled plugins are kept in `cache_dir`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn new(engine: &Engine, cache_dir: &Path) -> Result<Self, Error> {
        let cache = Arc::new(Cache::new(cache_dir, engine));
        let (jobs, waiting) = mpsc::channel(WAITING);
        let (engine, kept) = (engine.clone(), Arc::clone(&cache));
        let thread = std::thread::Builder::new().name("plugin-compiler".to_owned()).stack_size(STACK);
        thread.spawn(move || work(&engine, &kept, waiting)).map_err(Error::Thread)?;
        Ok(Self { cache, jobs })
    }

    /// The machine code of `bytes`; `digest` is theirs.
    ///
    /// # Errors
    /// Bytes that are no Wasm are refused.
    pub(super) async fn code(&self, bytes: Bytes, digest: Digest) -> Result<Code, Cause> {
        let form = Form::of(&bytes).ok_or(Cause::NotWasm)?;
        let cache = Arc::clone(&self.cache);
        let cached = tokio::task::spawn_blocking(move || cache.load(form, digest)).await;
        if let Ok(Some(code)) = cached {
            return Ok(code);
        }
        let (done, result) = oneshot::channel();
        let sent = self.jobs.send(Job { bytes, form, digest, done }).await;
        sent.map_err(|_| Cause::Ending)?;
        result.await.map_err(|_| Cause::Ending)?
    }
}

fn work(engine: &Engine, cache: &Cache, mut jobs: mpsc::Receiver<Job>) {
    give_way();
    while let Some(job) = jobs.blocking_recv() {
        let compiled = catch_unwind(AssertUnwindSafe(|| compile(engine, cache, &job)));
        let result = compiled.unwrap_or_else(|_| {
            event::compiler_panicked(&job.digest.short());
            Err(Cause::Invalid("the compiler gave up on it".to_owned()))
        });
        // Whoever asked may have gone; the work is in the cache all the same.
        drop(job.done.send(result));
    }
}

fn compile(engine: &Engine, cache: &Cache, job: &Job) -> Result<Code, Cause> {
    // It may have been compiled under another name while this job waited.
    if let Some(code) = cache.load(job.form, job.digest) {
        return Ok(code);
    }
    let start = Instant::now();
    let artifact = job.form.compile(engine, &job.bytes).map_err(unusable)?;
    let code = job.form.load(engine, &artifact).map_err(unusable)?;
    event::plugin_compiled(&job.digest.short(), start.elapsed());
    cache.store(job.digest, &artifact);
    Ok(code)
}

/// What is compiled may still be more than there is room for.
fn unusable(error: wasmtime::Error) -> Cause {
    let reason = fault::one_line(&error);
    match fault::limit(&error) {
        Some(limit) => Cause::Beyond(limit, reason),
        None => Cause::Invalid(reason),
    }
}

/// Lowers the priority of this thread; it is no loss where that cannot be done.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(reason) = rustix::process::setpriority_process(None, NICENESS) {
        event::compiler_keeps_priority(&reason);
    }
}
