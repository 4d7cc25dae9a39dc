//! What is said about a bad file.

use super::*;

#[test]
fn every_fault_of_a_file_is_reported_at_once() {
    let text = include_str!("../../../tests/config/faults.toml");
    let faults = read(text).expect_err("is full of faults");
    let expected = include_str!("../../../tests/config/faults.txt");
    assert_eq!(faults.to_string() + "\n", expected);
}

#[test]
fn colours_appear_only_when_asked_for() {
    let faults = read("lease = 1").expect_err("no unit");
    assert!(faults.render(true).contains('\u{1b}'));
    assert!(!faults.render(false).contains('\u{1b}'));
}

#[test]
fn a_fault_has_a_line_and_a_column_in_characters() {
    let faults = read("# ü\nplugins_dir = \"ü\"; lease = 1").expect_err("syntax");
    let fault = faults.iter().next().expect("one");
    assert_eq!(faults.position(fault), Some((2, 18)));
}

#[test]
fn a_syntax_error_is_reported_alone_with_its_place() {
    assert_eq!(
        refused("lease = 1\nredis = redis://x\n"),
        ["not valid TOML: string values must be quoted, expected literal string"]
    );
    let doubled = "not valid TOML: this key or table stands here for the second time";
    assert_eq!(refused("lease = \"1s\"\nlease = \"2s\"\n"), [doubled]);
    assert_eq!(refused("[pipeline.p]\n[pipeline.p]\n"), [doubled]);
}

#[test]
fn an_unknown_key_comes_with_the_one_that_was_meant() {
    for (text, advice) in [
        ("plugin_dir = \"x\"", "did you mean `plugins_dir`?"),
        ("[pipelines.p]", "did you mean `pipeline`?"),
        ("[pipeline.p]\nin-flight = 1\nfrom.list = \"q\"\npublish = [\"o\"]", "did you mean `in_flight`?"),
        ("[plugin.p]\nmemory = 1", "did you mean `memory_mib`?"),
        ("[plugin.p]\nlimits.child = 1", "did you mean `children`?"),
        ("[shutdown]\nlease = \"9s\"", "`lease` belongs at the top of the file, before the first table"),
        ("timeout = \"1s\"", "`timeout` belongs under [plugin.NAME]"),
        ("[pipeline.p]\nfrom.list = \"q\"\npushed = \"left\"", "`pushed` belongs in `from`, beside `list`"),
        ("[pipeline.p]\nfrom.list = \"q\"\nbacklog.keeps = 1", "did you mean `keep`?"),
        ("[shutdown]\nfoo = 1", "the keys here are `grace`"),
    ] {
        let faults = read(text).expect_err(text);
        let error = |fault: &&Fault| fault.severity() == Severity::Error;
        let fault = faults.iter().find(error).expect("an error");
        assert_eq!(fault.advice(), Some(advice), "{text}");
    }
}

#[test]
fn numbers_out_of_range_or_in_quotes_are_refused() {
    for value in ["0", "-1", "100001", "99999999999999999999999999999999999999999999"] {
        let refused = pipeline_refused(&format!("in_flight = {value}"));
        assert_eq!(refused, ["`in_flight` is out of range"], "{value}");
    }
    for (value, kind) in [("\"9\"", "a string"), ("1.5", "a fraction"), ("true", "true or false")] {
        let refused = pipeline_refused(&format!("in_flight = {value}"));
        assert_eq!(refused, [format!("`in_flight` is {kind}, not a whole number")]);
    }
    assert_eq!(plugin_refused("memory_mib = 4097"), ["`memory_mib` is out of range"]);
    assert_eq!(plugin_refused("limits = { rounds = 0 }"), ["`rounds` is out of range"]);
    assert_eq!(plugin_refused("limits = { instances = 1001 }"), ["`instances` is out of range"]);
    assert_eq!(plugin_refused("limits.log_lines = \"20\""), ["`log_lines` is a string, not a whole number"]);
    assert_eq!(plugin_refused("http_response_kib = 0"), ["`http_response_kib` is out of range"]);
    assert_eq!(pipeline_refused("retry = { attempts = 0 }"), ["`attempts` is out of range"]);
    assert_eq!(pipeline_refused("retry = { crashes = 0 }"), ["`crashes` is out of range"]);
    assert_eq!(pipeline_refused("backlog = { keep = 0 }"), ["`keep` is out of range"]);
    assert_eq!(pipeline_refused("backlog = { keep = \"some\" }"), ["`keep` is a string, not a whole number"]);
    assert_eq!(pipeline_refused("keep_dead = { most = 0 }"), ["`most` is out of range"]);
    assert_eq!(refused("embedded.port = 65536"), ["`port` is out of range"]);
}

