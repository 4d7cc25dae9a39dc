//! `cargo xtask test`: everything built, every test run.

use crate::{
    command::{Trouble, cargo, run},
    fetch, guests, languages,
    places::Places,
    setup, wild,
};

/// Files of `tests/wild`, unless `GRISTMILL_WILD` says otherwise, and the seed they grow from, or `GRISTMILL_WILD_SEED`.
const WILD: (u64, u64) = (40, 1);

pub(crate) fn run_all(places: &Places, arguments: &[String]) -> Result<(), Trouble> {
    setup::run_all()?;
    fetch::run_all(places)?;
    guests::plugins(places, None)?;
    guests::guests(places)?;
    let (count, seed) = (wild::number("GRISTMILL_WILD", WILD.0), wild::number("GRISTMILL_WILD_SEED", WILD.1));
    wild::make(places, &places.target.join("wild"), count, seed)?;
    build_host(places)?;
    if wants_languages(arguments) {
        languages::run_all(places, &[])?;
    }
    let mut test = cargo(places, &["test"]);
    native(places, &mut test)?;
    run(test.args(arguments))
}

/// Whoever runs a few tests by name is not made to wait for compilers of languages that they have nothing to do with.
fn wants_languages(arguments: &[String]) -> bool {
    let names_one = |argument: &String| ["languages", "author"].iter().any(|test| argument.contains(test));
    arguments.is_empty() || arguments.iter().any(names_one)
}

/// Builds the host for the demo and the tests alike.
///
/// Both name the same packages to cargo: it unites the features of what is named, and another selection would
/// compile wasmtime a second time.
pub(crate) fn build_host(places: &Places) -> Result<(), Trouble> {
    let mut build = cargo(places, &["build"]);
    native(places, &mut build)?;
    run(build.args(["--bin", "gristmill"]))
}

/// Names every package but the guests, which are of no use outside Wasm.
fn native(places: &Places, command: &mut std::process::Command) -> Result<(), Trouble> {
    command.arg("--workspace");
    let guests =
        places.guest_crates().map_err(|cause| Trouble::File { what: "cannot look for guests".to_owned(), cause })?;
    for guest in guests {
        command.args(["--exclude", &guest.package]);
    }
    Ok(())
}
