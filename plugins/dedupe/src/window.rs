//! Times as operators write them.

use std::time::Duration;

/// Reads a whole number and its unit, `ms`, `s`, `m`, `h` or `d`; none if it is anything else, or no time at all.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let time = number.parse::<u64>().ok()?.checked_mul(millis)?;
    (time > 0).then(|| Duration::from_millis(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_its_unit() {
        let millis = |text| parse(text).map(|time| time.as_millis());
        assert_eq!([millis("250ms"), millis("30s"), millis("10m")], [Some(250), Some(30_000), Some(600_000)]);
        assert_eq!([millis("24h"), millis("7d")], [Some(86_400_000), Some(604_800_000)]);
        for wrong in ["", "10", "m", "0s", "1.5h", "-1s", "1 s", "1w", "18446744073709551615d"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
