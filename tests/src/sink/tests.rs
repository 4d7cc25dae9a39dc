use super::*;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Sends `body` and returns the whole reply, empty when there is none.
fn post(sink: &Sink, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(sink.authority())?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: sink\r\nX-Test: yes\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

#[test]
fn a_request_is_recorded_as_it_was_sent() {
    let sink = Sink::start();
    let reply = post(&sink, "/hooks/news?a=b", "{\"n\":1}").unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let received = sink.received();
    let [one] = received.as_slice() else { panic!("one request, not {received:?}") };
    assert_eq!(
        (one.method.as_str(), one.path.as_str(), one.header("x-test")),
        ("POST", "/hooks/news?a=b", Some("yes"))
    );
    assert_eq!(one.json()["n"], 1);
}

#[test]
fn the_first_answers_come_before_the_rule() {
    let sink = Sink::start();
    sink.answer_by(|received| Answer::Status(if received.text() == "bad" { 400 } else { 204 }));
    sink.answer_first(1, Answer::RetryAfter(503, 2));
    let first = post(&sink, "/", "good").unwrap();
    assert!(first.starts_with("HTTP/1.1 503") && first.contains("retry-after: 2"), "{first}");
    assert!(post(&sink, "/", "good").unwrap().starts_with("HTTP/1.1 204"));
    assert!(post(&sink, "/", "bad").unwrap().starts_with("HTTP/1.1 400"));
    assert_eq!(sink.bodies()[&Bytes::from("good")], 2);
}

#[test]
fn it_can_hang_close_and_be_late() {
    let sink = Sink::start();
    sink.answer_first(1, Answer::Hang);
    assert!(post(&sink, "/", "one").is_err());
    sink.answer_first(1, Answer::Close);
    assert_eq!(post(&sink, "/", "two").unwrap_or_default(), "");
    sink.answer(Answer::Late(Duration::from_millis(100)));
    let before = Instant::now();
    assert!(post(&sink, "/", "three").unwrap().starts_with("HTTP/1.1 200"));
    assert!(before.elapsed() >= Duration::from_millis(100));
    assert_eq!(sink.count(), 3);
}

#[test]
fn a_stopped_sink_refuses_and_comes_back_at_the_same_port() {
    let mut sink = Sink::start();
    let url = sink.url();
    sink.stop();
    assert!(post(&sink, "/", "one").is_err());
    sink.restart();
    assert_eq!(sink.url(), url);
    assert!(post(&sink, "/", "two").unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(sink.received().len(), 1);
}