#[test]
fn durations_have_units_and_bounds() {
    assert_eq!(refused("lease = 15"), ["`lease` has no unit"]);
    assert_eq!(refused("lease = \"999ms\""), ["`lease` is out of range"]);
    assert_eq!(refused("lease = \"366d\""), ["`lease` is out of range"]);
    assert_eq!(refused("lease = [\"1s\"]"), ["`lease` is a list, not a duration"]);
    assert_eq!(plugin_refused("timeout = \"0ms\""), ["`timeout` is out of range"]);
    assert_eq!(pipeline_refused("keep_dead = { longest = 90 }"), ["`longest` has no unit"]);
    assert_eq!(good("shutdown.grace = \"0s\"").config.shutdown.grace, Duration::ZERO);
}

#[test]
fn the_first_pause_is_not_longer_than_the_longest() {
    let expected = ["`first` is longer than `longest`"];
    assert_eq!(pipeline_refused("retry = { first = \"2s\", longest = \"1s\" }"), expected);
    assert_eq!(pipeline_refused("retry = { first = \"6m\" }"), expected);
    assert_eq!(pipeline_refused("retry = { longest = \"999ms\" }"), expected);
    good("[pipeline.p]\nfrom.list = \"q\"\nretry = { first = \"1s\", longest = \"1s\" }\n");
}

#[test]
fn a_word_that_is_none_of_the_known_ones_comes_with_the_one_that_was_meant() {
    let fault = |line: &str| only_fault(&format!("[pipeline.p]\nfrom.list = \"q\"\npublish = [\"o\"]\n{line}\n"));
    let expected = |column, message: &str, help: &str| (Some((4, column)), message.to_owned(), help.to_owned());
    let neither = "`take` is neither \"oldest\" nor \"newest\"";
    assert_eq!(fault("take = \"newst\""), expected(8, neither, "did you mean \"newest\"?"));
    assert_eq!(fault("take = \"both\""), expected(8, neither, "write \"oldest\" or \"newest\""));
    assert_eq!(fault("take = \"${QUEUE}\""), expected(8, neither, "write \"oldest\" or \"newest\""));
    let neither = "`order_retries` is neither \"hold\" nor \"overtake\"";
    assert_eq!(fault("order_retries = \"held\""), expected(17, neither, "did you mean \"hold\"?"));
    let help = "write what the key is in the payload: \"json:/user/id\"";
    assert_eq!(fault("order_by = \"json:\""), expected(12, "`order_by` has no pointer", help));
}

#[test]
fn a_table_without_a_name_is_noticed() {
    let expected = "`from` stands in [pipeline] itself, not in one with a name";
    assert_eq!(refused("[pipeline]\nfrom = { list = \"q\" }\n"), [expected]);
    let expected = "`timeout` stands in [plugin] itself, not in one with a name";
    assert_eq!(refused("[plugin]\ntimeout = \"1s\"\n"), [expected]);
    let expected = "`pipeline` is a list, not a group of named tables";
    assert_eq!(refused("[[pipeline]]\nfrom = { list = \"q\" }\n"), [expected]);
    let nameless = refused("[pipeline.\"\"]\nfrom.list = \"q\"\npublish = [\"o\"]\n");
    assert_eq!(nameless, ["`pipeline` has an empty name"]);
    good("[pipeline.retry]\nfrom = { list = \"q\" }\n");
}

#[test]
fn an_empty_key_for_dead_letters_is_none() {
    assert_eq!(pipeline_refused("dead_letters = \"\""), ["`dead_letters` is empty"]);
}

#[test]
fn a_doublet_is_refused_however_it_is_spelled() {
    let text = "[pipeline.p]\nfrom.list = \"q\"\npublish = [\"a_b\", \"c\", \"a-b\"]\n";
    assert_eq!(refused(text), ["this publisher is listed twice"]);
    let text = format!("{MINIMAL}[plugin.o-u]\n[plugin.o_u]\n");
    let refused = refused(&text);
    assert!(refused.contains(&"[plugin.o-u] stands here twice".to_owned()), "{refused:?}");
}

