//! Where the dead letters of a pipeline lie, and where it takes messages again that are replayed.

use super::{Error, Letter};
use crate::{
    config::{self, From},
    source::{
        keys::{self, Keys},
        thoonk,
    },
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Place {
    /// The pipeline.
    pub pipeline: String,
    /// The streams of its dead letters.
    pub(super) streams: Vec<String>,
    again: Again,
    /// The Thoonk feed it takes from.
    pub(super) feed: Option<thoonk::Names>,
}

/// What a pipeline takes from.
#[derive(Clone, Debug)]
enum Again {
    /// These, in their order.
    Queues(Vec<Keys>),
    /// Queues of Resque, some of them perhaps only known when they have been pushed to.
    Resque(config::Resque),
}

impl Place {
    /// That of the pipeline called `name`. An error where its source keeps nothing.
    pub fn of(name: &str, pipeline: &config::Pipeline) -> Result<Self, Error> {
        let from = &pipeline.from;
        let again = again(from).filter(|_| from.redelivers());
        let again = again.ok_or_else(|| Error::NothingKept { pipeline: name.to_owned(), from: from.to_string() })?;
        let streams = match &pipeline.dead_letters {
            Some(stream) => vec![stream.clone()],
            None => again.streams(),
        };
        let feed = match from {
            From::Thoonk(thoonk) => Some(thoonk::Names::new(&thoonk.feed)),
            _ => None,
        };
        Ok(Self { pipeline: name.to_owned(), streams, again, feed })
    }

    /// The list from which the pipeline takes `letter` again: beside the queue it came from, or else its first queue.
    pub(super) fn retry(&self, letter: &Letter) -> Result<String, Error> {
        let queue = match &self.again {
            Again::Queues(queues) => {
                queues.iter().find(|keys| *keys.list == *letter.source).or(queues.first()).map(Keys::retry)
            }
            Again::Resque(resque) => self.queue(resque, letter).map(|queue| queue_keys(resque, queue).retry()),
        };
        queue.ok_or_else(|| Error::NoQueue { pipeline: self.pipeline.clone(), queue: letter.source.clone() })
    }

    /// The name of the queue of `resque` for `letter`.
    fn queue<'a>(&self, resque: &'a config::Resque, letter: &'a Letter) -> Option<&'a str> {
        let key = keys::resque_queue(&resque.namespace, "");
        let source = letter.source.strip_prefix(&key).unwrap_or(&letter.source);
        let named = |queue: &&String| !queue.starts_with('!') && !queue.contains(['*', '?', '[', ']', '{', '}']);
        let mut queues = resque.queues.iter().filter(named);
        if letter.pipeline == self.pipeline || queues.clone().any(|queue| queue == source) {
            return Some(source);
        }
        queues.next().map(String::as_str)
    }
}

impl Again {
    fn streams(&self) -> Vec<String> {
        match self {
            Self::Queues(queues) => queues.iter().map(Keys::dead).collect(),
            Self::Resque(resque) => vec![Keys::new(&keys::resque_queue(&resque.namespace, "")).dead()],
        }
    }
}

fn again(from: &From) -> Option<Again> {
    let one = |keys: Keys| Some(Again::Queues(vec![keys]));
    match from {
        From::Lists(lists) => Some(Again::Queues(lists.names.iter().map(|list| Keys::new(list)).collect())),
        From::Stream(stream) => one(Keys::of_group(&stream.name, &stream.group)),
        From::Channels(_) => None,
        From::Resque(resque) => Some(Again::Resque(resque.clone())),
        From::Thoonk(thoonk) => one(Keys::new(&format!("feed.ids:{}", thoonk.feed))),
    }
}

fn queue_keys(resque: &config::Resque, queue: &str) -> Keys {
    Keys::new(&keys::resque_queue(&resque.namespace, queue))
}
