//! Directories: the way in, every way out that should not be one, and what read-only means.

use super::{config, mill, told, with_path};
use gristmill_tests::{Mill, Node};
use serde_json::json;
use std::{fs, os::unix::fs::symlink, path::Path};

const GRANTS: &str = "allow_dirs = { out = \"spool\", in = \"library:ro\" }";

/// A directory to write in and one to read in, with traps laid in the first, and a file beside them that is nobody's business.
fn place() -> (Mill, Node) {
    let mill = mill(GRANTS);
    let dir = mill.dir();
    for name in ["spool", "library"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    fs::write(dir.join("library/file"), "of the host").unwrap();
    fs::write(dir.join("outside"), "untouched").unwrap();
    symlink("../outside", dir.join("spool/relative")).unwrap();
    symlink(dir.join("outside"), dir.join("spool/absolute")).unwrap();
    symlink("..", dir.join("spool/up")).unwrap();
    symlink("/proc/self", dir.join("spool/self")).unwrap();
    symlink("/dev", dir.join("spool/dev")).unwrap();
    symlink("../outside", dir.join("library/relative")).unwrap();
    let node = mill.node();
    (mill, node)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_directory_is_read_and_written_as_it_was_granted() {
    let (mill, _node) = place();
    assert_eq!(with_path(&mill, "read", "in/file"), "ok of the host");
    assert_eq!(with_path(&mill, "list", "in"), "ok file relative");
    assert_eq!(told(&mill, &json!({ "do": "write", "path": "out/new", "text": "a" })), "ok done");
    assert_eq!(told(&mill, &json!({ "do": "append", "path": "out/new", "text": "b" })), "ok done");
    assert_eq!(told(&mill, &json!({ "do": "rename", "path": "out/new", "to": "out/newer" })), "ok done");
    assert_eq!(text(&mill.dir().join("spool/newer")), "ab");
    assert_eq!(with_path(&mill, "remove", "out/newer"), "ok done");
    assert!(!mill.dir().join("spool/newer").exists());
}

#[test]
fn no_path_leads_out_of_a_directory() {
    let (mill, _node) = place();
    let outside = mill.dir().join("outside").display().to_string();
    let ways = [
        "out/../outside",
        "../outside",
        "out/./../outside",
        "out/relative",
        "out/absolute",
        "out/up/outside",
        &outside,
        "in/../outside",
        "in/relative",
        "in/../spool/../outside",
        "/etc/passwd",
        "out/../../../../../etc/passwd",
        "/proc/self/environ",
        "out/self/environ",
        "/dev/zero",
        "out/dev/null",
    ];
    for way in ways {
        for deed in ["read", "truncate", "truncate-reading", "list", "remove"] {
            // Removing a link removes the link.
            if deed != "remove" || !["out/relative", "out/absolute"].contains(&way) {
                let came = with_path(&mill, deed, way);
                assert!(came.starts_with("no "), "{deed} {way}: {came}");
            }
        }
        let came = told(&mill, &json!({ "do": "write", "path": way, "text": "taken" }));
        assert!(came.starts_with("no "), "write {way}: {came}");
    }
    assert_eq!(text(&mill.dir().join("outside")), "untouched");
}

#[test]
fn links_and_renames_made_by_a_plugin_lead_nowhere_either() {
    let (mill, _node) = place();
    let outside = mill.dir().join("outside").display().to_string();
    // Whether such a link can be made at all does not matter, as long as nothing comes of it.
    for (number, target) in
        ["../outside", &outside, "/etc", "relative", "up/outside", "/proc/self/environ"].iter().enumerate()
    {
        let link = format!("out/made-{number}");
        told(&mill, &json!({ "do": "symlink", "path": target, "to": link }));
        for way in [link.clone(), format!("{link}/passwd")] {
            let came = with_path(&mill, "read", &way);
            assert!(came.starts_with("no "), "{target}: {came}");
            // Where there is no link this makes a file of that name.
            told(&mill, &json!({ "do": "write", "path": way, "text": "taken" }));
            assert_eq!(text(&mill.dir().join("outside")), "untouched", "{target}");
        }
    }
    for deed in ["hard-link", "rename"] {
        for (path, to) in [
            ("out/relative", "out/hard"),
            ("out/up/outside", "out/hard"),
            ("../outside", "out/hard"),
            (outside.as_str(), "out/hard"),
            ("out/made-0", "../inside"),
        ] {
            told(&mill, &json!({ "do": deed, "path": path, "to": to }));
            assert!(with_path(&mill, "read", "out/hard").starts_with("no "), "{deed} {path}");
            assert!(
                told(&mill, &json!({ "do": "append", "path": "out/hard", "text": "taken" })).starts_with("no "),
                "{deed} {path}"
            );
        }
    }
    assert_eq!(text(&mill.dir().join("outside")), "untouched");
    assert!(!mill.dir().join("inside").exists());
}

#[test]
fn what_is_read_only_stays_as_it_is() {
    let (mill, _node) = place();
    for deed in ["truncate", "truncate-reading", "remove", "make-dir"] {
        for path in ["in/file", "in/new"] {
            let came = with_path(&mill, deed, path);
            assert!(came.starts_with("no "), "{deed} {path}: {came}");
        }
    }
    for deed in ["write", "append"] {
        for path in ["in/file", "in/new"] {
            let came = told(&mill, &json!({ "do": deed, "path": path, "text": "taken" }));
            assert!(came.starts_with("no "), "{deed} {path}: {came}");
        }
    }
    for deed in ["hard-link", "rename", "symlink"] {
        for (path, to) in [("in/file", "out/stolen"), ("in/file", "in/other"), ("out/mine", "in/file")] {
            told(&mill, &json!({ "do": "write", "path": "out/mine", "text": "planted" }));
            told(&mill, &json!({ "do": deed, "path": path, "to": to }));
            // A second name in a directory that may be written in must not open the file for writing.
            told(&mill, &json!({ "do": "append", "path": to, "text": "taken" }));
            assert_eq!(text(&mill.dir().join("library/file")), "of the host", "{deed} {path} {to}");
        }
    }
    let names = fs::read_dir(mill.dir().join("library")).unwrap().count();
    assert_eq!(names, 2, "the file and the link");
}

#[test]
fn without_a_grant_there_is_no_file_at_all() {
    let mill = mill("");
    let _node = mill.node();
    for path in ["out/file", "/", ".", "..", "/etc/passwd", "gristmill.toml"] {
        for deed in ["read", "list", "truncate"] {
            let came = with_path(&mill, deed, path);
            assert!(came.starts_with("no "), "{deed} {path}: {came}");
        }
    }
}

#[test]
fn a_directory_that_is_not_there_is_told_before_anything_runs() {
    let mill = mill(GRANTS);
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 78, "{}", finished.stderr);
    for words in ["plugin `reach` cannot be used", "allow_dirs", "library` as `in`", "^"] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
}

#[test]
fn a_grant_that_is_taken_back_is_gone_with_the_next_configuration() {
    let (mill, node) = place();
    assert_eq!(with_path(&mill, "read", "in/file"), "ok of the host");
    let seen = node.log().len();
    mill.write_config(&config(""));
    node.says_after(seen, &["swapped", "reach"]);
    assert!(with_path(&mill, "read", "in/file").starts_with("no "));
}