#[test]
fn what_works_but_is_odd_is_a_warning() {
    let text = "[pipeline.a]\nfrom.list = \"q\"\nfilters = [\"sign\"]\n\
                [pipeline.b]\nfrom.list = \"q\"\n[plugin.sing]\n";
    let loaded = good(text);
    assert_eq!(
        messages(&loaded.warnings),
        [
            "[pipeline.b] has neither filters nor publishers, so it takes messages and drops them",
            "[pipeline.a] and [pipeline.b] take from the same list, so each message goes to one of them",
            "no pipeline uses [plugin.sing]",
        ]
    );
    assert!(!loaded.warnings.has_errors());
    assert!(loaded.warnings.to_string().contains("did you mean `sign`?"));
}

#[test]
fn numbers_that_json_does_not_have_are_refused_in_a_plugins_configuration() {
    for number in ["nan", "-inf", "1e999", "9223372036854775808"] {
        let refused = plugin_refused(&format!("config = {{ n = [{number}] }}"));
        assert_eq!(refused.len(), 1, "{number}: {refused:?}");
    }
    assert_eq!(plugin_refused("config = \"x\""), ["`config` is a string, not a table"]);
}

#[test]
fn every_missing_variable_is_named_at_its_place() {
    let faults = read("redis = \"redis://${A}:${B}\"").expect_err("missing");
    let places: Vec<_> = faults.iter().map(|fault| faults.position(fault)).collect();
    assert_eq!(places, [Some((1, 18)), Some((1, 23))]);
    let expected = "the environment variable `B` is not set";
    assert_eq!(messages(&faults).last(), Some(&expected));
}

#[test]
fn no_value_of_the_environment_is_ever_shown() {
    for line in [
        "redis = \"${SECRET}\"",
        "redis = \"redis://${SECRET}\"",
        "redis = \"http://${REDIS_HOST}\"",
        "lease = \"${SECRET}\"",
        "shutdown.grace = \"${SECRET}\"",
        "pipeline.p = { from = { list = \"${QUEUE}\" }, filters = [\"${SECRET}\"] }",
        "pipeline.p = { from = { list = \"${QUEUE}\" }, dead_letters = \"${QUEUE}\" }",
        "pipeline.p = { from = { list = \"q\" }, publish = [\"${QUEUE}\", \"${QUEUE}\"] }",
        "pipeline.p = { from = \"${QUEUE}\" }",
        "pipeline.p = { from = { list = [\"${QUEUE}\", \"${QUEUE}\"] } }",
        "pipeline.p = { from = { stream = \"${QUEUE}\", start = \"${SECRET}\", done = \"${SECRET}\" } }",
        "pipeline.p = { from = { resque = \"${QUEUE}\", host = \"${SECRET}:\", namespace = \"${SECRET}:\" } }",
        "pipeline.p = { from = { resque = \"a\", namespace = \"${QUEUE}\" }, dead_letters = \"${QUEUE}:queue:a\" }",
        "pipeline.p = { from = { thoonk = \"${QUEUE}\", kind = \"${SECRET}\" }, order_by = \"${SECRET}\" }",
        "redis = \"redis+cluster://a\"\npipeline.p = { from = { list = [\"${QUEUE}\", \"b\"] }, dead_letters = \"x${QUEUE}\" }",
        "redis = \"redis+sentinel://${SECRET}/m\"\nsentinel_user = \"${SECRET}\"\ntls = { cert = \"${SECRET}\" }",
        "plugin.p = { file = \"${SECRET}\" }",
        "plugin.p = { isolation = \"${SECRET}\" }",
        "plugin.p = { allow_http = [\"${SECRET}\"] }",
    ] {
        let faults = read(line).expect_err(line);
        let said = format!("{faults:?}{}{faults}", faults.render(true));
        assert!(!said.contains("s3cr3t"), "{said}");
    }
    let text = "[pipeline.p]\nfrom.list = \"q\"\nfilters = [\"${QUEUE}\"]\n[plugin.s3cr3t-queu]\n";
    let loaded = good(text);
    assert!(!format!("{loaded:?}{}", loaded.warnings).contains("s3cr3t-queue"));
}
