//! `cargo xtask fuzz`: everything that parses bytes from outside, fed with what coverage finds worth trying.
//!
//! The fuzzer is LLVM's libFuzzer, whose source the crate `libfuzzer-sys` carries. Only packages of this workspace are compiled so
//! that they tell what they cover: through `RUSTC_WORKSPACE_WRAPPER`, so that dependencies need not be compiled once more, and
//! with passes that a stable compiler has.

use crate::{
    command::{Trouble, cargo, run, say},
    places::Places,
    wild,
};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// For all targets together, where nothing else is said.
pub(crate) const SECONDS: u64 = 60;

/// The target that is given whole plugins which nobody would write.
const WILD: &str = "wild";

/// What rustc is run through. Macros and build scripts run in the compiler, where nobody counts.
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in
  *" --crate-type proc-macro "*|*" --crate-name build_script_"*) exec "$@" ;;
  *" --crate-name gristmill_fuzz "*) set -- "$@" -Clink-arg=ENGINE -Clink-arg=-lstdc++ ;;
esac
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
"#;

pub(crate) fn run_all(places: &Places, seconds: u64) -> Result<(), Trouble> {
    let dir = places.target.join("fuzz");
    fs::create_dir_all(&dir).map_err(|cause| file(&dir, cause))?;
    let engine = engine(places, &dir)?;
    let wrapper = dir.join("rustc");
    let script = WRAPPER.replace("ENGINE", &engine.display().to_string());
    write_program(&wrapper, &script).map_err(|cause| file(&wrapper, cause))?;
    run(cargo(places, &["build", "-p", "gristmill-fuzz"]).env("RUSTC_WORKSPACE_WRAPPER", &wrapper))?;
    let seeds = places.root.join("tests/fuzz/seeds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = wild::number("GRISTMILL_FUZZ_SEED", now & u64::from(u32::MAX));
    say(&format!("begins with GRISTMILL_FUZZ_SEED={seed}"));
    make_wild(places, &dir.join("made"), seed)?;
    let targets = names(&seeds).map_err(|cause| file(&seeds, cause))?;
    let each = (seconds / targets.len().max(1) as u64).max(1);
    targets.iter().try_for_each(|target| fuzz(places, &dir, target, each, seed))
}

/// The files that one target begins with.
fn make_wild(places: &Places, dir: &Path, seed: u64) -> Result<(), Trouble> {
    let seed = wild::number("GRISTMILL_WILD_SEED", seed);
    say(&format!("`{WILD}` begins with Wasm made from GRISTMILL_WILD_SEED={seed}"));
    wild::make(places, dir, wild::number("GRISTMILL_WILD", 60), seed)
}

/// One target for so many seconds. What is found worth keeping stays in the target directory for the next time.
fn fuzz(places: &Places, dir: &Path, target: &str, seconds: u64, seed: u64) -> Result<(), Trouble> {
    let (found, crashes) = (dir.join("found").join(target), dir.join("crashes"));
    for made in [&found, &crashes] {
        fs::create_dir_all(made).map_err(|cause| file(made, cause))?;
    }
    let log = dir.join(format!("{target}.log"));
    let talk = fs::File::create(&log).map_err(|cause| file(&log, cause))?;
    let mut fuzzer = Command::new(places.target.join("debug/gristmill-fuzz"));
    fuzzer.current_dir(&places.root).env("GRISTMILL_FUZZ", target).stderr(talk);
    fuzzer.args([format!("-max_total_time={seconds}"), format!("-seed={seed}")]);
    fuzzer.arg(format!("-artifact_prefix={}/{target}-", crashes.display()));
    fuzzer.args(["-timeout=30", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1"]);
    fuzzer.arg(&found).arg(places.root.join("tests/fuzz/seeds").join(target));
    if target == WILD {
        fuzzer.arg(dir.join("made"));
    }
    let ended = run(&mut fuzzer);
    let told =
        fs::read(&log).map(|told| String::from_utf8_lossy(&told).into_owned()).map_err(|cause| file(&log, cause))?;
    if ended.is_err() {
        say(&format!(
            "{}\n`{target}` fails with the file named above: make a unit test of it, and put it among the seeds",
            end(&told)
        ));
        return ended;
    }
    // Without counters every input would look alike, and nothing would be found.
    match (number(&told, "stat::number_of_executed_units:"), number(&told, "stat::new_units_added:")) {
        (Some(tried), Some(new)) if tried > 0 => {
            say(&format!("{target}: {tried} inputs, {new} of them reached something new"));
            Ok(())
        }
        _ => Err(Trouble::Stuck(format!("the fuzzer does not say what it did:\n{}", end(&told)))),
    }
}

fn number(told: &str, name: &str) -> Option<u64> {
    told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The last lines of what a fuzzer has said, without what is no text.
fn end(told: &str) -> String {
    let lines: Vec<&str> = told.lines().collect();
    lines.split_at(lines.len().saturating_sub(40)).1.join("\n")
}

/// The library with libFuzzer in it, compiled if it is not there.
fn engine(places: &Places, dir: &Path) -> Result<PathBuf, Trouble> {
    let source = source(places)?;
    let version = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let engine = dir.join(format!("{version}.a"));
    if !engine.exists() {
        let objects = dir.join("objects");
        fs::create_dir_all(&objects).map_err(|cause| file(&objects, cause))?;
        let compile = "c++ -std=c++17 -O2 -fno-omit-frame-pointer -w -c \"$1\"/libfuzzer/*.cpp && ar crs \"$2\" ./*.o";
        run(Command::new("sh").args(["-e", "-c", compile, "sh"]).arg(&source).arg(&engine).current_dir(&objects))?;
    }
    Ok(engine)
}

/// Where cargo has put the source of `libfuzzer-sys`.
fn source(places: &Places) -> Result<PathBuf, Trouble> {
    let mut metadata = cargo(places, &["metadata", "--format-version", "1", "--locked"]);
    metadata.current_dir(places.root.join("tests/fuzz/engine"));
    let line = "cargo metadata".to_owned();
    let output = metadata.output().map_err(|cause| Trouble::NotStarted { line: line.clone(), cause })?;
    if !output.status.success() {
        return Err(Trouble::Failed { line, status: output.status });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    manifest(&text).and_then(Path::parent).map(Path::to_owned).ok_or_else(|| {
        Trouble::Stuck(
            "cargo does not say where `libfuzzer-sys` lies: is it still a dependency of `tests/fuzz/engine`?"
                .to_owned(),
        )
    })
}

/// The path of the manifest of `libfuzzer-sys` in what `cargo metadata` says.
fn manifest(metadata: &str) -> Option<&Path> {
    let paths = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    paths.map(Path::new).find(|path| {
        let dir = path.parent().and_then(Path::file_name).unwrap_or_default();
        dir.to_string_lossy().starts_with("libfuzzer-sys-")
    })
}

/// Targets are named by the directories of their seeds.
fn names(seeds: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(seeds)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Written only where it differs: cargo compiles everything again when what it runs rustc through is newer.
fn write_program(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn file(path: &Path, cause: io::Error) -> Trouble {
    Trouble::File { what: format!("cannot use {}", path.display()), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fuzzer_has_done_is_read_from_what_it_says() {
        let told = "INFO: x\nstat::number_of_executed_units: 129\nstat::new_units_added:          7\n";
        assert_eq!(number(told, "stat::new_units_added:"), Some(7));
        assert_eq!(number("INFO", "stat::new_units_added:"), None);
        assert_eq!(end(&"a\n".repeat(100)).lines().count(), 40);
    }

    #[test]
    fn the_source_of_the_fuzzer_is_found_among_all_packages() {
        let metadata = r#"{"packages":[{"name":"a","manifest_path":"/r/a-1/Cargo.toml"},{"manifest_path":"/r/libfuzzer-sys-0.4.9/Cargo.toml"}]}"#;
        assert_eq!(manifest(metadata), Some(Path::new("/r/libfuzzer-sys-0.4.9/Cargo.toml")));
        assert_eq!(manifest("{}"), None);
    }
}
