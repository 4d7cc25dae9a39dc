//! From a core module with the functions of the plugin API to a component: for compilers that know WASI and no components.

use super::v0_1::{PACKAGE, VERSION};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as WASI, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wasmparser::{Encoding, ExternalKind, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../sdk/wit/v0.1/plugin.wit");
/// What a plugin exports, and its largest world, of which only what it imports is asked for.
const WORLDS: [(&str, &str); 3] = [
    ("filtering", "filter-with-lookups"),
    ("publishing", "publisher-with-lookups"),
    ("batching", "batch-publisher-with-lookups"),
];
/// The section by which a module says itself what it is.
const DESCRIBED: &str = "component-type";

/// Why no plugin can be made of a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoComponent {
    /// Nothing is left to do.
    #[error("it is a component already")]
    Already,
    /// It is something else, or damaged.
    #[error("it is not WebAssembly: {0}")]
    NotWasm(String),
    /// It has neither kind's functions.
    #[error("it exports no function of the plugin API: a filter exports `{PACKAGE}filtering@{VERSION}#filter`")]
    NoPlugin,
    /// Its functions are not what their names promise.
    #[error("{0}")]
    Misfit(String),
}

/// The component that a core module with the plugin API's functions describes. Its WASI, if it needs any, is that of
/// version 0.1, as of C compilers.
///
/// # Errors
/// What is no such module is refused, and so is one whose functions have other types than the API's.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, NoComponent> {
    let about = About::of(module)?;
    let mut module = module.to_vec();
    if !about.described {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("plugin.wit", WIT).map_err(misfit)?;
        let world = resolve.select_world(&[package], about.world).map_err(misfit)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(misfit)?;
    }
    let encoder = ComponentEncoder::default().validate(true).module(&module).map_err(misfit)?;
    encoder.adapter(WASI, ADAPTER).map_err(misfit)?.encode().map_err(misfit)
}

/// What a module says of itself.
struct About {
    /// Whether it brings along what it is in the language of components, as generated bindings do.
    described: bool,
    /// Its world in the plugin API.
    world: Option<&'static str>,
}

impl About {
    fn of(module: &[u8]) -> Result<Self, NoComponent> {
        let mut about = Self { described: false, world: None };
        for part in Parser::new(0).parse_all(module) {
            about.read(part.map_err(not_wasm)?)?;
        }
        if about.described || about.world.is_some() { Ok(about) } else { Err(NoComponent::NoPlugin) }
    }

    fn read(&mut self, part: Payload<'_>) -> Result<(), NoComponent> {
        match part {
            Payload::Version { encoding: Encoding::Component, .. } => return Err(NoComponent::Already),
            Payload::CustomSection(section) => self.described |= section.name().starts_with(DESCRIBED),
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(not_wasm)?;
                    if export.kind == ExternalKind::Func {
                        self.world = self.world.or_else(|| world_of(export.name));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The world to which an exported function of this name belongs.
fn world_of(export: &str) -> Option<&'static str> {
    let (interface, _) = export.strip_prefix(PACKAGE)?.split_once('@')?;
    WORLDS.iter().find(|(exported, _)| *exported == interface).map(|(_, world)| *world)
}

/// With its causes, on one line.
fn misfit(error: impl std::fmt::Display) -> NoComponent {
    NoComponent::Misfit(format!("{error:#}"))
}

fn not_wasm(error: wasmparser::BinaryReaderError) -> NoComponent {
    NoComponent::NotWasm(error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The functions of a filter that lets everything pass, and `more`.
    fn filter(more: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                {more}
                (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 0))
                (func (export "gristmill:plugin/filtering@0.1.0#filter") (param i32 i32) (result i32) (i32.const 0)))"#
        );
        wat::parse_str(text).expect("Wasm text")
    }

    fn imports(component: &[u8]) -> Vec<String> {
        let engine = wasmtime::Engine::default();
        let component = wasmtime::component::Component::new(&engine, component).expect("a component");
        component.component_type().imports(&engine).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_module_without_wasi_imports_the_names_of_types_and_no_function() {
        let imports = imports(&componentize(&filter("")).expect("a filter"));
        assert_eq!(imports, ["gristmill:plugin/types@0.1.0"]);
    }

    #[test]
    fn what_a_module_imports_is_what_the_component_imports() {
        let wasi = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
        let log = r#"(import "gristmill:plugin/log@0.1.0" "log" (func (param i32 i32 i32)))"#;
        let imports = imports(&componentize(&filter(&format!("{wasi} {log}"))).expect("a filter"));
        assert!(imports.iter().any(|import| import.starts_with("wasi:cli/stderr@")), "{imports:?}");
        assert!(imports.contains(&"gristmill:plugin/log@0.1.0".to_owned()), "{imports:?}");
        assert!(!imports.iter().any(|import| import.contains("sockets") || import.contains("envelope")), "{imports:?}");
    }

    #[test]
    fn what_is_no_module_of_the_api_is_told_so() {
        let empty = wat::parse_str("(module)").expect("Wasm text");
        assert_eq!(componentize(&empty), Err(NoComponent::NoPlugin));
        assert!(matches!(componentize(b"ELF"), Err(NoComponent::NotWasm(_))));
        assert!(matches!(componentize(empty.get(..6).expect("eight bytes")), Err(NoComponent::NotWasm(_))));
        let component = componentize(&filter("")).expect("a filter");
        assert_eq!(componentize(&component), Err(NoComponent::Already));
    }

    #[test]
    fn a_function_of_another_type_is_named() {
        let text = r#"(module (func (export "gristmill:plugin/filtering@0.1.0#filter")))"#;
        let Err(NoComponent::Misfit(reason)) = componentize(&wat::parse_str(text).expect("Wasm text")) else {
            panic!("it takes a payload");
        };
        assert!(reason.contains("filter"), "{reason}");
    }

    #[test]
    fn a_foreign_import_is_named() {
        let env = r#"(import "env" "emscripten_memcpy" (func))"#;
        let Err(NoComponent::Misfit(reason)) = componentize(&filter(env)) else { panic!("there is no such function") };
        assert!(reason.contains("env"), "{reason}");
    }
}
