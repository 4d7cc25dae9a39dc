//! What push stream servers were seen to answer, played to the plugin: `vectors/README.md` says what stands in the files.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use gristmill_sdk::{Body, Failure, Message, Publisher, Reply, Result, config};
use push_stream::PushStream;
use serde::Deserialize;
use std::{collections::HashSet, fs, path::Path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    config: Settings,
    cases: Vec<Case>,
}

/// The plugin's, with the address of a server.
#[derive(Deserialize)]
#[serde(transparent)]
struct Settings(std::collections::BTreeMap<String, String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    topic: String,
    payload: String,
    sends: Option<Vec<String>>,
    answer: Option<String>,
    verdict: String,
}

fn files() -> Vec<(String, Vectors)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files
        .map(|path| {
            let vectors = config::parse(&fs::read_to_string(&path).unwrap());
            (path.display().to_string(), vectors.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect()
}

fn plugin(Settings(settings): &Settings) -> PushStream {
    let members = settings.iter().map(|(key, value)| {
        let value = value.replace("$SERVER", "http://h");
        format!("{key:?}:{value:?}")
    });
    let json = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    PushStream::new(config::parse(&json).unwrap()).unwrap()
}

/// What the plugin sees of an answer, whose head ends with an empty line.
fn reply(answer: &str) -> Reply {
    if answer.is_empty() {
        return Reply::Http(Err(Failure::Unreachable(String::new())));
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let length = headers.clone().find(|(name, _)| *name == "Content-Length").unwrap().1;
    assert_eq!(length.parse(), Ok(body.len()), "{answer}");
    headers.fold(Reply::test(status, body), |reply, (name, value)| reply.with_header(name, value))
}

fn verdict(result: Result<()>) -> String {
    match result {
        Ok(()) => "delivered".to_owned(),
        Err(error) if error.is_retry() => format!("retry: {error}"),
        Err(error) => format!("reject: {error}"),
    }
}

/// Has the plugin send the message, wants that to be what the file says, and has it judge the answer.
fn play(config: &Settings, case: &Case) -> Result<()> {
    let mut plugin = plugin(config);
    let message = Message::test(case.payload.as_str()).with_topic(&case.topic);
    let requests = plugin.publish(&message)?;
    let sends = case.sends.as_ref().unwrap_or_else(|| panic!("{}: nothing is to be sent", case.case));
    let request = requests[0].http().unwrap();
    let target = request.url.strip_prefix("http://h").unwrap();
    assert_eq!((requests.len(), &format!("{} {target} HTTP/1.1", request.method)), (1, &sends[0]), "{}", case.case);
    assert_eq!(request.body, Body::Payload, "{}", case.case);
    let headers: HashSet<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, sends[1..].iter().cloned().collect(), "{}", case.case);
    assert_eq!(plugin.answered(&message, &[reply(case.answer.as_ref().unwrap())])?, [], "{}", case.case);
    Ok(())
}

#[test]
fn every_answer_is_judged_as_its_vector_says() {
    let files = files();
    for (file, vectors) in &files {
        for case in &vectors.cases {
            assert_eq!(verdict(play(&vectors.config, case)), case.verdict, "{file}: {}", case.case);
        }
    }
    assert_eq!(files.iter().map(|(_, vectors)| vectors.cases.len()).sum::<usize>(), 28, "each is played");
}
