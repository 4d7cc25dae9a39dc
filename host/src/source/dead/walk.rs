//! Goes through dead letters page by page, so that a million of them need no more memory than a hundred.

use super::{
    Error, Letter, Stream,
    letter::{Fields, age},
};
use redis::Script;
use std::{collections::VecDeque, sync::LazyLock, time::Duration};

/// About how many letters are in memory at a time.
const PAGE: usize = 100;
/// How few are read at a time where there are many streams.
const LEAST: usize = 8;

/// Which letters are meant; what is absent says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Given up by this pipeline.
    pub pipeline: Option<String>,
    /// Came from this queue.
    pub source: Option<String>,
    /// Of the message with this id.
    pub id: Option<String>,
    /// The last attempt failed in this plugin.
    pub plugin: Option<String>,
    /// The reason of the last failure has this in it.
    pub reason: Option<String>,
    /// Died longer ago, by the clock of Redis.
    pub older: Option<Duration>,
    /// Died at most so long ago.
    pub newer: Option<Duration>,
}

impl Filter {
    /// Whether `letter` is meant, apart from its age.
    pub(super) fn admits(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.pipeline, &letter.pipeline)
            && is(&self.source, &letter.source)
            && is(&self.id, &letter.id)
            && self.plugin.as_ref().is_none_or(|plugin| letter.plugin() == Some(plugin))
            && self.reason.as_ref().is_none_or(|part| letter.reason().contains(part))
    }
}

/// The letters of several streams, oldest first.
#[derive(Debug)]
pub struct Walk {
    filter: Filter,
    stretches: Vec<Stretch>,
}

/// What is to come from one stream.
#[derive(Debug)]
struct Stretch {
    stream: Stream,
    /// How many entries are read at a time.
    most: usize,
    /// Where the next page begins; none when there is no other.
    from: Option<String>,
    /// The last entry that is meant.
    to: String,
    page: VecDeque<Letter>,
}

impl Walk {
    pub(super) async fn begin(streams: &[Stream], filter: Filter) -> Result<Self, Error> {
        let most = (PAGE / streams.len().max(1)).max(LEAST);
        let mut stretches = Vec::new();
        for stream in streams {
            let mut stream = stream.clone();
            if let Some((from, to)) = span(&mut stream, &filter).await? {
                stretches.push(Stretch { stream, most, from: Some(from), to, page: VecDeque::new() });
            }
        }
        Ok(Self { filter, stretches })
    }

    /// The next one; none at the end.
    pub async fn next(&mut self) -> Result<Option<Letter>, Error> {
        for stretch in &mut self.stretches {
            stretch.fill(&self.filter).await?;
        }
        self.stretches.retain(|stretch| !stretch.page.is_empty());
        let oldest = self.stretches.iter_mut().min_by_key(|stretch| stretch.page.front().map(Letter::age));
        Ok(oldest.and_then(|stretch| stretch.page.pop_front()))
    }
}

impl Stretch {
    /// Makes sure that there is a letter on the page, if any is left.
    async fn fill(&mut self, filter: &Filter) -> Result<(), Error> {
        while self.page.is_empty() {
            let Some(from) = self.from.take() else { break };
            let read = page(&mut self.stream, &from, &self.to, self.most).await?;
            let full = read.len() >= self.most;
            self.from = read.last().filter(|_| full).map(|(entry, _)| format!("({entry}"));
            let letters = read.into_iter().filter_map(|(_, letter)| letter);
            self.page.extend(letters.filter(|letter| filter.admits(letter)));
        }
        Ok(())
    }
}

/// Key: the stream. Returns its newest entry, empty where there is none, and the millisecond it is now.
static SPAN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local time = redis.call('TIME')
return {newest[1] and newest[1][1] or '', time[1] * 1000 + math.floor(time[2] / 1000)}
",
    )
});

/// The first and the last entry that can be meant. What is added from now on is not, so that a walk ends.
async fn span(stream: &mut Stream, filter: &Filter) -> Result<Option<(String, String)>, Error> {
    let (newest, now_ms): (String, u64) = SPAN.key(&stream.key).invoke_async(&mut stream.link).await?;
    let ago = |ago: Duration| now_ms.saturating_sub(ago.as_millis().try_into().unwrap_or(u64::MAX));
    let from = filter.newer.map_or("-".to_owned(), |newer| ago(newer).to_string());
    Ok(age(&newest).map(|(newest_ms, _)| match filter.older.map(ago) {
        Some(latest) if latest < newest_ms => (from, latest.to_string()),
        _ => (from, newest),
    }))
}

/// The entries from `from` to `to`, `most` at most, and the letters they hold.
pub(super) async fn page(
    stream: &mut Stream,
    from: &str,
    to: &str,
    most: usize,
) -> Result<Vec<(String, Option<Letter>)>, Error> {
    let mut range = redis::cmd("XRANGE");
    range.arg(&stream.key).arg(from).arg(to).arg("COUNT").arg(most);
    let entries: Vec<(String, Fields)> = range.query_async(&mut stream.link).await?;
    let letter = |(entry, fields): (String, _)| {
        let letter = Letter::read(&stream.key, &entry, fields);
        (entry, letter)
    };
    Ok(entries.into_iter().map(letter).collect())
}
