//! The node of the demo: the real binary with the quickstart's config.

use super::{Event, receiver::Receiver};
use crate::{
    command::{Trouble, say},
    places::Places,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::SyncSender,
    thread,
};

/// A running node; killed when dropped before its end.
pub(crate) struct Node {
    child: Child,
    ended: bool,
}

impl Node {
    /// Starts it; its log comes in as events.
    pub(crate) fn start(
        places: &Places,
        data: &Path,
        receiver: &Receiver,
        events: SyncSender<Event>,
    ) -> Result<Self, Trouble> {
        let mut command = Command::new(places.gristmill());
        command.args(["run", "--config", "examples/quickstart/gristmill.toml"]).current_dir(&places.root);
        command.env("SINK_URL", receiver.url()).env("GRISTMILL_PLUGINS", places.plugins()).env("GRISTMILL_DATA", data);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        // A Ctrl-C on the terminal reaches the whole process group, and a second signal would stop the node at once.
        command.process_group(0);
        let line = format!("{} run --config examples/quickstart/gristmill.toml", places.gristmill().display());
        say(&line);
        let mut child = command.spawn().map_err(|cause| Trouble::NotStarted { line, cause })?;
        if let Some(log) = child.stderr.take() {
            thread::spawn(move || follow(log, &events));
        }
        Ok(Self { child, ended: false })
    }

    /// SIGTERM: the first asks to drain, the second to stop now.
    pub(crate) fn ask_to_end(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself, which is what is wanted.
            kill_process(pid, Signal::TERM).ok();
        }
    }

    /// Waits for the end of a node that has closed its log, and wants it to be a good one.
    pub(crate) fn end(mut self) -> Result<(), Trouble> {
        let status =
            self.child.wait().map_err(|cause| Trouble::File { what: "cannot wait for the node".to_owned(), cause })?;
        self.ended = true;
        if status.success() { Ok(()) } else { Err(Trouble::Failed { line: "gristmill run".to_owned(), status }) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.ended {
            // Both fail only when it is gone already.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

fn follow(log: ChildStderr, events: &SyncSender<Event>) {
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        if events.send(Event::Log(String::from_utf8_lossy(&line).into_owned())).is_err() {
            return;
        }
    }
    // Nobody listens any more when this fails.
    events.send(Event::NodeEnded).ok();
}

/// The port in a line that says where the node's own Redis listens.
pub(crate) fn port_in(line: &str) -> Option<u16> {
    ["port=", "redis-cli -p "].into_iter().find_map(|mark| {
        let (_, rest) = line.split_once(mark)?;
        let rest = rest.trim_start_matches('"');
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..digits)?.parse().ok()
    })
}

/// Whether the line says that the pipelines take; plugins and the embedded Redis become ready before that.
pub(crate) fn says_ready(line: &str) -> bool {
    line.contains("pipelines") && line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_fields_and_in_advice() {
        assert_eq!(port_in("INFO the private server is up port=40123 socket=/x"), Some(40123));
        assert_eq!(port_in("push with `redis-cli -p 6380 RPUSH notifications …`"), Some(6380));
        assert_eq!(port_in("INFO ready"), None);
    }

    #[test]
    fn only_the_whole_word_means_ready() {
        assert!(says_ready("INFO ready node=\"a\" pipelines=1"));
        assert!(!says_ready("INFO plugin ready plugin=http"));
        assert!(!says_ready("WARN pipelines already there"));
    }
}
