//! `gristmill new` and `gristmill inspect` as the author of a plugin meets them.

use crate::programs::program;
use gristmill_tests::{
    Finished, Mill, built,
    mill::{guest_bytes, replace_file},
    process::finish,
};
use serde_json::Value;
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// What a first build may take on a machine that has more to do.
pub(crate) const BUILD: Duration = Duration::from_secs(900);

fn mill() -> Mill<()> {
    Mill::at("redis://127.0.0.1:1".to_owned(), ())
}

/// A project that `gristmill new` made.
pub(crate) struct Project {
    name: String,
    parent: TempDir,
}

impl Project {
    #[track_caller]
    pub(crate) fn new(name: &str, words: &[&str]) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let project = Self { name: name.to_owned(), parent };
        let mut command = Command::new(built::gristmill());
        command.args(["new", name]).args(words).current_dir(project.parent.path());
        let finished = finish(&mut command, BUILD);
        assert_eq!((finished.code, finished.stdout.trim()), (0, name), "{}", finished.stderr);
        project
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }

    /// The commands of its README.
    fn commands(&self) -> Vec<String> {
        let readme = fs::read_to_string(self.dir().join("README.md")).unwrap();
        let block = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        block.lines().map(str::to_owned).collect()
    }

    /// A line as an author types it, with the program under test and this repository's crates.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let path = env::var_os("PATH").unwrap();
        let path = env::join_paths([built::profile_dir()].into_iter().chain(env::split_paths(&path))).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.dir()).env("PATH", path);
        shell.env("CARGO_TARGET_DIR", built::target_dir().join("new")).env("CARGO_NET_OFFLINE", "true");
        shell.env("XDG_CACHE_HOME", built::target_dir().join("cache")).env_remove("CARGO_BUILD_JOBS");
        shell
    }

    /// Runs such a line to its end.
    #[track_caller]
    fn run(&self, line: &str) -> Finished {
        let finished = finish(&mut self.shell(line), BUILD);
        assert_eq!(finished.code, 0, "{line}: {}{}", finished.stdout, finished.stderr);
        finished
    }

    /// Gives it the tools that the example in this language was built with; nothing where there are none.
    #[track_caller]
    fn with_tools(self, language: &str, tools: &str) -> Option<Self> {
        built::language(language)?;
        let fetched = built::target_dir().join("toolchains").join(language).join(tools);
        symlink(fetched, self.dir().join(tools)).unwrap();
        Some(self.patient())
    }

    /// Gives compiler and plugin more time than its configuration does, as on a machine that has more to do.
    fn patient(self) -> Self {
        let file = self.dir().join("gristmill.toml");
        let config = fs::read_to_string(&file).unwrap();
        let table = format!("[plugin.{}]\n", self.name.replace('_', "-"));
        assert!(config.contains(&table), "{config}");
        let config = config.replace(&table, &format!("{table}timeout = \"20s\"\n"));
        fs::write(file, format!("{config}\n[compile]\ntimeout = \"5m\"\n")).unwrap();
        self
    }

    /// Builds it, and returns how its README says it is tried on its messages.
    #[track_caller]
    fn builds(&self) -> String {
        let commands = self.commands();
        self.run(&commands[1]);
        let readme = fs::read_to_string(self.dir().join("README.md")).unwrap();
        let attempt = format!(
            "gristmill try plugins/{}.wasm --config gristmill.toml < messages.txt",
            self.name.replace('_', "-")
        );
        assert!(readme.contains(&format!("`{attempt}`")) && commands[2] == "gristmill run", "{readme}");
        attempt
    }

    /// Builds a publisher and tries it, on servers that are there, busy and away.
    #[track_caller]
    fn builds_and_publishes(&self) {
        let attempt = self.builds();
        let tried = self.run(&attempt);
        let request = "→ POST http://127.0.0.1:8089/\n      x-topic: try\n      (the payload, 8 bytes)\n";
        assert!(tried.stdout.contains(request), "{}", tried.stdout);
        assert!(tried.stderr.contains("2 messages: 2 done; "), "{}", tried.stderr);
        let busy = self.run(&format!("{attempt} --reply '503 busy' --reply-header 'retry-after: 7'"));
        assert!(busy.stdout.contains("retry after 7 s: answered 503: busy"), "{}", busy.stdout);
        let away = self.run(&format!("{attempt} --reply 'unreachable no route'"));
        assert!(away.stdout.contains("retry: no route"), "{}", away.stdout);
        let denied = self.run(&format!("{attempt} --reply 'denied no grant'"));
        assert!(denied.stdout.contains("reject: no grant"), "{}", denied.stdout);
    }

    /// Builds a filter and tries it; `not_json` is how its language says that.
    #[track_caller]
    fn builds_and_can_be_tried(&self, not_json: &str) {
        let tried = self.run(&self.builds());
        let changes = ["try-1  replace", "  + header user: mia", "  - payload ip: \"192.0.2.1\""];
        assert!(changes.iter().all(|change| tried.stdout.contains(change)), "{}", tried.stdout);
        assert!(tried.stdout.contains("\ntry-2  reject: no notification"), "{}", tried.stdout);
        assert!(tried.stdout.contains(&format!("\ntry-3  reject: {not_json}")), "{}", tried.stdout);
    }

    /// Gives it the versions of crates that this repository was built with, so that nothing has to be fetched.
    pub(crate) fn lock(self) -> Self {
        fs::copy(built::repository().join("Cargo.lock"), self.dir().join("Cargo.lock")).unwrap();
        self
    }
}

