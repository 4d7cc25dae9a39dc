//! The file written out in full.

use super::*;

fn assert_stays_the_same(text: &str) -> String {
    let loaded = good(text);
    let written = effective(&loaded);
    assert_eq!(good(&written).config, loaded.config, "{written}");
    written
}

#[test]
fn it_loads_to_what_it_was_made_from() {
    assert_stays_the_same("");
    assert_stays_the_same(MINIMAL);
    assert_stays_the_same(DEFAULT);
    assert_stays_the_same(
        "redis = 'embedded'\nembedded = { port = 1 }\nshutdown.grace = \"\"\"1s\"\"\"\n\
         pipeline.p = { from.list = \"q\", retry.attempts = 0x2 }\n\
         [pipeline.\"ü.v\"]\nfrom = { list = '''a\nb''' }\nfilters = [\n  'x_y', # first\n]\n\
         [plugin.x_y.config]\n\"a b\\n\\u007f\" = 1\n[plugin.x_y.config.deep]\nat = 07:32:00\n\
         [[plugin.x_y.config.rows]]\nn = 1\n[[plugin.x_y.config.rows]]\nn = 2.5\n",
    );
}

#[test]
fn every_kind_of_source_keeps_what_it_says() {
    for (from, full) in [
        ("{ list = ['a', \"b\"] }", "{ list = ['a', \"b\"], weights = [], pushed = \"right\" }"),
        (
            "{ start = '5-1', stream = \"s\" }",
            "{ stream = \"s\", group = \"gristmill\", start = '5-1', payload = \"payload\", done = \"keep\", claim = \"never\" }",
        ),
        ("{ channel = [\"a\"] }", "{ channel = [\"a\"] }"),
        ("{ pattern = \"a*\" }", "{ pattern = \"a*\" }"),
        ("{ shard_channel = \"a\" }", "{ shard_channel = \"a\" }"),
        ("{ resque = \"*\" }", "{ resque = \"*\", namespace = \"resque\", retries = \"own\" }"),
        (
            "{ resque = \"*\", host = \"x\" }",
            "{ resque = \"*\", namespace = \"resque\", host = \"x\", retries = \"own\" }",
        ),
        (
            "{ thoonk = \"t\", result = true }",
            "{ thoonk = \"t\", kind = \"auto\", claim = \"10m\", cancels = 3, result = true }",
        ),
    ] {
        let written = assert_stays_the_same(&format!("[pipeline.p]\nfrom = {from}\npublish = [\"o\"]\n"));
        assert!(written.contains(&format!("\nfrom = {full}\n")), "{written}");
        assert_eq!(warned(&written), [""; 0], "{written}");
    }
}

#[test]
fn keys_in_force_are_the_same_when_read_again() {
    assert_stays_the_same(
        "redis = \"rediss+sentinel://a,b/m\"\nsentinel_user = \"u\"\nsentinel_password = \"${SECRET}\"\n\
         tls = { ca = \"ca.pem\", cert = \"/c\", key = \"k\" }\n\
         [pipeline.p]\nfrom.list = \"q\"\ntake = \"newest\"\nbacklog.keep = 7\norder_by = \"topic\"\n\
         order_retries = \"overtake\"\nretry.crashes = 9\nkeep_dead.most = 5\n",
    );
}

#[test]
fn it_has_every_default_and_no_value_of_the_environment() {
    let written = assert_stays_the_same(
        "redis = \"redis://${REDIS_HOST}\"\n[pipeline.p]\nfrom = { list = \"${QUEUE}\" }\n\
         retry = { attempts = 2 }\n[plugin.out]\nconfig = { key = \"${SECRET}\" }\n",
    );
    assert_eq!(written, include_str!("../../../tests/config/effective.toml"));
}

#[test]
fn a_password_in_it_is_hidden_and_the_rest_still_loads() {
    let written = effective(&good("sentinel_password = \"&\"\nredis = \"redis://u:geheim@h\"\n"));
    assert!(written.contains("sentinel_password = \"*\"") && !written.contains("geheim"), "{written}");
    assert_eq!(effective(&good(&written)), written);
}
