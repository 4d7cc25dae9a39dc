//! What push stream servers were seen to answer, byte by byte, to a whole node: `plugins/push-stream/tests/vectors` has it.

use crate::jobs::{PATIENT, SOON};
use gristmill_tests::{Dead, Mill, built, eventually};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Vectors of one configuration.
struct Vectors {
    name: String,
    config: Value,
    cases: Vec<Value>,
}

fn files() -> Vec<Vectors> {
    let dir = built::repository().join("plugins/push-stream/tests/vectors");
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths
        .map(|path| {
            let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Vectors { name, config: json["config"].clone(), cases: json["cases"].as_array().unwrap().clone() }
        })
        .collect()
}

/// One request as it came over the wire.
#[derive(Clone, Debug)]
struct Request {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// A server that answers each line of a request with the bytes that are said to belong to it; ends with the test.
struct Server {
    authority: String,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    fn start(answers: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (requests, over, answers) = (Arc::default(), Arc::new(AtomicBool::new(false)), Arc::new(answers));
        let (seen, ends) = (Arc::clone(&requests), Arc::clone(&over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Acquire) {
                    return;
                }
                let (answers, seen, stream) = (Arc::clone(&answers), Arc::clone(&seen), stream.unwrap());
                // The other end closes it, or this process ends.
                thread::spawn(move || converse(stream, &answers, &seen));
            }
        });
        Self { authority, requests, over }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // So that it looks.
        TcpStream::connect(&self.authority).ok();
    }
}

fn converse(mut stream: TcpStream, answers: &HashMap<String, Vec<u8>>, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let answer = answers.get(&request.line).cloned().unwrap_or_default();
        seen.lock().unwrap().push(request);
        if answer.is_empty() || stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.strip_suffix("\r\n").unwrap() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0);
    let length = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers: lines.iter().map(|line| line.to_lowercase()).collect(), body })
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().expect("every case has a topic, a payload and a verdict, and an answer if anything is sent")
}

/// The line of the request, where there is to be one.
fn line(case: &Value) -> Option<&str> {
    case["sends"][0].as_str()
}

/// A pipeline with a list for each topic, of which each case has one of its own, and the plugin that it publishes by.
fn tables(Vectors { name, config, cases }: &Vectors, authority: &str) -> String {
    let topics: Vec<&str> = cases.iter().map(|case| text(case, "topic")).collect();
    let members = config.as_object().unwrap().iter();
    let config: Vec<String> = members.map(|(key, value)| format!("{key} = {value}")).collect();
    let config = config.join(", ").replace("$SERVER", &format!("http://{authority}"));
    format!(
        "[pipeline.{name}]\nfrom = {{ list = {topics:?} }}\npublish = [\"{name}\"]\n\
         retry = {{ attempts = 2, first = \"10ms\", longest = \"10ms\" }}\n\n\
         [plugin.{name}]\nfile = \"push-stream.wasm\"\n{PATIENT}\
         config = {{ {config} }}\nallow_http = [\"{authority}\"]\n\n"
    )
}

#[test]
fn recorded_answers_mean_the_same_to_a_whole_node() {
    let files = files();
    let cases = || files.iter().flat_map(|vectors| &vectors.cases);
    let answers: HashMap<String, Vec<u8>> =
        cases().filter_map(|case| Some((line(case)?.to_owned(), text(case, "answer").into()))).collect();
    let server = Server::start(answers);
    let config: String = files.iter().map(|vectors| tables(vectors, &server.authority)).collect();
    let mill = Mill::new().plugins(&["push-stream"]).config(&config);
    let mut node = mill.node();
    for case in cases() {
        mill.redis.push(text(case, "topic"), [text(case, "payload")]);
    }
    // What is to be tried again comes twice.
    let twice = |case: &Value| if text(case, "verdict").starts_with("retry: ") { 2 } else { 1 };
    let sent: usize = cases().filter(|case| line(case).is_some()).map(twice).sum();
    let dead = cases().filter(|case| case["verdict"] != "delivered").count();
    let letters = || -> Vec<Value> { files.iter().flat_map(|file| Dead::of(&mill, &file.name).list()).collect() };
    eventually(SOON, "all are sent or dead", || {
        (server.requests().len() >= sent && letters().len() == dead).then_some(())
    });
    assert_eq!(node.terminate(), 0);
    let mut came: BTreeMap<String, Vec<Request>> = BTreeMap::new();
    server.requests().into_iter().for_each(|request| came.entry(request.line.clone()).or_default().push(request));
    let letters = letters();
    for case in cases() {
        let requests = line(case).map(|line| came.remove(line).unwrap_or_else(|| panic!("never came: {case}")));
        if let Some(requests) = &requests {
            assert_eq!(requests.len(), twice(case), "{case}");
            requests.iter().for_each(|request| is_sent(request, case));
        }
        is_judged(&letters, case);
    }
    assert!(came.is_empty(), "nobody wanted that: {came:?}");
    assert_eq!(letters.len(), dead);
}

fn is_sent(request: &Request, case: &Value) {
    for header in case["sends"].as_array().unwrap().iter().skip(1) {
        let header = header.as_str().unwrap().to_lowercase();
        assert!(request.headers.contains(&header), "no `{header}` in {request:?}");
    }
    assert_eq!(request.body, text(case, "payload").as_bytes(), "{case}");
}

/// Wants a dead letter with the reason, or none.
fn is_judged(letters: &[Value], case: &Value) {
    let letter = letters.iter().find(|letter| letter["source"] == text(case, "topic"));
    let verdict = text(case, "verdict");
    if verdict == "delivered" {
        return assert_eq!(letter, None, "{case}");
    }
    let (kind, why) = verdict.split_once(": ").unwrap();
    let letter = letter.expect("there is one for each that is not delivered, or this one was");
    assert_eq!(letter["attempts"], if kind == "retry" { 2 } else { 1 }, "{letter}");
    let last = letter["troubles"].as_array().unwrap().last().unwrap();
    assert!(text(last, "reason").starts_with(why), "{case}: {letter}");
}