#[test]
fn a_new_filter_in_rust_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my-filter", &[]).lock();
    let [test, attempt, run] = &project.commands()[..] else { panic!("three commands") };
    let tested = project.run(test);
    assert!(tested.stdout.contains("test a_bot_is_dropped ... ok"), "{}", tested.stdout);
    let tried = project.run(attempt);
    assert!(tried.stderr.contains("filter `my-filter` "), "{}", tried.stderr);
    let verdicts: Vec<&str> = tried.stdout.lines().filter(|line| line.starts_with("try-")).collect();
    assert!(verdicts[0].starts_with("try-1  replace") && verdicts[1].starts_with("try-2  drop: a bot"), "{verdicts:?}");
    assert!(verdicts[2].starts_with("try-3  reject: "), "{verdicts:?}");
    assert_eq!(run, "gristmill run");
    // Where cargo builds into a directory of the test's, the node has to look there.
    let config = fs::read_to_string(project.dir().join("gristmill.toml")).unwrap();
    let release = built::target_dir().join("new/wasm32-wasip2/release");
    let config = config.replace("target/wasm32-wasip2/release", &release.display().to_string());
    fs::write(project.dir().join("checked.toml"), config).unwrap();
    let checked = project.run("gristmill check --config checked.toml");
    assert!(checked.stdout.contains("plugin    my-filter: filter "), "{}", checked.stdout);
}

#[test]
fn the_readme_of_gristmill_begins_a_plugin_as_that_of_the_plugin_goes_on() {
    let readme = fs::read_to_string(built::repository().join("README.md")).unwrap();
    let block = readme.split("```sh\n").find(|block| block.starts_with("gristmill new ")).unwrap();
    let commands: Vec<&str> = block.split("```").next().unwrap().lines().collect();
    let project = Project::new("my-filter", &[]);
    assert_eq!(commands[..2], ["gristmill new my-filter", "cd my-filter"]);
    assert_eq!(commands[2..], project.commands()[..2]);
}

#[test]
fn a_new_publisher_in_rust_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my_publisher", &["--publisher"]).lock();
    let [test, attempt, _] = &project.commands()[..] else { panic!("three commands") };
    let tested = project.run(test);
    assert!(tested.stdout.contains("test a_busy_server_is_asked_again ... ok"), "{}", tested.stdout);
    let tried = project.run(attempt);
    assert!(tried.stdout.contains("→ POST http://127.0.0.1:8089/\n"), "{}", tried.stdout);
    assert!(tried.stderr.contains("2 messages: 2 done; "), "{}", tried.stderr);
}

