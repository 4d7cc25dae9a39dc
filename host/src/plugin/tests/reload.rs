//! What is in force after files and configs have changed.

use super::{Bench, guests, message, settings};
use crate::{
    message::Verdict,
    plugin::{Cause, Kind},
};
use std::{fs, sync::Arc};

impl Bench {
    pub(super) async fn commit(&self, required: &[(&str, Kind)]) {
        let prepared = self.plugins.prepare(self.wanted(required)).await.unwrap();
        self.plugins.commit(prepared);
    }

    fn digest(&self, name: &str) -> Option<String> {
        Some(self.plugins.slot(name)?.current().digest().to_owned())
    }
}

#[tokio::test]
async fn every_file_is_a_plugin_named_by_its_stem() {
    let bench = Bench::new();
    bench.put("drop_fields", &guests::pass("a"));
    bench.put(".hidden", b"x");
    fs::write(bench.dir().join("notes.txt"), b"x").unwrap();
    bench.commit(&[("drop-fields", Kind::Filter)]).await;
    let names: Vec<String> = bench.plugins.current().iter().map(|version| version.name().to_owned()).collect();
    assert_eq!(names, ["drop-fields"]);
}

#[tokio::test]
async fn a_new_version_takes_over_and_the_old_one_finishes_what_it_has() {
    let bench = Bench::new();
    let file = bench.put("f", &guests::pass(""));
    bench.commit(&[("f", Kind::Filter)]).await;
    let slot = bench.plugins.slot("f").unwrap();
    let old = slot.current();
    let mut in_flight = old.lend().await.unwrap();

    bench.put("f", &guests::replace("new"));
    assert!(bench.plugins.refresh(&[file]).await.is_empty());
    let new = slot.current();
    assert_ne!(old.digest(), new.digest());
    assert!(matches!(new.lend().await.unwrap().filter(&message("x")).await, Ok(Verdict::Replace(_))));
    assert_eq!(in_flight.filter(&message("x")).await, Ok(Verdict::Pass));
    assert_eq!(in_flight.version().digest(), old.digest());
}

#[tokio::test]
async fn a_broken_new_version_leaves_the_old_one_working() {
    let bench = Bench::new();
    let file = bench.put("f", &guests::pass(""));
    bench.commit(&[("f", Kind::Filter)]).await;
    let old = bench.digest("f");
    let whole = guests::replace("new");
    for broken in [&whole[..whole.len() / 2], b"", &guests::publisher(), &guests::hollow("filter")] {
        bench.put("f", broken);
        let refused = bench.plugins.refresh(std::slice::from_ref(&file)).await;
        assert_eq!(refused.len(), 1);
        assert_eq!(bench.digest("f"), old);
    }
    bench.put("f", &whole);
    assert!(bench.plugins.refresh(&[file]).await.is_empty());
    assert_ne!(bench.digest("f"), old);
}

#[tokio::test]
async fn an_unchanged_plugin_keeps_its_version() {
    let bench = Bench::new();
    let file = bench.put("f", &guests::pass(""));
    bench.commit(&[("f", Kind::Filter)]).await;
    let slot = bench.plugins.slot("f").unwrap();
    let before = slot.current();
    bench.plugins.refresh(&[file]).await;
    bench.commit(&[]).await;
    assert!(Arc::ptr_eq(&before, &slot.current()));

    let mut wanted = bench.wanted(&[]);
    wanted.defaults.memory_mib = 3;
    let prepared = bench.plugins.prepare(wanted).await.unwrap();
    bench.plugins.commit(prepared);
    assert_eq!(slot.current().digest(), before.digest());
    assert!(!Arc::ptr_eq(&before, &slot.current()), "other settings make another version");
}

