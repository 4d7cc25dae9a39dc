//! What is wrong with a file, where, and what to do about it.

use super::secret::without_passwords;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// More faults than this in one file are counted, not shown.
const SHOWN: usize = 100;

/// A file's name and text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Whether a fault stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file works, though perhaps not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    severity: Severity,
    message: String,
    span: Option<Range<usize>>,
    also: Option<(Range<usize>, &'static str)>,
    help: Option<String>,
}

impl Fault {
    /// Something that stops the file from being used; `message` is lower case without a full stop.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span: None, also: None, help: None }
    }

    /// Something that works, though perhaps not as meant.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Advises to write `word` as well.
    #[must_use]
    pub(super) fn or_write(mut self, word: &str) -> Self {
        self.help = self.help.map(|help| format!("{help}, or \"{word}\""));
        self
    }

    /// Points at the bytes `span` of the file.
    #[must_use]
    pub(super) fn at(mut self, span: &Range<usize>) -> Self {
        self.span = Some(span.clone());
        self
    }

    /// Points at a second place that has to do with it.
    #[must_use]
    pub(super) fn and_at(mut self, span: &Range<usize>, label: &'static str) -> Self {
        self.also = Some((span.clone(), label));
        self
    }

    /// Whether it stops the file from being used.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Clone, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Faults {
    file: Arc<Source>,
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(source: &Arc<Source>, list: Vec<Fault>) -> Self {
        let mut faults = Self { file: Arc::clone(source), list };
        faults.sort();
        faults
    }

    /// A fault of the file as a whole, whose text is not known.
    pub(super) fn without_text(path: &Path, fault: Fault) -> Self {
        let source = Source { path: path.to_owned(), text: String::new() };
        Self::new(&Arc::new(source), vec![fault])
    }

    /// Adds a fault found elsewhere; `Loaded::fault_at` makes one that points into the same file.
    pub fn push(&mut self, fault: Fault) {
        self.list.push(fault);
        self.sort();
    }

    /// In the order of the file; what has no place comes last.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.list.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether anything stops the file from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Where `fault` begins: line and column in characters, both from 1.
    pub fn position(&self, fault: &Fault) -> Option<(usize, usize)> {
        let before = self.file.text.get(..fault.span.as_ref()?.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some((line, column))
    }

    /// All of them as text with the lines they are about; without a trailing newline.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let file = without_passwords(&self.file.text);
        let shown = self.list.iter().take(SHOWN).map(|fault| renderer.render(&[self.group(fault, &file)]));
        let mut texts: Vec<String> = shown.collect();
        if let Some(more @ 1..) = self.list.len().checked_sub(SHOWN) {
            let level = if self.has_errors() { Level::ERROR } else { Level::WARNING };
            let title = level.primary_title(format!("{more} more like these"));
            texts.push(renderer.render(&[Group::with_title(title)]));
        }
        texts.join("\n\n")
    }

    fn group<'a>(&'a self, fault: &'a Fault, file: &'a str) -> Group<'a> {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let group = Group::with_title(level.primary_title(&fault.message));
        let group = match &fault.span {
            Some(span) => group.element(self.snippet(span, fault.also.as_ref(), file)),
            None => group.element(Origin::path(self.file.path.to_string_lossy())),
        };
        match &fault.help {
            Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
            None => group,
        }
    }

    /// Only the lines concerned are handed over, so that a large file is not gone through for every fault.
    fn snippet<'a>(
        &'a self,
        span: &Range<usize>,
        also: Option<&(Range<usize>, &'a str)>,
        text: &'a str,
    ) -> Snippet<'a, Annotation<'a>> {
        let (first, last) =
            also.map_or((span.start, span.end), |(other, _)| (span.start.min(other.start), span.end.max(other.end)));
        let start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let end = text.get(last..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| last + newline);
        let shift = |range: &Range<usize>| range.start - start..range.end - start;
        let line = text.get(..start).unwrap_or("").matches('\n').count() + 1;
        let also = also.map(|(other, label)| AnnotationKind::Context.span(shift(other)).label(Some(*label)));
        Snippet::source(text.get(start..end).unwrap_or(""))
            .path(self.file.path.to_string_lossy())
            .line_start(line)
            .annotation(AnnotationKind::Primary.span(shift(span)))
            .annotations(also)
    }

    fn sort(&mut self) {
        let start = |fault: &Fault| fault.span.as_ref().map_or(usize::MAX, |span| span.start);
        self.list.sort_by_key(|fault| (start(fault), fault.severity == Severity::Warning));
    }
}

/// The rendered text, because that is what a failed `unwrap` or `main` should show.
impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.render(false))
    }
}

/// Text of a file as it may stand in a message: on one line, and not longer than 60 characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// The candidate that `word` was probably meant to be.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes sixty characters, and the distance costs their square.
    if word.len() > 60 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).max(1);
    let distance = |candidate: &str| {
        let candidate = plain(candidate);
        let abbreviated = word.len() >= 3 && candidate.starts_with(&word);
        match strsim::damerau_levenshtein(&word, &candidate) {
            near if near <= allowed => Some(near),
            _ => abbreviated.then_some(allowed + 1),
        }
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(candidate)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
