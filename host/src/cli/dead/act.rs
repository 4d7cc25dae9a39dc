//! Replays and drops dead letters.

use super::{Drop, Replay, choose::Open, edit};
use crate::{
    cli::talk,
    source::dead::{Changes, Error, Letter},
};
use anyhow::bail;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal};

/// `gristmill dead replay`.
pub(super) async fn replay(wanted: &Replay) -> anyhow::Result<()> {
    let mut open = wanted.of.open().await?;
    let to = wanted.to.as_deref().map(|name| open.place(name)).transpose()?;
    let mut chosen = open.chosen(&wanted.chosen).await?;
    if wanted.payload.is_some() && chosen.named() != 1 {
        bail!("`--payload` is for one entry");
    }
    let mut changes = Changes { to, payload: wanted.payload.as_deref().map(edit::read).transpose()? };
    let (mut count, mut stuck) = (0, 0);
    while let Some(letter) = chosen.next().await? {
        if wanted.edit {
            changes.payload = edit::edit(&letter).await?;
            if changes.payload.is_none() {
                unchanged(&letter);
                continue;
            }
        }
        match open.letters.replay(&letter, &changes).await {
            Ok(None) => gone(&letter),
            Ok(Some(replayed)) => {
                count += 1;
                if wanted.json {
                    say(&letter, &[("to", &replayed.to), ("replayed_as", &replayed.id)])?;
                }
            }
            // Those behind it are not to wait for that.
            Err(error @ (Error::Homeless { .. } | Error::NoQueue { .. })) => {
                talk::say(&error.to_string());
                stuck += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    finish(wanted.json, "replayed", count)?;
    if stuck > 0 {
        bail!("letters that could not be replayed and stay: {stuck}");
    }
    Ok(())
}

/// `gristmill dead drop`.
pub(super) async fn drop(wanted: &Drop) -> anyhow::Result<()> {
    let mut open = wanted.of.open().await?;
    let mut chosen = open.chosen(&wanted.chosen).await?;
    if wanted.chosen.all && !wanted.yes && on_a_terminal() && !confirmed(&mut open, io::stdin().lock()).await? {
        bail!("nothing was dropped");
    }
    let mut count = 0;
    while let Some(letter) = chosen.next().await? {
        if !open.letters.drop(&letter).await? {
            gone(&letter);
            continue;
        }
        count += 1;
        if wanted.json {
            say(&letter, &[])?;
        }
    }
    finish(wanted.json, "dropped", count)
}

/// A script cannot answer.
fn on_a_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

async fn confirmed(open: &mut Open, mut answers: impl BufRead) -> anyhow::Result<bool> {
    let count = open.letters.count().await?;
    talk::say(&format!("there are {count} dead letters; forget all of them that pass the filters for good? [y/N]"));
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn unchanged(letter: &Letter) {
    talk::say(&format!("{} was not changed and stays; without `--edit` it is replayed as it is", letter.entry));
}

fn gone(letter: &Letter) {
    talk::say(&format!("{} is gone already", letter.entry));
}

fn say(letter: &Letter, more: &[(&str, &str)]) -> anyhow::Result<()> {
    let Letter { entry, stream, id, pipeline, source, .. } = letter;
    let mut object = json!({ "entry": entry, "stream": stream, "id": id, "pipeline": pipeline, "source": source });
    for (key, value) in more {
        if let Some(object) = object.as_object_mut() {
            object.insert((*key).to_owned(), (*value).into());
        }
    }
    talk::print(format!("{object}\n").as_bytes())
}

/// In JSON the lines are the count.
fn finish(json: bool, done: &str, count: u64) -> anyhow::Result<()> {
    if json { Ok(()) } else { talk::print(format!("{done} {count}\n").as_bytes()) }
}
