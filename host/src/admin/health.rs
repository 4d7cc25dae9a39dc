//! Whether a node does what it is there for.

use super::Window;
use crate::config::EDGE;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// For how long an answer of Redis is good: many may ask, and Redis is not to be asked by each.
const FRESH: Duration = Duration::from_secs(1);
/// For that answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is wrong, if anything is.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    pub(super) ready: bool,
    /// Each in a sentence.
    reasons: Vec<String>,
}

/// What Redis said last.
#[derive(Debug, Default)]
pub(super) struct Probe(Mutex<Option<(Instant, Result<(), String>)>>);

impl Health {
    /// Ready is a node that is not ending, whose Redis answers, and whose pipelines have all of their plugins. One that somebody
    /// has paused is no fault.
    pub(super) async fn of(window: &Window) -> Self {
        let mut reasons = Vec::new();
        if window.quiet.is_cancelled() {
            reasons.push("the node is ending".to_owned());
        }
        reasons.extend(redis(window).await.err());
        let plugins: Vec<String> = window.plugins.current().iter().map(|version| version.name().to_owned()).collect();
        for shown in window.pipelines() {
            let missing =
                shown.filters.iter().chain(&shown.publish).filter(|name| !plugins.contains(name) && *name != EDGE);
            reasons.extend(missing.map(|name| format!("pipeline `{}` has no plugin `{name}`", shown.name)));
        }
        Self { ready: reasons.is_empty(), reasons }
    }
}

async fn redis(window: &Window) -> Result<(), String> {
    let mut last = window.probe.0.lock().await;
    if let Some((at, answer)) = &*last
        && at.elapsed() < FRESH
    {
        return answer.clone();
    }
    let answer = match tokio::time::timeout(PATIENCE, window.connector.answers()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no Redis answers at `{}` within {PATIENCE:?}", window.connector.url())),
    };
    *last = Some((Instant::now(), answer.clone()));
    answer
}
