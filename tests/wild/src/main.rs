//! Makes Wasm that nobody would write: whatever chance chooses, with the functions of a plugin, of a program, or with any.
//!
//! `wild DIR COUNT SEED` writes so many different files; the same seed makes the same ones.

use arbitrary::{Arbitrary, Result, Unstructured};
use std::{collections::BTreeSet, env, error::Error, fs, path::Path};
use wasm_smith::{Component, Config, Module};

/// Bytes of chance for one file.
const CHANCE: usize = 4096;

/// Bytes that a memory may begin with.
const MEMORY: u64 = 1 << 20;

/// What a plugin of each kind has to have, and may ask of the host.
const FILTER: &str = r#"(module
    (import "gristmill:plugin/envelope@0.1.0" "attempt" (func (result i32)))
    (import "gristmill:plugin/envelope@0.1.0" "id" (func (param i32)))
    (import "gristmill:plugin/envelope@0.1.0" "header" (func (param i32 i32 i32)))
    (import "gristmill:plugin/log@0.1.0" "log" (func (param i32 i32 i32)))
    (import "gristmill:plugin/store@0.1.0" "get" (func (param i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 0))
    (func (export "gristmill:plugin/filtering@0.1.0#filter") (param i32 i32) (result i32) (i32.const 0)))"#;
const PUBLISHER: &str = r#"(module
    (import "gristmill:plugin/log@0.1.0" "log" (func (param i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 0))
    (func (export "gristmill:plugin/publishing@0.1.0#publish") (param i32 i32) (result i32) (i32.const 0))
    (func (export "gristmill:plugin/publishing@0.1.0#answered") (param i32 i32 i32 i32) (result i32) (i32.const 0)))"#;
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")))"#;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [dir, count, seed] = &words[..] else { return Err("usage: DIR COUNT SEED".into()) };
    let (dir, count, mut random) = (Path::new(dir), count.parse()?, seed.parse()?);
    let shapes = [FILTER, PUBLISHER, PROGRAM].map(wat::parse_str).into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let mut made = BTreeSet::new();
    while made.len() < count {
        let chance: Vec<u8> = (0..CHANCE / 8).flat_map(|_| next(&mut random).to_le_bytes()).collect();
        // Where there was too little chance for what was begun there is nothing.
        if let Ok(wasm) = wasm(&mut Unstructured::new(&chance), &shapes)
            && !made.contains(&wasm)
        {
            fs::write(dir.join(format!("wild-{:03}.wasm", made.len())), &wasm)?;
            made.insert(wasm);
        }
    }
    Ok(())
}

/// SplitMix64, by Sebastiano Vigna: https://prng.di.unimi.it/splitmix64.c
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn wasm(choices: &mut Unstructured<'_>, shapes: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut wasm = match choices.int_in_range(0..=9)? {
        0..=3 => module(choices, shapes.first())?,
        4 => module(choices, shapes.get(1))?,
        5..=7 => module(choices, shapes.get(2))?,
        8 => module(choices, None)?,
        _ => component(choices)?,
    };
    damage(&mut wasm, choices)?;
    Ok(wasm)
}

/// A core module, with the exports and among the imports of `shape`.
fn module(choices: &mut Unstructured<'_>, shape: Option<&Vec<u8>>) -> Result<Vec<u8>> {
    let mut config = Config::arbitrary(choices)?;
    config.exports = shape.cloned();
    config.available_imports = shape.cloned();
    config.max_memory32_bytes = MEMORY;
    // Components have none of 64 bits, and the host takes few proposals: most of what is made shall run.
    if choices.ratio(9, 10)? {
        config.memory64_enabled = false;
        config.gc_enabled = false;
        config.reference_types_enabled = false;
        config.exceptions_enabled = false;
        config.threads_enabled = false;
        config.custom_page_sizes_enabled = false;
        config.shared_everything_threads_enabled = false;
        config.wide_arithmetic_enabled = false;
    }
    config.disallow_traps = choices.ratio(1, 2)?;
    config.allow_start_export = choices.ratio(1, 8)?;
    Ok(Module::new(config, choices)?.to_bytes())
}

fn component(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let config = Config::arbitrary(choices)?;
    Ok(Component::new(config, choices)?.to_bytes())
}

/// Breaks one in eight: an end that is missing, or a byte that is another.
fn damage(wasm: &mut Vec<u8>, choices: &mut Unstructured<'_>) -> Result<()> {
    if !choices.ratio(1, 8)? || wasm.is_empty() {
        return Ok(());
    }
    let place = choices.choose_index(wasm.len())?;
    if choices.ratio(1, 2)? {
        wasm.truncate(place);
    } else if let Some(byte) = wasm.get_mut(place) {
        *byte = choices.arbitrary()?;
    }
    Ok(())
}
