//! One file while lines are written to it. All of it blocks, so it runs on threads that are there for that.
//!
//! The file is locked while it is looked at and written to, so that several nodes, pipelines and names for one file do not tear
//! each other's lines; who does not take the lock is kept apart by every write going to the end.

use super::{Line, Place, rotation, torn};
use crate::{
    event,
    request::{Durability, Failure, Rotation},
};
use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions},
};
use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Write},
    os::unix::fs::MetadataExt,
    time::{Duration, Instant},
};

/// Bytes that are gathered for one write, unless a single line is longer.
const GATHERED: u64 = 1 << 20;
/// How long another program may hold the lock.
const LOCKED: Duration = Duration::from_secs(5);
/// How often a file is opened that is gone again before it is locked.
const TRIES: usize = 10;
/// After which an unused file is closed.
const IDLE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Writer {
    place: Place,
    open: Option<Open>,
    /// When what was written has to be synced.
    sync_by: Option<Instant>,
    used: Instant,
}

/// An open file, and the directory it was found in.
struct Open {
    dir: Dir,
    file: File,
    /// Of the device and on it.
    id: (u64, u64),
    /// As this program has left it; nothing if it has to be looked at.
    length: Option<u64>,
    changed: Duration,
}

impl Writer {
    pub(super) fn new(place: Place) -> Self {
        Self { place, open: None, sync_by: None, used: Instant::now() }
    }

    /// Writes `lines` in their order, and answers each.
    pub(super) fn write(&mut self, mut lines: Vec<Line>) {
        self.used = Instant::now();
        lines.retain(|line| !line.is_given_up());
        while !lines.is_empty() {
            let (written, result) = self.write_some(&lines);
            lines.drain(..written).for_each(|line| line.answer(Ok(())));
            if let Err(error) = result {
                let failure = failure(&error);
                return lines.into_iter().for_each(|line| line.answer(Err(failure.clone())));
            }
        }
    }

    /// Does what is due.
    pub(super) fn tend(&mut self) {
        let now = Instant::now();
        if self.sync_by.is_some_and(|by| by <= now)
            && let Some(open) = &self.open
        {
            told(&self.place, open.file.sync_data());
            self.sync_by = None;
        }
        if self.used + IDLE <= now {
            self.close();
        }
    }

    /// When there is something to tend to.
    pub(super) fn due(&self) -> Instant {
        let idle = self.used + IDLE;
        self.sync_by.map_or(idle, |by| by.min(idle))
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.leave(&open);
        }
    }

    /// Writes the first of `lines`, and those after it that one write has room for: how many are in the file, and why not more.
    fn write_some(&mut self, lines: &[Line]) -> (usize, io::Result<()>) {
        let (Some(first), Some(newest)) = (lines.first(), lines.last()) else { return (0, Ok(())) };
        let mut open = match self.opened(first.length() as u64, newest.rotation) {
            Ok(open) => open,
            Err(error) => return (0, Err(error)),
        };
        let text = gathered(lines, open.room(newest.rotation));
        let is_new = open.length == Some(0);
        let (whole, written) = open.append(&text);
        let durability = newest.durability;
        let synced = match durability {
            Durability::Always => open.file.sync_data(),
            Durability::Within(_) | Durability::Never => Ok(()),
        };
        let synced = synced.and_then(|()| if is_new { open.sync_dir(&self.place, durability) } else { Ok(()) });
        open.unlock();
        if let Durability::Within(time) = durability {
            let by = Instant::now() + time;
            self.sync_by = Some(self.sync_by.map_or(by, |earlier| earlier.min(by)));
        }
        if let Err(error) = synced {
            // What is on the disk now nobody knows, and the next sync of this descriptor would not say (`man 2 fsync`).
            self.sync_by = None;
            return (0, Err(error));
        }
        self.open = Some(open);
        (text.iter().take(whole).filter(|&&byte| byte == b'\n').count(), written)
    }

    /// The file that is at its place now, locked, without half a line at its end, and with room for `next` bytes.
    fn opened(&mut self, next: u64, rotation: Rotation) -> io::Result<Open> {
        for _ in 0..TRIES {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => Open::at(&self.place)?,
            };
            match open.prepare(&self.place, next, rotation) {
                Ok(true) => return Ok(open),
                Ok(false) => self.leave(&open),
                Err(error) => {
                    self.leave(&open);
                    return Err(error);
                }
            }
        }
        Err(io::Error::other("others move it away faster than it can be written to"))
    }

    /// `open` is not written to any more.
    fn leave(&mut self, open: &Open) {
        if self.sync_by.take().is_some() {
            told(&self.place, open.file.sync_data());
        }
    }
}

