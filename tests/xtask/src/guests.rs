//! Building crates into components, and putting those where nodes and tests look for them.

use crate::{
    command::{Trouble, cargo, run, say},
    places::{Guest, Places},
};
use std::{fs, io, path::Path};

/// Builds all plugins, or the one called `only`.
pub(crate) fn plugins(places: &Places, only: Option<&str>) -> Result<(), Trouble> {
    let crates =
        places.plugin_crates().map_err(|cause| Trouble::File { what: "cannot look for plugins".to_owned(), cause })?;
    let Some(name) = only else {
        return build(places, &crates, &places.plugins());
    };
    let name = name.replace('_', "-");
    match crates.iter().find(|guest| guest.name == name) {
        Some(guest) => build(places, std::slice::from_ref(guest), &places.plugins()),
        None => {
            let known: Vec<&str> = crates.iter().map(|guest| guest.name.as_str()).collect();
            Err(Trouble::Stuck(format!("there is no plugin `{name}`; there are: {}", known.join(", "))))
        }
    }
}

/// Builds what the tests need beside the plugins.
pub(crate) fn guests(places: &Places) -> Result<(), Trouble> {
    let crates =
        places.guest_crates().map_err(|cause| Trouble::File { what: "cannot look for guests".to_owned(), cause })?;
    build(places, &crates, &places.target.join("guests"))
}

fn build(places: &Places, crates: &[Guest], into: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(into)
        .map_err(|cause| Trouble::File { what: format!("cannot make {}", into.display()), cause })?;
    for guest in crates {
        // One at a time: built together they would share features, and a plugin's bytes would depend on its neighbours.
        run(&mut cargo(
            places,
            &["build", "--quiet", "--profile", "guest", "--target", "wasm32-wasip2", "--package", &guest.package],
        ))?;
        put(places, guest, into)?;
    }
    Ok(())
}

/// Copies the component so that a running node sees the old file or the new one, nothing between.
fn put(places: &Places, guest: &Guest, into: &Path) -> Result<(), Trouble> {
    let built = places.target.join("wasm32-wasip2/guest").join(&guest.file);
    let file = into.join(format!("{}.wasm", guest.name));
    let changed = replace(&built, &file).map_err(|cause| Trouble::File {
        what: format!("cannot copy {} to {}", built.display(), file.display()),
        cause,
    })?;
    if changed {
        say(&format!("  new: {}", file.display()));
    }
    Ok(())
}

/// Whether `file` differed from `built`; now it does not.
pub(crate) fn replace(built: &Path, file: &Path) -> io::Result<bool> {
    let bytes = fs::read(built)?;
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let beside = file.with_extension("new");
    fs::write(&beside, bytes)?;
    fs::rename(&beside, file)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_component_is_left_alone() -> io::Result<()> {
        let dir = std::env::temp_dir().join(format!("xtask-replace-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let (built, file) = (dir.join("built.wasm"), dir.join("file.wasm"));
        fs::write(&built, b"one")?;
        assert!(replace(&built, &file)?);
        assert!(!replace(&built, &file)?);
        fs::write(&built, b"two")?;
        assert!(replace(&built, &file)?);
        assert_eq!(fs::read(&file)?, b"two");
        assert!(!file.with_extension("new").exists());
        fs::remove_dir_all(&dir)
    }
}
