//! The file as a person writes it, and what comes of it.

use super::{fault::Source, load::parse, *};
use serde_json::json;
use std::path::Path;

mod access;
mod circles;
mod cluster;
mod defaults;
mod edge;
mod effective_file;
mod endpoints;
mod faults;
mod grants;
mod hostile_files;
mod lookups;
mod places;
mod rates;
mod shared_sources;
mod source_faults;
mod sources;
mod values;
mod without_effect;

const MINIMAL: &str = "[pipeline.p]\nfrom = { list = \"q\" }\npublish = [\"out\"]\n";

fn from_list(name: &str) -> From {
    From::Lists(Lists { names: vec![name.to_owned()], weights: None, pushed: End::Right })
}

fn environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("s3cr3t\" = [".to_owned()),
        "REDIS_HOST" => Some("s3cr3t.internal".to_owned()),
        "QUEUE" => Some("s3cr3t-queue".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Loaded, Faults> {
    let source = Source { path: PathBuf::from("gristmill.toml"), text: text.to_owned() };
    parse(source, &environment)
}

fn good(text: &str) -> Loaded {
    read(text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn messages(faults: &Faults) -> Vec<&str> {
    faults.iter().map(Fault::message).collect()
}

/// The messages of a file that cannot be used.
fn refused(text: &str) -> Vec<String> {
    let faults = read(text).expect_err(text);
    messages(&faults).into_iter().map(str::to_owned).collect()
}

/// What is odd about a file that can be used.
fn warned(text: &str) -> Vec<String> {
    messages(&good(text).warnings).into_iter().map(str::to_owned).collect()
}

/// A pipeline that has `lines`, its source among them.
fn pipeline(lines: &str) -> Pipeline {
    let loaded = good(&format!("[pipeline.p]\npublish = [\"o\"]\n{lines}\n"));
    loaded.config.pipelines.get("p").expect("is there").clone()
}

/// Where the only fault of a file stands, what it says and what it advises.
fn only_fault(text: &str) -> (Option<(usize, usize)>, String, String) {
    let faults = match read(text) {
        Ok(loaded) => loaded.warnings,
        Err(faults) => faults,
    };
    let list: Vec<&Fault> = faults.iter().collect();
    let [fault] = list[..] else { panic!("{text}: {faults}") };
    (faults.position(fault), fault.message().to_owned(), fault.advice().unwrap_or_default().to_owned())
}

/// What is said about one pipeline that has `lines` beside a source.
fn pipeline_refused(lines: &str) -> Vec<String> {
    refused(&format!("[pipeline.p]\nfrom = {{ list = \"q\" }}\npublish = [\"o\"]\n{lines}\n"))
}

fn plugin_refused(lines: &str) -> Vec<String> {
    refused(&format!("{MINIMAL}[plugin.out]\n{lines}\n"))
}

mod suggestions {
    use super::did_you_mean;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let plugins = ["anonymize", "pusher", "drop-fields"];
        assert_eq!(did_you_mean("anonymise", plugins), Some("anonymize"));
        assert_eq!(did_you_mean("Pusher", plugins), Some("pusher"));
        assert_eq!(did_you_mean("drop_field", plugins), Some("drop-fields"));
        assert_eq!(did_you_mean("anon", plugins), Some("anonymize"));
        assert_eq!(did_you_mean("mailer", plugins), None);
        assert_eq!(did_you_mean("", plugins), None);
        assert_eq!(did_you_mean(&"x".repeat(1_000_000), plugins), None);
    }
}
