//! What a test's own thread writes to the log.

use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
};

/// What is written to the log by this thread; tests that look at it run on one.
#[derive(Clone, Default)]
pub(in crate::source) struct Log(Arc<Mutex<Vec<u8>>>);

/// As long as there is only one subscriber, whatever thread comes first to a line decides whether anybody wants it.
static ANOTHER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish()));

impl Log {
    pub(in crate::source) fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        LazyLock::force(&ANOTHER);
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines with `part` in them.
    pub(in crate::source) fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// All numbers that stand behind `field`.
    pub(in crate::source) fn sum(&self, field: &str) -> u64 {
        let number = |line: String| {
            let (_, rest) = line.split_once(field)?;
            rest.split(' ').next()?.parse::<u64>().ok()
        };
        self.lines(field).into_iter().filter_map(number).sum()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
