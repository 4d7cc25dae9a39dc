//! The machine that runs plugins: wasmtime with every limit on, and the clock its deadlines are measured by.

use super::{Error, state::MEMORIES};
use crate::event;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Nanoseconds between two looks at the deadlines.
const TICK_NANOS: u64 = 5_000_000;
pub(super) const TICK: Duration = Duration::from_nanos(TICK_NANOS);
/// Instances that can live at once; half and less is tried where address space is short.
const INSTANCES: [u32; 4] = [1_000, 250, 50, 10];
/// Elements of one table at most; interpreters compiled to Wasm need 10,000, dynamically linked ones more.
const TABLE_ELEMENTS: usize = 100_000;
/// Core instances and tables of one component at most; dynamically linked Python has some forty.
const PARTS: u32 = 1_000;
/// For each instance that can live; most have one or two, and those that have more shall leave room for others.
const MEMORIES_EACH: u32 = 4;
/// As for memories.
const TABLES_EACH: u32 = 16;
/// The largest linear memory there is; each plugin's own limit is enforced per instance.
const MEMORY_BYTES: usize = 4 << 30;
/// Bytes of native stack that a guest may use.
const WASM_STACK: usize = 1 << 20;
/// Bytes of the stack that a guest and the host functions it calls share.
const WHOLE_STACK: usize = 2 << 20;

/// The engine and the thread that moves its clock; the thread ends with it.
pub(super) struct Engine {
    wasm: wasmtime::Engine,
    instances: u32,
    ticks: Arc<AtomicU64>,
    stop: Option<SyncSender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl Engine {
    /// Reserves address space and starts the clock.
    ///
    /// # Errors
    /// Where not even ten instances fit into the address space, or no thread can be started.
    pub(super) fn new() -> Result<Self, Error> {
        let (wasm, instances) = reserve()?;
        let ticks = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = sync_channel::<()>(0);
        let (engine, count) = (wasm.clone(), Arc::clone(&ticks));
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let ticker = std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(tick);
        Ok(Self { wasm, instances, ticks, stop: Some(stop), ticker: Some(ticker.map_err(Error::Thread)?) })
    }

    /// wasmtime itself.
    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// How many instances can live at once.
    pub(super) fn instances(&self) -> u32 {
        self.instances
    }

    /// The ticks since the engine was made.
    pub(super) fn now(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// What has passed since it was `start`, to the tick.
    pub(super) fn since(&self, start: u64) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(start).saturating_mul(TICK_NANOS))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(ticker) = self.ticker.take() {
            // It has nothing to tell but that it panicked, which the panic hook has told already.
            drop(ticker.join());
        }
    }
}

/// The number of ticks that surely last `time`.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(u128::from(TICK_NANOS))).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// An engine with room for as many instances as there is address space for, and how many that are.
fn reserve() -> Result<(wasmtime::Engine, u32), Error> {
    let mut refused = None;
    for instances in INSTANCES {
        match wasmtime::Engine::new(&config(instances)) {
            Ok(engine) => {
                if let Some(reason) = refused {
                    event::instances_limited(instances, &reason);
                }
                return Ok((engine, instances));
            }
            Err(error) => refused = Some(format!("{error:#}")),
        }
    }
    Err(Error::Engine(refused.unwrap_or_default()))
}

/// An engine that compiles what the others run, and has no room for instances.
pub(super) fn for_compiling() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code())
}

fn config(instances: u32) -> Config {
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    config
}

/// All that machine code depends on.
fn code() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WHOLE_STACK);
    config
}

/// Everything here is only an upper bound on address space until an instance touches it.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let memories = u32::try_from(MEMORIES).unwrap_or(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_memories(instances.saturating_mul(MEMORIES_EACH))
        .total_tables(instances.saturating_mul(TABLES_EACH))
        .total_core_instances(instances.saturating_mul(PARTS))
        .max_core_instances_per_component(PARTS)
        .max_memories_per_component(memories)
        .max_memories_per_module(memories)
        .max_tables_per_component(PARTS)
        .max_tables_per_module(PARTS)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_BYTES)
        // The scan looks for written pages that are present. One that the kernel moves or swaps out at that moment is neither
        // found nor given back, and the next instance, which may be another plugin's, reads it. So everything is given back.
        .pagemap_scan(Enabled::No);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_the_time_given() {
        assert_eq!(ticks(Duration::from_millis(50)), 11);
        assert_eq!(ticks(Duration::from_millis(51)), 12);
        assert_eq!(ticks(Duration::ZERO), 1);
    }
}
