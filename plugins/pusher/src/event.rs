//! What is triggered for one message: read from its payload, or where the config says otherwise made by templates.

use crate::names;
use gristmill_sdk::{
    Error, Message, Result, Template,
    json::{Found, Paths},
};
use serde::Deserialize;

/// One event for all of `channels`.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) channels: Vec<String>,
    pub(crate) name: String,
    pub(crate) data: String,
    /// The connection that does not get it.
    pub(crate) socket_id: Option<String>,
}

/// Which part of the payload is the event's data.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Data {
    /// The member `data`; without one, as `Rest`.
    #[default]
    Member,
    /// What is left without channel, event and `socket_id`.
    Rest,
    /// All of it.
    Payload,
}

/// How events are read.
pub(crate) struct Reader {
    channel: Option<Template>,
    event: Option<Template>,
    data: Data,
    /// In bytes.
    longest: usize,
    members: Paths,
    /// What is left of the payload does not hold these.
    used: Paths,
}

/// The members of a payload that mean something, in the order of `NAMES`; of several of one name the last.
struct Members<'m>([Option<&'m [u8]>; 5]);

const NAMES: [&str; 5] = ["channel", "channels", "event", "data", "socket_id"];

impl Reader {
    pub(crate) fn new(channel: Option<Template>, event: Option<Template>, data: Data, longest: usize) -> Result<Self> {
        let mut used = vec!["socket_id"];
        if channel.is_none() {
            used.extend(["channel", "channels"]);
        }
        if event.is_none() {
            used.push("event");
        }
        Ok(Self { channel, event, data, longest, members: Paths::new(NAMES)?, used: Paths::new(used)? })
    }

    /// # Errors
    /// A rejection that says what is missing, wrong or too long.
    pub(crate) fn read(&self, message: &Message) -> Result<Event> {
        let members = self.members(message.payload())?;
        let channels = self.channels(message, &members)?;
        let name = match &self.event {
            Some(template) => template.fill(message)?,
            None => members.text(2)?.ok_or_else(|| {
                Error::reject("the payload has no `event`, and `config.event` does not say what it is called")
            })?,
        };
        names::event(&name)?;
        let socket_id = members.text(4)?;
        socket_id.as_deref().map_or(Ok(()), names::socket_id)?;
        let data = self.data(message, &members)?;
        if data.len() > self.longest {
            let (bytes, most) = (data.len(), self.longest);
            return Err(Error::reject(format!(
                "the event's data has {bytes} bytes, more than the {most} that `config.data_kib` allows"
            )));
        }
        encrypted(&channels, &data)?;
        Ok(Event { channels, name, data, socket_id })
    }

    /// What the payload says of itself; nothing where it need not be JSON.
    fn members<'m>(&self, payload: &'m [u8]) -> Result<Members<'m>> {
        let mut members = [None; 5];
        if self.channel.is_none() || self.event.is_none() || self.data != Data::Payload {
            let found = self.members.find(payload).map_err(|error| Error::reject(format!("payload: {error}")))?;
            for (member, index) in members.iter_mut().zip(0..) {
                *member = found.iter().rfind(|found| found.path == index).map(|found| found.raw);
            }
        }
        Ok(Members(members))
    }

    fn channels(&self, message: &Message, members: &Members<'_>) -> Result<Vec<String>> {
        let channels = match &self.channel {
            Some(template) => vec![template.fill(message)?],
            None => members.text(0)?.into_iter().chain(members.texts(1)?).collect(),
        };
        if channels.is_empty() {
            return Err(Error::reject(
                "the payload has neither `channel` nor `channels`, and `config.channel` does not say where it goes",
            ));
        }
        channels.iter().try_for_each(|channel| names::channel(channel))?;
        Ok(channels)
    }

    fn data(&self, message: &Message, members: &Members<'_>) -> Result<String> {
        let member = if self.data == Data::Member { members.get(3) } else { None };
        match (self.data, member) {
            (_, Some(raw)) => Ok(text(raw).unwrap_or_else(|| String::from_utf8_lossy(raw).into_owned())),
            (Data::Payload, None) => Ok(message.text()?.to_owned()),
            (Data::Member | Data::Rest, None) => {
                let rest = self.used.remove(message.payload())?;
                let rest = rest.as_deref().unwrap_or_else(|| message.payload());
                Ok(String::from_utf8_lossy(rest).into_owned())
            }
        }
    }
}

impl<'m> Members<'m> {
    /// The one at `index` of `NAMES`; `null` counts as none.
    fn get(&self, index: usize) -> Option<&'m [u8]> {
        self.0.get(index).copied().flatten().filter(|raw| *raw != b"null")
    }

    fn text(&self, index: usize) -> Result<Option<String>> {
        let Some(raw) = self.get(index) else { return Ok(None) };
        text(raw).map(Some).ok_or_else(|| wrong(index, "a string"))
    }

    fn texts(&self, index: usize) -> Result<Vec<String>> {
        let Some(raw) = self.get(index) else { return Ok(Vec::new()) };
        serde_json::from_slice(raw).map_err(|_| wrong(index, "an array of strings"))
    }
}

fn text(raw: &[u8]) -> Option<String> {
    Found { path: 0, raw }.text().map(Into::into)
}

fn wrong(index: usize, wanted: &str) -> Error {
    let name = NAMES.get(index).unwrap_or(&"");
    Error::reject(format!("the payload's `{name}` is not {wanted}"))
}

/// What the clients of an encrypted channel understand.
#[derive(Deserialize)]
struct Sealed {
    #[serde(rename = "nonce")]
    _nonce: String,
    #[serde(rename = "ciphertext")]
    _ciphertext: String,
}

