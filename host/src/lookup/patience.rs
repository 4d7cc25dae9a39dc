//! How long the lookups of one call may take, all together.

use super::Failure;
use std::time::{Duration, Instant};

/// What one call has waited, and what it still may.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    whole: Option<Duration>,
    waited: Duration,
}

impl Patience {
    /// For `whole`.
    pub fn new(whole: Duration) -> Self {
        Self { whole: Some(whole), waited: Duration::ZERO }
    }

    /// For an instance that has had no message yet: it must come up whether or not anything answers.
    pub fn none() -> Self {
        Self { whole: None, waited: Duration::ZERO }
    }

    /// What has been waited.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Whether anything may be looked up at all.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.whole {
            Some(_) => Ok(()),
            None => Err(Failure::Denied("nothing can be looked up in `init`, only for a message".to_owned())),
        }
    }

    /// What `answer` comes to within what is left; nothing where it does not, which ends it.
    pub(super) async fn wait<T>(&mut self, answer: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let answer = tokio::time::timeout(self.left(), answer).await;
        self.waited += start.elapsed();
        answer.ok()
    }

    /// What may still be waited.
    pub(super) fn left(&self) -> Duration {
        self.whole.unwrap_or_default().saturating_sub(self.waited)
    }

    /// Whether a wait since `start` has shown that nobody answers, rather than that little time was left for it.
    pub(super) fn was_long(&self, start: Instant) -> bool {
        start.elapsed() >= self.whole.unwrap_or_default() / 2
    }

    /// What to say where nothing came.
    pub(super) fn late(&self) -> Failure {
        let whole = self.whole.unwrap_or_default();
        Failure::Unreachable(format!("the lookups of this call took longer than `wait` allows, {whole:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_waits_of_one_call_share_what_there_is() {
        let mut patience = Patience::new(Duration::from_millis(100));
        let short = || tokio::time::sleep(Duration::from_millis(60));
        assert_eq!(patience.wait(short()).await, Some(()));
        assert!(patience.waited() >= Duration::from_millis(60));
        let start = Instant::now();
        assert_eq!(patience.wait(short()).await, None);
        assert!(start.elapsed() < Duration::from_millis(60) && !patience.was_long(start));
        assert!(patience.late().to_string().contains("100ms"));
    }

    #[test]
    fn an_instance_that_comes_up_looks_nothing_up() {
        assert!(matches!(Patience::none().check(), Err(Failure::Denied(_))));
    }
}
