//! `cargo xtask bench`: what a benchmark needs, then the benchmark, which builds the release host itself.

use crate::{
    command::{Trouble, cargo, run},
    guests,
    places::Places,
    setup,
};

/// Those in `tests/benches`; the first one where none is named.
const NAMES: [&str; 3] = ["job", "callbacks", "journal"];

pub(crate) fn run_all(places: &Places, arguments: &[String]) -> Result<(), Trouble> {
    let (name, arguments) = named(arguments);
    setup::run_all()?;
    guests::plugins(places, None)?;
    run(&mut cargo(places, &["build", "--release", "--package", "gristmill"]))?;
    run(cargo(places, &["bench", "--package", "gristmill-tests", "--bench", name, "--"]).args(arguments))
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
