//! Secrets reach the server they are meant for, and nobody else.

use crate::jobs::{SOON, pipeline};
use gristmill_tests::{Answer, Mill, Node, Received, eventually};

const VALUE: &str = "hunter2-0123456789";
const RETRY: &str = "retry = { attempts = 1, crashes = 1 }";

/// A mill whose jobs go to the guest `courier`, with the secret `token` as its text and these keys beside.
fn mill(config: &str, keys: &str) -> Mill {
    let table = format!(
        "[plugin.courier]\nconfig = {{ url = \"$SINK/?t=${{secret:token}}\", text = \"<${{secret:token}}>\", {config} }}\n\
         secrets = {{ token = \"${{COURIER_TOKEN}}\" }}\n{keys}\n"
    );
    let config = pipeline(RETRY, &table).replace("publish = [\"http\"]", "publish = [\"courier\"]");
    Mill::new().guests(&["courier"]).plugins(&["http"]).env("COURIER_TOKEN", VALUE).config(&config)
}

const HERE: &str = "allow_http = [\"$AUTHORITY\"]";

/// The first request for a job with this payload.
#[track_caller]
fn delivered(mill: &Mill, payload: &str) -> Received {
    mill.redis.push("jobs", [payload]);
    eventually(SOON, "the job arrives", || mill.sink.received().last().cloned())
}

/// Wants the secret, and what stands for it, nowhere but where it was sent.
#[track_caller]
fn kept(mill: &Mill, node: &Node) {
    let mut all = node.log();
    for words in [&["dead", "show", "jobs"][..], &["dead", "list"], &["check"], &["config", "effective"]] {
        let finished = mill.run(words);
        all += &(finished.stdout + &finished.stderr);
    }
    assert!(!all.contains(VALUE), "{all}");
    assert!(!all.contains("secret-"), "{all}");
}

#[test]
fn a_secret_is_put_into_url_header_and_template_by_the_host() {
    let mill = mill("template = true", HERE);
    let node = mill.node();
    let received = delivered(&mill, "{}");
    assert_eq!(received.path, format!("/?t={VALUE}"));
    assert_eq!(received.header("x-text"), Some(&*format!("<{VALUE}>")));
    assert_eq!(received.text(), format!("<{VALUE}>{{}}"));
    kept(&mill, &node);
}

#[test]
fn the_plugin_itself_holds_a_stand_in() {
    let mill = mill("template = false", HERE);
    let node = mill.node();
    let body = delivered(&mill, "{}").text();
    assert!(body.starts_with("<secret-") && body.ends_with(">{}") && !body.contains(VALUE), "{body}");
    kept(&mill, &node);
}

#[test]
fn a_message_pulls_no_secret_by_naming_it() {
    let mill = mill("template = true", HERE);
    let _node = mill.node();
    let payload = "${secret:token} secret-token";
    assert_eq!(delivered(&mill, payload).text(), format!("<{VALUE}>{payload}"));
}

#[test]
fn a_secret_is_neither_logged_nor_buried() {
    let mill = mill("gossip = true", HERE);
    let node = mill.node();
    mill.redis.push("jobs", ["{}"]);
    node.says(&["the text is <${secret:token}>"]);
    node.says(&["it really is <${secret:token}>"]);
    node.says(&["dead letters", "of <${secret:token}>"]);
    kept(&mill, &node);
}

#[test]
fn a_secret_does_not_follow_a_redirect_to_another_host() {
    let other = gristmill_tests::Sink::start();
    let elsewhere = format!("{}/caught", other.url().replace("127.0.0.1", "localhost"));
    for (target, why) in [
        (elsewhere.as_str(), "`allow_http` does not name"),
        ("http://169.254.169.254/latest/meta-data", "`allow_http` does not name"),
    ] {
        let mill = mill("template = true", HERE);
        mill.sink.answer(Answer::Moved(302, target.to_owned()));
        let node = mill.node();
        mill.redis.push("jobs", ["{}"]);
        node.says(&["dead letters", "courier", why]);
        assert_eq!((mill.sink.count(), other.count()), (1, 0));
        kept(&mill, &node);
    }
}

#[test]
fn a_redirect_to_a_metadata_address_leads_nowhere_though_every_public_host_is_granted() {
    let mill = mill("template = true", "allow_http = [\"$AUTHORITY\", \"*\"]");
    mill.sink.answer(Answer::Moved(302, "http://169.254.169.254/latest/meta-data".to_owned()));
    let node = mill.node();
    mill.redis.push("jobs", ["{}"]);
    node.says(&["dead letters", "`169.254.169.254:80` is not a public address"]);
    kept(&mill, &node);
}

#[test]
fn a_missing_variable_is_told_by_its_name() {
    let mill = mill("template = true", HERE);
    let config = std::fs::read_to_string(mill.config_file()).unwrap();
    mill.write_raw_config(&config.replace("COURIER_TOKEN", "GRISTMILL_NO_SUCH_SECRET"));
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 78);
    assert!(finished.stderr.contains("`GRISTMILL_NO_SUCH_SECRET` is not set"), "{}", finished.stderr);
}
