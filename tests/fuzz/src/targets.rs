//! The targets by name; `cargo xtask fuzz` knows the same names by the directories of their seeds.
#![expect(clippy::panic, reason = "a target reports by panicking")]
#![expect(unsafe_code, reason = "libFuzzer is C++ and calls us with a pointer and a length")]

use gristmill::{config, effect, plugin, source};
use gristmill_sdk::json::{self, Paths};
use serde::de::IgnoredAny;
use std::{process, slice, sync::LazyLock};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 11] = [
    ("component", plugin::fuzz::component),
    ("config", config::fuzz::file),
    ("envelope", source::fuzz::envelope),
    ("head", plugin::fuzz::head),
    ("json", edited),
    ("line", plugin::fuzz::line),
    ("register", source::fuzz::register),
    ("reply", effect::fuzz::reply),
    ("resque", source::fuzz::resque),
    ("stream", source::fuzz::stream),
    ("wild", made_up),
];

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("GRISTMILL_FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("GRISTMILL_FUZZ=`{name}` names no target")).1
});

/// Called once for every input.
///
/// # Safety
/// `length` bytes can be read at `start`, unless it is 0.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn LLVMFuzzerTestOneInput(start: *const u8, length: usize) -> i32 {
    // SAFETY: as the caller promises; a slice of no bytes needs a pointer all the same, and may not get one.
    let bytes = if length == 0 { &[] } else { unsafe { slice::from_raw_parts(start, length) } };
    CHOSEN(bytes);
    0
}

/// Called before everything else: a panic, even one that somebody catches, is what is looked for.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn LLVMFuzzerInitialize(_count: *const i32, _words: *const *const *const u8) -> i32 {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        process::abort();
    }));
    0
}

/// A line of paths, then a document: what serde_json calls JSON is JSON, and stays it when something is removed.
fn edited(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (paths, document) = bytes.split_at(end);
    let document = document.get(1..).unwrap_or_default();
    let is_json = json::check(document).is_ok();
    // Nothing but depth may be judged otherwise: serde_json has a limit, we have none.
    let deep = document.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100;
    let truth = std::str::from_utf8(document).is_ok() && serde_json::from_slice::<IgnoredAny>(document).is_ok();
    assert!(deep || is_json == truth);
    let paths = std::str::from_utf8(paths).unwrap_or_default().split(' ');
    let Ok(paths) = Paths::new(paths) else { return };
    let found = paths.find(document);
    assert_eq!(found.is_ok(), is_json);
    for value in found.into_iter().flatten() {
        json::check(value.raw).unwrap_or_else(|fault| panic!("{fault}: {:?}", value.raw));
    }
    if let Ok(Some(edited)) = paths.remove(document) {
        json::check(&edited).unwrap_or_else(|fault| panic!("{fault}: {edited:?}"));
    }
}

/// Wasm that `tests/wild` has made and the fuzzer has changed; a module with the functions of the API is made a component first.
fn made_up(bytes: &[u8]) {
    let component = plugin::componentize(bytes).ok();
    plugin::fuzz::whole(component.as_deref().unwrap_or(bytes));
}
