//! Figures for people, with three digits or so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Such as `1.23 ms`.
pub(super) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// Such as `1.06 MiB`.
pub(super) fn size(bytes: usize) -> String {
    let bytes = bytes as f64;
    let (value, unit) = match bytes {
        ..1024.0 => (bytes, "bytes"),
        ..1048576.0 => (bytes / 1024.0, "KiB"),
        _ => (bytes / 1048576.0, "MiB"),
    };
    format!("{} {unit}", digits(value))
}

fn digits(value: f64) -> String {
    let places = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.places$}");
    match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        _ => text,
    }
}

/// How long ago that was, in its largest unit and the one below.
pub(super) fn age(since: u64, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seconds = now.saturating_sub(since);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_three_digits() {
        let times = [0, 999, 1_000, 12_340, 999_000_000, 61_000_000_000].map(|nanos| time(Duration::from_nanos(nanos)));
        assert_eq!(times, ["0 ns", "999 ns", "1 µs", "12.3 µs", "999 ms", "61 s"]);
        assert_eq!([0, 1_023, 1_536, 1_114_112].map(size), ["0 bytes", "1023 bytes", "1.50 KiB", "1.06 MiB"]);
    }

    #[test]
    fn ages_are_told_in_two_units() {
        let now = UNIX_EPOCH + Duration::from_secs(200_000);
        assert_eq!(age(199_941, now), "59 s");
        assert_eq!(age(200_000 - 7_260, now), "2 h 1 min");
        assert_eq!(age(200_000 - 180_000, now), "2 d 2 h");
        assert_eq!(age(300_000, now), "0 s");
    }
}
