//! A publisher that writes each message as a line to the end of a file.

mod form;

use form::Form;
use gristmill_sdk::{Durability, Error, FileAppend, Message, Publisher, Request, Result, Span, Template, publisher};
use serde::Deserialize;
use std::time::Duration;

gristmill_sdk::needs!("files");

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// A name in `allow_dirs`.
    dir: String,
    /// In that directory, with places such as `{topic}`.
    path: Template,
    #[serde(default)]
    write: Form,
    rotate_mib: Option<u64>,
    rotate_every: Option<Span>,
    keep: Option<u32>,
    #[serde(default)]
    sync: Sync,
    sync_interval: Option<Span>,
}

/// When lines outlast a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sync {
    Never,
    Interval,
    #[default]
    Always,
}

/// The publisher.
pub struct File {
    path: Template,
    write: Form,
    /// All but what differs with each message.
    append: FileAppend,
}

#[publisher]
impl Publisher for File {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let Config { dir, path, write, rotate_mib, rotate_every, keep, sync, sync_interval } = config;
        if rotate_mib == Some(0) {
            return Err(Error::reject("config.rotate_mib: expected at least 1"));
        }
        if rotate_every.is_some_and(|Span(every)| every < Duration::from_secs(1)) {
            return Err(Error::reject("config.rotate_every: expected at least \"1s\""));
        }
        if keep.is_some() && rotate_mib.is_none() && rotate_every.is_none() {
            return Err(Error::reject("config.keep: without `rotate_mib` or `rotate_every` there are no old files"));
        }
        if sync_interval.is_some() && sync != Sync::Interval {
            return Err(Error::reject("config.sync_interval: only `sync = \"interval\"` has one"));
        }
        let mut append = Request::append(dir, "").durability(match (sync, sync_interval) {
            (Sync::Never, _) => Durability::Never,
            (Sync::Interval, interval) => {
                Durability::Within(interval.map_or(Duration::from_secs(1), |Span(time)| time))
            }
            (Sync::Always, _) => Durability::Always,
        });
        append.rotation.bytes = rotate_mib.map(|mib| mib.saturating_mul(1 << 20));
        append.rotation.every = rotate_every.map(|Span(every)| every);
        append.rotation.keep = keep;
        Ok(Self { path, write, append })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let mut append = self.append.clone();
        append.path = self.path.fill_path(message)?;
        append.line = self.write.line(message)?;
        Ok(append.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Failure, Reply, config};

    fn plugin(json: &str) -> Result<File> {
        File::new(config::parse(json)?)
    }

    fn append(json: &str, message: &Message) -> FileAppend {
        plugin(json).unwrap().publish(message).unwrap()[0].file().unwrap().clone()
    }

    #[test]
    fn the_payload_goes_to_the_file_that_the_message_names() {
        let config = r#"{"dir": "out", "path": "{topic}/{header:user}.log"}"#;
        let message = Message::test("{}").with_topic("../orders").with_header("user", "a/b");
        let append = append(config, &message);
        assert_eq!((append.dir.as_str(), append.path.as_str()), ("out", "%2E.%2Forders/a%2Fb.log"));
        assert_eq!((append.line, append.durability), (None, Durability::Always));
        assert_eq!(append.rotation, gristmill_sdk::Rotation::default());
    }

    #[test]
    fn rotation_and_sync_are_as_the_config_says() {
        let config = r#"{"dir": "o", "path": "a", "rotate_mib": 2, "rotate_every": "1h", "keep": 3, "sync": "interval", "sync_interval": "5s"}"#;
        let append = append(config, &Message::test(""));
        let (rotation, every) = (append.rotation, Duration::from_secs(3_600));
        assert_eq!((rotation.bytes, rotation.every, rotation.keep), (Some(2 << 20), Some(every), Some(3)));
        assert_eq!(append.durability, Durability::Within(Duration::from_secs(5)));
    }

    #[test]
    fn a_file_that_cannot_be_written_to_is_tried_again_and_one_that_is_denied_is_not() {
        let mut plugin = plugin(r#"{"dir": "o", "path": "a"}"#).unwrap();
        let mut judge = |reply| plugin.answered(&Message::test(""), &[Reply::File(reply)]);
        assert_eq!(judge(Ok(())), Ok(Vec::new()));
        assert!(judge(Err(Failure::Unreachable("full".into()))).unwrap_err().is_retry());
        assert!(!judge(Err(Failure::Denied("no".into()))).unwrap_err().is_retry());
    }

    #[test]
    fn a_config_that_will_not_do_is_refused_by_name() {
        let why = |more: &str| {
            let config = format!(r#"{{"dir": "o", "path": "a"{more}}}"#);
            plugin(&config).err().unwrap().reason().to_owned()
        };
        assert_eq!(why(r#", "rotate_mib": 0"#), "config.rotate_mib: expected at least 1");
        assert_eq!(why(r#", "rotate_every": "5ms""#), "config.rotate_every: expected at least \"1s\"");
        assert!(why(r#", "rotate_every": "soon""#).starts_with("config.rotate_every: `soon` is no duration"));
        assert!(why(r#", "keep": 3"#).starts_with("config.keep: without"));
        assert!(why(r#", "sync_interval": "1s""#).starts_with("config.sync_interval: only"));
        assert!(why(r#", "sync": "often""#).starts_with("config.sync: unknown variant `often`"));
        assert!(why(r#", "compress": true"#).starts_with("config.compress: unknown field"));
        let path = plugin(r#"{"dir": "o", "path": "{user}"}"#).err().unwrap();
        assert!(path.reason().starts_with("config.path: nothing is known as `{user}`"), "{}", path.reason());
    }
}
