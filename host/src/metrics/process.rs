//! What the system knows of this process, under the names that all programs use.

use super::family::Family;
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};
use std::{fs, sync::LazyLock};

/// Empty families where the system does not say.
pub(super) fn families() -> Vec<Family> {
    let mut families = Vec::new();
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        families.extend([
            Family::counter("process_cpu_seconds_total", "Processor time of this process.").of(&[], stat.cpu_seconds),
            Family::gauge("process_resident_memory_bytes", "Memory that this process has.")
                .of(&[], stat.resident_bytes),
            Family::gauge("process_threads", "Threads of this process.").of(&[], stat.threads),
        ]);
        families.extend(STARTED.map(|started| {
            Family::gauge("process_start_time_seconds", "When this process started, in seconds since 1970.")
                .of(&[], started + stat.started_seconds)
        }));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is that of the look itself.
        let open = open.count().saturating_sub(1) as f64;
        families.push(Family::gauge("process_open_fds", "Files and connections that are open.").of(&[], open));
    }
    let most = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |most| most as f64);
    families.push(Family::gauge("process_max_fds", "How many may be open.").of(&[], most));
    families
}

/// When the system started, in seconds since 1970.
static STARTED: LazyLock<Option<f64>> = LazyLock::new(|| {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
});

/// One line of `/proc/PID/stat`; the numbers of its fields are those of proc(5).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    started_seconds: f64,
    resident_bytes: f64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name of the program is in brackets and may hold anything; it is the second field.
        let (_, behind) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            started_seconds: field(22)? / ticks,
            resident_bytes: field(24)? * page_size() as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 3 0 900 1000 25 0";
        let ticks = clock_ticks_per_second() as f64;
        let resident_bytes = 25.0 * page_size() as f64;
        let stat = Stat { cpu_seconds: 200.0 / ticks, threads: 3.0, started_seconds: 900.0 / ticks, resident_bytes };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }
}
