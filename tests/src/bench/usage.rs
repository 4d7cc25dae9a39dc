//! What a process has used, as Linux counts it in /proc (proc_pid_stat(5), proc_pid_status(5)).

use std::{fs, time::Duration};

/// The unit of CPU time in /proc, in every Linux build.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all its threads so far, in user and kernel mode; exact to 10 ms.
///
/// # Panics
/// When there is no such process, as all of these do.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may hold spaces; the fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// The memory that it has resident, in bytes.
pub fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most memory it ever had resident, in bytes.
pub fn peak(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

/// In MiB, to be read.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
