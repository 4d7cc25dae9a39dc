//! Wasm that nobody would write, made by `tests/wild` for the tests and for the fuzzer.

use crate::{
    command::{Trouble, cargo, run},
    places::Places,
};
use std::{fs, path::Path};

/// Writes `count` files into `dir`, where there are none but those afterwards.
pub(crate) fn make(places: &Places, dir: &Path, count: u64, seed: u64) -> Result<(), Trouble> {
    let file = |cause| Trouble::File { what: format!("cannot use {}", dir.display()), cause };
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(file)?;
    }
    fs::create_dir_all(dir).map_err(file)?;
    let mut maker = cargo(places, &["run", "--quiet", "--locked", "--manifest-path"]);
    maker.arg(places.root.join("tests/wild/Cargo.toml")).arg("--target-dir").arg(places.target.join("maker"));
    run(maker.arg("--").arg(dir).args([count.to_string(), seed.to_string()]))
}

/// The number in this variable, or another.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
