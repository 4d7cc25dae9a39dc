//! `gristmill tap`: samples of messages as they pass through a running node.

use super::{
    ask::{PATIENCE, Which},
    payload::plain,
    steer::escaped,
    talk,
};
use anyhow::Context;
use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;

/// What `tap` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only what passes through this pipeline
    pipeline: Option<String>,
    /// Only at this stage: `taken`, `filtered`, `dropped`, `done`, `retried` or `dead`
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Messages each second, 1 to 100; what passes beyond is counted
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    rate: u32,
    /// End after so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    #[command(flatten)]
    node: Which,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

/// Prints what is seen until Ctrl-C, or as many as were asked for.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let client = options.node.client()?;
    let query = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("&{name}={}", escaped(value))).unwrap_or_default()
    };
    let (pipeline, stage) = (query("pipeline", &options.pipeline), query("stage", &options.stage));
    let path = format!("/api/tap?rate={}{pipeline}{stage}", options.rate);
    talk::runtime()?.block_on(async {
        let begun = tokio::time::timeout(PATIENCE, client.exchange(Method::GET, &path, Bytes::new()));
        let (status, mut body) = begun.await.context("the node did not answer in time")??;
        if !status.is_success() {
            return client.judge(status, &body.collect().await?.to_bytes());
        }
        let (mut text, mut left) = (BytesMut::new(), options.limit.unwrap_or(u64::MAX));
        while let Some(frame) = body.frame().await {
            text.extend_from_slice(frame.context("the node has ended")?.data_ref().unwrap_or(&Bytes::new()));
            while let Some(line) = line(&mut text).filter(|_| left > 0) {
                left -= print(&line, options.json)?;
            }
            if left == 0 {
                return Ok(());
            }
        }
        Ok(())
    })
}

/// The first line that has come whole.
fn line(text: &mut BytesMut) -> Option<BytesMut> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some(text.split_to(end + 1))
}

/// How many sightings that was.
fn print(line: &[u8], json: bool) -> anyhow::Result<u64> {
    if line.trim_ascii().is_empty() {
        return Ok(0);
    }
    if json {
        talk::print(line)?;
    } else {
        talk::print(describe(&serde_json::from_slice(line)?).as_bytes())?;
    }
    Ok(1)
}

fn describe(seen: &Value) -> String {
    let text = |name: &str| seen[name].as_str().unwrap_or_default();
    let second = seen["at_ms"].as_u64().unwrap_or_default() / 1_000 % 86_400;
    let clock = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    let missed = seen["missed"].as_u64().filter(|missed| *missed > 0);
    let missed = missed.map(|missed| format!("          ({missed} more)\n")).unwrap_or_default();
    let more =
        ["plugin", "reason"].map(text).into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
    let payload = if seen["payload"].is_string() { text("payload") } else { text("payload_base64") };
    let words = [clock.as_str(), text("pipeline"), text("stage"), text("id"), &more, payload];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).map(plain).collect();
    format!("{missed}{}\n", words.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sighting_is_one_line_and_what_was_left_out_another() {
        let seen = serde_json::json!({
            "at_ms": 3_661_000, "pipeline": "jobs", "stage": "dead", "plugin": "http", "reason": "404", "id": "1f",
            "payload": "{\"a\":1}\n", "missed": 2
        });
        assert_eq!(describe(&seen), "          (2 more)\n01:01:01  jobs  dead  1f  http: 404  {\"a\":1}\\n\n");
    }
}
