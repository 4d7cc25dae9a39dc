//! Plugins change while messages flow: every message goes through exactly one version, and a bad one never takes over.

use crate::jobs::{SOON, all_arrive, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Mill, Node, Received, built, eventually, eventually::pause, guest_bytes, replace_file};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// What the guest `stamp` writes into every message, with the digits of its version behind.
const MARK: &str = "version-";
const LIMITS: &str = "[plugin.stamp]\ntimeout = \"1s\"\n";

/// The guest `stamp` as if it had been built as this version.
fn stamp(version: u32) -> Vec<u8> {
    let (old, new) = (format!("{MARK}0001"), format!("{MARK}{version:04}"));
    let mut bytes = guest_bytes("stamp");
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old.as_bytes())).collect();
    assert!(!places.is_empty(), "`{old}` is not in the guest `stamp`");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}

/// The version that a delivered message went through.
fn version(received: &Received) -> u32 {
    let headers = received.headers.iter().map(|(_, value)| value.clone());
    let mut texts = headers.chain([received.text()]);
    let digits = texts.find_map(|text| Some(text.split_once(MARK)?.1.chars().take(4).collect::<String>()));
    digits.expect("every message is stamped").parse().unwrap()
}

fn mill() -> Mill {
    Mill::new().guests(&["stamp"]).plugins(&["http"]).config(&pipeline("filters = [\"stamp\"]", LIMITS))
}

/// Pushes one job after another until one comes out of this version.
#[track_caller]
fn takes_over(mill: &Mill, expected: u32) {
    eventually(SOON, &format!("version {expected} takes over"), || (probe(mill) == expected).then_some(()));
}

/// The version that a job pushed now goes through.
#[track_caller]
fn probe(mill: &Mill) -> u32 {
    let before = mill.sink.count();
    mill.redis.push("jobs", ["{\"id\":9999999}"]);
    eventually(SOON, "the job arrives", || (mill.sink.count() > before).then_some(()));
    version(mill.sink.received().last().unwrap())
}

/// Wants the node to refuse what was put in place of `stamp` in these words, and version 1 to go on.
#[track_caller]
fn is_refused(mill: &Mill, node: &Node, bytes: &[u8], words: &[&str]) {
    let seen = node.log().len();
    replace_file(&mill.plugin_file("stamp"), bytes);
    node.says_after(seen, &[&["stamp"], words].concat());
    assert_eq!(probe(mill), 1);
}

#[test]
fn swapping_under_load_loses_and_doubles_nothing() {
    const SWAPS: u32 = 20;
    let mill = mill();
    let node = mill.node();
    let swapping = AtomicBool::new(true);
    let (pushed, last) = thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            // Sooner one after another than a busy machine compiles them, so some never take over; those that do are enough in the end.
            let swapped = || node.log().matches("plugin swapped").count();
            let mut number = 1;
            while number < SWAPS || (swapped() < 4 && number < 50 * SWAPS) {
                number += 1;
                replace_file(&mill.plugin_file("stamp"), &stamp(number));
                pause(Duration::from_millis(200));
            }
            swapping.store(false, Ordering::Release);
            number
        });
        let mut pushed = 0;
        // At least 10,000, and for as long as there are swaps, at 2,500 a second.
        while pushed < 10_000 || swapping.load(Ordering::Acquire) {
            mill.redis.push("jobs", jobs(pushed..pushed + 100));
            pushed += 100;
            pause(Duration::from_millis(40));
        }
        (pushed, swaps.join().unwrap())
    });
    assert_eq!(all_arrive(&mill.sink, 0..pushed), 0, "none came twice");
    let versions: BTreeSet<u32> = mill.sink.received().iter().map(version).collect();
    assert!(versions.len() >= 4, "several versions did the work: {versions:?}");

    takes_over(&mill, last);
    mill.sink.forget();
    mill.redis.push("jobs", jobs(0..500));
    assert_eq!(all_arrive(&mill.sink, 0..500), 0);
    assert!(mill.sink.received().iter().all(|received| version(received) == last));
    nothing_is_left(&mill.redis);
    drop(node);
}

#[test]
fn a_file_that_is_still_being_written_is_not_loaded() {
    let mill = mill();
    let _node = mill.node();
    assert_eq!(probe(&mill), 1);
    let next = stamp(2);
    let mut file = OpenOptions::new().write(true).truncate(true).open(mill.plugin_file("stamp")).unwrap();
    // As a slow copy does it: over the old file, piece by piece.
    for piece in next.chunks(next.len() / 8 + 1) {
        assert_eq!(probe(&mill), 1);
        file.write_all(piece).unwrap();
        file.flush().unwrap();
        pause(Duration::from_millis(150));
    }
    takes_over(&mill, 2);
}

#[test]
fn a_file_left_half_written_leaves_the_old_version_working_until_it_is_whole() {
    let mill = mill();
    let node = mill.node();
    let next = stamp(2);
    is_refused(&mill, &node, &next[..next.len() / 2], &[]);
    replace_file(&mill.plugin_file("stamp"), &next);
    takes_over(&mill, 2);
}

#[test]
fn a_broken_new_version_leaves_the_old_one_working() {
    let mill = mill();
    let node = mill.node();
    assert_eq!(probe(&mill), 1);
    is_refused(&mill, &node, b"this is no component", &["not WebAssembly"]);
    is_refused(&mill, &node, b"\0asm\x01\0\0\0", &["component"]);
    is_refused(&mill, &node, &fs::read(built::plugin("http")).unwrap(), &["publisher", "filter"]);
    replace_file(&mill.plugin_file("stamp"), &stamp(2));
    takes_over(&mill, 2);
}

#[test]
fn a_deleted_plugin_goes_on_until_a_new_one_comes() {
    let mill = mill();
    let node = mill.node();
    assert_eq!(probe(&mill), 1);
    let seen = node.log().len();
    fs::remove_file(mill.plugin_file("stamp")).unwrap();
    node.says_after(seen, &["stamp", "gone"]);
    assert_eq!(probe(&mill), 1);
    replace_file(&mill.plugin_file("stamp"), &stamp(3));
    takes_over(&mill, 3);
}

#[test]
fn a_publisher_is_swapped_too() {
    let mill = mill();
    let node = mill.node();
    assert_eq!(probe(&mill), 1);
    let mut bytes = fs::read(built::plugin("http")).unwrap();
    // An empty custom section makes a different file of the same program: id 0, three bytes, a name of two.
    bytes.extend([0, 3, 2, b'n', b'o']);
    let seen = node.log().len();
    replace_file(&mill.plugin_file("http"), &bytes);
    node.says_after(seen, &["swapped", "http"]);
    assert_eq!(probe(&mill), 1);
}
