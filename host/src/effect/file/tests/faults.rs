//! What others do to a file, and what a crash leaves of it.

use super::{Spool, at, to};
use crate::request::{Failure, FileAppend};
use futures_util::future::join_all;
use std::{fs, os::unix::fs::FileExt, sync::Arc, time::Duration};

#[tokio::test]
async fn a_file_that_others_move_or_remove_is_made_anew() {
    let spool = Spool::new();
    spool.write("one").await;
    fs::rename(spool.path("a.log"), spool.path("a.log.1")).unwrap();
    spool.write("two").await;
    assert_eq!((spool.text("a.log.1").as_str(), spool.text("a.log").as_str()), ("one\n", "two\n"));
    fs::remove_file(spool.path("a.log")).unwrap();
    spool.write("three").await;
    assert_eq!(spool.text("a.log"), "three\n");
    fs::rename(spool.path(""), spool.dir.path().join("elsewhere")).unwrap();
    let away = spool.append(to("a.log", "four")).await;
    assert!(matches!(&away, Err(Failure::Unreachable(why)) if why.starts_with("`out/a.log`: ")), "{away:?}");
    fs::create_dir(spool.path("")).unwrap();
    spool.write("five").await;
    assert_eq!(spool.text("a.log"), "five\n");
}

#[tokio::test]
async fn a_file_that_others_empty_is_gone_on_with() {
    let spool = Spool::new();
    spool.write("one").await;
    fs::File::options().write(true).open(spool.path("a.log")).unwrap().set_len(0).unwrap();
    spool.write("two").await;
    assert_eq!(spool.text("a.log"), "two\n");
}

#[tokio::test]
async fn half_a_line_at_the_end_is_put_into_a_file_beside() {
    let spool = Spool::new();
    let torn = "x".repeat(200_000);
    fs::write(spool.path("a.log"), format!("whole\n{torn}")).unwrap();
    spool.write("next").await;
    assert_eq!(spool.text("a.log"), "whole\nnext\n");
    assert_eq!(spool.text("a.log.torn"), format!("{torn}\n"));
    // Another node was killed while this one has the file open.
    let file = fs::File::options().write(true).open(spool.path("a.log")).unwrap();
    file.write_all_at(b"ha", 11).unwrap();
    spool.write("last").await;
    assert_eq!(spool.text("a.log"), "whole\nnext\nlast\n");
    assert_eq!(spool.text("a.log.torn"), format!("{torn}\nha\n"));
    fs::write(spool.path("b.log"), "no line at all").unwrap();
    spool.append(to("b.log", "first")).await.unwrap();
    assert_eq!((spool.text("b.log").as_str(), spool.text("b.log.torn").as_str()), ("first\n", "no line at all\n"));
}

#[tokio::test]
async fn a_file_that_another_program_locks_is_waited_for_and_then_tried_again() {
    let spool = Spool::new();
    spool.write("one").await;
    let file = fs::File::open(spool.path("a.log")).unwrap();
    file.lock().unwrap();
    let (written, ()) = tokio::join!(spool.append(to("a.log", "two")), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(spool.text("a.log"), "one\n", "nothing is written under another's lock");
        file.unlock().unwrap();
    });
    assert_eq!((written, spool.text("a.log").as_str()), (Ok(()), "one\ntwo\n"));
    file.lock().unwrap();
    let locked = spool.append(to("a.log", "three")).await;
    assert_eq!(locked, Err(Failure::Unreachable("`out/a.log`: another program keeps it locked".into())));
    drop(file);
    spool.write("four").await;
    assert_eq!(spool.text("a.log"), "one\ntwo\nfour\n");
}

/// Two nodes are two sets of files in this respect: each has descriptors, and so locks, of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_with_one_file_tear_no_line_and_lose_none_while_it_is_put_aside() {
    let mut spool = Spool::new();
    let files = [Arc::clone(&spool.files), Arc::default()];
    spool.files = Arc::default();
    let long = "x".repeat(900);
    let line = |node: usize, number: usize| {
        let append = FileAppend { rotation: at(100_000, None), ..to("a.log", &format!("{node}:{number}:{long}")) };
        let (files, spool) = (&files[node], &spool);
        async move { files.append(&spool.allowance(), append).await }
    };
    for round in 0..20 {
        let both = (0..2).flat_map(|node| (0..50).map(move |number| (node, round * 50 + number)));
        assert!(join_all(both.map(|(node, number)| line(node, number))).await.iter().all(Result::is_ok));
    }
    let names = spool.names();
    let texts: Vec<String> = names.iter().map(|name| spool.text(name)).collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    assert!(texts.iter().all(|text| text.ends_with('\n') && text.len() <= 100_000), "no file is longer than it may be");
    assert!(lines.iter().all(|line| line.ends_with(&long) && line.len() < 910), "no line is torn");
    let mut heads: Vec<&str> = lines.iter().map(|line| line.trim_end_matches('x')).collect();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!((heads.len(), lines.len()), (2_000, 2_000), "every line is there once");
}

#[tokio::test]
async fn a_line_that_nobody_waits_for_any_more_stops_nothing() {
    let spool = Spool::new();
    drop(tokio::time::timeout(Duration::ZERO, spool.append(to("a.log", "given up"))).await);
    spool.write("one").await;
    assert!(spool.text("a.log").ends_with("one\n"));
    assert!(spool.text("a.log").lines().all(|line| ["given up", "one"].contains(&line)));
}
