//! `gristmill try --watch`: what an author sees while working.

use super::{SOON, guest, mill};
use crate::author::{BUILD, Project};
use gristmill_tests::{
    Mill, built, eventually,
    mill::{guest_bytes, replace_file},
    process::Process,
};
use rustix::process::Signal;
use std::{fs, path::Path, process::Command};

/// A `try --watch` at work.
struct Watching {
    mill: Mill<()>,
    process: Process,
}

impl Watching {
    /// Watches `plugins/watched.wasm`, which holds the guest `name`, over these messages.
    fn of(name: &str, words: &[&str], input: &str) -> Self {
        let mill = mill();
        replace_file(&mill.plugin_file("watched"), &guest_bytes(name));
        fs::write(mill.dir().join("input"), input).unwrap();
        let words = words.iter().map(|word| format!(" '{word}'")).collect::<String>();
        let script = format!("exec '{}' try plugins/watched.wasm --watch{words} < input", built::gristmill().display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(mill.dir()).env("XDG_CACHE_HOME", built::target_dir().join("cache"));
        let process = Process::start("try --watch", &mut command, &mill.dir().join("log"));
        Self { mill, process }
    }

    /// Waits until it has said this `count` times, and returns everything.
    #[track_caller]
    fn says(&self, text: &str, count: usize) -> String {
        eventually(SOON, &format!("it says {text:?} {count} times"), || {
            let log = self.process.log();
            (log.matches(text).count() >= count).then_some(log)
        })
    }

    #[track_caller]
    fn ends(mut self) {
        self.process.signal(Signal::INT);
        assert_eq!(self.process.wait(SOON).code(), Some(0), "{}", self.process.log());
    }
}

#[test]
fn a_changed_plugin_is_tried_again_and_what_differs_is_shown() {
    let watching = Watching::of("stamp", &[], "one\ntwo\n");
    let first = watching.says("waiting for a change", 1);
    assert_eq!(first.matches("replace").count(), 3, "{first}");
    replace_file(&watching.mill.plugin_file("watched"), b"half a plugin");
    let broken = watching.says("waiting for a change", 2);
    assert!(broken.contains("is not WebAssembly"), "{broken}");
    replace_file(&watching.mill.plugin_file("watched"), &guest_bytes("splitter"));
    let second = watching.says("waiting for a change", 3);
    assert!(second.contains("try-2  was replace\ntry-2  reject: "), "{second}");
    assert!(second.contains("2 changed, 0 as before\n"), "{second}");
    replace_file(&watching.mill.plugin_file("watched"), &guest_bytes("splitter"));
    assert!(watching.says("waiting for a change", 4).contains("all 2 as before\n"));
    watching.ends();
}

#[test]
fn a_build_runs_again_when_its_sources_change_and_its_failure_is_told() {
    let build = "cat version; cp \"$(cat version)\" plugins/watched.wasm";
    let watching = Watching::of("stamp", &["--build", build], "one\n");
    watching.says("`cat version", 1);
    let source = watching.mill.dir().join("version");
    fs::write(&source, guest("stamp")).unwrap();
    let first = watching.says("in the plugin p50", 1);
    assert!(first.contains("try-1  replace"), "{first}");
    fs::write(&source, guest("splitter")).unwrap();
    let second = watching.says("in the plugin p50", 2);
    assert!(second.contains("try-1  was replace\ntry-1  reject: "), "{second}");
    watching.ends();
}

#[test]
fn an_endless_plugin_is_watched_and_ended_like_any_other() {
    let watching = Watching::of("misbehave", &["--set", "mode=loop"], "one\n");
    watching.says("broken: ran longer than its timeout", 1);
    watching.ends();
}

#[test]
fn each_mistake_of_an_author_is_told_with_its_place_and_mending_it_goes_on() {
    let project = Project::new("my-filter", &[]).lock();
    let mut shell = project.shell("exec gristmill try . --config gristmill.toml --watch < messages.txt");
    let mut process = Process::start("try --watch", &mut shell, &project.dir().join("../log"));
    let (source, config) = (project.dir().join("src/lib.rs"), project.dir().join("gristmill.toml"));
    let [good, granted] = [&source, &config].map(|file| fs::read_to_string(file).unwrap());
    let rounds = std::cell::Cell::new(0);
    // What the next round says.
    let next = || {
        rounds.set(rounds.get() + 1);
        let log = eventually(BUILD, &format!("round {} ends", rounds.get()), || {
            let log = process.log();
            (log.matches("waiting for a change").count() >= rounds.get()).then_some(log)
        });
        log.split("waiting for a change; Ctrl-C ends\n").nth(rounds.get() - 1).unwrap().to_owned()
    };
    let changed = |file: &Path, text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replace(from, to)).unwrap();
        next()
    };
    let first = next();
    assert!(first.contains("try-2  drop: a bot  ("), "{first}");

    let broken = changed(&source, &good, "\"a bot\"", "a_bot");
    for words in [
        "error[E0425]: cannot find value `a_bot`",
        "--> src/lib.rs:14:",
        "\ngristmill: `cargo build --release --target wasm32-wasip2` failed (exit status: 101); why stands above\n\
         nothing was tried; the results that came last are those of the version before\n",
    ] {
        assert!(broken.contains(words), "{words}: {broken}");
    }
    let panicking = changed(&source, &good, "return Ok(Verdict::drop(\"a bot\"));", "panic!(\"no bots here\");");
    let told = "try-2  was drop: a bot\ntry-2  broken: trapped: unreachable: ";
    assert!(panicking.contains(told) && panicking.contains("panicked at src/lib.rs:14:9: no bots here"), "{panicking}");
    let mended = changed(&source, &good, "", "");
    assert!(mended.contains("\ntry-2  drop: a bot  (") && mended.contains("1 changed, 2 as before\n"), "{mended}");

    let refused = changed(&config, &granted, "config = {}", "config = { agent = \"x\" }");
    let told = "gristmill: with the config of [plugin.my-filter] in `gristmill.toml`: plugin `my-filter` refused its config: \
                config.agent: unknown field";
    assert!(refused.contains(told), "{refused}");
    let mistyped = changed(&config, &granted, "timeout = ", "timout = ");
    for words in ["unknown key `timout` in [plugin.my-filter]", "--> gristmill.toml:", "did you mean `timeout`?"] {
        assert!(mistyped.contains(words), "{words}: {mistyped}");
    }
    let mended = changed(&config, &granted, "", "");
    assert!(mended.contains("all 3 as before\n"), "{mended}");
    process.signal(Signal::INT);
    assert_eq!(process.wait(SOON).code(), Some(0), "{}", process.log());
}