#[test]
fn a_new_filter_in_python_builds_passes_its_tests_and_can_be_tried() {
    let Some(project) = Project::new("my-filter", &["--lang", "python"]).with_tools("python", "tools") else { return };
    let (bindings, test) = ("tools/bin/componentize-py -d wit -w filter bindings bindings", "python3 -m unittest");
    let readme = fs::read_to_string(project.dir().join("README.md")).unwrap();
    assert!(readme.contains(bindings) && readme.contains(&format!("PYTHONPATH=bindings {test}")), "{readme}");
    let tested = project.run(&format!("{bindings} && PYTHONPATH=bindings {test}"));
    assert!(tested.stderr.contains("Ran 3 tests") && tested.stderr.ends_with("OK\n"), "{}", tested.stderr);
    project.builds_and_can_be_tried("not JSON");
}

#[test]
fn a_new_filter_in_javascript_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my_filter", &["--lang", "javascript"]);
    let Some(project) = project.with_tools("javascript", "node_modules") else { return };
    let tested = project.run("npm test");
    assert!(tested.stdout.contains("what is private goes and the user becomes a header"), "{}", tested.stdout);
    project.builds_and_can_be_tried("not JSON");
}

#[test]
fn a_new_filter_in_typescript_is_checked_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my_filter", &["--lang", "typescript"]);
    let Some(project) = project.with_tools("typescript", "node_modules") else { return };
    let tested = project.run("npm test");
    assert!(tested.stdout.contains("what is private goes and the user becomes a header"), "{}", tested.stdout);
    project.builds_and_can_be_tried("not JSON");
    let file = project.dir().join("my-filter.ts");
    let source = fs::read_to_string(&file).unwrap();
    fs::write(&file, source.replace("{ tag: 'replace', val: { headers,", "{ tag: 'replace', val: { header: headers,"))
        .unwrap();
    // What the API does not know is an error of its file and line, and nothing is built.
    let checked = project.run("npm test || exit 0");
    assert!(
        checked.stdout.contains("my-filter.ts(") && checked.stdout.contains("'headers' is missing"),
        "{}",
        checked.stdout
    );
    assert!(!checked.stdout.contains("# pass"), "{}", checked.stdout);
}

#[test]
fn a_new_publisher_in_python_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my-publisher", &["--publisher", "--lang", "python"]);
    let Some(project) = project.with_tools("python", "tools") else { return };
    let (bindings, test) = ("tools/bin/componentize-py -d wit -w publisher bindings bindings", "python3 -m unittest");
    let readme = fs::read_to_string(project.dir().join("README.md")).unwrap();
    assert!(readme.contains(bindings) && readme.contains(&format!("PYTHONPATH=bindings {test}")), "{readme}");
    let tested = project.run(&format!("{bindings} && PYTHONPATH=bindings {test}"));
    assert!(tested.stderr.contains("Ran 5 tests") && tested.stderr.ends_with("OK\n"), "{}", tested.stderr);
    project.builds_and_publishes();
}

#[test]
fn a_new_publisher_in_javascript_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my_publisher", &["--publisher", "--lang", "javascript"]);
    let Some(project) = project.with_tools("javascript", "node_modules") else { return };
    let tested = project.run("npm test");
    assert!(tested.stdout.contains("a busy server is asked again when it says"), "{}", tested.stdout);
    project.builds_and_publishes();
}

#[test]
fn a_new_publisher_in_typescript_builds_passes_its_tests_and_can_be_tried() {
    let project = Project::new("my_publisher", &["--publisher", "--lang", "typescript"]);
    let Some(project) = project.with_tools("typescript", "node_modules") else { return };
    let tested = project.run("npm test");
    assert!(tested.stdout.contains("a busy server is asked again when it says"), "{}", tested.stdout);
    project.builds_and_publishes();
}

