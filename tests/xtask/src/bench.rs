//! `cargo xtask bench`: what a benchmark needs, then the benchmark.

use crate::{
    command::{Trouble, cargo, run},
    guests,
    places::Places,
    setup,
};

/// Those in `tests/benches`; the first one where none is named.
const NAMES: [&str; 4] = ["job", "callbacks", "journal", CALLS];
/// Looks into the host instead of starting it.
const CALLS: &str = "calls";

pub(crate) fn run_all(places: &Places, arguments: &[String]) -> Result<(), Trouble> {
    let (name, arguments) = named(arguments);
    setup::run_all()?;
    guests::plugins(places, None)?;
    let package = if name == CALLS {
        guests::guests(places)?;
        "gristmill"
    } else {
        run(&mut cargo(places, &["build", "--release", "--package", "gristmill"]))?;
        "gristmill-tests"
    };
    run(cargo(places, &["bench", "--package", package, "--bench", name, "--"]).args(arguments))
}

fn named(arguments: &[String]) -> (&str, &[String]) {
    match arguments.split_first() {
        Some((first, rest)) if NAMES.contains(&first.as_str()) => (first, rest),
        _ => (NAMES[0], arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_may_name_a_benchmark() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(named(&words("--rounds 1")), ("job", &words("--rounds 1")[..]));
        assert_eq!(named(&words("callbacks --after 100")), ("callbacks", &words("--after 100")[..]));
        assert_eq!(named(&[]), ("job", &[][..]));
    }
}
