//! What a fresh machine lacks: the wasm32-wasip2 target, and a Redis server.

use crate::command::{Trouble, run, say};
use std::{env, path::Path, process::Command};

const TARGET: &str = "wasm32-wasip2";

/// Either server will do.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

pub(crate) fn run_all() -> Result<(), Trouble> {
    wasm_target()?;
    redis_server()
}

/// Adds the target that plugins are built for, if it is missing.
pub(crate) fn wasm_target() -> Result<(), Trouble> {
    if has_wasm_target() {
        return Ok(());
    }
    if !on_path("rustup") {
        return Err(Trouble::Stuck(format!(
            "this Rust has no `{TARGET}` target and there is no rustup to add it: install Rust through https://rustup.rs"
        )));
    }
    run(Command::new("rustup").args(["target", "add", TARGET]))
}

/// Installs a Redis server, if there is none and we may.
pub(crate) fn redis_server() -> Result<(), Trouble> {
    if SERVERS.iter().any(|server| on_path(server)) {
        return Ok(());
    }
    if !on_path("apt-get") || !is_root() {
        return Err(Trouble::Stuck("there is no `redis-server` on the PATH: install the package `redis-server` (Debian: `sudo apt-get install redis-server`), or `redis` or `valkey` elsewhere".to_owned()));
    }
    say("installing redis-server; its service stays off for now, since every node and test starts a private server");
    run(&mut apt_shell("apt-get update"))?;
    run(&mut apt_shell(INSTALL))
}

/// Installs the package without starting its service: Debian asks `policy-rc.d` whether it may, and 101 means no.
const INSTALL: &str = r#"policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap "rm -f $policy" EXIT INT TERM
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod +x $policy
fi
apt-get install -y --no-install-recommends redis-server"#;

/// A shell in which apt asks nothing.
fn apt_shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn has_wasm_target() -> bool {
    let Ok(output) = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output() else {
        return false;
    };
    let dir = String::from_utf8_lossy(&output.stdout);
    output.status.success() && Path::new(dir.trim()).is_dir()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_or_not() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program"));
    }
}
