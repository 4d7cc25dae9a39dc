//! The same filter in many languages, each as `cargo xtask languages` has built it, in a real node.

use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::{Dead, Mill, Node, built, eventually, mill::replace_file, process::finish};
use serde_json::{Value, json};
use std::{fs, process::Command, time::Duration};

/// A long time: the first start compiles a whole interpreter, and gives way to everything else that runs.
const COMPILED: Duration = Duration::from_secs(900);
const MESSAGES: usize = 1_000;
/// Bytes of the long message.
const LONG: usize = 1 << 20;

/// What most examples say of a config that does not name a field.
const NO_FIELD: &str = "`private` is to be the name of a field";

/// What does not depend on the language, with a filter that may wait its turn on a busy machine.
const PIPELINE: &str = r#"
[pipeline.notifications]
from = { list = "notifications" }
filters = ["notification"]
publish = ["http"]
retry = { attempts = 3, first = "50ms", longest = "50ms" }

TABLE
timeout = "20s"

[plugin.http]
config = { url = "$SINK/hooks/{header:user}" }
allow_http = ["$AUTHORITY"]
timeout = "20s"

[compile]
timeout = "5m"
"#;

/// The filter's table in the configuration of the example, with another field that is private.
fn table(language: &str) -> String {
    let file = built::repository().join("examples/languages").join(language).join("gristmill.toml");
    let text = fs::read_to_string(file).unwrap();
    let (_, table) = text.split_once("[plugin.notification]\n").unwrap();
    assert!(!table.contains("\n["), "it is the last one");
    format!("[plugin.notification]\n{}", table.replace("\"ip\"", "\"secret\""))
}

/// A mill whose notifications go through the example in `language`, and a node that is ready.
struct Bench {
    mill: Mill,
    node: Node,
}

impl Bench {
    /// Nothing where the example is not built.
    #[track_caller]
    fn of(language: &str) -> Option<Self> {
        let plugin = fs::read(built::language(language)?).unwrap();
        let config = PIPELINE.replace("TABLE", &table(language));
        let mill = Mill::new().plugins(&["http"]).config(&config);
        replace_file(&mill.plugin_file("notification"), &plugin);
        // Compiles it, so that a node has it from the cache.
        let checked = finish(
            Command::new(built::gristmill())
                .arg("check")
                .arg("--config")
                .arg(mill.config_file())
                .current_dir(mill.dir()),
            COMPILED,
        );
        assert_eq!(checked.code, 0, "{}", checked.stderr);
        let node = mill.node();
        Some(Self { mill, node })
    }

    #[track_caller]
    fn push(&self, payloads: &[String]) {
        self.mill.redis.push("notifications", payloads);
    }

    /// Waits for so many deliveries in all.
    #[track_caller]
    fn delivered(&self, count: usize) {
        eventually(SOON * 2, &format!("{count} are delivered"), || (self.mill.sink.count() >= count).then_some(()));
    }

    /// The only dead letter, whole; it is dropped.
    #[track_caller]
    fn letter(&self) -> Value {
        let dead = Dead::of(&self.mill, "notifications");
        let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
        assert_eq!(letters.len(), 1, "{letters:?}");
        let letter = dead.show(&Dead::entry(&letters[0]));
        dead.discard(&Dead::entry(&letters[0]));
        letter
    }

    /// Everything that the filter promises, whatever it is written in; `not_json` is how its language says that.
    #[track_caller]
    fn keeps_its_promises(&mut self, not_json: &str) {
        self.takes_out_what_the_config_names();
        self.rejects_with_a_reason(not_json);
        self.takes_a_long_one();
        self.takes_many();
        assert_eq!(self.node.ended(), None);
    }

    #[track_caller]
    fn takes_out_what_the_config_names(&self) {
        self.push(&[
            r#"{ "user": "Jos\u00e9", "secret": {"a": [1, "}"]}, "ip": "192.0.2.1", "text": "ein \"Gru\u00df\"" }"#
                .to_owned(),
        ]);
        self.delivered(1);
        let received = self.mill.sink.received().remove(0);
        assert_eq!(received.path, "/hooks/Jos%C3%A9", "the header is what the string says");
        assert_eq!(received.json(), json!({"user": "José", "ip": "192.0.2.1", "text": "ein \"Gruß\""}));
    }

