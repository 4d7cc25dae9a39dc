//! What comes out of taps, as lines of JSON.

use super::{
    Window,
    letters::Asked,
    payload::{HIDDEN, Redaction, for_json},
    reply::{Problem, Reply, problem, with},
};
use crate::pipeline::tap::{Sighting, Stage, Tap, Wish};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::time::{Instant, timeout};

/// Messages each second, where nothing is said, and at most.
const USUAL: u32 = 10;
const MOST: u32 = 100;
/// For how long one tap is open; who wants to see more asks again.
const OPEN: Duration = Duration::from_secs(15 * 60);
/// An empty line says that it is still open.
const STILL: Duration = Duration::from_secs(10);

impl Asked<'_> {
    /// A stream of what is seen.
    pub(super) fn tap(self) -> Result<Reply, Problem> {
        let bad = |error: &str| problem(StatusCode::BAD_REQUEST, error);
        let text = |name: &str| self.query.get(name).filter(|text| !text.is_empty());
        let stage = match text("stage") {
            None => None,
            Some(name) => Some(
                Stage::ALL
                    .into_iter()
                    .find(|stage| stage.name() == *name)
                    .ok_or_else(|| bad("`stage` is `taken`, `filtered`, `dropped`, `done`, `retried` or `dead`"))?,
            ),
        };
        let rate = match text("rate").map(|rate| rate.parse()) {
            None => USUAL,
            Some(Ok(rate @ 1..=MOST)) => rate,
            Some(_) => return Err(bad(&format!("`rate` is a number from 1 to {MOST}"))),
        };
        let pipeline = text("pipeline").cloned();
        if let Some(name) = pipeline.as_ref().filter(|&name| !self.window.has(name)) {
            return Err(problem(StatusCode::NOT_FOUND, &format!("there is no pipeline `{name}`")));
        }
        let tap = self.window.taps.open(Wish { pipeline, stage, rate });
        let many = || problem(StatusCode::TOO_MANY_REQUESTS, "there are too many taps open; close one");
        Ok(lines(self.window, tap.ok_or_else(many)?))
    }
}

fn lines(window: &Window, tap: Tap) -> Reply {
    let (redact, end) = (window.redact(), Instant::now() + OPEN);
    let lines = stream::unfold((tap, redact), move |(mut tap, redact)| async move {
        let line = next(&mut tap, &redact, end).await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line))), (tap, redact)))
    });
    with(StatusCode::OK, "application/x-ndjson", StreamBody::new(lines).boxed_unsync())
}

async fn next(tap: &mut Tap, redact: &Arc<[String]>, end: Instant) -> Option<String> {
    if Instant::now() >= end {
        return None;
    }
    match timeout(STILL, tap.next()).await {
        Ok(sighting) => Some(format!("{}\n", object(&sighting?, Redaction(redact)))),
        Err(_) => Some("\n".to_owned()),
    }
}

/// Nobody sees what is redacted: taps are open on screens.
fn object(sighting: &Sighting, redaction: Redaction<'_>) -> Value {
    let Sighting { at, pipeline, stage, plugin, reason, message, length, missed } = sighting;
    let at = at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_millis().try_into().unwrap_or(u64::MAX));
    let headers = message.headers.iter().map(|(name, value)| json!([name, redaction.header(name, value)]));
    let payload = match sighting.is_cut() {
        true => HIDDEN.as_bytes().to_owned(),
        false => redaction.payload(&message.payload),
    };
    let (key, payload) = for_json(&payload);
    json!({
        "at_ms": at, "pipeline": pipeline, "stage": stage.name(), "plugin": plugin, "reason": reason,
        "id": &*message.id, "source": &*message.source, "topic": &*message.topic, "attempt": message.attempt,
        "headers": headers.collect::<Vec<_>>(), "payload_bytes": length, "missed": missed, key: payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use std::time::SystemTime;

    #[test]
    fn a_line_hides_what_is_redacted_and_tells_how_long_it_was() {
        let payload = Bytes::from_static(br#"{"user":{"password":"hunter2"},"n":1}"#);
        let message = Message {
            id: "1f".into(),
            source: "q".into(),
            topic: "t".into(),
            attempt: 2,
            received_ms: 0,
            headers: vec![("Cookie".to_owned(), "hunter2".to_owned())],
            payload: payload.clone(),
        };
        let seen = Sighting {
            at: SystemTime::UNIX_EPOCH,
            pipeline: "p".to_owned(),
            stage: Stage::Dead,
            plugin: None,
            reason: Some("no".to_owned()),
            length: payload.len(),
            message,
            missed: 3,
        };
        let names = ["password".to_owned(), "cookie".to_owned()];
        let line = object(&seen, Redaction(&names));
        assert!(!line.to_string().contains("hunter2"), "{line}");
        assert_eq!(line["payload"], r#"{"n":1,"user":{"password":"•••"}}"#);
        assert_eq!((&line["payload_bytes"], &line["missed"], &line["stage"]), (&json!(37), &json!(3), &json!("dead")));
    }
}
