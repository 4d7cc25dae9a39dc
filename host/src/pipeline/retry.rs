//! When a message is tried again, and when it is given up.

use crate::{
    config::Retry,
    message::{Fault, Outcome, Trouble},
    random::jitter,
};
use std::time::Duration;

/// What becomes of a message whose attempt `trouble.attempt` ended with `fault`, and that has broken a plugin or ended a
/// node `broken` times before.
pub(super) fn decide(
    retry: &Retry,
    fault: &Fault,
    mut trouble: Trouble,
    succeeded: Vec<String>,
    broken: u32,
) -> Outcome {
    match fault {
        Fault::Reject { .. } => Outcome::Dead { trouble, succeeded },
        Fault::Broken { reason, .. } if broken + 1 >= retry.crashes => {
            trouble.reason = format!("quarantined after {} crashes: {reason}", broken + 1);
            Outcome::Dead { trouble, succeeded }
        }
        _ if trouble.attempt >= retry.attempts => Outcome::Dead { trouble, succeeded },
        Fault::Retry { after: Some(after), .. } => Outcome::Retry { after: *after, trouble, succeeded },
        Fault::Retry { after: None, .. } | Fault::Broken { .. } => {
            let after = pause(retry, trouble.attempt, jitter());
            Outcome::Retry { after, trouble, succeeded }
        }
    }
}

/// The pause after failed attempt `attempt`, from 1: doubles up to the longest; `chance`, from 0 up to 1, takes up to a
/// quarter off, so that what failed together does not return together.
fn pause(retry: &Retry, attempt: u32, chance: f64) -> Duration {
    let doubled = retry.first.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(retry.longest).mul_f64(1.0 - 0.25 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry =
        Retry { attempts: 3, crashes: 2, first: Duration::from_secs(1), longest: Duration::from_secs(5) };

    fn decided(fault: &Fault, attempt: u32, broken: u32) -> Outcome {
        let trouble = Trouble {
            attempt,
            plugin: None,
            digest: None,
            broke: false,
            limit: None,
            reason: fault.reason().to_owned(),
        };
        decide(&RETRY, fault, trouble, Vec::new(), broken)
    }

    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let seconds: Vec<u64> = (1..6).map(|attempt| pause(&RETRY, attempt, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 5, 5]);
        assert_eq!(pause(&RETRY, 4_000_000, 0.0), RETRY.longest);
        assert_eq!(pause(&RETRY, 1, 1.0), Duration::from_millis(750));
    }

    #[test]
    fn a_rejected_message_is_not_tried_again() {
        assert!(matches!(decided(&Fault::Reject { reason: "no".into() }, 1, 0), Outcome::Dead { .. }));
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        let busy = Fault::Retry { after: None, reason: "busy".into() };
        assert!(matches!(decided(&busy, 2, 0), Outcome::Retry { .. }));
        assert!(matches!(decided(&busy, 3, 0), Outcome::Dead { .. }));
    }

    #[test]
    fn what_breaks_plugins_has_fewer_chances() {
        let broken = Fault::Broken { limit: None, reason: "trap".into() };
        assert!(matches!(decided(&broken, 1, 0), Outcome::Retry { .. }));
        let Outcome::Dead { trouble, .. } = decided(&broken, 2, 1) else { panic!("two crashes are allowed") };
        assert_eq!(trouble.reason, "quarantined after 2 crashes: trap");
    }

    #[test]
    fn the_plugins_advice_goes_before_our_own() {
        let advice = Some(Duration::from_secs(77));
        let outcome = decided(&Fault::Retry { after: advice, reason: "busy".into() }, 1, 0);
        assert!(matches!(outcome, Outcome::Retry { after, .. } if Some(after) == advice));
    }
}
