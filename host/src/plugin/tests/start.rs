//! What comes up, and what is refused in which words.

use super::{
    Bench, compile, guests,
    guests::{Guest, PLAIN},
    names, settings,
};
use crate::{
    lookup::Lookups,
    plugin::{Cause, Kind, Plugins},
};
use std::{fs, time::Duration};

#[tokio::test]
async fn the_host_speaks_what_the_wit_package_describes() {
    let bench = Bench::new();
    for world in ["filter", "publisher", "filter-with-lookups", "publisher-with-lookups"] {
        let refusal = bench.refusal(&guests::hollow(world)).await;
        assert!(refusal.contains("cannot be used: it did not start: trapped: unreachable"), "{refusal}");
    }
}

#[tokio::test]
async fn kind_and_version_are_found_in_the_component() {
    let bench = Bench::new();
    let filter = bench.load(&guests::pass("")).await.unwrap();
    assert_eq!((filter.title(), filter.api(), filter.digest().len()), ("filter", Some("0.1.0"), 12));
    let publisher = bench.load(&guests::publisher()).await.unwrap();
    assert_eq!((publisher.kind(), publisher.title()), (Kind::Publisher, "publisher"));
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_in_one_sentence() {
    let bench = Bench::new();
    let core = wat::parse_str("(module)").unwrap();
    let refusal = bench.refusal(&core).await;
    assert!(
        refusal.contains("plugin `it` cannot be used: it is a core WebAssembly module, not a component"),
        "{refusal}"
    );
    assert!(bench.refusal(b"#!/bin/sh").await.contains("not WebAssembly"));
    assert!(bench.refusal(b"").await.contains("not WebAssembly"));
    let refusal = bench.refusal(&wat::parse_str("(component)").unwrap()).await;
    assert!(refusal.contains("it is a component but no plugin"), "{refusal}");
    let whole = guests::pass("");
    let refusal = bench.refusal(&whole[..whole.len() / 2]).await;
    assert!(refusal.contains("it does not compile"), "{refusal}");
}

#[tokio::test]
async fn another_version_of_the_api_is_named() {
    let component =
        wat::parse_str(r#"(component (instance $i) (export "gristmill:plugin/filtering@0.2.0" (instance $i)))"#);
    let refusal = Bench::new().refusal(&component.unwrap()).await;
    assert!(refusal.contains("speaks version 0.2.0 of the plugin API and this host speaks 0.1.0"), "{refusal}");
    let component = wat::parse_str(
        r#"(component (import "gristmill:plugin/envelope@1.0.0" (instance)) (instance $i)
             (export "gristmill:plugin/filtering@0.1.0" (instance $i)))"#,
    );
    let refusal = Bench::new().refusal(&component.unwrap()).await;
    assert!(refusal.contains("speaks version 1.0.0 of the plugin API and this host speaks 0.1.0"), "{refusal}");
}

#[tokio::test]
async fn two_kinds_at_once_and_missing_functions_are_refused() {
    let bench = Bench::new();
    let both = wat::parse_str(
        r#"(component (instance $i)
             (export "gristmill:plugin/filtering@0.1.0" (instance $i))
             (export "gristmill:plugin/publishing@0.1.0" (instance $i)))"#,
    );
    assert!(bench.refusal(&both.unwrap()).await.contains("exports more than one"));
    let empty =
        wat::parse_str(r#"(component (instance $i) (export "gristmill:plugin/filtering@0.1.0" (instance $i)))"#);
    assert!(bench.refusal(&empty.unwrap()).await.contains("does not export `filter`"));
}

#[tokio::test]
async fn a_function_of_the_wrong_type_is_refused() {
    let wit = "package gristmill:plugin@0.1.0;
        interface setup { init: func(config: string) -> result<_, string>; }
        interface filtering { filter: func(payload: string) -> u32; }
        world filter { export setup; export filtering; }";
    let component = guests::alone(
        wit,
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
            (func (export "gristmill:plugin/setup@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
            (func (export "gristmill:plugin/filtering@0.1.0#filter") (param i32 i32) (result i32) (i32.const 1024)))"#,
    );
    let refusal = Bench::new().refusal(&component).await;
    assert!(refusal.contains(&other_state("the types of `filter` differ: ")), "{refusal}");
}

/// How a plugin is refused whose API differs from ours though its version does not, up to the difference.
fn other_state(difference: &str) -> String {
    format!(
        "plugin `it` cannot be used: it was built against another state of version 0.1.0 of the plugin API than this host speaks; \
         build it again with the SDK, or the WIT file, of gristmill {}: {difference}",
        env!("CARGO_PKG_VERSION")
    )
}

#[tokio::test]
async fn a_plugin_of_another_state_of_the_api_is_told_what_differs_and_to_be_built_again() {
    let bench = Bench::new();
    for (world, ours, theirs, difference) in [
        // What it is called with and answers: a case less, a case more, a case of another name or with another content.
        ("filter", "split(list<change>),", "", "the types of `filter` differ: "),
        ("filter", "drop(option<string>),", "drop(option<string>), later(u32),", "the types of `filter` differ: "),
        ("filter", "reject(string)", "refuse(string)", "the types of `filter` differ: "),
        ("filter", "after-ms: option<u32>", "after-ms: option<u64>", "the types of `filter` differ: "),
        ("publisher", "websocket(websocket-send),", "", "the types of `publish` differ: "),
        ("publisher", "unreachable(string),", "unreachable(string), late,", "the types of `answered` differ: "),
        ("batch-publisher", "unreachable(string),", "", "the types of `answered-batch` differ: "),
        ("filter", "init: func(config: string)", "init: func(config: list<u8>)", "the types of `init` differ: "),
        ("filter", "init: func", "begin: func", "it does not export `init` of `gristmill:plugin/setup`"),
        // What it imports.
        (
            "filter",
            "attempt: func() -> u32",
            "attempt: func() -> u64",
            "component imports instance `gristmill:plugin/envelope@0.1.0`",
        ),
        ("filter", "round: func", "turn: func", "component imports instance `gristmill:plugin/envelope@0.1.0`"),
        ("filter", "enum level {", "enum level { trace,", "component imports instance `gristmill:plugin/log@0.1.0`"),
    ] {
        let refusal = bench.refusal(&guests::hollow_in(world, ours, theirs)).await;
        assert!(refusal.contains(&other_state(difference)), "{theirs:?} instead of {ours:?}: {refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}

#[tokio::test]
async fn an_interface_of_the_api_that_is_not_known_yet_is_of_another_state_too() {
    let component = wat::parse_str(
        r#"(component (import "gristmill:plugin/dreams@0.1.0" (instance)) (instance $i)
             (export "gristmill:plugin/filtering@0.1.0" (instance $i)))"#,
    );
    let refusal = Bench::new().refusal(&component.unwrap()).await;
    assert!(refusal.contains(&other_state("it ")), "{refusal}");
}

#[tokio::test]
async fn an_import_that_plugins_do_not_get_is_named() {
    let guest = Guest {
        wit: "import wasi:http/types@0.2.0;",
        imports: r#"(import "wasi:http/types@0.2.0" "send" (func))"#,
        ..PLAIN
    };
    let refusal = Bench::new().refusal(&guest.filter()).await;
    assert!(refusal.contains("it imports `wasi:http/types@0.2.0`, which plugins do not get"), "{refusal}");
}

#[tokio::test]
async fn init_may_refuse_the_config() {
    let guest = Guest {
        init: "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 2048))
               (i32.store (i32.const 1032) (i32.const 9)) (i32.const 1024)",
        data: "no fields",
        ..PLAIN
    };
    let refusal = Bench::new().refusal(&guest.filter()).await;
    assert!(refusal.starts_with("plugin `it` refused its config: no fields ("), "{refusal}");
}

#[tokio::test]
async fn init_gets_the_config_as_json() {
    // Refuses everything that is longer than `{}`.
    let guest =
        Guest { init: "(if (i32.gt_u (local.get $len) (i32.const 2)) (then (unreachable))) (i32.const 1024)", ..PLAIN };
    let bench = Bench::new();
    assert!(bench.load(&guest.filter()).await.is_ok());
    let mut settings = settings();
    settings.config = serde_json::json!({"a": 1});
    assert!(matches!(bench.load_with(&guest.filter(), &settings).await.unwrap_err().cause, Cause::Start(_)));
}

#[tokio::test]
async fn an_init_that_never_ends_is_ended() {
    let guest = Guest { init: "(loop (br 0)) (i32.const 1024)", ..PLAIN };
    let refusal = Bench::new().refusal(&guest.filter()).await;
    assert!(refusal.contains("ran longer than its timeout of 1s"), "{refusal}");
}

#[tokio::test]
async fn a_plugin_that_starts_with_more_memory_than_it_may_have_is_refused() {
    let guest = Guest { pages: 100, ..PLAIN };
    let refusal = Bench::new().refusal(&guest.filter()).await;
    assert!(refusal.contains("needed more than memory_mib = 2"), "{refusal}");
}

#[tokio::test]
async fn a_compiled_plugin_is_kept_and_a_damaged_one_compiled_again() {
    let bench = Bench::new();
    bench.load(&guests::pass("")).await.unwrap();
    let [entry] = &names(&bench.cache())[..] else { panic!("one entry") };
    let entry = bench.cache().join(entry);
    let made = fs::read(&entry).unwrap();

    let again = Plugins::new(&bench.cache(), &compile(), Lookups::alone()).unwrap();
    again.load("it", &bench.dir().join("it.wasm"), &settings()).await.unwrap();
    assert_eq!(names(&bench.cache()).len(), 1);

    let mut damaged = made.clone();
    damaged[100] ^= 1;
    for damage in [&damaged[..], &made[..made.len() / 2], &[]] {
        fs::write(&entry, damage).unwrap();
        again.load("it", &bench.dir().join("it.wasm"), &settings()).await.unwrap();
        assert_eq!(fs::read(&entry).unwrap().len(), made.len());
    }
}

#[tokio::test]
async fn without_a_cache_plugins_work_all_the_same() {
    let bench = Bench::new();
    let file = bench.put("it", &guests::pass(""));
    let plugins = Plugins::new(&file.join("no-directory"), &compile(), Lookups::alone()).unwrap();
    assert!(plugins.load("it", &file, &settings()).await.is_ok());
}

#[tokio::test]
async fn a_cache_that_others_can_write_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let shared = bench.home.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let plugins = Plugins::new(&shared, &compile(), Lookups::alone()).unwrap();
    let file = bench.put("it", &guests::pass(""));
    assert!(plugins.load("it", &file, &settings()).await.is_ok());
    assert!(names(&shared).is_empty());
}

#[tokio::test]
async fn a_file_that_is_too_large_or_not_there_is_refused() {
    let bench = Bench::new();
    let file = bench.put("it", b"");
    fs::File::options().write(true).open(&file).unwrap().set_len(65 << 20).unwrap();
    let refusal = bench.plugins.load("it", &file, &settings()).await.unwrap_err();
    assert_eq!(refusal.cause, Cause::TooLarge { bytes: 65 << 20, most_mib: 64 });
    let refusal = bench.plugins.load("it", &bench.dir().join("no.wasm"), &settings()).await.unwrap_err();
    assert_eq!(refusal.cause, Cause::NoFile);
}

#[tokio::test]
async fn the_clock_thread_ends_with_the_plugins() {
    let bench = Bench::new();
    let start = std::time::Instant::now();
    drop(bench.plugins);
    assert!(start.elapsed() < Duration::from_secs(20));
}
