//! What can be read in a plugin's file without running it.

use super::digest::Digest;
use std::collections::BTreeSet;
use wasmparser::{KnownCustom, Parser, Payload};

/// Tools that are told of; a file that names more has something else in mind.
const TOOLS: usize = 100;

/// A component, or a core module, from the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anatomy {
    /// Bytes of the file.
    pub bytes: usize,
    /// The SHA-256 of the file in 64 hex digits; versions are called by the first 12.
    pub sha256: String,
    /// What it cannot be without, as it is named there; of a core module the functions.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
    /// What it was made with.
    pub tools: BTreeSet<Tool>,
}

/// What a file is, as far as what it exports says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature<'a> {
    /// A component that speaks the plugin API.
    Plugin {
        /// What it does with messages: `filter`, `publisher` or `publisher of batches`.
        kind: &'static str,
        /// In which version of the API.
        api: &'a str,
    },
    /// A plain program, which is a filter.
    Program(Wasi),
}

/// What a program is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasi {
    /// A core module for WASI 0.1.
    P1,
    /// A component for WASI 0.2.
    P2,
}

/// The interfaces that make a plugin, and what of it.
const KINDS: [(&str, &str); 3] = [
    ("gristmill:plugin/filtering@", "filter"),
    ("gristmill:plugin/publishing@", "publisher"),
    ("gristmill:plugin/batching@", "publisher of batches"),
];

/// One thing that a plugin was made with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tool {
    /// `language`, `sdk` or `processed-by`.
    pub role: String,
    /// Such as `Rust`.
    pub name: String,
    /// May be empty.
    pub version: String,
}

impl Anatomy {
    /// That of the file with these bytes; nothing but its size and digest where it is no Wasm.
    pub fn of(wasm: &[u8]) -> Self {
        let mut anatomy = Self { bytes: wasm.len(), sha256: Digest::of(wasm).to_string(), ..Self::default() };
        // What modules and components inside import and export is met by their neighbours.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload {
                Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::CustomSection(section)) => anatomy.tools(&section.as_known()),
                Ok(outermost) if depth == 0 => anatomy.note(outermost),
                Ok(_) => {}
                // The compiler says what is wrong with it.
                Err(_) => break,
            }
        }
        anatomy
    }

    /// What it is, if it is anything that a pipeline could use.
    pub fn nature(&self) -> Option<Nature<'_>> {
        let kinds = self.exports.iter().flat_map(|export| {
            KINDS
                .iter()
                .filter_map(|(interface, kind)| export.strip_prefix(interface).map(|api| Nature::Plugin { kind, api }))
        });
        let programs = self.exports.iter().filter_map(|export| match export.as_str() {
            // No name in a component can begin like this.
            "_start" => Some(Nature::Program(Wasi::P1)),
            run if run.starts_with("wasi:cli/run@0.2.") => Some(Nature::Program(Wasi::P2)),
            _ => None,
        });
        kinds.chain(programs).next()
    }

    fn note(&mut self, payload: Payload<'_>) {
        match payload {
            Payload::ComponentImportSection(imports) => {
                self.imports.extend(imports.into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(exports) => {
                self.exports.extend(exports.into_iter().flatten().map(|export| export.name.name.to_owned()));
            }
            Payload::ImportSection(imports) => {
                let imports = imports.into_imports().flatten();
                self.imports.extend(imports.map(|import| format!("{}/{}", import.module, import.name)));
            }
            Payload::ExportSection(exports) => {
                self.exports.extend(exports.into_iter().flatten().map(|export| export.name.to_owned()));
            }
            _ => {}
        }
    }

    fn tools(&mut self, section: &KnownCustom<'_>) {
        let KnownCustom::Producers(fields) = section else { return };
        for field in fields.clone().into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                if self.tools.len() < TOOLS {
                    let (role, name, version) =
                        (field.name.to_owned(), value.name.to_owned(), value.version.to_owned());
                    self.tools.insert(Tool { role, name, version });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_outermost_is_imported_and_exported() {
        let text = r#"(component
            (import "wasi:cli/environment@0.2.0" (instance))
            (core module $m (import "a" "b" (func)) (func (export "inner")))
            (component (import "c" (func)) (export "d" (func 0)))
            (type (func)) (import "f" (func (type 0))) (export "e" (func 0)))"#;
        let wasm = wat::parse_str(text).unwrap();
        let anatomy = Anatomy::of(&wasm);
        assert_eq!(anatomy.imports, ["wasi:cli/environment@0.2.0", "f"]);
        assert_eq!(anatomy.exports, ["e"]);
        assert_eq!((anatomy.bytes, anatomy.sha256.len()), (wasm.len(), 64));
    }

    #[test]
    fn a_core_module_names_functions_and_what_made_it() {
        let text = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "_start"))
            (@producers (language "C" "11") (processed-by "clang" "18")))"#;
        let anatomy = Anatomy::of(&wat::parse_str(text).unwrap());
        assert_eq!(anatomy.imports, ["wasi_snapshot_preview1/fd_write"]);
        assert_eq!(anatomy.exports, ["_start"]);
        let tools: Vec<String> =
            anatomy.tools.iter().map(|tool| format!("{} {} {}", tool.role, tool.name, tool.version)).collect();
        assert_eq!(tools, ["language C 11", "processed-by clang 18"]);
    }

    #[test]
    fn what_it_exports_says_what_it_is() {
        let exporting = |names: &[&str]| Anatomy {
            exports: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Anatomy::default()
        };
        let batches = exporting(&["gristmill:plugin/setup@0.1.0", "gristmill:plugin/batching@0.1.0"]);
        assert_eq!(batches.nature(), Some(Nature::Plugin { kind: "publisher of batches", api: "0.1.0" }));
        assert_eq!(exporting(&["memory", "_start"]).nature(), Some(Nature::Program(Wasi::P1)));
        assert_eq!(exporting(&["wasi:cli/run@0.2.6"]).nature(), Some(Nature::Program(Wasi::P2)));
        // A plugin may have a `main` beside.
        let both = exporting(&["wasi:cli/run@0.2.0", "gristmill:plugin/filtering@0.2.0"]);
        assert_eq!(both.nature(), Some(Nature::Plugin { kind: "filter", api: "0.2.0" }));
        for nothing in ["wasi:cli/run@0.3.0", "gristmill:plugin/setup@0.1.0", "run"] {
            assert_eq!(exporting(&[nothing]).nature(), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_wasm_has_a_size_and_nothing_else() {
        let anatomy = Anatomy::of(b"\0asm\x0d\0\x01\0\xff\xff\xff");
        assert_eq!((anatomy.bytes, anatomy.imports.len() + anatomy.exports.len()), (11, 0));
        assert_eq!(Anatomy::of(b"text").tools, BTreeSet::new());
    }
}
