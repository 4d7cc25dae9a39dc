//! Dead letters keep the bytes and the story, and can be seen, replayed and dropped.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Answer, Dead, Finished, Mill, Received, Redis, built, eventually, process::finish};
use serde_json::{Value, json};
use std::process::Command;

const THRICE: &str = "retry = { attempts = 3, first = \"50ms\", longest = \"50ms\" }";

/// Waits for `count` letters.
#[track_caller]
fn letters(mill: &Mill, count: usize) -> Vec<Value> {
    eventually(SOON, &format!("{count} dead letters"), || {
        Some(Dead::of(mill, "jobs").list()).filter(|letters| letters.len() == count)
    })
}

#[test]
fn a_message_that_fails_too_often_is_buried_with_its_story() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(503));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    let listed = letters(&mill, 1);
    assert_eq!(mill.sink.count(), 3);
    let letter = Dead::of(&mill, "jobs").show(&Dead::entry(&listed[0]));
    let story = letter.to_string();
    assert!(story.contains("http") && story.matches("503").count() >= 3, "every attempt is told: {story}");
    assert_eq!(Dead::of(&mill, "jobs").payload(&Dead::entry(&listed[0])), jobs(1..2)[0], "the original bytes are kept");
}

#[test]
fn a_replayed_letter_is_delivered_and_gone() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..3));
    let listed = letters(&mill, 2);
    mill.sink.answer(Answer::Status(200));
    mill.sink.forget();
    Dead::of(&mill, "jobs").replay(&Dead::entry(&listed[0]));
    eventually(SOON, "the replayed message arrives", || (mill.sink.count() == 1).then_some(()));
    Dead::of(&mill, "jobs").replay_all();
    assert_eq!(all_arrive(&mill.sink, 1..3), 0);
    letters(&mill, 0);
}

#[test]
fn a_dropped_letter_is_gone() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(400));
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(1..3));
    let listed = letters(&mill, 2);
    Dead::of(&mill, "jobs").discard(&Dead::entry(&listed[0]));
    let left = letters(&mill, 1);
    assert_eq!(Dead::entry(&left[0]), Dead::entry(&listed[1]));
    Dead::of(&mill, "jobs").discard(&Dead::entry(&left[0]));
    assert_eq!(node.terminate(), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn letters_go_where_the_config_says() {
    let mill = direct(Redis::start(), &format!("{THRICE}\ndead_letters = \"gristmill:dead:mine\""));
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    letters(&mill, 1);
    assert_eq!(mill.redis.ask::<usize>(&["XLEN", "gristmill:dead:mine"]), 1);
}

#[test]
fn bytes_that_are_not_text_survive_burial_and_replay() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    let payload: &[u8] = b"\xff\xfe\0\x80 not text";
    mill.redis.push("jobs", [payload]);
    let listed = letters(&mill, 1);
    mill.sink.answer(Answer::Status(200));
    mill.sink.forget();
    Dead::of(&mill, "jobs").replay(&Dead::entry(&listed[0]));
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    assert_eq!(mill.sink.received()[0].body, payload);
}

#[test]
fn an_unknown_letter_is_an_error_in_words() {
    let mill = direct(Redis::start(), "");
    let finished = mill.run(&["dead", "show", "1-1"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("1-1"), "{}", finished.stderr);
}

/// A list `other` beside `jobs`, delivered in the same way.
const OTHER: &str = "[pipeline.other]\nfrom = { list = \"other\" }\npublish = [\"http\"]\n";

fn two_pipelines() -> Mill {
    Mill::new().plugins(&["http"]).config(&pipeline(THRICE, OTHER))
}

/// Buries a message as a node does, at `entry` of the letters of `list`.
fn bury(redis: &Redis, list: &str, entry: &str, reason: &str, payload: &[u8]) {
    let trouble = json!({ "attempt": 1, "plugin": "http", "digest": "0123456789ab", "reason": reason });
    let envelope = json!({ "id": format!("{list}-{entry}"), "attempts": 1, "received_ms": 1, "troubles": [trouble] });
    let mut add = redis::cmd("XADD");
    add.arg(format!("gristmill:{{{list}}}:{list}:dead")).arg(entry);
    add.arg(&["pipeline", list, "source", list, "envelope"]).arg(envelope.to_string()).arg("payload").arg(payload);
    add.exec(&mut redis.connect()).unwrap();
}

/// `gristmill dead …` in a shell, where `$G` stands for the program with its verb and `--config "$C"` for the config.
#[track_caller]
fn shell(mill: &Mill, script: &str) -> Finished {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).current_dir(mill.dir()).env_remove("VISUAL").env_remove("EDITOR");
    shell.env("G", built::gristmill()).env("C", mill.config_file());
    finish(&mut shell, SOON)
}