#[test]
fn a_language_that_there_is_no_template_for_is_told() {
    let mill = mill();
    let finished = mill.run_bare(&["new", "mine", "--lang", "cobol"]);
    assert!(
        finished.code == 2 && finished.stderr.contains("rust, python, javascript, typescript"),
        "{}",
        finished.stderr
    );
    assert!(!mill.dir().join("mine").exists());
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let project = Project::new("mine", &[]);
    let source = project.dir().join("src/lib.rs");
    fs::write(&source, "work of a day").unwrap();
    let finished = finish(Command::new(built::gristmill()).arg("new").arg(project.dir()), BUILD);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("exists and is not empty"), "{}", finished.stderr);
    assert_eq!(fs::read_to_string(source).unwrap(), "work of a day");
}

#[test]
fn a_name_that_no_plugin_can_have_makes_nothing() {
    let mill = mill();
    for name in ["Nice Plugin", "match", "2fast"] {
        let finished = mill.run_bare(&["new", name]);
        assert_eq!(finished.code, 1, "{name}");
        assert!(finished.stderr.contains(&format!("`{name}`")), "{}", finished.stderr);
        assert!(!Path::new(&mill.dir().join(name)).exists());
    }
    assert_eq!(mill.run_bare(&["new", "a", "--filter", "--publisher"]).code, 2);
}

