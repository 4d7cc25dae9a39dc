//! `gristmill try --watch`: the same messages once more whenever the plugin changes.

use super::{
    Try,
    batch::Batches,
    bench::{Tried, Workshop},
    build::Build,
    introduce, messages,
    sources::Sources,
    summary::Summary,
    text,
};
use crate::{
    cli::{
        payload::plain,
        talk::{self, Paint, Tone},
    },
    message::Message,
    plugin::watch::{Changes, Watcher},
};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};

/// Messages that are kept to be tried again, and bytes of their payloads.
const MESSAGES: usize = 10_000;
const BYTES: usize = 64 << 20;

/// Tries, waits for a change and tries again, until Ctrl-C.
pub(super) async fn watch(asked: &Try, build: &Build) -> anyhow::Result<()> {
    let messages = kept(asked)?;
    tokio::select! {
        ended = rounds(asked, build, &messages) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn kept(asked: &Try) -> anyhow::Result<Vec<Message>> {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for message in messages(asked) {
        let message = message?;
        bytes += message.payload.len();
        ensure!(
            kept.len() < MESSAGES && bytes <= BYTES,
            "`--watch` keeps all messages, so there may be {MESSAGES} of them with {} MiB",
            BYTES >> 20
        );
        kept.push(message);
    }
    Ok(kept)
}

async fn rounds(asked: &Try, build: &Build, messages: &[Message]) -> anyhow::Result<()> {
    let mut signs = Signs::new(asked, build)?;
    let mut workshop = None;
    let mut before: Option<Vec<Tried>> = None;
    loop {
        match round(asked, build, &mut signs, &mut workshop, messages).await {
            Ok(after) => {
                let paint = Paint::on_stdout();
                let shown = match &before {
                    None => after.iter().map(|tried| text::story(tried, paint)).collect(),
                    Some(before) => difference(before, &after, paint),
                };
                talk::print(shown.as_bytes())?;
                before = Some(after);
            }
            Err(error) => {
                talk::tell(&error);
                if before.is_some() {
                    talk::say("nothing was tried; the results that came last are those of the version before");
                }
            }
        }
        talk::say("waiting for a change; Ctrl-C ends");
        signs.changed().await?;
    }
}

/// Builds, loads and tries everything once.
async fn round(
    asked: &Try,
    build: &Build,
    signs: &mut Signs,
    workshop: &mut Option<Workshop>,
    messages: &[Message],
) -> anyhow::Result<Vec<Tried>> {
    let file = signs.built(build).await?;
    let setting = super::setting(asked, &file)?;
    let workshop = match workshop {
        Some(workshop) => workshop,
        None => workshop.insert(Workshop::open(&setting)?),
    };
    let bench = super::load(asked, workshop, &file, &setting).await?;
    introduce(&bench);
    let terms = super::batch(asked, &bench)?;
    let mut all = Vec::with_capacity(messages.len());
    for batch in Batches::of(messages.iter().cloned().map(Ok), terms) {
        all.extend(bench.take(batch?, &asked.canned).await);
        // A guest never gives way by itself, and Ctrl-C is to be heard.
        tokio::task::yield_now().await;
    }
    let mut summary = Summary::default();
    all.iter().for_each(|tried| summary.add(tried));
    talk::say(&summary.to_string());
    Ok(all)
}

/// What shows that there is something new.
enum Signs {
    File { file: PathBuf, config: Option<PathBuf>, changes: Changes, _watcher: Watcher },
    Sources { dir: PathBuf, seen: Sources },
}

impl Signs {
    fn new(asked: &Try, build: &Build) -> anyhow::Result<Self> {
        if let Some(dir) = build.sources() {
            return Ok(Self::Sources { dir: dir.to_owned(), seen: Sources::of(dir)? });
        }
        let file = asked.file.clone();
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let config = asked.settings.config().map(Path::to_owned);
        let (watcher, changes) = Watcher::new(dir, config.as_deref())?;
        Ok(Self::File { file, config, changes, _watcher: watcher })
    }

    /// Builds until the sources are what the build began with; what a build writes among them each time is not waited out.
    async fn built(&mut self, build: &Build) -> anyhow::Result<PathBuf> {
        let mut file = Err(anyhow::anyhow!("nothing was built"));
        for _ in 0..2 {
            let begun = self.look()?;
            file = build.run().await;
            if begun == self.look()? {
                break;
            }
        }
        file
    }

    /// Looks at the sources anew, and returns them where there are any.
    fn look(&mut self) -> anyhow::Result<Option<Sources>> {
        match self {
            Self::File { .. } => Ok(None),
            Self::Sources { dir, seen } => {
                *seen = Sources::of(dir)?;
                Ok(Some(seen.clone()))
            }
        }
    }

    async fn changed(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Sources { dir, seen } => seen.changed(dir).await,
            Self::File { file, config, changes, .. } => loop {
                let changed = changes.next().await.context("changes can no longer be watched")?;
                let name = |path: &Path| path.file_name().map(ToOwned::to_owned);
                let ours = [name(file), config.as_deref().and_then(name), file.parent().and_then(name)];
                if changed.iter().any(|path| ours.contains(&name(path))) {
                    return Ok(());
                }
            },
        }
    }
}

/// The messages that became something else than before.
fn difference(before: &[Tried], after: &[Tried], paint: Paint) -> String {
    let pairs = before.iter().zip(after);
    let differ: Vec<_> = pairs.filter(|(old, new)| old.end != new.end || old.rounds != new.rounds).collect();
    let mut said: String = differ.iter().map(|(old, new)| changed(old, new, paint)).collect();
    let same = after.len() - differ.len();
    said += &match (same, differ.len()) {
        (same, 0) => format!("all {same} as before\n"),
        (same, count) => format!("{count} changed, {same} as before\n"),
    };
    said
}

/// One message that became something else: what it was, what it is, and how the results differ.
fn changed(old: &Tried, new: &Tried, paint: Paint) -> String {
    let id = paint.tone(Tone::Title, &plain(&new.message.id));
    let mut said = format!("{id}  was {}\n{}", text::verdict(&old.end, paint), text::story(new, paint));
    let (was, is) = (old.end.messages(), new.end.messages());
    if !was.is_empty() && was.len() == is.len() {
        let lines = was.iter().zip(is).flat_map(|(was, is)| text::changes(was, is, paint));
        let lines: String = lines.map(|line| format!("    {line}\n")).collect();
        if !lines.is_empty() {
            said += &format!("  against the result before\n{lines}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            bench::End,
            sample::{self, message},
        },
        *,
    };

    fn tried(end: End) -> Tried {
        sample::tried(br#"{"a":1}"#, end)
    }

    #[test]
    fn only_what_differs_is_shown_and_the_rest_is_counted() {
        let before = [tried(End::Pass), tried(End::Drop(Some("old".into())))];
        let after = [tried(End::Pass), tried(End::Pass)];
        let expected = "try-1  was drop: old\ntry-1  pass  (1 µs)\n1 changed, 1 as before\n";
        assert_eq!(difference(&before, &after, Paint::PLAIN), expected);
        assert_eq!(difference(&before, &before, Paint::PLAIN), "all 2 as before\n");
    }

    #[test]
    fn two_results_are_compared_with_each_other_too() {
        let before = tried(End::Replace(message(br#"{"a":2,"b":3}"#)));
        let after = tried(End::Replace(message(br#"{"a":2,"b":4}"#)));
        let said = changed(&before, &after, Paint::PLAIN);
        assert!(said.ends_with("  against the result before\n    ~ payload b: 3 → 4\n"), "{said}");
    }
}
