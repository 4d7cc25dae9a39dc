//! Components out of Wasm text: a module with the canonical names, wrapped by the world it says it is for.

use wasm_encoder::{Component, ComponentSection, ComponentSectionId, InstanceSection, ModuleArg, RawSection};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

const WIT: &str = include_str!("../../../../sdk/wit/v0.1/plugin.wit");

/// As much of WASI as the guests here use, and something no plugin gets.
const FOREIGN: [&str; 4] = [
    "package wasi:io@0.2.0;
     interface error { resource error; }
     interface poll { resource pollable { block: func(); } }
     interface streams {
       use error.{error};
       variant stream-error { last-operation-failed(error), closed }
       resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
     }",
    "package wasi:clocks@0.2.0;
     interface monotonic-clock {
       use wasi:io/poll@0.2.0.{pollable};
       subscribe-duration: func(when: u64) -> pollable;
     }",
    "package wasi:cli@0.2.0;
     interface stderr { use wasi:io/streams@0.2.0.{output-stream}; get-stderr: func() -> output-stream; }
     interface run { run: func() -> result; }",
    "package wasi:http@0.2.0; interface types { send: func(); }",
];

const FILTERING: &str = "gristmill:plugin/filtering@0.1.0#filter";

/// Wraps `module` as what the world `world` of `wit` describes; `wit` may use the plugin API and [`FOREIGN`].
pub(super) fn component(wit: &str, world: &str, module: &str) -> Vec<u8> {
    component_in(StringEncoding::UTF8, wit, world, module)
}

/// As [`component`], with its strings in this encoding.
fn component_in(encoding: StringEncoding, wit: &str, world: &str, module: &str) -> Vec<u8> {
    let (resolve, world) = resolve(WIT, wit, world);
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// A component that has the shape of `world` and traps whatever it is asked.
pub(super) fn hollow(world: &str) -> Vec<u8> {
    hollow_by(WIT, world)
}

/// As [`hollow`], by an API that has `theirs` where ours has `ours`.
pub(super) fn hollow_in(world: &str, ours: &str, theirs: &str) -> Vec<u8> {
    assert_eq!(WIT.matches(ours).count(), 1, "{ours}");
    hollow_by(&WIT.replace(ours, theirs), world)
}

fn hollow_by(api: &str, world: &str) -> Vec<u8> {
    let (resolve, world) = resolve(api, "package test:none;", &format!("gristmill:plugin/{world}@0.1.0"));
    let mut module =
        wit_component::dummy_module(&resolve, world, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

fn resolve(api: &str, wit: &str, world: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    resolve.push_str("plugin.wit", api).unwrap();
    for foreign in FOREIGN {
        resolve.push_str("foreign.wit", foreign).unwrap();
    }
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    (resolve, world)
}

/// A filter that imports what `wit` says besides the API, with `imports` in Wasm text, and does `body`.
///
/// The payload lies at `$ptr`, `$len` bytes long; 1024 to 2047 are zero, which as an answer at 1024 means pass.
/// From 2048 on lie the bytes of `data`; from 8192 on what the host hands over.
pub(super) struct Guest<'a> {
    pub(super) wit: &'a str,
    pub(super) imports: &'a str,
    pub(super) init: &'a str,
    pub(super) body: &'a str,
    pub(super) data: &'a str,
    pub(super) pages: u32,
}

pub(super) const PLAIN: Guest<'static> =
    Guest { wit: "", imports: "", init: "(i32.const 1024)", body: "(i32.const 1024)", data: "", pages: 1 };

impl Guest<'_> {
    pub(super) fn filter(&self) -> Vec<u8> {
        self.filter_in(StringEncoding::UTF8)
    }

    pub(super) fn filter_in(&self, encoding: StringEncoding) -> Vec<u8> {
        let wit = format!(
            "package test:guest;
             world guest {{
               import gristmill:plugin/envelope@0.1.0;
               import gristmill:plugin/log@0.1.0;
               {}
               export gristmill:plugin/setup@0.1.0;
               export gristmill:plugin/filtering@0.1.0;
             }}",
            self.wit
        );
        component_in(encoding, &wit, "guest", &self.module(FILTERING, "(param $ptr i32) (param $len i32)"))
    }

    fn module(&self, export: &str, params: &str) -> String {
        let Self { imports, init, body, data, pages, .. } = self;
        format!(
            r#"(module
                 {imports}
                 (memory (export "memory") {pages})
                 (data (i32.const 2048) "{data}")
                 (global $heap (mut i32) (i32.const 8192))
                 (func (export "cabi_realloc") (param i32 i32 i32) (param $n i32) (result i32) (local $p i32)
                   (local.set $p (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                   (global.set $heap (i32.add (local.get $p) (local.get $n)))
                   (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                     (then (if (i32.eq (i32.const -1)
                                 (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $n) (i32.const 16)))))
                       (then (unreachable)))))
                   (local.get $p))
                 (func $forget (param i32) (global.set $heap (i32.const 8192)))
                 (func (export "gristmill:plugin/setup@0.1.0#init") (param $ptr i32) (param $len i32) (result i32) {init})
                 (func $call (export "{export}") {params} (result i32) {body})
                 (export "cabi_post_{export}" (func $forget)))"#
        )
    }
}

