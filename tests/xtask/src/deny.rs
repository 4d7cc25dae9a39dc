//! `cargo xtask deny`: what every dependency is held to by `deny.toml`.

use crate::{
    command::{Trouble, run, say},
    fetch,
    places::Places,
};
use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// Set where what cannot be fetched is a failure.
const EVERYTHING: &str = "GRISTMILL_ALL_SERVERS";

pub(crate) fn run_all(places: &Places) -> Result<(), Trouble> {
    let Some(program) = fetch::cargo_deny(places)? else {
        let missing = "cargo-deny cannot be had, so the dependencies are not checked";
        return match env::var_os(EVERYTHING) {
            Some(_) => Err(Trouble::Stuck(missing.to_owned())),
            None => {
                say(missing);
                Ok(())
            }
        };
    };
    run(deny(places, &program).args(["check", "licenses", "bans", "sources"]))?;
    // The database is fetched with git; one that was fetched before is brought up to date.
    let fetched = deny(places, &program).args(["fetch", "db"]).stderr(Stdio::null()).status();
    if fetched.is_ok_and(|status| status.success()) {
        return run(deny(places, &program).args(["check", "--disable-fetch", "advisories"]));
    }
    say(
        "the advisory database (github.com/RustSec/advisory-db) cannot be reached, so known vulnerabilities are NOT looked for",
    );
    Ok(())
}

fn deny(places: &Places, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&places.root).env("CARGO", &places.cargo);
    command
}
