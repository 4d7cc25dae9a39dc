//! The edge, and pipelines that publish to it.

use super::*;

const ON: &str = "[edge]\nlisten = \"127.0.0.1:8080\"\ntoken_secret = \"0123456789abcdef0123456789abcdef\"\n";
const PIPELINE: &str = "[pipeline.p]\nfrom = { list = \"q\" }\npublish = [\"edge\"]\n";

#[test]
fn a_pipeline_publishes_where_its_template_says() {
    let target = "edge = { channel = \"user-{json:/user/id}\", event = \"{header:kind}\" }\n";
    let loaded = good(&format!("{PIPELINE}{target}{ON}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let edge = &loaded.config.pipelines.get("p").expect("is there").edge;
    let user = Part::Json("/user/id".to_owned());
    assert_eq!(edge.channel, Template(vec![Part::Text("user-".to_owned()), user]));
    assert_eq!(edge.event, Template(vec![Part::Header("kind".to_owned())]));
}

#[test]
fn a_pipeline_that_publishes_to_an_edge_without_a_listener_is_refused() {
    assert_eq!(refused(PIPELINE), ["this pipeline publishes to the edge, which listens nowhere"]);
}

#[test]
fn the_edge_is_no_plugin() {
    let plugin = format!("{PIPELINE}{ON}[plugin.edge]\n");
    assert_eq!(
        refused(&plugin),
        ["no plugin can be called `edge`: in `publish` it stands for the channels of this node"]
    );
    let filter = format!("{}{ON}", PIPELINE.replace("publish", "filters"));
    assert_eq!(refused(&filter), ["`edge` is no filter: it stands for the channels of this node"]);
}

#[test]
fn a_listener_that_nobody_can_read_from_is_told() {
    let warning = "nobody can subscribe: there is nothing to check tokens with, and no channel that anyone may read";
    let bare = format!("{PIPELINE}[edge]\nlisten = \"127.0.0.1:8080\"\n");
    assert_eq!(warned(&bare), [warning]);
    assert!(warned(&format!("{bare}[channel.\"*\"]\nread = \"anyone\"\n")).is_empty());
}

#[test]
fn what_the_edge_cannot_do_is_refused() {
    for (key, what) in [
        ("listen = \"8080\"", "`listen` is no address"),
        ("token_secret = \"short\"", "`token_secret` is shorter than 32 bytes, so it can be guessed"),
        ("origins = [\"app.example.com\"]", "`origins` has something that is no origin"),
        ("timeouts = { ping = \"5m\" }", "`ping` is longer than \"240s\""),
        ("slow = \"wait\"", "`slow` is neither \"close\" nor \"drop\""),
        ("threads = 2000", "`threads` is out of range"),
    ] {
        assert_eq!(refused(&format!("[edge]\n{key}\n")), [what], "{key}");
    }
    let target = format!("{PIPELINE}edge = {{ channel = \"{{user}}\" }}\n{ON}");
    assert_eq!(refused(&target), ["`channel` has something in braces that stands for nothing"]);
}

#[test]
fn the_secret_of_tokens_is_not_shown() {
    let text = format!("{PIPELINE}{ON}");
    assert!(!effective(&good(&text)).contains("0123456789abcdef"));
}
