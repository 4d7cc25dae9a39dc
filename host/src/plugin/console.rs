//! What plugins write: cut into lines, kept within an allowance, and logged with plugin, version and message.

use super::{
    heard::Heard,
    stdout::{Stdout, Takes},
};
use crate::{
    config::Secrets,
    event::{self, Loudness},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use wasmtime_wasi::p2::StreamResult;

/// Bytes of one line; what is beyond is cut.
const LINE_BYTES: usize = 4096;
/// Seconds whose lines a plugin may write at once.
const BURST: u32 = 5;
/// Between two notices that lines were left out.
const NOTICE: Duration = Duration::from_secs(10);
/// Bytes of the last words that are kept to explain a trap.
const LAST_WORDS: usize = 512;

/// Whose lines these are, and how many more there may be: one for each version of a plugin.
pub(super) struct Voice {
    plugin: Arc<str>,
    digest: String,
    /// Hidden in all that it says.
    secrets: Secrets,
    allowance: Mutex<Allowance>,
    heard: Option<Arc<Heard>>,
}

struct Allowance {
    per_second: f64,
    burst: f64,
    lines: f64,
    since: Instant,
    suppressed: u64,
    noticed: Option<Instant>,
}

impl Voice {
    /// With so many lines a second, in which nothing shows that stands for one of `secrets`.
    pub(super) fn new(plugin: &Arc<str>, digest: String, lines: u32, secrets: Secrets) -> Self {
        let allowance = Mutex::new(Allowance::new(lines, Instant::now()));
        Self { plugin: Arc::clone(plugin), digest, secrets, allowance, heard: None }
    }

    /// Lets `heard` hear everything instead of the log.
    pub(super) fn heard_by(mut self, heard: Option<Arc<Heard>>) -> Self {
        self.heard = heard;
        self
    }

    /// `text` with names in the places of what stands for secrets: whoever reads logs and dead letters must not be able to use it.
    pub(super) fn veiled(&self, text: &str) -> String {
        self.secrets.hide(text).into_owned()
    }

    /// Logs one line, or counts it when the allowance is used up; who listens hears them all.
    fn say(&self, message: Option<&str>, loudness: Loudness, text: &str) {
        if let Some(heard) = &self.heard {
            return heard.hear(loudness, printable(&self.secrets.hide(text)));
        }
        let (spoken, suppressed) = lock(&self.allowance).take(Instant::now());
        if let Some(count) = suppressed {
            event::guest_lines_suppressed(&self.plugin, &self.digest, message, count);
        }
        if spoken {
            event::guest_line(&self.plugin, &self.digest, message, loudness, &printable(&self.secrets.hide(text)));
        }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        let suppressed = lock(&self.allowance).suppressed;
        if suppressed > 0 {
            event::guest_lines_suppressed(&self.plugin, &self.digest, None, suppressed);
        }
    }
}

impl Allowance {
    fn new(per_second: u32, now: Instant) -> Self {
        let burst = f64::from(per_second.saturating_mul(BURST));
        Self { per_second: per_second.into(), burst, lines: burst, since: now, suppressed: 0, noticed: None }
    }

    /// Whether one more line may be written at `now`, and how many were not since the last notice if one is due.
    fn take(&mut self, now: Instant) -> (bool, Option<u64>) {
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * self.per_second;
        self.lines = (self.lines + gained).min(self.burst);
        self.since = now;
        let spoken = self.lines >= 1.0;
        if spoken {
            self.lines -= 1.0;
        } else {
            self.suppressed += 1;
        }
        let due = self.noticed.is_none_or(|at| now.saturating_duration_since(at) >= NOTICE);
        if self.suppressed == 0 || !due {
            return (spoken, None);
        }
        self.noticed = Some(now);
        (spoken, Some(std::mem::take(&mut self.suppressed)))
    }
}

/// What one instance is saying.
pub(super) struct Console {
    voice: Arc<Voice>,
    talk: Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    message: Option<Arc<str>>,
    unfinished: Vec<u8>,
    loudness: Option<Loudness>,
    last_words: String,
    last_line: String,
}

impl Console {
    pub(super) fn new(voice: Arc<Voice>) -> Self {
        Self { voice, talk: Mutex::default() }
    }

    /// The id of the message of this call.
    pub(super) fn message(&self) -> Option<Arc<str>> {
        lock(&self.talk).message.clone()
    }

    /// Ends what the call before left unfinished; what follows is about the message `id`.
    pub(super) fn begin(&self, id: &Arc<str>) {
        let talk = &mut *lock(&self.talk);
        self.end(talk);
        talk.last_words.clear();
        talk.last_line.clear();
        talk.message = Some(Arc::clone(id));
    }

    /// What the guest wrote to stderr in this call, shortened to one line; empty when it wrote nothing.
    pub(super) fn last_words(&self) -> String {
        let talk = &mut *lock(&self.talk);
        self.end(talk);
        std::mem::take(&mut talk.last_words)
    }

    /// The last line that the guest wrote to stderr in this call; empty when it wrote none.
    pub(super) fn last_line(&self) -> String {
        let talk = &mut *lock(&self.talk);
        self.end(talk);
        std::mem::take(&mut talk.last_line)
    }

    /// Ends the line that the call before left unfinished.
    pub(super) fn end_line(&self) {
        self.end(&mut lock(&self.talk));
    }

    /// Logs one whole text.
    pub(super) fn say(&self, loudness: Loudness, text: &str) {
        let message = self.message();
        self.voice.say(message.as_deref(), loudness, cut(text));
    }

    /// Takes what the guest wrote to a stream, and logs the lines that are complete.
    fn write(&self, loudness: Loudness, bytes: &[u8]) {
        let talk = &mut *lock(&self.talk);
        if talk.loudness != Some(loudness) {
            self.end(talk);
            talk.loudness = Some(loudness);
        }
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            talk.push(line);
            self.end(talk);
        }
        talk.push(rest);
    }

    /// Logs the unfinished line, if there is one.
    fn end(&self, talk: &mut Talk) {
        if talk.unfinished.is_empty() {
            return;
        }
        let line = std::mem::take(&mut talk.unfinished);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let loudness = talk.loudness.unwrap_or(Loudness::Info);
        if loudness == Loudness::Warn {
            talk.remember(text);
        }
        self.voice.say(talk.message.as_deref(), loudness, text);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let talk = &mut *lock(&self.talk);
        self.end(talk);
    }
}

