//! Days and times of day of UTC, from seconds since 1970.

use std::{
    fmt::{self, Display},
    time::{SystemTime, UNIX_EPOCH},
};

const DAY: u64 = 86_400;

/// Since 1970, by this machine's clock.
pub fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A day of the Gregorian calendar; reads as `2026-11-21`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Of our era.
    pub year: u64,
    /// From 1 to 12.
    pub month: u64,
    /// From 1 to 31.
    pub day: u64,
}

impl Date {
    /// The one in which `epoch` seconds since 1970 are over. Years are counted from March here, so that the leap day is the last of its year.
    pub fn of(epoch: u64) -> Self {
        const ERA: u64 = 146_097;
        let days = epoch / DAY + 719_468;
        let (era, day_of_era) = (days / ERA, days % ERA);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        Self { year: era * 400 + year_of_era + u64::from(month <= 2), month, day }
    }
}

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A time of day; reads as `22:00:42`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// From 0 to 23.
    pub hour: u64,
    /// From 0 to 59.
    pub minute: u64,
    /// From 0 to 59.
    pub second: u64,
}

impl Time {
    /// The one at which `epoch` seconds since 1970 are over.
    pub fn of(epoch: u64) -> Self {
        let second = epoch % DAY;
        Self { hour: second / 3_600, minute: second / 60 % 60, second: second % 60 }
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_the_ends_of_years_are_right() {
        let dates = [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (951_868_800, "2000-03-01")];
        let later = [(4_107_542_400, "2100-03-01"), (4_107_542_399, "2100-02-28"), (1_735_689_599, "2024-12-31")];
        for (epoch, date) in dates.into_iter().chain(later) {
            assert_eq!(Date::of(epoch).to_string(), date, "{epoch}");
        }
    }
}
