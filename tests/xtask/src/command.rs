//! Running commands so that everyone sees which, and what went wrong.

use crate::places::Places;
use std::{
    ffi::OsStr,
    fmt, io,
    process::{Command, ExitStatus},
};

/// Why a verb did not come to its end.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A command ended badly.
    Failed { line: String, status: ExitStatus },
    /// A command could not be started.
    NotStarted { line: String, cause: io::Error },
    /// A file could not be read or written.
    File { what: String, cause: io::Error },
    /// Something only the user can mend, said in full.
    Stuck(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { line, status } => write!(f, "this command failed ({status}):\n  {line}"),
            Self::NotStarted { line, cause } => {
                write!(f, "this command could not be started ({cause}):\n  {line}")
            }
            Self::File { what, cause } => write!(f, "{what}: {cause}"),
            Self::Stuck(text) => f.write_str(text),
        }
    }
}

/// Shows `command`, runs it, and wants it to succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), Trouble> {
    let line = line(command);
    say(&line);
    let status = command.status().map_err(|cause| Trouble::NotStarted { line: line.clone(), cause })?;
    if status.success() { Ok(()) } else { Err(Trouble::Failed { line, status }) }
}

/// A cargo of the same toolchain, in the repository.
pub(crate) fn cargo(places: &Places, words: &[&str]) -> Command {
    let mut command = Command::new(&places.cargo);
    command.args(words).current_dir(&places.root);
    command.env("CARGO_TARGET_DIR", &places.target);
    // What cargo told us about our own package makes build scripts that look at it, such as ring's, run again.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            command.env_remove(name);
        }
    }
    command
}

/// Says what is being done, on standard error.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// `command` as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_shown_as_one_would_type_it() {
        let trouble = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it exits with 3");
        let text = trouble.to_string();
        assert!(text.contains("sh -c 'exit 3'") && text.contains('3'), "{text}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        let text = run(&mut Command::new("no-such-program")).expect_err("there is none").to_string();
        assert!(text.contains("no-such-program") && text.contains("could not be started"), "{text}");
    }
}
