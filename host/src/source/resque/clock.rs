//! Times as Resque writes them, from seconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

/// By this machine's clock.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// When a job failed: `2026/11/21 22:00:42 UTC`.
pub(super) fn failed_at(epoch: u64) -> String {
    let (date, time) = (Date::of(epoch), Time::of(epoch));
    format!("{:04}/{:02}/{:02} {time} UTC", date.year, date.month, date.day)
}

/// When a job was begun with: `2026-11-21T22:00:00Z`.
pub(super) fn run_at(epoch: u64) -> String {
    format!("{}T{}Z", Date::of(epoch), Time::of(epoch))
}

/// When a worker was last seen alive: `2026-11-21T22:00:02+00:00`.
pub(super) fn heartbeat(epoch: u64) -> String {
    format!("{}T{}+00:00", Date::of(epoch), Time::of(epoch))
}

/// When a worker was started: `2026-11-21 22:00:00 +0000`.
pub(super) fn started(epoch: u64) -> String {
    format!("{} {} +0000", Date::of(epoch), Time::of(epoch))
}

const DAY: u64 = 86_400;

/// A day of the Gregorian calendar.
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// Years are counted from March here, so that the leap day is the last of its year.
    fn of(epoch: u64) -> Self {
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

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A time of day.
struct Time(u64);

impl Time {
    fn of(epoch: u64) -> Self {
        Self(epoch % DAY)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3_600, self.0 / 60 % 60, self.0 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_ruby_writes_them() {
        let epoch = 1_795_298_442;
        assert_eq!(failed_at(epoch), "2026/11/21 22:00:42 UTC");
        assert_eq!(run_at(epoch), "2026-11-21T22:00:42Z");
        assert_eq!(heartbeat(epoch), "2026-11-21T22:00:42+00:00");
        assert_eq!(started(epoch), "2026-11-21 22:00:42 +0000");
    }

    #[test]
    fn leap_days_and_the_ends_of_years_are_right() {
        let dates = [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (951_868_800, "2000-03-01")];
        let later = [(4_107_542_400, "2100-03-01"), (4_107_542_399, "2100-02-28"), (1_735_689_599, "2024-12-31")];
        for (epoch, date) in dates.into_iter().chain(later) {
            assert_eq!(Date::of(epoch).to_string(), date, "{epoch}");
        }
    }
}
