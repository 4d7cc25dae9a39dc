//! A child process with its output kept in a file; it ends with the test that started it.

use crate::eventually::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// How much of a log a failing test shows, in lines.
const TAIL: usize = 60;

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

/// What a command that ran to its end left behind.
#[derive(Debug)]
pub struct Finished {
    /// The exit code, or -1 when a signal ended it.
    pub code: i32,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command` with its standard error, and its standard output too, in the file `log`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let output = File::create(log).expect("the log can be written");
        let errors = output.try_clone().expect("a file can be shared");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned(), ended: None }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends `signal`; nothing happens when the process has ended and was waited for.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_some() {
            return;
        }
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("the system gave us this id");
        // It may just have ended by itself; whoever asks for its status will see that.
        kill_process(pid, signal).ok();
    }

    /// Its status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// When it runs longer than `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(limit, &what, || self.ended())
    }

    /// SIGKILL, and the wait for it.
    pub fn kill9(&mut self) {
        if self.ended().is_none() {
            // A stopped process must not matter here: SIGKILL ends those too.
            self.signal(Signal::KILL);
            self.ended = Some(self.child.wait().expect("a child can be waited for"));
        }
    }

    /// The last lines of the log.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!("---- the last lines of {} ----\n{}\n----", self.name, self.tail());
        }
    }
}

/// Runs `command` to its end.
///
/// # Panics
/// When it cannot be started, or runs longer than `limit`.
#[track_caller]
pub fn finish(command: &mut Command, limit: Duration) -> Finished {
    fed(command, b"", limit)
}

/// Runs `command` to its end with `input` as its standard input.
///
/// # Panics
/// When it cannot be started, or runs longer than `limit`.
#[track_caller]
pub fn fed(command: &mut Command, input: &[u8], limit: Duration) -> Finished {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    fs::write(dir.path().join("in"), input).unwrap();
    command.stdin(File::open(dir.path().join("in")).unwrap());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut process = Process { name: format!("{command:?}"), child, log: err.clone(), ended: None };
    let status = process.wait(limit);
    let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    Finished { code: status.code().unwrap_or(-1), stdout: text(&out), stderr: text(&err) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ends_gives_its_code_and_output() {
        let finished =
            finish(Command::new("sh").args(["-c", "echo result; echo talk >&2; exit 78"]), Duration::from_secs(10));
        assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (78, "result\n", "talk\n"));
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::start("sleeper", Command::new("sleep").arg("600"), &dir.path().join("log"));
        let proc_dir = format!("/proc/{}", process.id());
        assert!(Path::new(&proc_dir).exists());
        drop(process);
        assert!(!Path::new(&proc_dir).exists());
    }

    #[test]
    fn a_stopped_process_can_be_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start("sleeper", Command::new("sleep").arg("600"), &dir.path().join("log"));
        process.signal(Signal::STOP);
        assert_eq!(process.ended(), None);
        process.kill9();
        assert!(process.ended().is_some());
    }
}