#[tokio::test]
async fn a_config_is_put_in_force_as_a_whole_or_not_at_all() {
    let bench = Bench::new();
    bench.put("good", &guests::pass(""));
    bench.put("bad", b"x");
    let required = [("good", Kind::Filter), ("bad", Kind::Filter), ("missing", Kind::Filter)];
    let refused = bench.plugins.prepare(bench.wanted(&required)).await.unwrap_err();
    let causes: Vec<&Cause> = refused.iter().map(|refusal| &refusal.cause).collect();
    assert_eq!(causes, [&Cause::NotWasm, &Cause::NoFile]);
    assert!(bench.plugins.slot("good").is_none());

    let prepared = bench.plugins.prepare(bench.wanted(&[("good", Kind::Filter)])).await.unwrap();
    assert_eq!(prepared.refused().len(), 1, "nobody needs the bad one");
    drop(prepared);
    assert!(bench.plugins.slot("good").is_none(), "what is not committed is not in force");
}

#[tokio::test]
async fn a_plugin_of_the_wrong_kind_is_refused() {
    let bench = Bench::new();
    bench.put("f", &guests::pass(""));
    let refused = bench.plugins.prepare(bench.wanted(&[("f", Kind::Publisher)])).await.unwrap_err();
    assert!(refused[0].to_string().contains("it is a filter, and a pipeline names it as a publisher"));
}

#[tokio::test]
async fn two_names_may_share_a_file_with_different_configs() {
    let bench = Bench::new();
    bench.put("shared", &guests::pass(""));
    let mut wanted = bench.wanted(&[("one", Kind::Filter)]);
    for (name, config) in [("one", 1), ("two", 2)] {
        let mut settings = settings();
        settings.file = Some("shared.wasm".to_owned());
        settings.config = serde_json::json!({ "n": config });
        wanted.settings.insert(name.to_owned(), settings);
    }
    let prepared = bench.plugins.prepare(wanted).await.unwrap();
    bench.plugins.commit(prepared);
    assert_eq!(bench.digest("one"), bench.digest("two"));
    assert!(bench.plugins.slot("shared").is_none());

    let file = bench.put("shared", &guests::pass("new"));
    let before = bench.digest("one");
    bench.plugins.refresh(&[file]).await;
    assert_eq!(bench.digest("one"), bench.digest("two"));
    assert_ne!(bench.digest("one"), before);
}

#[tokio::test]
async fn files_that_differ_only_in_the_dash_are_refused() {
    let bench = Bench::new();
    bench.put("a-b", &guests::pass("1"));
    bench.put("a_b", &guests::pass("2"));
    let refused = bench.plugins.prepare(bench.wanted(&[("a-b", Kind::Filter)])).await.unwrap_err();
    assert!(matches!(refused[0].cause, Cause::SameName(_)));
}

#[tokio::test]
async fn a_removed_file_ends_only_a_plugin_that_nobody_uses() {
    let bench = Bench::new();
    let used = bench.put("used", &guests::pass("1"));
    let unused = bench.put("unused", &guests::pass("2"));
    bench.commit(&[("used", Kind::Filter)]).await;
    fs::remove_file(&used).unwrap();
    fs::remove_file(&unused).unwrap();
    assert!(bench.plugins.refresh(&[used.clone(), unused]).await.is_empty());
    assert!(bench.plugins.slot("unused").is_none());
    assert!(bench.plugins.slot("used").is_some());

    bench.commit(&[("used", Kind::Filter)]).await;
    assert!(bench.plugins.slot("used").is_some(), "a new config does not need the file either");
    bench.commit(&[]).await;
    assert!(bench.plugins.slot("used").is_none());
}

#[tokio::test]
async fn an_added_file_is_a_new_plugin() {
    let bench = Bench::new();
    bench.commit(&[]).await;
    let file = bench.put("late", &guests::pass(""));
    bench.put("other", &guests::pass(""));
    bench.plugins.refresh(&[file]).await;
    assert!(bench.plugins.slot("late").is_some());
    assert!(bench.plugins.slot("other").is_none(), "only what changed is looked at");
    bench.plugins.refresh(&[bench.dir()]).await;
    assert!(bench.plugins.slot("other").is_some(), "the directory stands for all of it");
}
