//! The SDK as a project carries it along: the crates of the repository, standing by themselves.

use super::project::{REPOSITORY, below};
use anyhow::Context;
use std::mem;
use toml::{Table, Value};

/// Its directory in a project.
const DIR: &str = "gristmill-sdk/";

/// The files of the SDK, by their paths in a project.
pub(super) fn files() -> anyhow::Result<Vec<(String, String)>> {
    let workspace = workspace()?;
    let mut files = Vec::new();
    for (path, text) in below("sdk/") {
        let text = match path.rsplit('/').next() {
            Some("Cargo.toml") => standalone(text, &workspace).with_context(|| format!("`sdk/{path}`"))?,
            _ => text.to_owned(),
        };
        files.push((format!("{DIR}{path}"), text));
    }
    files.extend(
        REPOSITORY
            .iter()
            .filter(|(path, _)| *path == "LICENSE")
            .map(|(path, text)| (format!("{DIR}{path}"), (*text).to_owned())),
    );
    Ok(files)
}

/// What the crates of the repository inherit.
fn workspace() -> anyhow::Result<Table> {
    let (_, root) =
        REPOSITORY.iter().find(|(path, _)| *path == "Cargo.toml").context("no manifest of the workspace")?;
    let mut root: Table = toml::from_str(root)?;
    table(&mut root, "workspace").context("no workspace").map(mem::take)
}

/// `manifest` without anything that it inherits from `workspace`, or that only its own tests need.
fn standalone(manifest: &str, workspace: &Table) -> anyhow::Result<String> {
    let mut manifest: Table = toml::from_str(manifest)?;
    manifest.remove("lints");
    manifest.remove("dev-dependencies");
    let inherited = |key: &str| workspace.get(key).and_then(Value::as_table).with_context(|| format!("no `{key}`"));
    if let Some(package) = table(&mut manifest, "package") {
        inherit(package, inherited("package")?)?;
    }
    if let Some(dependencies) = table(&mut manifest, "dependencies") {
        inherit(dependencies, inherited("dependencies")?)?;
    }
    for (_, target) in table(&mut manifest, "target").into_iter().flatten() {
        if let Some(dependencies) = target.as_table_mut().and_then(|target| table(target, "dependencies")) {
            inherit(dependencies, inherited("dependencies")?)?;
        }
    }
    Ok(format!("# Made by gristmill {}.\n\n{}", env!("CARGO_PKG_VERSION"), toml::to_string(&manifest)?))
}

fn table<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    table.get_mut(key).and_then(Value::as_table_mut)
}

/// Replaces every `key.workspace = true` by what the workspace says of that key.
fn inherit(table: &mut Table, workspace: &Table) -> anyhow::Result<()> {
    for (key, value) in table {
        if value.get("workspace").and_then(Value::as_bool) == Some(true) {
            *value = workspace.get(key).with_context(|| format!("the workspace has no `{key}`"))?.clone();
        }
        if let Some(Value::String(path)) = value.get_mut("path") {
            // Seen from the root of the repository there, and from the SDK here.
            *path = path.trim_start_matches("sdk/").to_owned();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_manifests_inherit_nothing() {
        let files = files().unwrap();
        let manifests: Vec<&(String, String)> = files.iter().filter(|(path, _)| path.ends_with("Cargo.toml")).collect();
        assert_eq!(manifests.len(), 2);
        for (path, text) in manifests {
            assert!(!text.contains("workspace"), "{path}: {text}");
        }
        let (_, sdk) = files.iter().find(|(path, _)| path == "gristmill-sdk/Cargo.toml").unwrap();
        let sdk: Table = toml::from_str(sdk).unwrap();
        assert_eq!(sdk["dependencies"]["gristmill-sdk-macros"]["path"].as_str(), Some("macros"));
        assert_eq!(sdk["package"]["edition"].as_str(), Some("2024"));
    }

    #[test]
    fn everything_that_it_is_compiled_from_is_there() {
        let files = files().unwrap();
        for path in
            ["src/lib.rs", "src/json/scan.rs", "macros/src/lib.rs", "wit/v0.1/plugin.wit", "README.md", "LICENSE"]
        {
            assert!(files.iter().any(|(known, _)| *known == format!("gristmill-sdk/{path}")), "{path}");
        }
    }
}
