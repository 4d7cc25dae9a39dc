//! What is taken as a duration, an address, a host or a name, and what is not.

use super::{
    super::{DirAccess, HostPattern},
    *,
};

fn grant(text: &str) -> (HostPattern, Option<u16>) {
    let grant = http_grant(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
    (grant.host, grant.port)
}

fn exact(host: &str) -> HostPattern {
    HostPattern::Exact(host.to_owned())
}

#[test]
fn durations_are_a_whole_number_and_a_unit() {
    assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
    assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
    assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
    assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
    assert_eq!(duration("0s"), Ok(Duration::ZERO));
}

#[test]
fn other_durations_are_refused_with_how_to_write_them() {
    for text in ["", "s", "1.5s", "1m30s", "15 s", "-1s", "15S", "half", "١s"] {
        let wrong = duration(text).expect_err(text);
        assert_eq!((wrong.what, wrong.help), ("is not a duration", DURATION_HELP));
    }
    assert_eq!(duration("15").expect_err("no unit").what, "has no unit");
    for text in ["99999999999999999999ms", "18446744073709551615d"] {
        assert_eq!(duration(text).expect_err(text).what, "is too long");
    }
}

#[test]
fn order_is_by_topic_header_or_json_pointer() {
    assert_eq!(order_by("nothing"), Ok(None));
    assert_eq!(order_by("topic"), Ok(Some(OrderBy::Topic)));
    assert_eq!(order_by("header:x:y"), Ok(Some(OrderBy::Header("x:y".to_owned()))));
    for pointer in ["/", "/user/id", "/a~1b/~0", "//0/-"] {
        assert_eq!(order_by(&format!("json:{pointer}")), Ok(Some(OrderBy::Json(pointer.to_owned()))));
    }
    for (text, what) in [
        ("", "is nothing to keep in order by"),
        ("Topic", "is nothing to keep in order by"),
        ("topic:x", "is nothing to keep in order by"),
        ("header", "is nothing to keep in order by"),
        ("header:", "names no header"),
        ("json:", "has no pointer"),
        ("json:user", "has a pointer without a slash"),
        ("json:#/user", "has a pointer without a slash"),
        ("json:/a~", "has a pointer with a lone `~`"),
        ("json:/~2", "has a pointer with a lone `~`"),
        ("json:/~~0", "has a pointer with a lone `~`"),
    ] {
        assert_eq!(order_by(text).expect_err(text).what, what, "{text}");
    }
}

#[test]
fn an_entry_of_a_stream_has_one_number_or_two() {
    for id in ["0", "0-0", "1700000000000", "1700000000000-7", "18446744073709551615-18446744073709551615"] {
        assert_eq!(entry_id(id), Ok(()), "{id}");
    }
    for id in ["", "-", "$", ">", "+", "1-", "-1", "1-2-3", "+1", "1-*", "18446744073709551616", "1 "] {
        assert!(entry_id(id).is_err(), "{id:?} is taken");
    }
}

#[test]
fn names_that_would_break_what_resque_builds_of_them_are_refused() {
    assert_eq!((resque_host("web-1.mill"), resque_namespace(""), resque_queue("low*")), (Ok(()), Ok(()), Ok(())));
    assert_eq!(resque_host("web:1").expect_err("colon").what, "holds a colon");
    assert_eq!(resque_namespace("app:").expect_err("colon").what, "ends in a colon");
    assert_eq!(resque_queue("high,low").expect_err("comma").what, "holds a comma");
}

#[test]
fn a_host_is_granted_with_or_without_a_port() {
    assert_eq!(grant("api.example.com"), (exact("api.example.com"), None));
    assert_eq!(grant("API.Example.com:8443"), (exact("api.example.com"), Some(8443)));
    assert_eq!(grant("localhost:1"), (exact("localhost"), Some(1)));
    assert_eq!(grant("10.0.0.7:65535"), (exact("10.0.0.7"), Some(65535)));
    assert_eq!(grant("my_service-1"), (exact("my_service-1"), None));
}

#[test]
fn ipv6_addresses_lose_their_brackets_and_get_their_shortest_form() {
    assert_eq!(grant("::1"), (exact("::1"), None));
    assert_eq!(grant("[::1]:80"), (exact("::1"), Some(80)));
    assert_eq!(grant("[2001:DB8:0::1]"), (exact("2001:db8::1"), None));
}

#[test]
fn wildcards_are_everything_or_everything_below() {
    assert_eq!(grant("*"), (HostPattern::Any, None));
    assert_eq!(grant("*:443"), (HostPattern::Any, Some(443)));
    let below = HostPattern::Below(".example.com".to_owned());
    assert_eq!(grant("*.Example.com"), (below, None));
}

#[test]
fn what_is_no_host_is_not_granted() {
    for text in [
        "",
        " ",
        "https://api.example.com",
        "user@example.com",
        "example.com/path",
        "10.0.0.0/8",
        "::/0",
        "example.com:0",
        "example.com:65536",
        "example.com:+80",
        "example.com:",
        ":80",
        "[::1",
        "[::1]80",
        "[example.com]:80",
        "fe80::1%eth0",
        "a:b:80",
        "*.",
        "*.10.0.0.1",
        "*.*.example.com",
        "api.*.com",
        "*example.com",
        "example..com",
        ".example.com",
        "example.com.",
        "ex ample.com",
        "exämple.com",
        "10.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "2130706433",
        "0x7f.0.0.0x1",
        "0X7F000001",
    ] {
        assert!(http_grant(text).is_err(), "{text} is granted");
    }
}

#[test]
fn plugin_names_are_written_with_hyphens() {
    assert_eq!(plugin_name("drop_fields"), Ok("drop-fields".to_owned()));
    assert_eq!(plugin_name("drop-fields.v2"), Ok("drop-fields.v2".to_owned()));
}

#[test]
fn names_that_would_not_do_as_files_keys_or_labels_are_refused() {
    let long = "a".repeat(101);
    for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\nb", "a\"b", "{a}", &long] {
        assert!(plugin_name(name).is_err(), "{name:?} is taken");
    }
    assert_eq!(plugin_name("pusher.wasm").expect_err("file").what, "names a file");
}

