//! What `cargo xtask fuzz` does with a configuration file.

use super::{
    effective,
    fault::{Faults, Source},
    load::{Loaded, parse},
    secret::without_passwords,
};

/// Whatever is in a file, it is a configuration or it is said what is wrong; and what is in force loads to the same.
pub fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match load(text) {
        Ok(loaded) => shown(text, &loaded),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// What is shown loads, and is shown the same again; where nothing was hidden in it, it is the same configuration.
fn shown(text: &str, loaded: &Loaded) {
    let shown = effective(loaded);
    let again = load(&shown);
    assert_eq!(again.as_ref().map(effective).ok().as_ref(), Some(&shown));
    if *without_passwords(text) == *text && !shown.contains('…') {
        assert_eq!(again.ok().map(|again| again.config).as_ref(), Some(&loaded.config));
    }
}

fn load(text: &str) -> Result<Loaded, Faults> {
    let environment = |name: &str| Some(format!("value of {name}"));
    parse(Source { path: "/etc/gristmill.toml".into(), text: text.to_owned() }, &environment)
}
