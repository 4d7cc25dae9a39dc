//! Half a line at the end of a file, as a crash leaves it. It was never answered, so it comes again; what is there of it is cut
//! off, or the next line would be torn with it. Nobody can know whose it is, so it is kept in a file beside.

use super::Place;
use crate::event;
use cap_std::fs::{Dir, OpenOptions};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

/// What is looked through at once, in bytes.
const BLOCK: u64 = 1 << 16;

/// How long `file`, which has so many bytes and lies at `place`, is when its end is whole. It is locked.
pub(super) fn mended(file: &File, dir: &Dir, place: &Place, length: u64) -> io::Result<u64> {
    let begin = behind_last_line(file, length)?;
    if begin == length {
        return Ok(length);
    }
    let mut beside = dir.open_with(place.beside("torn"), OpenOptions::new().append(true).create(true))?.into_std();
    let mut from = file;
    from.seek(SeekFrom::Start(begin))?;
    io::copy(&mut from.take(length - begin), &mut beside)?;
    beside.write_all(b"\n")?;
    beside.sync_data()?;
    file.set_len(begin)?;
    event::line_torn(place, length - begin);
    Ok(begin)
}

fn behind_last_line(file: &File, length: u64) -> io::Result<u64> {
    // Almost always it is the very last byte.
    let (mut end, mut block) = (length, 1);
    while end > 0 {
        let begin = end.saturating_sub(block);
        let mut piece = vec![0; usize::try_from(end - begin).unwrap_or_default()];
        file.read_exact_at(&mut piece, begin)?;
        if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        (end, block) = (begin, BLOCK);
    }
    Ok(0)
}
