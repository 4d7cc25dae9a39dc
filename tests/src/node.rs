//! One running node: the `gristmill` binary as a process.

use crate::{eventually::eventually, process::Process};
use rustix::process::Signal;
use std::{
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

const READY: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(60);

/// A node; killed when dropped, its log shown when the test fails.
#[derive(Debug)]
pub struct Node {
    process: Process,
}

impl Node {
    /// Starts `command`, which runs a node, with its output in the file `log`; does not wait for anything.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        Self { process: Process::start(name, command, log) }
    }

    /// Waits until all of its pipelines take messages.
    ///
    /// # Panics
    /// When it ends first, or is not ready within a minute.
    #[must_use]
    #[track_caller]
    pub fn ready(mut self) -> Self {
        eventually(READY, "the node is ready", || {
            let ended = self.process.ended();
            assert!(ended.is_none(), "the node ended ({ended:?}) before it was ready");
            says_ready(&self.process.log()).then_some(())
        });
        self
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until one line of the log holds all of `words`, however they are cased, and returns that line.
    ///
    /// # Panics
    /// When there is no such line within ten seconds.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        self.says_after(0, words)
    }

    /// As `says`, looking only behind the first `seen` bytes of the log.
    #[track_caller]
    pub fn says_after(&self, seen: usize, words: &[&str]) -> String {
        eventually(Duration::from_secs(20), &format!("the node logs a line with {words:?}"), || {
            let log = self.process.log();
            let fresh = log.get(seen..)?;
            fresh.lines().find(|line| holds_all(line, words)).map(str::to_owned)
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Freezes it.
    pub fn sigstop(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Ends the freeze.
    pub fn sigcont(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Tells it to read its config again.
    pub fn sighup(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Asks it to end; a second time means at once.
    pub fn sigterm(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Asks it to end, waits for that, and returns the exit code, or -1 when a signal ended it.
    ///
    /// # Panics
    /// When it has not ended after a minute.
    #[track_caller]
    pub fn terminate(&mut self) -> i32 {
        self.sigterm();
        self.exit_code(END)
    }

    /// Waits for its end and returns the exit code, or -1 when a signal ended it.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    #[track_caller]
    pub fn exit_code(&mut self, limit: Duration) -> i32 {
        self.process.wait(limit).code().unwrap_or(-1)
    }
}

/// Whether `line` holds all of `words`, however they are cased.
pub fn holds_all(line: &str, words: &[&str]) -> bool {
    let line = line.to_lowercase();
    words.iter().all(|word| line.contains(&word.to_lowercase()))
}

/// Whether the node has said that its pipelines take; plugins and the embedded Redis become ready before that.
fn says_ready(log: &str) -> bool {
    let whole_word = |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ready");
    log.lines().any(|line| line.contains("pipelines") && whole_word(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Node {
        Node::start("shell", Command::new("sh").args(["-c", script]), log)
    }

    #[test]
    fn the_word_ready_is_not_found_inside_already() {
        assert!(says_ready("INFO ready node=\"a\" pipelines=2"));
        assert!(!says_ready("INFO pipelines already there\nINFO plugin ready plugin=http"));
    }

    #[test]
    fn a_node_is_awaited_asked_to_end_and_its_code_returned() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo draining; exit 7' TERM; echo started at Port=1; echo ready pipelines=1; while :; do sleep 0.01; done";
        let mut node = shell(script, &dir.path().join("log")).ready();
        assert_eq!(node.says(&["STARTED", "port=1"]), "started at Port=1");
        assert_eq!(node.terminate(), 7);
        assert!(node.log().ends_with("draining\n"));
    }

    #[test]
    #[should_panic(expected = "before it was ready")]
    fn a_node_that_ends_early_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        shell("echo no config >&2; exit 78", &dir.path().join("log")).ready().kill9();
    }
}
