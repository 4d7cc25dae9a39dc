//! The command line: what can be said, and what each verb answers.

mod ask;
mod check;
mod compile;
mod componentize;
mod config;
mod dashboard;
mod dead;
mod figures;
mod inspect;
mod manual;
mod near;
mod new;
mod payload;
mod plugins;
mod run;
mod status;
mod steer;
mod talk;
mod tap;
mod trial;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// A message broker that runs every message through WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 failed while running, 2 bad arguments, 69 Redis unreachable, 78 bad configuration"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a node until SIGTERM or Ctrl-C; a second one stops at once, SIGHUP reads the configuration again
    Run(ConfigFile),
    /// Say what `run` would do, or every reason why it would not
    Check(ConfigFile),
    /// Show what a running node is doing, and what each of its plugins has used
    Status(status::Options),
    /// Let a pipeline of a running node take nothing new, and finish what it has in flight
    Pause(steer::Pipeline),
    /// Let a paused pipeline take again
    Resume(steer::Pipeline),
    /// Let a running node read its configuration again, as SIGHUP does, and say what came of it
    Reload(steer::Node),
    /// Let a running node finish what is in flight and end, as SIGTERM does
    Drain(steer::Node),
    /// Show the plugins of a running node, and what has become of their versions
    Plugins(plugins::Options),
    /// Show samples of messages as they pass through a running node, without what is redacted
    Tap(tap::Options),
    /// Print the address of a running node's dashboard, for a browser
    Dashboard(dashboard::Options),
    /// Make a plugin of the core module that a compiler without components has made, such as one for C
    Componentize(componentize::Arguments),
    /// Show what one plugin does with messages from standard input, with neither Redis nor network
    Try(Box<trial::Try>),
    /// Say what a plugin is, what it asks for, and what it costs to start
    Inspect(Box<inspect::Inspect>),
    /// Make a directory with a plugin that builds and passes its own test
    New(new::New),
    /// Print the configuration
    #[command(subcommand)]
    Config(config::Verb),
    /// Look at messages that could not be delivered, try them again, or drop them
    #[command(subcommand)]
    Dead(Box<dead::Verb>),
    /// Print a script that lets a shell complete verbs and options
    Completions(manual::Completions),
    /// Print the manual page, or write one for each verb
    Man(manual::Man),
    /// Compile the component on stdin for a node, which calls this itself
    #[command(hide = true)]
    Compile(compile::Limits),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", value_name = "FILE", default_value = "gristmill.toml")]
    path: PathBuf,
}

/// Does what the process was called for.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Run(file) => run::run(&file.path),
        Verb::Check(file) => check::run(&file.path),
        Verb::Status(options) => status::run(&options),
        Verb::Pause(wanted) => steer::pause(&wanted),
        Verb::Resume(wanted) => steer::resume(&wanted),
        Verb::Reload(wanted) => steer::reload(&wanted),
        Verb::Drain(wanted) => steer::drain(&wanted),
        Verb::Plugins(options) => plugins::run(&options),
        Verb::Tap(options) => tap::run(&options),
        Verb::Dashboard(options) => dashboard::run(&options),
        Verb::Completions(wanted) => manual::completions(&wanted),
        Verb::Man(wanted) => manual::man(&wanted),
        Verb::Componentize(arguments) => componentize::run(&arguments),
        Verb::Try(asked) => trial::run(&asked),
        Verb::Inspect(asked) => inspect::run(&asked),
        Verb::New(asked) => new::run(&asked),
        Verb::Config(verb) => config::run(verb),
        Verb::Dead(verb) => dead::run(*verb),
        Verb::Compile(limits) => return compile::run(&limits),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => talk::fail(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_verb_has_arguments_that_get_in_each_others_way() {
        Arguments::command().debug_assert();
    }
}
