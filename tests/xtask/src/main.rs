//! `cargo xtask VERB`: sets up what is missing, builds host and plugins, runs tests, demo and benchmark.
#![expect(clippy::print_stdout, reason = "results of a command line go to standard output")]

mod bench;
mod command;
mod demo;
mod deny;
mod fetch;
mod fuzz;
mod guests;
mod languages;
mod places;
mod setup;
mod test;
mod wild;

use command::Trouble;
use places::Places;
use std::{env, process::ExitCode};

const HELP: &str = "\
cargo xtask setup             install what is missing: the wasm32-wasip2 target, redis-server
cargo xtask setup --peers     fetch what some tests need besides: other servers and peers, into TARGET/servers and TARGET/peers
cargo xtask plugins [NAME]    build the plugins, or one of them, into TARGET/plugins, where a running demo picks them up
cargo xtask guests            build the guests that the tests use into TARGET/guests
cargo xtask languages [NAME…] build the example in these languages, or in all, into TARGET/languages; what they need goes into TARGET/toolchains
cargo xtask test [ARGS]       set up, build everything, run every test; ARGS go to `cargo test`
cargo xtask deny              licences, sources, bans and advisories of all dependencies, by deny.toml
cargo xtask fuzz [SECONDS]    everything that parses bytes from outside, fed with what coverage finds worth trying; 60 s in all
cargo xtask demo [--once]     a whole broker at work until Ctrl-C; with --once until 20 messages have arrived
cargo xtask bench [NAME] [ARGS]  the benchmark `job`, or `callbacks`; ARGS are its own
TARGET is $CARGO_TARGET_DIR, or `target`.";

/// What the command line asks for.
enum Verb {
    Help,
    Setup,
    Peers,
    Plugins(Option<String>),
    Guests,
    Languages(Vec<String>),
    Test(Vec<String>),
    Deny,
    Fuzz(u64),
    Demo(demo::Length),
    Bench(Vec<String>),
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let Some(verb) = parse(&words) else {
        eprintln!("xtask: cannot make sense of `{}`\n\n{HELP}", words.join(" "));
        return ExitCode::from(2);
    };
    match run(verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("xtask: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Option<Verb> {
    let (verb, rest) = words.split_first()?;
    let rest = rest.to_vec();
    Some(match (verb.as_str(), rest.as_slice()) {
        ("help" | "--help" | "-h", []) => Verb::Help,
        ("setup", []) => Verb::Setup,
        ("setup", [peers]) if peers == "--peers" => Verb::Peers,
        ("plugins", []) => Verb::Plugins(None),
        ("plugins", [name]) => Verb::Plugins(Some(name.clone())),
        ("guests", []) => Verb::Guests,
        ("languages", _) => Verb::Languages(rest),
        ("test", _) => Verb::Test(rest),
        ("deny", []) => Verb::Deny,
        ("fuzz", []) => Verb::Fuzz(fuzz::SECONDS),
        ("fuzz", [seconds]) => Verb::Fuzz(seconds.parse().ok()?),
        ("demo", []) => Verb::Demo(demo::Length::UntilStopped),
        ("demo", [once]) if once == "--once" => Verb::Demo(demo::Length::Once),
        ("bench", _) => Verb::Bench(rest),
        _ => return None,
    })
}

fn run(verb: Verb) -> Result<(), Trouble> {
    let places = Places::find();
    match verb {
        Verb::Help => println!("{HELP}"),
        Verb::Setup => setup::run_all()?,
        Verb::Peers => fetch::run_all(&places)?,
        Verb::Plugins(name) => {
            setup::wasm_target()?;
            guests::plugins(&places, name.as_deref())?;
        }
        Verb::Guests => {
            setup::wasm_target()?;
            guests::guests(&places)?;
        }
        Verb::Languages(names) => {
            setup::wasm_target()?;
            test::build_host(&places)?;
            languages::run_all(&places, &names)?;
        }
        Verb::Test(arguments) => test::run_all(&places, &arguments)?,
        Verb::Deny => deny::run_all(&places)?,
        Verb::Fuzz(seconds) => fuzz::run_all(&places, seconds)?,
        Verb::Demo(length) => demo::run(&places, length)?,
        Verb::Bench(arguments) => bench::run_all(&places, &arguments)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn verbs_take_what_the_help_says() {
        assert!(matches!(parse(&words("demo --once")), Some(Verb::Demo(demo::Length::Once))));
        assert!(matches!(parse(&words("plugins anonymize")), Some(Verb::Plugins(Some(name))) if name == "anonymize"));
        assert!(matches!(parse(&words("test --test it -- swap")), Some(Verb::Test(rest)) if rest.len() == 4));
        assert!(matches!(parse(&words("setup --peers")), Some(Verb::Peers)));
        assert!(matches!(parse(&words("fuzz 600")), Some(Verb::Fuzz(600))));
        assert!(matches!(parse(&words("languages c python")), Some(Verb::Languages(names)) if names.len() == 2));
        assert!(matches!(parse(&words("help")), Some(Verb::Help)));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "dmeo", "demo --twice", "setup now", "plugins a b", "deny all", "fuzz long"] {
            assert!(parse(&words(line)).is_none(), "{line}");
        }
    }
}
