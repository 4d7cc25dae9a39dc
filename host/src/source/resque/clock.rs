//! Times as Resque writes them, from seconds since 1970.

use crate::calendar::{self, Date, Time};

/// By this machine's clock.
pub(super) fn now() -> u64 {
    calendar::now().as_secs()
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
}
