//! A copy of a directory's sources, without what its `.gitignore` names; links are followed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The content of every source file in `dir`, by its path below it.
pub(super) fn files(dir: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let ignored = fs::read_to_string(dir.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let mut files = BTreeMap::new();
    gather(dir, Path::new(""), &ignored, &mut files)?;
    Ok(files)
}

fn gather(dir: &Path, below: &Path, ignored: &[&str], files: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(below))? {
        let name = entry?.file_name();
        if ignored.iter().any(|ignored| name == *ignored) {
            continue;
        }
        let path = below.join(name);
        // Unlike the entry's own type, this looks behind a link.
        if dir.join(&path).is_dir() {
            gather(dir, &path, ignored, files)?;
        } else {
            let content = fs::read(dir.join(&path))?;
            files.insert(path, content);
        }
    }
    Ok(())
}

/// Makes the sources in `copy` those in `dir`; what else lies there stays, and so does the age of what is unchanged.
pub(super) fn update(dir: &Path, copy: &Path) -> io::Result<()> {
    for (path, content) in files(dir)? {
        let path = copy.join(path);
        if fs::read(&path).is_ok_and(|old| old == content) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_directories_and_what_is_ignored_stays_away() -> io::Result<()> {
        let dir = std::env::temp_dir().join(format!("gristmill-copy-{}", std::process::id()));
        let (shared, source, copy) = (dir.join("shared"), dir.join("source"), dir.join("copy"));
        for made in [&shared, &source.join("tools"), &copy] {
            fs::create_dir_all(made)?;
        }
        fs::write(shared.join("a.wit"), "one")?;
        std::os::unix::fs::symlink("../shared", source.join("wit"))?;
        fs::write(source.join(".gitignore"), "tools/\n")?;
        fs::write(source.join("tools/big"), "big")?;
        fs::write(copy.join("kept"), "kept")?;
        update(&source, &copy)?;
        assert_eq!(fs::read_to_string(copy.join("wit/a.wit"))?, "one");
        assert!(copy.join("kept").is_file() && !copy.join("tools").exists());
        fs::write(shared.join("a.wit"), "other")?;
        update(&source, &copy)?;
        assert_eq!(fs::read_to_string(copy.join("wit/a.wit"))?, "other");
        fs::remove_dir_all(&dir)
    }
}