impl Talk {
    fn push(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.unfinished.len());
        self.unfinished.extend(bytes.iter().take(room));
    }

    /// Keeps `line` to explain a trap or an exit; what Rust says about backtraces explains nothing.
    fn remember(&mut self, line: &str) {
        if line.is_empty() || line.starts_with("note: run with") {
            return;
        }
        self.last_line.clear();
        self.last_line.push_str(prefix(line, LAST_WORDS));
        if self.last_words.len() >= LAST_WORDS {
            return;
        }
        if !self.last_words.is_empty() {
            self.last_words.push(' ');
        }
        let room = LAST_WORDS.saturating_sub(self.last_words.len());
        self.last_words.push_str(prefix(line, room));
    }
}

/// Where one of a guest's two output streams leads.
#[derive(Clone)]
pub(super) struct Stream {
    console: Arc<Console>,
    loudness: Loudness,
}

impl Stream {
    /// What leads to `console`, whose lines are as loud as that.
    pub(super) fn to(console: &Arc<Console>, loudness: Loudness) -> Stdout<Self> {
        Stdout(Self { console: Arc::clone(console), loudness })
    }
}

impl Takes for Stream {
    fn accept(&self, bytes: &[u8]) -> StreamResult<()> {
        self.console.write(self.loudness, bytes);
        Ok(())
    }
}

/// The longest start of `text` that has at most `room` bytes.
pub(super) fn prefix(text: &str, room: usize) -> &str {
    let mut end = room.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn cut(text: &str) -> &str {
    prefix(text, LINE_BYTES).trim_end()
}

/// `text` without what could move a terminal's cursor or fake another line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A poisoned lock here guards nothing but text.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_refills_and_tells_once_in_a_while_what_it_left_out() {
        let start = Instant::now();
        let mut allowance = Allowance::new(20, start);
        assert!((0..100).all(|_| allowance.take(start) == (true, None)));
        assert_eq!(allowance.take(start), (false, Some(1)));
        assert_eq!(allowance.take(start), (false, None));
        let later = start + Duration::from_millis(100);
        assert_eq!(allowance.take(later), (true, None));
        assert_eq!(allowance.take(start + NOTICE), (true, Some(1)));
    }

    #[test]
    fn no_lines_means_none() {
        let start = Instant::now();
        let mut allowance = Allowance::new(0, start);
        assert_eq!(allowance.take(start), (false, Some(1)));
        assert_eq!(allowance.take(start + NOTICE), (false, Some(1)));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let text = "ä".repeat(LINE_BYTES);
        assert_eq!(cut(&text).len(), LINE_BYTES);
        assert_eq!(prefix("äb", 1), "");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\tc\r"), "a\u{fffd}[31mb\tc\u{fffd}");
    }

    #[test]
    fn the_last_words_are_what_was_written_to_stderr_in_this_call() {
        let voice = Arc::new(Voice::new(&Arc::from("p"), "d".to_owned(), 20, Secrets::default()));
        let console = Console::new(voice);
        console.write(Loudness::Warn, b"before\n");
        console.begin(&Arc::from("m-1"));
        console.write(Loudness::Info, b"to stdout\n");
        console.write(Loudness::Warn, b"panicked at src/lib.rs:1:\nno");
        console.write(Loudness::Warn, b" luck\nnote: run with RUST_BACKTRACE=1\n");
        assert_eq!(console.last_words(), "panicked at src/lib.rs:1: no luck");
        assert_eq!(console.last_line(), "no luck");
    }
}