/// What `gristmill dead` says on stdout when it does as it is told.
#[track_caller]
fn said(mill: &Mill, words: &[&str]) -> String {
    let finished = mill.run(&[&["dead"], words].concat());
    assert_eq!(finished.code, 0, "{words:?}: {}", finished.stderr);
    finished.stdout
}

/// Why `gristmill dead` does not do as it is told.
#[track_caller]
fn refused(mill: &Mill, words: &[&str]) -> String {
    let finished = mill.run(&[&["dead"], words].concat());
    assert!(finished.code == 1 || finished.code == 2, "{words:?}: {finished:?}");
    finished.stderr
}

#[track_caller]
fn one_arrives(mill: &Mill) -> Received {
    eventually(SOON, "one message arrives", || mill.sink.received().pop())
}

#[test]
fn the_letters_of_all_pipelines_are_listed_and_found_without_naming_one() {
    let mill = two_pipelines();
    bury(&mill.redis, "jobs", "1000-0", "status 503", b"one");
    bury(&mill.redis, "other", "2000-0", "status 404\nnot found", b"two");
    let listed = said(&mill, &["list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert_eq!(lines[0], "1000-0  1970-01-01T00:00:01Z  jobs  jobs  jobs-1000-0  attempts 1  http  status 503");
    assert!(lines[1].contains("  other  ") && lines[1].ends_with("status 404\\nnot found"), "{listed}");
    assert_eq!(said(&mill, &["list", "--pipeline", "other"]).lines().count(), 1);
    assert_eq!(said(&mill, &["show", "2000-0", "--payload"]), "two");
}

#[test]
fn filters_choose_what_is_listed_dropped_and_replayed() {
    let mill = direct(Redis::start(), THRICE);
    for (entry, reason) in [("1000-0", "status 503"), ("2000-0", "status 404"), ("3000-0", "status 503")] {
        bury(&mill.redis, "jobs", entry, reason, reason.as_bytes());
    }
    let entries = |words: &[&str]| {
        let listed = said(&mill, &[&["list"], words].concat());
        listed.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(entries(&["--reason", "503", "--plugin", "http"]), ["1000-0", "3000-0"]);
    assert_eq!(entries(&["--id", "jobs-2000-0", "--source", "jobs", "--older", "2h"]), ["2000-0"]);
    assert!(entries(&["--newer", "10m"]).is_empty());
    assert_eq!(entries(&["--limit", "2"]), ["1000-0", "2000-0"]);
    assert!(refused(&mill, &["list", "--older", "2"]).contains("`2h`"));
    assert!(refused(&mill, &["drop", "1000-0", "--reason", "503"]).contains("cannot be used with"));
    assert_eq!(said(&mill, &["drop", "--all", "--reason", "503", "--limit", "1"]), "dropped 1\n");
    assert_eq!(entries(&[]), ["2000-0", "3000-0"]);
    assert_eq!(said(&mill, &["replay", "--all", "--reason", "404"]), "replayed 1\n");
    assert_eq!(entries(&[]), ["3000-0"]);
    assert_eq!(mill.redis.len("gristmill:{jobs}:jobs:retry"), 1);
}

#[test]
fn all_letters_of_several_pipelines_have_to_be_asked_for() {
    let mill = two_pipelines();
    bury(&mill.redis, "jobs", "1000-0", "r", b"one");
    bury(&mill.redis, "other", "2000-0", "r", b"two");
    for verb in ["replay", "drop"] {
        let refused = refused(&mill, &[verb, "--all"]);
        assert!(refused.contains("--pipeline") && refused.contains("jobs, other"), "{refused}");
    }
    assert_eq!(said(&mill, &["drop", "--all", "--pipeline", "jobs"]), "dropped 1\n");
    assert_eq!(said(&mill, &["drop", "--all", "--all-pipelines"]), "dropped 1\n");
    assert_eq!(said(&mill, &["list"]), "");
}

#[test]
fn a_letter_is_delivered_through_another_pipeline() {
    let mill = two_pipelines();
    bury(&mill.redis, "jobs", "1000-0", "r", b"{}");
    let told: Value = serde_json::from_str(&said(&mill, &["replay", "1000-0", "--to", "other", "--json"])).unwrap();
    assert_eq!((&told["entry"], &told["to"], &told["replayed_as"]), (&json!("1000-0"), &json!("other"), &told["id"]));
    letters(&mill, 0);
    let _node = mill.node();
    let received = one_arrives(&mill);
    assert_eq!(
        (received.path.as_str(), received.header("idempotency-key")),
        ("/hooks/other", Some("jobs-1000-0/http"))
    );
    let refused = refused(&mill, &["replay", "1000-0", "--to", "nowhere"]);
    assert!(refused.contains("`nowhere`") && refused.contains("jobs, other"), "{refused}");
}

#[test]
fn a_letter_of_a_pipeline_that_was_renamed_holds_nothing_up_and_goes_where_it_is_told() {
    let renamed = pipeline(THRICE, OTHER).replace("[pipeline.jobs]", "[pipeline.renamed]");
    let mill = Mill::new().plugins(&["http"]).config(&renamed);
    bury(&mill.redis, "jobs", "1000-0", "r", b"one");
    bury(&mill.redis, "other", "2000-0", "r", b"two");
    let finished = mill.run(&["dead", "replay", "--all", "--all-pipelines"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (1, "replayed 1\n"), "{}", finished.stderr);
    assert!(finished.stderr.contains("pipeline `jobs`") && finished.stderr.contains("--to"), "{}", finished.stderr);
    assert_eq!(said(&mill, &["replay", "1000-0", "--to", "renamed"]), "replayed 1\n");
    assert_eq!(mill.redis.len("gristmill:{jobs}:jobs:retry"), 1);
    assert_eq!(said(&mill, &["list"]), "");
}

#[test]
fn a_payload_is_mended_in_the_editor_and_what_is_left_alone_stays() {
    let mill = direct(Redis::start(), THRICE);
    bury(&mill.redis, "jobs", "1000-0", "r", b"{\"mended\":false}");
    bury(&mill.redis, "jobs", "2000-0", "r", b"{\"good\":true}");
    bury(&mill.redis, "jobs", "3000-0", "r", b"\xff");
    let replay = "\"$G\" dead replay --config \"$C\" --edit";
    let failed = shell(&mill, &format!("EDITOR=false {replay} 1000-0"));
    assert!(failed.code == 1 && failed.stderr.contains("`false`"), "{failed:?}");
    let binary = shell(&mill, &format!("EDITOR=true {replay} 3000-0"));
    assert!(binary.code == 1 && binary.stderr.contains("not text"), "{binary:?}");
    letters(&mill, 3);
    let editor = "stat -c %a \"$1\"; sed -i s/false/true/ \"$1\"; echo >> \"$1\"";
    std::fs::write(mill.dir().join("editor"), editor).unwrap();
    let done = shell(&mill, &format!("EDITOR=false VISUAL='sh editor' {replay} 1000-0 2000-0"));
    assert_eq!((done.code, done.stdout.as_str()), (0, "600\n600\nreplayed 1\n"), "{}", done.stderr);
    assert!(done.stderr.contains("2000-0 was not changed"), "{}", done.stderr);
    letters(&mill, 2);
    let _node = mill.node();
    let received = one_arrives(&mill);
    assert_eq!(received.body, "{\"mended\":true}");
    let key = received.header("idempotency-key").unwrap();
    assert!(!key.contains("1000-0"), "an edited message is another one: {key}");
}

#[test]
fn a_payload_is_replaced_from_a_file_or_standard_input() {
    let mill = direct(Redis::start(), THRICE);
    for entry in ["1000-0", "2000-0"] {
        bury(&mill.redis, "jobs", entry, "r", b"bad");
    }
    let several = refused(&mill, &["replay", "1000-0", "2000-0", "--payload", "x"]);
    assert!(several.contains("one entry"), "{several}");
    assert!(refused(&mill, &["replay", "1000-0", "--payload", "missing"]).contains("`missing`"));
    std::fs::write(mill.dir().join("good"), b"\xff from a file").unwrap();
    assert_eq!(said(&mill, &["replay", "1000-0", "--payload", "good"]), "replayed 1\n");
    let piped = shell(&mill, "printf 'from a pipe' | \"$G\" dead replay --config \"$C\" 2000-0 --payload -");
    assert_eq!(piped.stdout, "replayed 1\n", "{}", piped.stderr);
    let _node = mill.node();
    eventually(SOON, "both arrive", || (mill.sink.count() == 2).then_some(()));
    let mut bodies: Vec<_> = mill.sink.bodies().into_keys().collect();
    bodies.sort();
    assert_eq!(bodies, [&b"from a pipe"[..], b"\xff from a file"]);
}

#[test]
fn a_story_shows_text_as_it_is_and_other_bytes_in_hexadecimal() {
    let mill = direct(Redis::start(), THRICE);
    bury(&mill.redis, "jobs", "1000-0", "status 503", "{\"grün\": 1}".as_bytes());
    bury(&mill.redis, "jobs", "2000-0", "r", b"\x1b[2J\xff");
    let story = said(&mill, &["show", "1000-0"]);
    assert!(story.ends_with("\nattempt 1 http 0123456789ab status 503\n\n{\"grün\": 1}\n"), "{story}");
    assert_eq!(Dead::of(&mill, "jobs").show("1000-0")["payload"], "{\"grün\": 1}");
    let story = said(&mill, &["show", "2000-0"]);
    assert!(story.contains("\n00000000  1b 5b 32 4a ff") && story.contains("--payload"), "{story}");
    let letter = Dead::of(&mill, "jobs").show("2000-0");
    assert_eq!((&letter["payload_base64"], &letter["payload_bytes"]), (&json!("G1sySv8="), &json!(5)));
}

#[test]
fn dropping_all_asks_on_a_terminal_and_nowhere_else() {
    let mill = direct(Redis::start(), THRICE);
    bury(&mill.redis, "jobs", "1000-0", "r", b"x");
    // `script` gives the command a terminal.
    let drop = |answer: &str, more: &str| {
        shell(&mill, &format!("echo {answer} | script -qec \"'$G' dead drop --config '$C' --all {more}\" /dev/null"))
    };
    let no = drop("n", "");
    assert!(no.code == 1 && no.stdout.contains("there are 1 dead letters"), "{no:?}");
    letters(&mill, 1);
    let yes = drop("y", "");
    assert!(yes.code == 0 && yes.stdout.contains("dropped 1"), "{yes:?}");
    bury(&mill.redis, "jobs", "1000-0", "r", b"x");
    let unasked = drop("", "--yes");
    assert!(unasked.code == 0 && !unasked.stdout.contains("there are"), "{unasked:?}");
    letters(&mill, 0);
}

#[test]
fn letters_that_are_too_old_are_forgotten_and_the_log_says_how_many() {
    let mill = direct(Redis::start(), THRICE);
    for entry in ["1000-0", "2000-0", "3000-0"] {
        bury(&mill.redis, "jobs", entry, "r", b"x");
    }
    let node = mill.node();
    node.says(&["forgot dead letters", "expired=3"]);
    letters(&mill, 0);
}

#[test]
fn more_letters_than_fit_into_memory_are_replayed_and_dropped() {
    const COUNT: usize = 60_000;
    let mill = direct(Redis::start(), THRICE);
    let envelope = r#"{"id":"x","attempts":1,"received_ms":1}"#;
    let bury = "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], n .. '-0', 'pipeline', 'jobs', 'source', 'jobs', \
                'envelope', ARGV[2], 'payload', string.rep('x', 4000)) end";
    mill.redis.ask::<()>(&["EVAL", bury, "1", "gristmill:{jobs}:jobs:dead", &COUNT.to_string(), envelope]);
    // 240 MB of payload, and 200 MB of address space.
    let with = |words: &str| shell(&mill, &format!("ulimit -v 200000; exec \"$G\" dead {words} --config \"$C\""));
    let listed = with("list --reason nothing");
    assert_eq!((listed.code, listed.stdout.as_str()), (0, ""), "{}", listed.stderr);
    let half = COUNT / 2;
    let replayed = with(&format!("replay --all --limit {half}"));
    assert_eq!(replayed.stdout, format!("replayed {half}\n"), "{}", replayed.stderr);
    assert_eq!(mill.redis.len("gristmill:{jobs}:jobs:retry"), half);
    let dropped = with("drop --all");
    assert_eq!(dropped.stdout, format!("dropped {half}\n"), "{}", dropped.stderr);
}

#[test]
fn the_quickstart_shows_commands_that_work() {
    let text = std::fs::read_to_string(built::repository().join("examples/quickstart/README.md")).unwrap();
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("gristmill dead ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    let pipelines = pipeline(THRICE, OTHER).replace("jobs", "notifications");
    let mill = Mill::new().plugins(&["http"]).config(&pipelines);
    for command in commands {
        mill.redis.ask::<()>(&["FLUSHALL"]);
        bury(&mill.redis, "notifications", "1700000000000-0", "status 503", b"x");
        let all = if command.contains("--all") { "--all-pipelines" } else { "" };
        let (command, _) = command.split_once(" #").unwrap_or((command, ""));
        let (command, file) = command.split_once('>').map_or((command, ""), |(command, _)| (command, "> payload"));
        let command = command.replacen("gristmill", "'$G'", 1).replace('\'', "\"");
        let done =
            shell(&mill, &format!("EDITOR=\"sed -i s/x/y/\"; export EDITOR; {command} --config \"$C\" {all} {file}"));
        assert_eq!(done.code, 0, "{command}: {}", done.stderr);
        let changes = command.contains("replay") || command.contains("drop");
        assert!(!changes || done.stdout.ends_with(" 1\n"), "{command}: {}", done.stdout);
    }
}
