//! What is said of a server: how it is reached, and how long that may take.

use crate::{
    jobs::{SOON, all_arrive, jobs, nothing_is_left},
    status::get,
};
use gristmill_tests::{Answer, Dead, Mill, Sink, eventually, redis::Certificates};
use std::fs;

/// The pipeline `jobs` to this server, of which `keys` are said.
fn config(url: &str, authority: &str, keys: &str) -> String {
    format!(
        r#"
[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["http"]
retry = {{ attempts = 2, first = "10ms", longest = "10ms" }}

[plugin.http]
config = {{ url = "{url}/hooks/{{topic}}" }}
allow_http = ["{authority}"]
timeout = "20s"

[endpoint."{authority}"]
{keys}
"#
    )
}

fn mill(keys: &str) -> Mill {
    Mill::new().plugins(&["http"]).config(&config("$SINK", "$AUTHORITY", keys))
}

/// A mill, and a server that lets in only whom its authority knows.
fn secure() -> (Mill, Sink) {
    let mill = Mill::new().plugins(&["http"]);
    let certificates = Certificates::make(&mill.dir().join("tls"), &["127.0.0.1"]);
    let sink = Sink::secure(&certificates);
    let tls = "tls = { ca = \"tls/authority.crt\", cert = \"tls/client.crt\", key = \"tls/client.key\" }";
    (mill.config(&config(&sink.url(), &sink.authority(), tls)), sink)
}

#[test]
fn a_server_with_an_authority_of_its_own_that_wants_to_know_who_comes_is_served() {
    let (mill, sink) = secure();
    assert_eq!(mill.run(&["check"]).code, 0);
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    assert_eq!(all_arrive(&sink, 0..50), 0);
    nothing_is_left(&mill.redis);
    // Another server has taken its place: seen when the files are read again, and not before.
    Certificates::make(&mill.dir().join("tls"), &["127.0.0.1"]);
    mill.redis.push("jobs", jobs(50..60));
    assert_eq!(all_arrive(&sink, 0..60), 0);
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["configuration reloaded"]);
    mill.redis.push("jobs", jobs(60..61));
    let letter = eventually(SOON, "the server is not trusted any more", || Dead::of(&mill, "jobs").list().pop());
    assert!(letter.to_string().contains("invalid peer certificate"), "{letter}");
    assert_eq!(sink.count(), 60);
}

#[test]
fn files_that_cannot_be_used_are_told_where_they_are_named_and_leave_a_node_as_it_was() {
    let (mill, sink) = secure();
    let node = mill.node();
    fs::write(mill.dir().join("tls/client.key"), fs::read(mill.dir().join("tls/server.key")).unwrap()).unwrap();
    let checked = mill.run(&["check"]);
    let told = format!("`tls` of [endpoint.\"{}\"] cannot be used: ", sink.authority());
    assert_eq!(checked.code, 78, "{checked:?}");
    assert!(checked.stderr.contains(&told) && checked.stderr.contains("client.key` is not the key of"), "{checked:?}");
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["is not the key of the certificate in"]);
    mill.redis.push("jobs", jobs(0..10));
    assert_eq!(all_arrive(&sink, 0..10), 0);
    fs::remove_file(mill.dir().join("tls/authority.crt")).unwrap();
    let checked = mill.run(&["check"]);
    assert!(checked.stderr.contains("authority.crt`: No such file"), "{checked:?}");
}

#[test]
fn a_reply_that_does_not_begin_in_time_is_told_and_counted() {
    let mill = mill("first_byte_timeout = \"200ms\"");
    mill.sink.answer(Answer::Hang);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..1));
    let letter = eventually(SOON, "it is dead", || Dead::of(&mill, "jobs").list().pop());
    assert!(letter.to_string().contains("no reply began within 200ms (`first_byte_timeout`)"), "{letter}");
    let metrics = get(&mill, "/metrics");
    assert!(metrics.contains("gristmill_endpoint_timeouts_total{timeout=\"first_byte\"} 2\n"), "{metrics}");
}

#[test]
fn a_proxy_for_all_gets_what_goes_to_servers_without_a_table_and_its_password_is_nowhere_shown() {
    let direct = config("http://callbacks.example", "callbacks.example", "");
    let text = format!("{direct}\n[endpoint.\"*\"]\nproxy = \"http://me:${{PROXY_PASSWORD}}@$AUTHORITY\"\n");
    let text = text.replace("[endpoint.\"callbacks.example\"]", "[endpoint.\"another.example\"]");
    let mill = Mill::new().plugins(&["http"]).env("PROXY_PASSWORD", "s3cret").env("HTTP_PROXY", "http://127.0.0.1:1");
    let mill = mill.config(&text);
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    let received = mill.sink.received().remove(0);
    assert_eq!(received.header("host"), Some("callbacks.example"));
    assert_eq!(received.header("proxy-authorization"), Some("Basic bWU6czNjcmV0"));
    mill.sink.answer(Answer::Status(407));
    mill.redis.push("jobs", jobs(20..21));
    let letter = eventually(SOON, "it is dead", || Dead::of(&mill, "jobs").list().pop());
    assert!(letter.to_string().contains("answered 407 Proxy Authentication Required"), "{letter}");
    let shown = mill.run(&["config", "effective"]).stdout;
    assert!(shown.contains("me:${PROXY_PASSWORD}@"), "{shown}");
    assert!(![shown, letter.to_string(), node.log()].concat().contains("s3cret"));
}

#[test]
fn long_bodies_are_packed_where_the_operator_says_so() {
    let mill = mill("compress = \"gzip\"");
    let _node = mill.node();
    mill.redis.push("jobs", ["x".repeat(100_000)]);
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    let received = mill.sink.received().remove(0);
    let codings = (received.header("content-encoding"), received.header("accept-encoding"));
    assert_eq!(codings, (Some("gzip"), Some("gzip")));
    // The mark of the format (RFC 1952).
    assert!(received.body.starts_with(&[0x1f, 0x8b]) && received.body.len() < 1_000, "{}", received.body.len());
    nothing_is_left(&mill.redis);
}
