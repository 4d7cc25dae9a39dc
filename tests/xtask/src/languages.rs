//! The same filter in many languages: the README of each example has three commands, install, build and run, and the
//! first two are carried out here, below the target directory.

mod copy;

use crate::{
    command::{Trouble, run, say},
    places::Places,
};
use std::{
    env,
    ffi::OsString,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// What each example's second command makes, below its directory or cargo's.
const PLUGIN: &str = "notification.wasm";
/// Files that say which tools an example needs, beside its first command.
const PINS: [&str; 3] = ["package.json", "package-lock.json", "requirements.txt"];

/// One example below `examples/languages`.
struct Example {
    name: String,
    source: PathBuf,
    install: String,
    build: String,
}

/// Where one example is worked on.
struct Bench<'a> {
    places: &'a Places,
    dir: PathBuf,
    /// The plugin when it is built.
    made: PathBuf,
}

/// Builds the examples called `only`, or all, into `languages` in the target directory. Those whose tools cannot be had
/// are told and passed over, unless everything has to be there.
pub(crate) fn run_all(places: &Places, only: &[String]) -> Result<(), Trouble> {
    let examples = chosen(all(places)?, only)?;
    let into = places.target.join("languages");
    fs::create_dir_all(&into).map_err(|cause| file(&into, cause))?;
    for example in &examples {
        let bench = Bench::of(example, places).map_err(|cause| file(&example.source, cause))?;
        if let Err(reason) = bench.install(example) {
            pass_over(example, &reason)?;
            continue;
        }
        bench.build(example, &into.join(format!("{}.wasm", example.name)))?;
    }
    Ok(())
}

fn pass_over(example: &Example, reason: &str) -> Result<(), Trouble> {
    let told = format!("no tools for {}, so tests that need it will pass over: {reason}", example.name);
    if env::var_os("GRISTMILL_ALL_SERVERS").is_some() {
        return Err(Trouble::Stuck(told));
    }
    say(&told);
    Ok(())
}

