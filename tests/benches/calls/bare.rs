//! The same done by wasmtime alone: instances from a pool, epochs that interrupt, and nothing else of what a host of strangers' code needs.

use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store,
    component::{self, Component, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    p1::{self, WasiP1Ctx},
    p2::{
        bindings::CommandPre,
        pipe::{MemoryInputPipe, MemoryOutputPipe},
    },
};

mod api {
    wasmtime::component::bindgen!({
        path: "../sdk/wit/v0.1",
        world: "gristmill:plugin/filter-with-lookups",
        exports: { default: async },
    });
}

use api::{exports::gristmill::plugin::filtering::Verdict, gristmill::plugin::types::LookupFailure};

/// Bytes that a program may write.
const OUTPUT: usize = 1 << 20;

pub(crate) struct Bare(Engine);

/// A component of the plugin API.
pub(crate) struct Filter {
    engine: Engine,
    pre: FilterPre,
    values: Values,
}

type FilterPre = api::FilterWithLookupsPre<State>;
type Values = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// Its instance.
pub(crate) struct Instance {
    store: Store<State>,
    filter: api::FilterWithLookups,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    values: Values,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Bare {
    pub(crate) fn new() -> Self {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .concurrency_support(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
        Self(Engine::new(&config).unwrap())
    }

    pub(crate) fn filter(&self, wasm: &[u8]) -> Filter {
        let component = Component::new(&self.0, wasm).unwrap();
        let mut linker = component::Linker::<State>::new(&self.0);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let mut store = linker.instance("gristmill:plugin/store@0.1.0").unwrap();
        let get = |cx: wasmtime::StoreContextMut<'_, State>, (key,): (String,)| {
            let found = cx.data().values.lock().unwrap().get(&key).cloned();
            Ok((Ok::<_, LookupFailure>(found),))
        };
        store.func_wrap("get", get).unwrap();
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let pre = FilterPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        let values = Values::new(Mutex::new(HashMap::from([("first".to_owned(), b"7".to_vec())])));
        Filter { engine: self.0.clone(), pre, values }
    }

    pub(crate) fn program(&self, wasm: &[u8]) -> Program {
        let entry = match Module::new(&self.0, wasm) {
            Ok(module) => {
                let mut linker = wasmtime::Linker::new(&self.0);
                p1::add_to_linker_async(&mut linker, |wasi: &mut WasiP1Ctx| wasi).unwrap();
                Entry::Module(linker.instantiate_pre(&module).unwrap())
            }
            Err(_) => {
                let component = Component::new(&self.0, wasm).unwrap();
                let mut linker = component::Linker::<State>::new(&self.0);
                wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
                Entry::Command(CommandPre::new(linker.instantiate_pre(&component).unwrap()).unwrap())
            }
        };
        Program { engine: self.0.clone(), entry }
    }
}

impl Filter {
    pub(crate) async fn start(&self, config: &str) -> Instance {
        let (wasi, values) = (WasiCtx::builder().build(), Arc::clone(&self.values));
        let mut store = Store::new(&self.engine, State { wasi, table: ResourceTable::new(), values });
        store.set_epoch_deadline(u64::MAX / 2);
        let filter = self.pre.instantiate_async(&mut store).await.unwrap();
        filter.gristmill_plugin_setup().call_init(&mut store, config).await.unwrap().unwrap();
        Instance { store, filter }
    }
}

impl Instance {
    pub(crate) async fn call(&mut self, payload: &[u8]) {
        let filtering = self.filter.gristmill_plugin_filtering();
        let verdict = filtering.call_filter(&mut self.store, payload).await.unwrap();
        assert!(matches!(verdict, Ok(Verdict::Pass)));
    }
}

/// A plain program.
pub(crate) struct Program {
    engine: Engine,
    entry: Entry,
}

enum Entry {
    Module(wasmtime::InstancePre<WasiP1Ctx>),
    Command(CommandPre<State>),
}

impl Program {
    /// What it writes when it reads `input`.
    pub(crate) async fn run(&self, input: &Bytes) -> Bytes {
        let output = MemoryOutputPipe::new(OUTPUT);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdin(MemoryInputPipe::new(input.clone())).stdout(output.clone());
        match &self.entry {
            Entry::Module(pre) => {
                let mut store = Store::new(&self.engine, wasi.build_p1());
                store.set_epoch_deadline(u64::MAX / 2);
                let instance = pre.instantiate_async(&mut store).await.unwrap();
                let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
                start.call_async(&mut store, ()).await.unwrap();
            }
            Entry::Command(pre) => {
                let state = State { wasi: wasi.build(), table: ResourceTable::new(), values: Values::default() };
                let mut store = Store::new(&self.engine, state);
                store.set_epoch_deadline(u64::MAX / 2);
                let command = pre.instantiate_async(&mut store).await.unwrap();
                command.wasi_cli_run().call_run(&mut store).await.unwrap().unwrap();
            }
        }
        output.contents()
    }
}