#[test]
fn a_plugin_is_inspected_without_a_config_or_a_node() {
    let mill = mill();
    let plugin = built::plugin("anonymize").display().to_string();
    let finished = mill.run_bare(&["inspect", &plugin]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let said = &finished.stdout;
    assert!(
        said.starts_with(&format!("plugin    {plugin}: filter, speaks version 0.1.0 of the plugin API\nfile ")),
        "{said}"
    );
    for line in ["made with wit-", "gristmill:plugin/filtering@0.1.0\n", "imports   "] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    // It wants to know which fields.
    assert!(said.contains("starts    not with these settings: it refused its config: "), "{said}");
    let configured = mill.run_bare(&["inspect", &plugin, "--set", r#"fields=["ip"]"#]).stdout;
    assert!(configured.contains("\ncompiles  in ") && configured.contains("\nstarts    in "), "{configured}");
}

#[test]
fn a_program_reads_what_a_plugin_is() {
    let mill = mill();
    let plugin = built::guest("two-rounds").display().to_string();
    let finished = mill.run_bare(&["inspect", &plugin, "--json", "--set", "urls=[]"]);
    let found: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((found["kind"].as_str(), found["api"].as_str()), (Some("publisher"), Some("0.1.0")));
    assert_eq!(found["bytes"].as_u64(), Some(guest_bytes("two-rounds").len() as u64));
    assert!(found["exports"].as_array().unwrap().contains(&"gristmill:plugin/publishing@0.1.0".into()));
    assert!(found["start"]["compile_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(found["declares_needs"], Value::Bool(false));
    let http = built::plugin("http").display().to_string();
    let needy = mill.run_bare(&["inspect", &http, "--set", "url=http://h/"]).stdout;
    assert!(needy.contains("\nneeds     http") && needy.contains("\ngrant     allow_http = "), "{needy}");
    assert!(found["start"]["memory_bytes"].as_u64().unwrap() >= 1 << 16, "{found}");
}

#[test]
fn a_plain_program_is_inspected_as_what_it_is_and_how_it_is_run() {
    let mill = mill();
    replace_file(&mill.plugin_file("module"), &program("", "(drop (memory.grow (i32.const 15)))"));
    replace_file(&mill.plugin_file("command"), &guest_bytes("answerer"));
    mill.write_config("[plugin.module]\nmode = \"cgi\"\n[plugin.command]\nmode = \"lines\"\n");
    let said = |words: &[&str]| {
        let finished = mill.feed(&[&["inspect"], words].concat(), "");
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished.stdout
    };
    let [module, command] = ["plugins/module.wasm", "plugins/command.wasm"];

    let found = said(&[module]);
    let title = "plugin    plugins/module.wasm: filter, a plain WASI program: a core module for WASI 0.1 (`wasip1`)\n";
    assert!(found.starts_with(title), "{found}");
    let afresh = "\nruns      afresh for each message: the payload on stdin, the new one on stdout";
    assert!(found.contains(afresh), "{found}");
    assert!(found.contains("\nimports   wasi_snapshot_preview1/fd_read\n"), "{found}");
    assert!(found.contains(", with 64 KiB of memory\n"), "what it starts with: {found}");

    let found = said(&[command]);
    let title = "plugin    plugins/command.wasm: filter, a plain WASI program: a command for WASI 0.2 (`wasip2`)\n";
    assert!(found.starts_with(title) && found.contains(afresh), "{found}");
    assert!(found.contains("\nimports   wasi:") && !found.contains("with 0 bytes"), "{found}");

    let config = ["--config", "gristmill.toml"];
    let found = said(&[module, config[0], config[1]]);
    assert!(found.contains("headers, an empty line and the new payload on stdout (`mode = \"cgi\"`)\n"), "{found}");
    let found: Value = serde_json::from_str(&said(&[command, "--json", config[0], config[1]])).unwrap();
    assert_eq!((found["kind"].as_str(), found["program"].as_str()), (Some("filter"), Some("wasip2")));
    assert!(found["api"].is_null() && found["runs"].as_str().unwrap().contains("a line of JSON"), "{found}");
    let start = &found["start"];
    assert!(start["start_us"].as_f64().unwrap() > 0.0 && start["memory_bytes"].as_u64().unwrap() > 0, "{found}");
}

#[test]
fn what_is_no_plugin_is_inspected_with_the_reason_and_what_to_do() {
    let mill = mill();
    replace_file(&mill.plugin_file("text"), b"no wasm at all");
    replace_file(&mill.plugin_file("core"), b"\0asm\x01\0\0\0");
    replace_file(&mill.plugin_file("empty"), b"\0asm\x0d\0\x01\0");
    for (name, reason) in [
        ("text", "is not WebAssembly"),
        ("empty", "it is a component but no plugin: "),
        ("core", "it is a core WebAssembly module, not a component, and no WASI program either"),
        ("none", "there is no file `plugins/none.wasm`; "),
        ("tex", "did you mean `plugins/text.wasm`?"),
    ] {
        let finished = mill.run_bare(&["inspect", &format!("plugins/{name}.wasm")]);
        assert_eq!((finished.code, finished.stderr.lines().count()), (1, 1), "{}", finished.stderr);
        assert!(finished.stderr.contains(reason), "{}", finished.stderr);
    }
}

#[test]
fn a_plugin_of_another_state_of_the_api_is_refused_in_the_same_words_wherever_it_is_met() {
    let mill = mill();
    // As if one case of a type had another name in the WIT file that it was built with.
    let mut plugin = guest_bytes("stamp");
    let [ours, theirs] = [b"\x06reject", b"\x06refuse"];
    let mut renamed = 0;
    while let Some(place) = plugin.windows(ours.len()).position(|bytes| bytes == ours) {
        plugin[place..place + ours.len()].copy_from_slice(theirs);
        renamed += 1;
    }
    assert!(renamed > 0, "the name of the case stands in the component");
    replace_file(&mill.plugin_file("stamp"), &plugin);
    mill.write_config("[pipeline.p]\nfrom = { list = \"jobs\" }\nfilters = [\"stamp\"]\n");
    let file = "plugins/stamp.wasm";
    for words in [&["run"][..], &["check"], &["inspect", file], &["try", file]] {
        let finished = mill.feed(words, "");
        assert_ne!(finished.code, 0, "{words:?}");
        let told = "plugin `stamp` cannot be used: it was built against another state of version 0.1.0 of the plugin API than this \
                    host speaks; build it again with the SDK, or the WIT file, of gristmill ";
        assert_eq!(finished.stderr.matches(told).count(), 1, "{words:?}: {}", finished.stderr);
        let difference = "the types of `filter` differ: ";
        assert!(finished.stderr.contains(difference), "{words:?}: {}", finished.stderr);
    }
}
