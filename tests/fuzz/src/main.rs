//! One program for all fuzz targets; `GRISTMILL_FUZZ` says which one runs, and libFuzzer is its `main`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod targets;

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("only `cargo xtask fuzz` builds this with a fuzzer in it");
}
