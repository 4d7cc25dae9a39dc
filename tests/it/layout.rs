//! The order of the modules and the house's limits hold in the source itself.

mod source;

use gristmill_tests::built;
use source::{File, files_below};
use std::{fs, path::Path};

/// These four stand side by side.
const STRANGERS: [&str; 4] = ["source", "plugin", "effect", "edge"];
const LONGEST: usize = 450;

/// Who may name Redis types beside `connection`, `source` and `effect/redis.rs`, and why.
const REDIS_ELSEWHERE: [(&str, &str); 2] = [
    ("lookup/shelf.rs", "stores of plugins lie in the node's Redis"),
    ("lookup/tests/shelf.rs", "and its test looks into it"),
];

/// The modules of the host in the order of `lib.rs`.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(built::repository().join("host/src/lib.rs")).unwrap();
    let modules: Vec<String> = File::new("lib.rs", &text).declared_modules();
    assert!(modules.len() > 2, "lib.rs declares modules");
    modules
}

fn host() -> Vec<File> {
    files_below(&built::repository().join("host/src"))
}

/// Wants nothing in `wrong`, one line for each offence.
#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_module_names_only_those_before_it() {
    let modules = modules();
    let place = |name: &str| modules.iter().position(|module| module == name);
    let mut wrong = Vec::new();
    for file in host() {
        let Some(own) = place(file.module()) else {
            continue;
        };
        for named in file.named_modules() {
            if place(&named).is_some_and(|named| named > own) {
                wrong.push(format!("{}: `{named}` stands behind `{}` in lib.rs", file.path, file.module()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn source_plugin_effect_and_edge_never_name_each_other() {
    let is_stranger = |name: &str| STRANGERS.contains(&name);
    let mut wrong = Vec::new();
    for file in host().iter().filter(|file| is_stranger(file.module())) {
        for named in file.named_modules() {
            if is_stranger(&named) && named != file.module() {
                wrong.push(format!("{}: names `{named}`", file.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_module_file_belongs_to_a_module_of_lib_rs() {
    let modules = modules();
    let strays = host().into_iter().filter(|file| {
        !["lib", "main"].contains(&file.module()) && !modules.iter().any(|module| module == file.module())
    });
    none(&strays.map(|file| format!("{}: no module of lib.rs", file.path)).collect::<Vec<_>>());
}

#[test]
fn wasm_types_stay_in_plugin() {
    let outside = host().into_iter().filter(|file| file.module() != "plugin");
    let names = outside.filter(|file| file.names_crate("wasmtime") || file.names_crate("wasmtime_wasi"));
    none(&names.map(|file| format!("{}: names wasmtime", file.path)).collect::<Vec<_>>());
}

#[test]
fn redis_types_stay_in_connection_source_and_its_effect() {
    let may = |file: &File| {
        ["connection", "source"].contains(&file.module())
            || file.path == "effect/redis.rs"
            || REDIS_ELSEWHERE.iter().any(|(path, _)| *path == file.path)
    };
    let names = host().into_iter().filter(|file| !may(file) && file.names_crate("redis"));
    none(&names.map(|file| format!("{}: names redis", file.path)).collect::<Vec<_>>());
}

#[test]
fn no_file_is_too_long() {
    let root = built::repository();
    let files = ["host", "sdk"].iter().flat_map(|dir| files_below(&root.join(dir)));
    let long = files.filter(|file| file.lines() > LONGEST);
    none(&long.map(|file| format!("{}: {} lines, more than {LONGEST}", file.path, file.lines())).collect::<Vec<_>>());
}

#[test]
fn every_file_begins_with_a_sentence_about_what_lives_there() {
    let root = built::repository();
    let dirs = ["host/src", "sdk/src", "sdk/macros/src", "tests", "plugins"];
    let files = dirs
        .iter()
        .map(|dir| root.join(dir))
        .filter(|dir| dir.is_dir())
        .flat_map(|dir: std::path::PathBuf| files_below(Path::new(&dir)));
    let bare = files
        .filter(|file| !file.path.ends_with("tests.rs") && !file.path.contains("/ui/") && !file.begins_with_a_doc());
    none(&bare.map(|file| format!("{}: no `//!` at its top", file.path)).collect::<Vec<_>>());
}
