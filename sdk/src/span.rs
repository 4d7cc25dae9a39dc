//! Durations in a plugin's config.

use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// A duration, which the config writes as `"250ms"`, `"30s"`, `"5m"`, `"2h"` or `"1d"`.
///
/// ```
/// use gristmill_sdk::{Span, config};
/// use std::time::Duration;
///
/// assert_eq!(config::parse::<Span>("\"5m\"").unwrap(), Span(Duration::from_secs(300)));
/// assert!(config::parse::<Span>("\"5\"").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        let duration = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            "d" => seconds(86_400),
            _ => None,
        };
        duration.map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let unfit = || {
            de::Error::custom(format!("`{text}` is no duration, such as \"250ms\", \"30s\", \"5m\", \"2h\" or \"1d\""))
        };
        Self::parse(&text).ok_or_else(unfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_its_unit() {
        let spans = ["0ms", "250ms", "30s", "5m", "2h", "1d"].map(|text| Span::parse(text).unwrap().0.as_millis());
        assert_eq!(spans, [0, 250, 30_000, 300_000, 7_200_000, 86_400_000]);
        for wrong in ["", "5", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
    }
}
