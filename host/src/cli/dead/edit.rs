//! Where the payload of an edited message comes from: a file, standard input, or an editor.

use crate::{cli::payload, source::dead::Letter};
use anyhow::{Context, bail};
use std::{
    env, fs,
    io::{self, Read, Write},
    path::Path,
};
use tokio::process::Command;

/// The bytes of the file at `path`, or of standard input for `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    Ok(bytes)
}

/// What the user makes of a payload in an editor; none where it is left as it was.
pub(super) async fn edit(letter: &Letter) -> anyhow::Result<Option<Vec<u8>>> {
    if payload::text(&letter.payload).is_none() {
        bail!(
            "the payload of `{}` is not text; save it with `dead show --payload`, and replay it with `--payload`",
            letter.entry
        );
    }
    // Only its owner can read it: mode 600.
    let mut file = tempfile::Builder::new().prefix("gristmill-").tempfile().context("cannot make a file to edit")?;
    file.write_all(&letter.payload).and_then(|()| file.flush()).context("cannot write the file to edit")?;
    run_editor(&editor(), file.path()).await?;
    // By its name: many editors put another file in its place.
    let edited = fs::read(file.path()).context("cannot read the edited file")?;
    let edited = as_written(&letter.payload, edited);
    Ok(Some(edited).filter(|edited| *edited != letter.payload))
}

/// Editors end a last line that had no end.
fn as_written(before: &[u8], mut edited: Vec<u8>) -> Vec<u8> {
    if !before.ends_with(b"\n") && edited.ends_with(b"\n") {
        edited.pop();
    }
    edited
}

fn editor() -> String {
    let named = |name: &str| env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned())
}

/// The name may bring arguments, as in `code --wait`, so a shell reads it.
async fn run_editor(editor: &str, file: &Path) -> anyhow::Result<()> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file);
    let status = shell.status().await.context("cannot run `sh`")?;
    if !status.success() {
        bail!(
            "the editor `{editor}` ended with {status}, so nothing more is replayed; $VISUAL or $EDITOR names another one"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_line_that_only_the_editor_wants_is_left_out() {
        assert_eq!(as_written(b"a", b"b\n".to_vec()), b"b");
        assert_eq!(as_written(b"a\n", b"b\n".to_vec()), b"b\n");
        assert_eq!(as_written(b"a", b"b".to_vec()), b"b");
    }
}
