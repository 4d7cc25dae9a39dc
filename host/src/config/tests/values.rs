//! What a good file means.

use super::*;

#[test]
fn a_whole_file_is_read() {
    let config = good(
        r#"
redis = "embedded"
plugins_dir = "/opt/plugins"
lease = "1m"
embedded.port = 7000

[pipeline.mail]
from = { list = "mail" }
filters = ["drop_fields", "sign"]
publish = ["sender"]
retry = { attempts = 3 }
dead_letters = "mail:dead"

[plugin.sender]
file = "http.wasm"
isolation = "message"
mode = "lines"
allow_http = ["*.example.com:443", "[::1]:80"]
"#,
    )
    .config;
    assert_eq!(config.redis, Redis::Embedded { port: 7000 });
    assert_eq!(config.plugins_dir, PathBuf::from("/opt/plugins"));
    let mail = config.pipelines.get("mail").expect("is there");
    assert_eq!(mail.filters, ["drop-fields", "sign"]);
    assert_eq!(mail.retry.attempts, 3);
    assert_eq!(mail.retry.longest, Duration::from_secs(300));
    assert_eq!(mail.dead_letters.as_deref(), Some("mail:dead"));
    let sender = config.plugins.get("sender").expect("is there");
    assert_eq!(sender.file.as_deref(), Some("http.wasm"));
    assert_eq!(sender.isolation, Isolation::Message);
    assert_eq!(sender.mode, Mode::Lines);
    assert_eq!(sender.allow_http.len(), 2);
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let source = Source {
        path: PathBuf::from("/etc/gristmill/gristmill.toml"),
        text: "data_dir = \"/var/lib/gristmill\"".to_owned(),
    };
    let config = parse(source, &environment).expect("loads").config;
    assert_eq!(config.plugins_dir, Path::new("/etc/gristmill/plugins"));
    assert_eq!(config.data_dir, Path::new("/var/lib/gristmill"));
}

#[test]
fn underscores_and_hyphens_are_the_same_in_plugin_names() {
    let text = "[pipeline.p]\nfrom.list = \"q\"\nfilters = [\"a_b\"]\n[plugin.a-b]\n";
    let loaded = good(text);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert!(loaded.config.plugins.contains_key("a-b"));
}

#[test]
fn a_plugins_own_configuration_becomes_json() {
    let text = format!(
        "{MINIMAL}[plugin.out.config]\n\
         secret = \"${{SECRET}}\"\nwhen = 1979-05-27T07:32:00Z\nday = 1979-05-27\n\
         n = -9_223_372_036_854_775_808\nhex = 0xff\nx = 0.5\nyes = true\n\
         list = [1, [\"$${{SECRET}}\"], {{ \"${{SECRET}}\" = {{}} }}]\n"
    );
    let config = good(&text).config;
    let expected = json!({
        "secret": "s3cr3t\" = [",
        "when": "1979-05-27T07:32:00Z",
        "day": "1979-05-27",
        "n": i64::MIN,
        "hex": 255,
        "x": 0.5,
        "yes": true,
        "list": [1, ["${SECRET}"], { "${SECRET}": {} }],
    });
    assert_eq!(config.plugins.get("out").expect("is there").config, expected);
}

#[test]
fn variables_are_replaced_in_every_kind_of_string() {
    let text = "redis = \"redis://${REDIS_HOST}:6379\"\nlease = '${LEASE:-20s}'\n\
                [pipeline.p]\nfrom = { list = \"${QUEUE}\" }\npublish = [\"${PLUGIN:-a_b}\"]\n";
    let config = good(text).config;
    let redis = Redis::Url("redis://s3cr3t.internal:6379".to_owned());
    assert_eq!(config.redis, redis);
    assert_eq!(config.lease, Duration::from_secs(20));
    let pipeline = config.pipelines.get("p").expect("is there");
    assert_eq!(pipeline.from, from_list("s3cr3t-queue"));
    assert_eq!(pipeline.publish, ["a-b"]);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_no_harm() {
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    assert_eq!(good(&text).config, good(MINIMAL).config);
}
