//! What most tests push and expect: numbered jobs in the list `jobs`, delivered by the `http` publisher.

use gristmill_tests::{Mill, Received, Redis, Sink, eventually};
use serde_json::Value;
use std::{
    collections::HashMap,
    ops::Range,
    time::{Duration, Instant},
};

/// Long enough for anything that should happen on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The pipeline `jobs`, with further keys of its own and further tables behind it.
pub(crate) fn pipeline(keys: &str, tables: &str) -> String {
    format!(
        r#"lease = "1s"

[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["http"]
{keys}

[plugin.http]
config = {{ url = "$SINK/hooks/{{topic}}", method = "POST" }}
allow_http = ["$AUTHORITY"]
{tables}"#
    )
}

/// For `[plugin.http]` and what stands first in its tables: more time than a plugin needs on a machine that does much else.
pub(crate) const PATIENT: &str = "timeout = \"20s\"\n";

/// A mill whose jobs go through no filter.
pub(crate) fn direct(redis: Redis, keys: &str) -> Mill {
    Mill::on(redis).plugins(&["http"]).config(&pipeline(keys, ""))
}

/// The jobs with these numbers.
pub(crate) fn jobs(numbers: Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("{{\"id\":{number},\"ip\":\"203.0.113.7\",\"text\":\"job {number}\"}}")).collect()
}

/// How often each number has arrived.
pub(crate) fn arrived(sink: &Sink) -> HashMap<u64, usize> {
    sink.tally(number)
}

/// The number of the job that was delivered.
pub(crate) fn number(received: &Received) -> u64 {
    number_in(&received.json())
}

/// The number of this job; one of Resque has it as its first argument.
pub(crate) fn number_in(job: &Value) -> u64 {
    job["id"].as_u64().or(job["args"][0].as_u64()).expect("every job has a number")
}

/// Waits until every one of these jobs has arrived at least once, and returns how many came more than that.
#[track_caller]
pub(crate) fn all_arrive(sink: &Sink, numbers: Range<u64>) -> usize {
    let count = numbers.end - numbers.start;
    let start = Instant::now();
    eventually(SOON * 2, &format!("all of {count} jobs have arrived"), || {
        // Cheap first: looking at every body is dear while thousands arrive.
        if (sink.count() as u64) < count && start.elapsed() < SOON {
            return None;
        }
        let seen = arrived(sink);
        let missing: Vec<u64> = numbers.clone().filter(|number| !seen.contains_key(number)).collect();
        // The text of a wait that ended in vain does not say what is missing.
        assert!(missing.is_empty() || start.elapsed() < SOON, "missing after {SOON:?}: {missing:?}");
        missing.is_empty().then_some(())
    });
    sink.count() - count as usize
}

/// Waits until Redis holds no message any more: nothing waiting, in flight or scheduled.
#[track_caller]
pub(crate) fn nothing_is_left(redis: &Redis) {
    // At one instant: a lane that is taken over changes its name. The hash beside one holds what was too slow to wait for.
    const LEFT: &str = "local left = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'list' or kind == 'zset' or kind == 'stream' or string.sub(key, -5) == ':slow' then left = left + 1 end
end
return left";
    eventually(SOON, "Redis holds no message", || (redis.ask::<usize>(&["EVAL", LEFT, "0"]) == 0).then_some(()));
}

/// Waits until something is scheduled for a later attempt.
#[track_caller]
pub(crate) fn something_is_scheduled(redis: &Redis) {
    eventually(SOON, "a message is scheduled for another attempt", || {
        let scheduled: usize = redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]);
        (scheduled > 0).then_some(())
    });
}
