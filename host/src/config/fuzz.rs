//! What `cargo xtask fuzz` does with a configuration file.

use super::{effective, fault::Source, load::parse};

/// Whatever is in a file, it is a configuration or it is said what is wrong; and what is in force loads to the same.
pub fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let environment = |name: &str| Some(format!("value of {name}"));
    let load = |text: String| parse(Source { path: "/etc/gristmill.toml".into(), text }, &environment);
    match load(text.to_owned()) {
        Ok(loaded) => {
            let shown = effective(&loaded);
            let again = load(shown).map(|again| again.config);
            assert_eq!(again.ok(), Some(loaded.config));
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}