/// Wants what goes to an encrypted channel to be encrypted, for that channel alone.
fn encrypted(channels: &[String], data: &str) -> Result<()> {
    let Some(channel) = channels.iter().find(|channel| channel.starts_with(names::ENCRYPTED)) else {
        return Ok(());
    };
    if channels.len() > 1 {
        return Err(Error::reject(format!("`{channel}` is encrypted, so an event cannot go to other channels, too")));
    }
    serde_json::from_str::<Sealed>(data).map(drop).map_err(|_| {
        Error::reject(format!(
            "`{channel}` is encrypted, but the event's data is not an object with `nonce` and `ciphertext`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(channel: Option<&str>, event: Option<&str>, data: Data) -> Reader {
        let template = |text: Option<&str>| text.map(|text| Template::parse(text).unwrap());
        Reader::new(template(channel), template(event), data, 10_240).unwrap()
    }

    fn read(payload: &str) -> Result<Event> {
        reader(None, None, Data::Member).read(&Message::test(payload))
    }

    fn why(payload: &str) -> String {
        let error = read(payload).unwrap_err();
        assert!(!error.is_retry());
        error.reason().to_owned()
    }

    fn event(channels: &[&str], name: &str, data: &str) -> Event {
        let channels = channels.iter().map(|&channel| channel.to_owned()).collect();
        Event { channels, name: name.into(), data: data.into(), socket_id: None }
    }

    #[test]
    fn a_payload_says_everything_itself() {
        let read = |payload| read(payload).unwrap();
        let payload = r#"{"channel":"a","event":"hit","data":{"n": 1.0,"t":"\u00fc"}}"#;
        assert_eq!(read(payload), event(&["a"], "hit", r#"{"n": 1.0,"t":"\u00fc"}"#));
        let payload = r#"{"channels":["a","presence-b"],"event":"hit","data":"say \"ü\""}"#;
        assert_eq!(read(payload), event(&["a", "presence-b"], "hit", "say \"ü\""));
        let payload = r#"{"channel":"a","event":"hit","data":"x","socket_id":"1.2"}"#;
        assert_eq!(read(payload).socket_id.as_deref(), Some("1.2"));
        let payload = r#"{"channel":"a","event":"hit","data":null,"socket_id":null,"n":1}"#;
        assert_eq!(read(payload), event(&["a"], "hit", r#"{"data":null,"n":1}"#));
    }

    #[test]
    fn what_is_left_without_the_channel_is_the_data() {
        // As a Rails app pushes it, whose worker took `channel` out and called the event `hit`.
        let message = Message::test(r#"{"channel":"gauge-7", "views": 12, "event": "kept"}"#);
        let reader = reader(None, Some("hit"), Data::Member);
        assert_eq!(reader.read(&message).unwrap(), event(&["gauge-7"], "hit", r#"{"views": 12, "event": "kept"}"#));
    }

    #[test]
    fn templates_go_before_the_payload() {
        let message = Message::test(r#"{"user": 7, "channel": "x", "data": 1}"#).with_topic("orders");
        let to_user = |data| reader(Some("private-user-{json:user}"), Some("{topic}"), data).read(&message).unwrap();
        assert_eq!(to_user(Data::Member), event(&["private-user-7"], "orders", "1"));
        let whole = r#"{"user": 7, "channel": "x", "data": 1}"#;
        assert_eq!(to_user(Data::Rest), event(&["private-user-7"], "orders", whole));
        assert_eq!(to_user(Data::Payload), event(&["private-user-7"], "orders", whole));
    }

    #[test]
    fn a_payload_that_is_sent_whole_need_not_be_json() {
        let reader = reader(Some("a"), Some("e"), Data::Payload);
        assert_eq!(reader.read(&Message::test("plain {")).unwrap(), event(&["a"], "e", "plain {"));
        assert!(reader.read(&Message::test([0xff])).is_err());
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        for (payload, reason) in [
            ("{", "payload: not JSON at byte 1"),
            ("[]", "the payload has neither `channel` nor `channels`"),
            (r#"{"channel":7,"event":"e"}"#, "the payload's `channel` is not a string"),
            (r#"{"channels":"a","event":"e"}"#, "the payload's `channels` is not an array of strings"),
            (r#"{"channels":[],"event":"e"}"#, "the payload has neither"),
            (r#"{"channel":"a"}"#, "the payload has no `event`"),
            (r#"{"channel":"a","event":""}"#, "the event has no name"),
            (r#"{"channel":"private-","event":"e"}"#, "no channel can be called `private-`"),
            (r#"{"channel":"a","event":"e","socket_id":"me"}"#, "`socket_id` is `me`"),
            (r#"{"channel":"private-encrypted-a","event":"e","data":"x"}"#, "`private-encrypted-a` is encrypted, but"),
            (r#"{"channels":["private-encrypted-a","b"],"event":"e"}"#, "`private-encrypted-a` is encrypted, so"),
        ] {
            let said = why(payload);
            assert!(said.starts_with(reason), "{payload}: {said}");
        }
        let sealed = r#"{"channel":"private-encrypted-a","event":"e","data":{"nonce":"bg==","ciphertext":"Yw=="}}"#;
        assert!(read(sealed).is_ok());
    }

    #[test]
    fn data_beyond_ten_kib_is_refused_with_its_size() {
        let payload = |bytes: usize| format!(r#"{{"channel":"a","event":"e","data":"{}"}}"#, "x".repeat(bytes));
        assert_eq!(read(&payload(10_240)).unwrap().data.len(), 10_240);
        let reason = "the event's data has 10241 bytes, more than the 10240 that `config.data_kib` allows";
        assert_eq!(why(&payload(10_241)), reason);
    }
}