    #[track_caller]
    fn rejects_with_a_reason(&self, not_json: &str) {
        for (payload, reason) in [
            (r#"{"user": "mia", "text"#, not_json),
            (r#"{"user": 7, "text": "x"}"#, "no notification"),
            ("[]", "no notification"),
        ] {
            self.push(&[payload.to_owned()]);
            let letter = self.letter();
            assert!(letter.to_string().contains(reason), "`{reason}` of {payload}: {letter}");
            assert_eq!(letter["attempts"], 1, "what can never work is tried once: {letter}");
        }
    }

    #[track_caller]
    fn takes_a_long_one(&self) {
        let text = "ä".repeat(LONG / 2);
        self.push(&[json!({"user": "mia", "secret": 1, "text": text}).to_string()]);
        self.delivered(2);
        let received = self.mill.sink.received().pop().unwrap();
        assert_eq!(received.json(), json!({"user": "mia", "text": text}));
    }

    /// Each message leaves some 40 KB to be freed; an instance that kept them would pass its limit of memory.
    #[track_caller]
    fn takes_many(&self) {
        let text = "x".repeat(40_000);
        let all: Vec<String> =
            (0..MESSAGES).map(|id| json!({"id": id, "user": "mia", "secret": 1, "text": text}).to_string()).collect();
        self.push(&all);
        self.delivered(2 + MESSAGES);
        nothing_is_left(&self.mill.redis);
        assert_eq!(self.mill.sink.count(), 2 + MESSAGES, "none was tried twice");
        assert!(!self.node.log().contains("memory_mib"), "{}", self.node.log());
    }

    /// The dead letter of a message that breaks the instance says so, and the next message finds a sound one.
    #[track_caller]
    fn tells_what_broke_it(&self, payload: String, words: &str) {
        let before = self.mill.sink.count();
        self.push(&[payload]);
        let letter = self.letter().to_string();
        assert!(letter.contains(words), "{letter}");
        self.push(&[r#"{"user":"mia","text":"still here"}"#.to_owned()]);
        self.delivered(before + 1);
    }

    #[track_caller]
    fn says_why_it_refuses_a_config(&self, words: &str) {
        let config = fs::read_to_string(self.mill.config_file()).unwrap();
        self.mill.write_raw_config(&config.replace("private = \"secret\"", "private = 7"));
        let checked = self.mill.run(&["check"]);
        assert_eq!(checked.code, 78, "{}", checked.stderr);
        assert!(checked.stderr.contains(words), "{}", checked.stderr);
    }

    /// The last command of the example's README, in a copy of the example that has the plugin already.
    #[track_caller]
    fn runs_as_its_readme_says(&self, language: &str) {
        let example = built::repository().join("examples/languages").join(language);
        let dir = self.mill.dir().join("examples/languages").join(language);
        fs::create_dir_all(&dir).unwrap();
        fs::copy(example.join("gristmill.toml"), dir.join("gristmill.toml")).unwrap();
        let config = fs::read_to_string(example.join("gristmill.toml")).unwrap();
        let plugins = config.lines().find_map(|line| line.strip_prefix("plugins_dir = "));
        let plugins = dir.join(plugins.unwrap_or("plugins").trim_matches('"'));
        fs::create_dir_all(&plugins).unwrap();
        fs::copy(self.mill.plugin_file("notification"), plugins.join("notification.wasm")).unwrap();
        // What has been compiled need not be compiled again.
        let copied =
            Command::new("cp").arg("-a").arg(self.mill.dir().join("data")).arg(dir.join(".gristmill")).status();
        assert!(copied.unwrap().success());
        let readme = fs::read_to_string(example.join("README.md")).unwrap();
        let block = readme.split("```").find_map(|block| block.strip_prefix("sh\n")).unwrap();
        let path = format!("{}:{}", built::profile_dir().display(), std::env::var("PATH").unwrap());
        let line = format!("exec {}", block.lines().nth(2).unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(&dir).env("PATH", path);
        let mut node = Node::start("README", &mut command, &self.mill.dir().join("readme.log")).ready();
        node.says(&["plugin ready", "notification", "filter"]);
        assert_eq!(node.terminate(), 0);
    }
}

#[test]
fn the_table_of_languages_names_every_example_and_no_other() {
    let dir = built::repository().join("examples/languages");
    let table = fs::read_to_string(dir.join("README.md")).unwrap();
    let mut named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| [")?.split_once("](")?.1.split_once('/'))
        .map(|it| it.0)
        .collect();
    named.sort_unstable();
    let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let mut there: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    there.sort_unstable();
    assert_eq!(named, there);
}

#[test]
fn a_filter_in_rust_does_its_work() {
    let Some(mut bench) = Bench::of("rust") else { return };
    bench.keeps_its_promises("not JSON: ");
    bench.runs_as_its_readme_says("rust");
    bench.says_why_it_refuses_a_config("config.private: invalid type: integer `7`, expected a string");
}

#[test]
fn a_filter_in_python_does_its_work() {
    let Some(mut bench) = Bench::of("python") else { return };
    bench.keeps_its_promises("not JSON: Unterminated string");
    // Half of a surrogate pair is text to Python and to nobody else; the example does not catch that.
    bench.tells_what_broke_it(r#"{"user": "\ud800", "text": ""}"#.to_owned(), "surrogates not allowed");
    bench.tells_what_broke_it("[".repeat(100_000), "call stack exhausted");
    bench.runs_as_its_readme_says("python");
    bench.says_why_it_refuses_a_config(NO_FIELD);
}

#[test]
fn a_filter_in_javascript_does_its_work() {
    let Some(mut bench) = Bench::of("javascript") else { return };
    bench.keeps_its_promises("not JSON: JSON.parse: unterminated string");
    bench.runs_as_its_readme_says("javascript");
    bench.says_why_it_refuses_a_config(NO_FIELD);
}

#[test]
fn a_filter_in_typescript_does_its_work() {
    let Some(mut bench) = Bench::of("typescript") else { return };
    bench.keeps_its_promises("not JSON: JSON.parse: unterminated string");
    bench.runs_as_its_readme_says("typescript");
    bench.says_why_it_refuses_a_config(NO_FIELD);
}

#[test]
fn a_filter_in_c_does_its_work() {
    let Some(mut bench) = Bench::of("c") else { return };
    bench.keeps_its_promises("not JSON: the string does not end at byte");
    bench.push(&["[".repeat(100_000)]);
    assert!(bench.letter().to_string().contains("nested too deeply"));
    bench.runs_as_its_readme_says("c");
    bench.says_why_it_refuses_a_config(NO_FIELD);
}

#[test]
fn a_program_in_go_does_its_work() {
    let Some(mut bench) = Bench::of("go") else { return };
    bench.keeps_its_promises("not JSON: unexpected end of JSON input");
    bench.runs_as_its_readme_says("go");
}

#[test]
fn a_program_in_zig_does_its_work() {
    let Some(mut bench) = Bench::of("zig") else { return };
    bench.keeps_its_promises("not JSON: UnexpectedEndOfInput");
    bench.runs_as_its_readme_says("zig");
}

#[test]
fn a_program_in_assemblyscript_does_its_work() {
    let Some(mut bench) = Bench::of("assemblyscript") else { return };
    bench.keeps_its_promises("not JSON: the string does not end at byte");
    bench.push(&["[".repeat(100_000)]);
    assert!(bench.letter().to_string().contains("nested too deeply"));
    bench.runs_as_its_readme_says("assemblyscript");
}

/// What it does with messages is tested wherever plain programs are, without the tools that this needs.
#[test]
fn a_program_in_wasm_text_runs_as_its_readme_says() {
    let Some(bench) = Bench::of("wat") else { return };
    bench.push(&[r#"{"user":"mia","text":"hello","ip":"192.0.2.1"}"#.to_owned()]);
    bench.delivered(1);
    assert_eq!(bench.mill.sink.received()[0].json(), json!({"user": "mia", "text": "hello"}));
    bench.runs_as_its_readme_says("wat");
}