#[test]
fn a_plugins_file_lies_in_the_directory_itself() {
    assert_eq!(wasm_file("other.wasm"), Ok(()));
    for file in ["", "other", ".wasm", "../other.wasm", "a/b.wasm", "a\\b.wasm", "/x.wasm"] {
        assert!(wasm_file(file).is_err(), "{file:?} is taken");
    }
}

#[test]
fn directories_are_for_writing_unless_they_say_otherwise() {
    assert_eq!(dir_grant("spool"), Ok(("spool", DirAccess::Write)));
    assert_eq!(dir_grant("spool:rw"), Ok(("spool", DirAccess::Write)));
    assert_eq!(dir_grant("/srv/a:b:ro"), Ok(("/srv/a:b", DirAccess::Read)));
    for text in ["", ":ro", "a\0b"] {
        assert!(dir_grant(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_plugin_sees_directories_under_names_that_lead_nowhere_else() {
    assert!(["out", "/data", ".", "a/b"].iter().all(|name| guest_dir(name).is_ok()));
    assert!(["", "..", "a/../b", "a\0"].iter().all(|name| guest_dir(name).is_err()));
}

#[test]
fn variables_and_secrets_have_plain_names() {
    assert!(["LANG", "_x1"].iter().all(|name| variable(name).is_ok() && secret_name(name).is_ok()));
    assert!(["", "1a", "A=B", "*", "a b"].iter().all(|name| variable(name).is_err() && secret_name(name).is_err()));
}

#[test]
fn commands_of_redis_are_granted_with_their_keys() {
    for (text, shown) in [
        ("PUBLISH news.*", "PUBLISH news.*"),
        ("get|Set  cache:*", "GET|SET cache:*"),
        ("* cache:*", "* cache:*"),
        ("cache:*", "* cache:*"),
        ("EVAL *", "EVAL *"),
        ("JSON.SET *", "JSON.SET *"),
    ] {
        assert_eq!(redis_grant(text).map(|grant| grant.to_string()).as_deref(), Ok(shown), "{text}");
    }
    for (text, what) in [
        ("", "holds an empty entry"),
        ("GET ", "names a command without the keys it may name"),
        ("GET", "names a command without the keys it may name"),
        ("BLPOP a", "names a command that plugins never get"),
        ("GET|MULTI *", "names a command that plugins never get"),
        ("EVAL cache:*", "names a command whose keys cannot be checked"),
        ("GET a b", "has a space in a pattern for keys"),
        ("G$T a", "names no command of Redis"),
        ("|GET a", "names no command of Redis"),
    ] {
        assert_eq!(redis_grant(text).expect_err(text).what, what, "{text}");
    }
}
