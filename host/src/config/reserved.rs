//! The keys and channels in Redis that belong to the broker: a pattern in a grant does not reach them, only their own names do.

use super::{ChannelKind, Config, From};
use crate::command::Pattern;

/// What all of the broker's own keys begin with.
const OWN: &str = "gristmill:";
/// What keys of Resque begin with, behind the namespace.
const RESQUE: [&str; 7] = ["queue", "worker", "stat:", "failed", "delayed", "timestamps:", "resque-retry:"];

/// Keys and channels that sources are taken from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reserved {
    names: Vec<String>,
    beginnings: Vec<String>,
    /// Thoonk's feeds, whose keys end in their names.
    feeds: Vec<String>,
    patterns: Vec<Pattern>,
}

impl Reserved {
    /// Those of everything that `config` takes from.
    pub fn of(config: &Config) -> Self {
        let mut reserved = Self { beginnings: vec![OWN.to_owned()], ..Self::default() };
        for pipeline in config.pipelines.values() {
            reserved.names.extend(pipeline.dead_letters.clone());
            reserved.add(&pipeline.from);
        }
        reserved
    }

    fn add(&mut self, from: &From) {
        match from {
            From::Lists(lists) => self.names.extend(lists.names.iter().cloned()),
            From::Stream(stream) => self.names.push(stream.name.clone()),
            From::Channels(channels) if channels.kind == ChannelKind::Pattern => {
                self.patterns.extend(channels.names.iter().map(Pattern::new));
            }
            From::Channels(channels) => self.names.extend(channels.names.iter().cloned()),
            From::Resque(resque) => {
                let namespace =
                    if resque.namespace.is_empty() { String::new() } else { format!("{}:", resque.namespace) };
                self.beginnings.extend(RESQUE.map(|beginning| format!("{namespace}{beginning}")));
            }
            From::Thoonk(thoonk) => self.feeds.push(thoonk.feed.clone()),
        }
    }

    /// Whether `key` is one of them.
    pub fn holds(&self, key: &[u8]) -> bool {
        let of_feed = |feed: &String| {
            let before = key.strip_suffix(feed.as_bytes()).and_then(|before| before.strip_suffix(b":"));
            key.starts_with(b"feed") && before.is_some()
        };
        self.names.iter().any(|name| name.as_bytes() == key)
            || self.beginnings.iter().any(|beginning| key.starts_with(beginning.as_bytes()))
            || self.feeds.iter().any(of_feed)
            || self.patterns.iter().any(|pattern| pattern.matches(key))
    }
}
