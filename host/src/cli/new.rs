//! `gristmill new`: a directory with a plugin that builds and passes its own test.

mod name;
mod project;
mod sdk;
mod taken;

use super::talk;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use name::Name;
use project::{Kind, Project};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(super) struct New {
    /// The plugin's name, or a directory to make that is called like it
    name: PathBuf,
    /// It judges and changes messages; this is the default
    #[arg(long, conflicts_with = "publisher")]
    filter: bool,
    /// It delivers messages
    #[arg(long)]
    publisher: bool,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
}

/// What a plugin can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Python,
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    #[value(name = "typescript", alias = "ts")]
    TypeScript,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
        })
    }
}

/// Makes the directory, and says how to go on.
pub(super) fn run(asked: &New) -> anyhow::Result<()> {
    let dir = &asked.name;
    let name = Name::of(dir, asked.lang)?;
    let kind = if asked.publisher { Kind::Publisher } else { Kind::Filter };
    let project = Project::new(&name, kind, asked.lang)?;
    free(dir)?;
    for (path, text) in &project.files {
        write(&dir.join(path), text)?;
    }
    talk::print(format!("{}\n", dir.display()).as_bytes())?;
    talk::say(&format!("made a {kind}; how to go on stands in `{}`:", dir.join("README.md").display()));
    talk::say(&format!("  cd {}", dir.display()));
    for command in project.commands() {
        talk::say(&format!("  {command}"));
    }
    Ok(())
}

/// Nothing that is there is touched.
fn free(dir: &Path) -> anyhow::Result<()> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => bail!("`{}` exists and is not empty; choose another name, or remove it first", dir.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot make `{}`", dir.display())),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = written.and_then(|()| File::create_new(path)).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}