/// A filter that does `body` with the plain API.
pub(super) fn filter(body: &str) -> Vec<u8> {
    Guest { body, ..PLAIN }.filter()
}

/// A filter that passes everything; `tag` makes one differ from another.
pub(super) fn pass(tag: &str) -> Vec<u8> {
    Guest { data: tag, ..PLAIN }.filter()
}

/// Replaces the payload with the `data` of the guest.
pub(super) fn replace(data: &str) -> Vec<u8> {
    let body = format!(
        "(i32.store8 (i32.const 1028) (i32.const 1))
         (i32.store8 (i32.const 1052) (i32.const 1))
         (i32.store (i32.const 1056) (i32.const 2048))
         (i32.store (i32.const 1060) (i32.const {}))
         (i32.const 1024)",
        data.len()
    );
    Guest { body: &body, data, ..PLAIN }.filter()
}

/// A publisher that asks for one request with the payload as its body, and for nothing more once the reply is 200.
pub(super) fn publisher() -> Vec<u8> {
    // One request at 1104: method, url, headers, body and timeout of its case from 1112 on.
    let module = r#"(module
        (memory (export "memory") 1)
        (data (i32.const 2048) "POSThttp://sink/")
        (global $heap (mut i32) (i32.const 8192))
        (func (export "cabi_realloc") (param i32 i32 i32) (param $n i32) (result i32) (local $p i32)
          (local.set $p (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
          (global.set $heap (i32.add (local.get $p) (local.get $n)))
          (local.get $p))
        (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
        (func (export "gristmill:plugin/publishing@0.1.0#publish") (param i32 i32) (result i32)
          (i32.store (i32.const 1028) (i32.const 1104))
          (i32.store (i32.const 1032) (i32.const 1))
          (i32.store (i32.const 1112) (i32.const 2048))
          (i32.store (i32.const 1116) (i32.const 4))
          (i32.store (i32.const 1120) (i32.const 2052))
          (i32.store (i32.const 1124) (i32.const 12))
          (i32.store8 (i32.const 1148) (i32.const 1))
          (i32.store (i32.const 1152) (i32.const 250))
          (i32.const 1024))
        (func (export "gristmill:plugin/publishing@0.1.0#answered") (param i32 i32) (param $replies i32) (param $n i32) (result i32)
          ;; The first reply: its case, whether it is an error, then the status.
          (i32.store (i32.const 1032) (i32.const 0))
          (i32.store8 (i32.const 1024) (i32.ne (i32.load16_u offset=8 (local.get $replies)) (i32.const 200)))
          (i32.store8 (i32.const 1028) (i32.const 1))
          (i32.store (i32.const 1032)
            (select (i32.const 2048) (i32.const 0) (i32.load8_u (i32.const 1024))))
          (i32.store (i32.const 1036) (i32.const 4))
          (if (i32.eqz (i32.load8_u (i32.const 1024)))
            (then (i32.store (i32.const 1028) (i32.const 1104))))
          (i32.const 1024)))"#;
    component("package test:none;", "gristmill:plugin/publisher@0.1.0", module)
}

/// Wraps `module` as the world `filter` of `wit`, which has nothing to do with the real API.
pub(super) fn alone(wit: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("alone.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("filter")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// A publisher that asks for `requests` requests, with nothing but the payload in them, whatever it is told.
pub(super) fn greedy(requests: u32) -> Vec<u8> {
    let ask = format!(
        "(i32.store (i32.const 1028) (i32.const 131072)) (i32.store (i32.const 1032) (i32.const {requests})) (i32.const 1024)"
    );
    // A realloc that needs no more than one place: nothing that is handed over is looked at.
    let module = format!(
        r#"(module
            (memory (export "memory") 4)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
            (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
            (func (export "gristmill:plugin/publishing@0.1.0#publish") (param i32 i32) (result i32) {ask})
            (func (export "gristmill:plugin/publishing@0.1.0#answered") (param i32 i32 i32 i32) (result i32) {ask}))"#
    );
    component("package test:none;", "gristmill:plugin/publisher@0.1.0", &module)
}

/// A filter that passes everything, and has `count` instances of the core module `module` beside its own.
pub(super) fn crowd(count: usize, module: &str) -> Vec<u8> {
    let mut component = pass("");
    let sections = wasmparser::Parser::new(0).parse_all(&component).map(Result::unwrap);
    let own = |payload: &wasmparser::Payload<'_>| matches!(payload, wasmparser::Payload::ModuleSection { .. });
    let index = sections.filter(own).count() as u32;
    let module = wat::parse_str(module).unwrap();
    RawSection { id: ComponentSectionId::CoreModule.into(), data: &module }.append_to_component(&mut component);
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        instances.instantiate(index, Vec::<(&str, ModuleArg)>::new());
    }
    instances.append_to_component(&mut component);
    component
}

/// A component that holds the component `inner` and nothing else.
pub(super) fn around(inner: &[u8]) -> Vec<u8> {
    let mut outer = Component::new();
    outer.section(&RawSection { id: ComponentSectionId::Component.into(), data: inner });
    outer.finish()
}
