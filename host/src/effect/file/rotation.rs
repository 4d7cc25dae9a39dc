//! When a file has had its time, and what becomes of it.

use super::Place;
use crate::{
    calendar::{self, Date, Time},
    event,
    request::Rotation,
};
use cap_std::fs::Dir;
use std::{io, time::Duration};

/// The system writes down when a file was changed by a clock of its own, which is behind by up to so much.
const BEHIND: Duration = Duration::from_millis(10);

/// A moment as the system tells it.
pub(super) fn since_1970(seconds: i64, nanoseconds: i64) -> Duration {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
    Duration::new(u64::try_from(seconds).unwrap_or_default(), nanoseconds)
}

/// Whether a file that is so long, and was last changed then, is to be put aside before `next` bytes are written.
pub(super) fn is_due(rotation: Rotation, length: u64, next: u64, changed: Duration) -> bool {
    let too_long = rotation.bytes.is_some_and(|most| length + next > most);
    let span = |every: Duration, moment: Duration| moment.as_secs() / every.as_secs().max(1);
    let over = rotation.every.is_some_and(|every| span(every, changed + BEHIND) < span(every, calendar::now()));
    length > 0 && (too_long || over)
}

/// Gives the file at `place` a name that sorts by time, and removes those that are more than `keep`.
pub(super) fn put_aside(dir: &Dir, place: &Place, keep: Option<u32>) -> io::Result<()> {
    let mut moment = calendar::now();
    let mut aside = place.beside(&stamp(moment));
    while dir.symlink_metadata(&aside).is_ok() {
        moment += Duration::from_micros(1);
        aside = place.beside(&stamp(moment));
    }
    dir.rename(place.path(), dir, &aside)?;
    if let Some(keep) = keep
        && let Err(error) = thin_out(dir, place, keep)
    {
        event::old_files_stay(place, &error);
    }
    Ok(())
}

fn thin_out(dir: &Dir, place: &Place, keep: u32) -> io::Result<()> {
    let mut old = Vec::new();
    for entry in dir.read_dir(place.parent())? {
        let name = entry?.file_name();
        old.extend(
            name.to_str().and_then(|name| place.ending_of(name)).filter(|ending| is_stamp(ending)).map(str::to_owned),
        );
    }
    old.sort_unstable();
    let many = old.len().saturating_sub(keep.try_into().unwrap_or(usize::MAX));
    old.iter().take(many).try_for_each(|ending| dir.remove_file(place.beside(ending)))
}

/// `20261121T220042.000001Z`
fn stamp(moment: Duration) -> String {
    let (date, time) = (Date::of(moment.as_secs()), Time::of(moment.as_secs()));
    let (day, second) = ((date.year, date.month, date.day), (time.hour, time.minute, time.second));
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}.{:06}Z",
        day.0,
        day.1,
        day.2,
        second.0,
        second.1,
        second.2,
        moment.subsec_micros()
    )
}

fn is_stamp(text: &str) -> bool {
    const FORM: &str = "00000000T000000.000000Z";
    let alike = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == FORM.len() && text.bytes().zip(FORM.bytes()).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_told_from_other_endings_and_sort_by_time() {
        let early = stamp(Duration::new(1_795_298_442, 1_000));
        assert_eq!(early, "20261121T220042.000001Z");
        assert!(early < stamp(Duration::new(1_795_298_442, 2_000)) && is_stamp(&early));
        for other in ["", "gz", "20261121T220042Z", "20261121T220042.000001Z.gz", "2026112xT220042.000001Z"] {
            assert!(!is_stamp(other), "{other}");
        }
    }

    #[test]
    fn a_file_has_had_its_time_when_another_span_has_begun_or_the_next_line_is_too_much() {
        let size = Rotation { bytes: Some(10), ..Rotation::default() };
        let now = calendar::now();
        assert!(!is_due(size, 4, 6, now) && is_due(size, 5, 6, now));
        assert!(!is_due(size, 0, 11, now), "an empty file takes any line");
        let hourly = Rotation { every: Some(Duration::from_secs(3_600)), ..Rotation::default() };
        assert!(is_due(hourly, 1, 1, now - Duration::from_secs(3_601)) && !is_due(hourly, 1, 1, now));
        assert!(!is_due(hourly, 0, 1, Duration::ZERO));
        assert!(!is_due(Rotation::default(), u64::MAX - 1, 1, Duration::ZERO));
    }
}
