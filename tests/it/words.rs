//! What is wrong is said in words, with the promised exit code.

use crate::jobs::{direct, pipeline};
use gristmill_tests::{Finished, Mill, Redis, node::holds_all};

/// Wants this exit code, and all of `words` in what was said.
#[track_caller]
fn says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, code, "{}", finished.stderr);
    assert!(holds_all(&finished.stderr, words), "{words:?} are not all in:\n{}", finished.stderr);
}

fn with_config(config: &str) -> Mill {
    Mill::new().plugins(&["anonymize", "http"]).config(config)
}

#[test]
fn an_unreachable_redis_is_named() {
    let mut mill = direct(Redis::start(), "");
    let url = mill.redis.url();
    mill.redis.stop();
    says(&mill.run(&["run"]), 69, &[&url]);
}

#[test]
fn a_redis_that_wants_a_password_is_named() {
    let mut mill = direct(Redis::start(), "");
    mill.redis.ask::<()>(&["CONFIG", "SET", "requirepass", "secret"]);
    says(&mill.run(&["run"]), 69, &["NOAUTH"]);
    mill.redis.kill9();
}

#[test]
fn every_fault_of_a_config_is_shown_with_its_place() {
    let mill = with_config(&pipeline("in_flight = \"many\"\nfilterz = []", "[shutdown]\ngrace = \"soon\"\n"));
    let finished = mill.run(&["run"]);
    says(&finished, 78, &["gristmill.toml", "in_flight", "filterz", "did you mean", "filters", "grace", "^"]);
    says(&mill.run(&["check"]), 78, &["in_flight", "filterz", "grace"]);
}

#[test]
fn a_config_that_is_not_toml_is_shown_with_its_place() {
    let mill = Mill::new();
    mill.write_raw_config("redis = \"redis://127.0.0.1\"\n[pipeline.jobs\n");
    says(&mill.run(&["run"]), 78, &["gristmill.toml", "2", "^"]);
}

#[test]
fn a_config_that_does_not_exist_is_named() {
    let mill = Mill::new();
    says(&mill.run(&["run"]), 78, &["gristmill.toml"]);
}

#[test]
fn a_missing_variable_is_named() {
    let mill = Mill::new();
    mill.write_raw_config("redis = \"${GRISTMILL_NO_SUCH_VARIABLE}\"\n");
    says(&mill.run(&["check"]), 78, &["GRISTMILL_NO_SUCH_VARIABLE", "^"]);
}

#[test]
fn a_missing_plugin_is_named_beside_its_likely_namesake() {
    let mill = with_config(&pipeline("filters = [\"anonymise\"]", ""));
    says(&mill.run(&["run"]), 78, &["anonymise", "did you mean", "anonymize"]);
}

#[test]
fn a_publisher_is_no_filter() {
    let mill = with_config(&pipeline("filters = [\"http\"]", ""));
    says(&mill.run(&["run"]), 78, &["http", "publisher", "filter"]);
}

#[test]
fn a_plugin_that_refuses_its_config_says_which_field() {
    let mill =
        with_config(&pipeline("filters = [\"anonymize\"]", "[plugin.anonymize]\nconfig = { feilds = [\"ip\"] }\n"));
    says(&mill.run(&["run"]), 78, &["anonymize", "feilds"]);
    says(&mill.run(&["check"]), 78, &["anonymize", "feilds"]);
}

#[test]
fn a_file_that_is_no_plugin_is_named() {
    let mill = with_config(&pipeline("filters = [\"junk\"]", ""));
    gristmill_tests::replace_file(&mill.plugin_file("junk"), b"this is no component");
    says(&mill.run(&["run"]), 78, &["junk"]);
}

#[test]
fn a_good_config_is_called_good() {
    let mill = direct(Redis::start(), "");
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn bad_arguments_are_refused() {
    let mill = Mill::new();
    for words in [["run", "--confg"], ["rnu", "--config"], ["dead", "resurrect"]] {
        assert_eq!(mill.run_bare(&words).code, 2, "{words:?}");
    }
}

#[test]
fn the_default_config_is_printed_as_it_is_documented() {
    let printed = Mill::new().run_bare(&["config", "default"]);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let documented =
        std::fs::read_to_string(gristmill_tests::built::repository().join("host/src/default.toml")).unwrap();
    assert_eq!(printed.stdout.trim(), documented.trim());
}

#[test]
fn the_effective_config_shows_what_is_in_force_without_secrets() {
    let mill = Mill::new().plugins(&["http"]).config(
        "[pipeline.jobs]\nfrom = { list = \"jobs\" }\n[plugin.http]\nconfig = { url = \"http://127.0.0.1/\", method = \"${PATH}\" }\n",
    );
    let shown = mill.run(&["config", "effective"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(holds_all(&shown.stdout, &["[pipeline.jobs]", "in_flight = 256", "${PATH}"]), "{}", shown.stdout);
    let secret = std::env::var("PATH").unwrap();
    assert!(!shown.stdout.contains(&secret), "{}", shown.stdout);
}