impl Open {
    fn at(place: &Place) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(place.host(), ambient_authority())?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = match dir.open_with(place.path(), &options) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                dir.create_dir_all(place.parent())?;
                dir.open_with(place.path(), &options)?
            }
            opened => opened?,
        };
        let file = file.into_std();
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::IsADirectory, "this is no regular file"));
        }
        Ok(Self { dir, file, id: (metadata.dev(), metadata.ino()), length: None, changed: Duration::ZERO })
    }

    /// Locks the file and looks at it; false if lines have to go to another one.
    fn prepare(&mut self, place: &Place, next: u64, rotation: Rotation) -> io::Result<bool> {
        self.lock()?;
        if !self.is_at(place) {
            return Ok(false);
        }
        let metadata = self.file.metadata()?;
        self.changed = rotation::since_1970(metadata.mtime(), metadata.mtime_nsec());
        let mut length = metadata.len();
        if self.length != Some(length) {
            length = torn::mended(&self.file, &self.dir, place, length)?;
        }
        self.length = Some(length);
        if rotation::is_due(rotation, length, next, self.changed) {
            rotation::put_aside(&self.dir, place, rotation.keep)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether it still is the file at `place`: others may have moved or removed it.
    fn is_at(&self, place: &Place) -> bool {
        // By the path that others know: the granted directory itself may be another one by now, too.
        fs::metadata(place.host().join(place.path())).is_ok_and(|found| (found.dev(), found.ino()) == self.id)
    }

    fn lock(&self) -> io::Result<()> {
        let began = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                // There are file systems without locks.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if began.elapsed() > LOCKED => {
                    return Err(io::Error::other("another program keeps it locked"));
                }
                Err(TryLockError::WouldBlock) => wait(),
            }
        }
    }

    fn unlock(&self) {
        // What cannot be unlocked is when it is closed.
        drop(self.file.unlock());
    }

    /// How much fits into it beside what it has.
    fn room(&self, rotation: Rotation) -> u64 {
        let left = rotation.bytes.map(|most| most.saturating_sub(self.length.unwrap_or_default()));
        left.map_or(GATHERED, |left| left.min(GATHERED))
    }

    /// Writes `text`: how many bytes of it, which are whole lines, are in the file now, and why not more.
    fn append(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        let (written, result) = write_all(&self.file, text);
        let before = self.length.take().unwrap_or_default();
        let whole = match &result {
            Ok(()) => written,
            Err(_) => text.iter().take(written).rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
        };
        let is_ours = || self.file.metadata().is_ok_and(|metadata| metadata.len() == before + written as u64);
        // Where the file is longer, somebody without the lock writes to it, too; what is torn is then found the next time.
        if whole == written || (is_ours() && self.file.set_len(before + whole as u64).is_ok()) {
            self.length = Some(before + whole as u64);
        }
        (whole, result)
    }

    /// So that the name outlasts a power cut, too.
    fn sync_dir(&self, place: &Place, durability: Durability) -> io::Result<()> {
        if durability == Durability::Never {
            return Ok(());
        }
        // A `Dir` is no more than a place in the tree, and cannot be synced.
        self.dir.open(place.parent())?.into_std().sync_all()
    }
}

fn gathered(lines: &[Line], room: u64) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        if !text.is_empty() && (text.len() + line.length()) as u64 > room {
            break;
        }
        line.write_to(&mut text);
    }
    text
}

fn write_all(mut file: &File, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[expect(clippy::disallowed_methods, reason = "this thread is there for waiting, and a lock has no timer")]
fn wait() {
    std::thread::sleep(Duration::from_millis(1));
}

/// Lines that count as written may not outlast a power cut.
fn told(place: &Place, synced: io::Result<()>) {
    if let Err(error) = synced {
        event::file_not_synced(place, &error);
    }
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        // What has no number of the system is a path that a link leads out of its directory.
        ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            Failure::Denied("this leads out of the granted directory".to_owned())
        }
        ErrorKind::IsADirectory | ErrorKind::InvalidFilename => Failure::Invalid(error.to_string()),
        _ => Failure::Unreachable(error.to_string()),
    }
}