/// All examples, sorted.
fn all(places: &Places) -> Result<Vec<Example>, Trouble> {
    let dir = places.root.join("examples/languages");
    let entries = fs::read_dir(&dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut found = entries.map_err(|cause| file(&dir, cause))?;
    found.sort_by_key(fs::DirEntry::file_name);
    let examples = found.iter().map(fs::DirEntry::path).filter(|path| path.join("README.md").is_file());
    examples.map(|path| Example::at(&path)).collect()
}

fn chosen(examples: Vec<Example>, only: &[String]) -> Result<Vec<Example>, Trouble> {
    let known = || examples.iter().map(|example| example.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = only.iter().find(|name| !examples.iter().any(|example| example.name == **name)) {
        return Err(Trouble::Stuck(format!("there is no example in `{name}`; there are: {}", known())));
    }
    Ok(examples.into_iter().filter(|example| only.is_empty() || only.contains(&example.name)).collect())
}

impl Example {
    fn at(source: &Path) -> Result<Self, Trouble> {
        let readme = source.join("README.md");
        let text = fs::read_to_string(&readme).map_err(|cause| file(&readme, cause))?;
        let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some([install, build]) = commands(&text) else {
            let told = format!("{} is to have one `sh` block of three commands: install, build, run", readme.display());
            return Err(Trouble::Stuck(told));
        };
        Ok(Self { name, source: source.to_owned(), install, build })
    }
}

/// What installs and what builds, if there is one block of three commands.
fn commands(readme: &str) -> Option<[String; 2]> {
    let mut blocks = readme.split("```sh\n").skip(1);
    let (block, another) = (blocks.next()?, blocks.next());
    let lines: Vec<&str> = block.split("```").next()?.lines().collect();
    match (lines.as_slice(), another) {
        ([install, build, _run], None) => Some([(*install).to_owned(), (*build).to_owned()]),
        _ => None,
    }
}

impl<'a> Bench<'a> {
    /// A copy of the example below the target directory, where its tools may lie; a crate stays in its workspace.
    fn of(example: &Example, places: &'a Places) -> io::Result<Self> {
        if example.source.join("Cargo.toml").is_file() {
            let made = places.target.join("wasm32-wasip2/guest").join(PLUGIN);
            return Ok(Self { places, dir: example.source.clone(), made });
        }
        let dir = places.target.join("toolchains").join(&example.name);
        copy::update(&example.source, &dir)?;
        Ok(Self { places, made: dir.join("plugins").join(PLUGIN), dir })
    }

    /// Runs the first command, unless it has been run like this before.
    fn install(&self, example: &Example) -> Result<(), String> {
        let pins = PINS.map(|pin| fs::read(example.source.join(pin)).unwrap_or_default());
        let (mark, print) = (self.mark(&example.name, "installed"), fingerprint(&(&example.install, pins)));
        if is_marked(&mark, &print) {
            return Ok(());
        }
        say(&format!("fetching what {} needs", example.name));
        let output = self.shell(&example.install).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().rfind(|line| !line.trim().is_empty());
            return Err(last.unwrap_or("no reason given").to_owned());
        }
        fs::write(mark, print).map_err(|error| error.to_string())
    }

    /// Runs the second command and puts the plugin at `target`, unless that has been made of the same before.
    fn build(&self, example: &Example, target: &Path) -> Result<(), Trouble> {
        let sources = copy::files(&example.source).map_err(|cause| file(&example.source, cause))?;
        let (mark, print) =
            (self.mark(&example.name, "built"), fingerprint(&(&example.install, &example.build, sources)));
        // What the host has a hand in changes with it.
        let settled = !example.build.contains("gristmill") && !self.dir.join("Cargo.toml").is_file();
        if settled && target.is_file() && is_marked(&mark, &print) {
            return Ok(());
        }
        run(&mut self.shell(&example.build))?;
        let placed = crate::guests::replace(&self.made, target);
        placed.and_then(|_| fs::write(mark, print)).map_err(|cause| file(&self.made, cause))
    }

    fn mark(&self, name: &str, what: &str) -> PathBuf {
        self.places.target.join("languages").join(format!("{name}.{what}"))
    }

    /// A shell in which the host is on the PATH.
    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", line]).current_dir(&self.dir).env("CARGO_TARGET_DIR", &self.places.target);
        shell.env("PATH", with_host(self.places));
        shell
    }
}

fn with_host(places: &Places) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let host = places.gristmill().parent().map(Path::to_owned);
    env::join_paths(host.into_iter().chain(env::split_paths(&path))).unwrap_or(path)
}

fn fingerprint(of: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn is_marked(mark: &Path, print: &str) -> bool {
    fs::read_to_string(mark).is_ok_and(|made_by| made_by == print)
}

fn file(path: &Path, cause: io::Error) -> Trouble {
    Trouble::File { what: format!("cannot use {}", path.display()), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_has_one_block_of_three_commands() {
        let readme = "# A\n\n```sh\npip install x\nbuild it\ngristmill run\n```\nand\n```toml\na = 1\n```\n";
        assert_eq!(commands(readme), Some(["pip install x".to_owned(), "build it".to_owned()]));
        assert_eq!(commands("```sh\none\ntwo\n```\n"), None);
        assert_eq!(commands("```sh\na\nb\nc\n```\n```sh\na\nb\nc\n```\n"), None);
    }

    #[test]
    fn every_example_says_how_it_is_built() {
        let names: Vec<String> =
            all(&Places::find()).expect("they do").into_iter().map(|example| example.name).collect();
        assert!(names.iter().any(|name| name == "python"), "{names:?}");
    }

    #[test]
    fn an_unknown_language_is_told_with_those_there_are() {
        let examples = all(&Places::find()).expect("there are some");
        let Err(Trouble::Stuck(text)) = chosen(examples, &["cobol".to_owned()]) else {
            panic!("there is none in COBOL")
        };
        assert!(text.contains("cobol") && text.contains("python"), "{text}");
    }
}
