//! How a plugin is built before it is tried.

use crate::cli::near;
use anyhow::{Context, bail};
use serde::Deserialize;
use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Where a plugin comes from.
#[derive(Debug)]
pub(super) enum Build {
    /// It lies there.
    Nothing(PathBuf),
    /// Cargo makes it, in this directory.
    Cargo(PathBuf),
    /// This shell command makes that file.
    Shell(String, PathBuf),
}

impl Build {
    pub(super) fn of(plugin: &Path, command: Option<&str>) -> Self {
        match command {
            Some(command) => Self::Shell(command.to_owned(), plugin.to_owned()),
            None if plugin.join("Cargo.toml").is_file() => Self::Cargo(plugin.to_owned()),
            None => Self::Nothing(plugin.to_owned()),
        }
    }

    /// The directory that holds what it is built from; none where nothing is built.
    pub(super) fn sources(&self) -> Option<&Path> {
        match self {
            Self::Nothing(_) => None,
            Self::Cargo(dir) => Some(dir),
            Self::Shell(..) => Some(Path::new(".")),
        }
    }

    /// Builds, and returns the plugin's file; dropping the future ends the build.
    pub(super) async fn run(&self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Nothing(file) => near::exists(file).map(|()| file.clone()),
            Self::Cargo(dir) => cargo(dir).await,
            Self::Shell(command, file) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", command]).stdin(Stdio::null()).stdout(to_stderr()?).kill_on_drop(true);
                let status = shell.status().await.context("cannot run `sh`")?;
                if !status.success() {
                    bail!("`{command}` failed ({status}); what it said stands above");
                }
                near::exists(file).with_context(|| format!("`{command}` has not made the plugin"))?;
                Ok(file.clone())
            }
        }
    }
}

/// What a build says is talk, wherever it says it.
fn to_stderr() -> anyhow::Result<Stdio> {
    let copy = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned();
    Ok(copy.context("stderr cannot be shared")?.into())
}

async fn cargo(dir: &Path) -> anyhow::Result<PathBuf> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(program);
    build.args([
        "build",
        "--quiet",
        "--release",
        "--target",
        "wasm32-wasip2",
        "--message-format",
        "json-render-diagnostics",
    ]);
    build.current_dir(dir).stdin(Stdio::null()).stderr(to_stderr()?).kill_on_drop(true);
    let output = build.stdout(Stdio::piped()).spawn().context("cannot run `cargo`")?.wait_with_output().await?;
    if !output.status.success() {
        bail!("`cargo build --release --target wasm32-wasip2` failed ({}); why stands above", output.status);
    }
    let manifest = dir.join("Cargo.toml").canonicalize().context("cannot find Cargo.toml")?;
    component(&output.stdout, &manifest).with_context(|| {
        format!(
            "`{}` makes no plugin; has its `[lib]` the line `crate-type = [\"cdylib\", \"rlib\"]`?",
            manifest.display()
        )
    })
}

/// A line of cargo's.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The file that cargo has made of the package with this manifest.
fn component(said: &[u8], manifest: &Path) -> Option<PathBuf> {
    let lines = said.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    let own = lines.filter(|line| line.reason == "compiler-artifact" && line.manifest_path == manifest);
    let mut files = own.flat_map(|line| line.filenames);
    files.find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_the_component_of_the_project_itself() {
        let said = br#"{"reason":"compiler-artifact","manifest_path":"/sdk/Cargo.toml","filenames":["/t/libsdk.rlib"]}
{"reason":"compiler-artifact","manifest_path":"/other/Cargo.toml","filenames":["/t/other.wasm"]}
no json
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/libp.rlib","/t/p.wasm"]}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(component(said, Path::new("/p/Cargo.toml")), Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(component(said, Path::new("/q/Cargo.toml")), None);
    }

    #[tokio::test]
    async fn a_command_that_fails_is_named() {
        let build = Build::of(Path::new("p.wasm"), Some("exit 3"));
        assert_eq!(
            build.run().await.unwrap_err().to_string(),
            "`exit 3` failed (exit status: 3); what it said stands above"
        );
        let file = tempfile::NamedTempFile::with_suffix(".wasm").unwrap();
        let build = Build::of(file.path(), Some("true"));
        assert_eq!(build.run().await.unwrap(), file.path());
        let build = Build::of(Path::new("no/p.wasm"), Some("true"));
        let said = format!("{:#}", build.run().await.unwrap_err());
        assert!(said.starts_with("`true` has not made the plugin: there is no file `no/p.wasm`"), "{said}");
    }
}
