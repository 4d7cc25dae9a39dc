//! Where a pipeline's messages go at the edge: the channel and the event that each is for.

use super::{Edge, hub::check_name, publish::is_event};
use crate::{
    config::{EDGE, EdgeTarget, Part, Template},
    message::{Fault, Message},
};
use serde_json::Value;
use std::fmt::Write;

/// See the module.
#[derive(Clone, Debug)]
pub struct Outlet {
    edge: Edge,
    target: EdgeTarget,
}

impl Outlet {
    /// Of a pipeline whose messages go to `target`.
    pub fn new(edge: Edge, target: EdgeTarget) -> Self {
        Self { edge, target }
    }

    /// Publishes `message` where it is to go.
    ///
    /// # Errors
    /// Rejects what has no channel, or is no text; retries while there are too many channels.
    pub async fn publish(&self, message: &Message) -> Result<(), Fault> {
        let reject = |reason: String| Fault::Reject { reason };
        let channel = made(&self.target.channel, message).map_err(reject)?;
        check_name(&channel).map_err(|refused| reject(refused.to_string()))?;
        let event = made(&self.target.event, message).map_err(reject)?;
        if !is_event(&event) {
            return Err(reject("an event's name has at most 200 bytes and no control characters".to_owned()));
        }
        if message.payload.len() > self.edge.longest() {
            return Err(reject(format!("the payload is longer than `limits.message_kib` of [{EDGE}] allows")));
        }
        if std::str::from_utf8(&message.payload).is_err() {
            return Err(reject("the payload is not text in UTF-8".to_owned()));
        }
        let event = Some(&*event).filter(|event| !event.is_empty());
        let published = self.edge.publish(&channel, event, message.payload.clone()).await;
        published.map(drop).map_err(|not| Fault::Retry { after: None, reason: not.to_string() })
    }
}

/// What `template` makes of `message`.
fn made(template: &Template, message: &Message) -> Result<String, String> {
    let (mut text, mut payload) = (String::new(), None);
    for part in &template.0 {
        match part {
            Part::Text(fixed) => text.push_str(fixed),
            Part::Topic => text.push_str(&message.topic),
            Part::Source => text.push_str(&message.source),
            Part::Header(name) => {
                text.push_str(message.header(name).ok_or_else(|| format!("the message has no header `{name}`"))?);
            }
            Part::Json(pointer) => {
                let payload = match &payload {
                    Some(payload) => payload,
                    None => payload.insert(json(&message.payload)?),
                };
                push_value(&mut text, payload.pointer(pointer))
                    .ok_or_else(|| format!("the payload has neither text nor a number at `{pointer}`"))?;
            }
        }
    }
    Ok(text)
}

fn json(payload: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(payload).map_err(|error| format!("the payload is not JSON: {error}"))
}

fn push_value(text: &mut String, value: Option<&Value>) -> Option<()> {
    match value? {
        Value::String(value) => text.push_str(value),
        Value::Number(number) => write!(text, "{number}").ok()?,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message(payload: &'static str) -> Message {
        Message {
            id: "1".into(),
            source: "work".into(),
            topic: "news".into(),
            attempt: 1,
            received_ms: 0,
            headers: vec![("Kind".to_owned(), "hit".to_owned())],
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn a_channel_is_made_of_what_the_message_has() {
        let all = Template(vec![
            Part::Text("u-".to_owned()),
            Part::Json("/user/id".to_owned()),
            Part::Text(".".to_owned()),
            Part::Json("/name".to_owned()),
            Part::Topic,
            Part::Source,
            Part::Header("kind".to_owned()),
        ]);
        assert_eq!(made(&all, &message(r#"{"user":{"id":7},"name":"x"}"#)).as_deref(), Ok("u-7.xnewsworkhit"));
        for (payload, why) in
            [("{", "is not JSON"), ("{}", "at `/user/id`"), (r#"{"user":{"id":[]}}"#, "at `/user/id`")]
        {
            assert!(made(&all, &message(payload)).is_err_and(|told| told.contains(why)), "{payload}");
        }
        assert!(made(&Template(vec![Part::Header("x".to_owned())]), &message("")).is_err());
    }
}
