//! Shows dead letters: one line for each, or the whole story of one.

use super::choose::{Filters, Of};
use crate::{
    admin::{letter_object, letter_with_payload},
    cli::{
        payload::{self, plain},
        talk,
    },
    message::Trouble,
    source::dead::Letter,
};

/// How much of a reason fits into a line.
const REASON: usize = 200;

/// `gristmill dead list`.
pub(super) async fn list(of: &Of, filters: &Filters, json: bool, limit: u64) -> anyhow::Result<()> {
    let mut walk = of.open().await?.walk(filters).await?;
    let mut left = limit;
    while let Some(letter) = walk.next().await? {
        if left == 0 {
            talk::say(&format!("these are the oldest {limit}; `--limit` shows more"));
            break;
        }
        left -= 1;
        let said = if json { format!("{}\n", letter_object(&letter)?) } else { line(&letter) };
        talk::print(said.as_bytes())?;
    }
    Ok(())
}

/// `gristmill dead show`.
pub(super) async fn show(of: &Of, entry: &str, json: bool, payload: bool) -> anyhow::Result<()> {
    let letter = of.open().await?.one(entry).await?;
    if payload {
        return talk::print(&letter.payload);
    }
    if json {
        let object = letter_with_payload(&letter, &letter.payload)?;
        return talk::print(format!("{object}\n").as_bytes());
    }
    talk::print(format!("{}\n{}", story(&letter), payload::for_people(&letter.payload)).as_bytes())
}

fn line(letter: &Letter) -> String {
    let Letter { entry, pipeline, source, id, attempts, .. } = letter;
    let (died, plugin) = (moment(letter.died_ms()), letter.plugin().unwrap_or("-"));
    let mut reason = letter.reason().to_owned();
    if let Some((cut, _)) = reason.char_indices().nth(REASON) {
        reason.truncate(cut);
        reason.push('…');
    }
    plain(&format!("{entry}  {died}  {pipeline}  {source}  {id}  attempts {attempts}  {plugin}  {reason}")) + "\n"
}

fn story(letter: &Letter) -> String {
    let Letter { entry, stream, id, pipeline, source, attempts, .. } = letter;
    let mut lines = vec![
        format!("entry     {entry}"),
        format!("stream    {stream}"),
        format!("id        {id}"),
        format!("pipeline  {pipeline}"),
        format!("source    {source}"),
        format!("received  {}", moment(letter.received_ms)),
        format!("died      {}", moment(letter.died_ms())),
        format!("attempts  {attempts}"),
    ];
    lines.extend(letter.topic.iter().map(|topic| format!("topic     {topic}")));
    lines.extend(letter.item.iter().map(|item| format!("item      {item}")));
    lines.extend(letter.headers.iter().map(|(name, value)| format!("header    {name}: {value}")));
    lines.extend(letter.succeeded.iter().map(|publisher| format!("delivered {publisher}")));
    lines.extend(letter.troubles.iter().map(attempt));
    lines.iter().map(|line| plain(line) + "\n").collect()
}

fn attempt(trouble: &Trouble) -> String {
    let Trouble { attempt, plugin, digest, broke, reason, .. } = trouble;
    let (plugin, digest) = (plugin.as_deref().unwrap_or("host"), digest.as_deref().unwrap_or("-"));
    let broke = if *broke { "broke the plugin: " } else { "" };
    format!("attempt {attempt} {plugin} {digest} {broke}{reason}")
}

/// Such as `2026-11-24T02:25:01Z`.
fn moment(ms: u64) -> String {
    let (day, second) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = date(day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// The date so many days after 1970-01-01, counted in years that begin in March, so that leap days come last.
fn date(day: u64) -> (u64, u64, u64) {
    // The days from 1 March 0000 to 1 January 1970.
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Limit;

    fn letter(troubles: Vec<Trouble>) -> Letter {
        Letter {
            entry: "951782400000-3".into(),
            stream: "s".into(),
            id: "x-1".into(),
            pipeline: "jobs".into(),
            source: "q".into(),
            attempts: 2,
            received_ms: 0,
            troubles,
            succeeded: vec!["hook".into()],
            topic: Some("news".into()),
            headers: vec![("user".into(), "Mia".into())],
            item: None,
            payload: Vec::new(),
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(moment(1_709_251_199_999), "2024-02-29T23:59:59Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_story_names_each_attempt_and_what_broke() {
        let broke = Trouble {
            attempt: 1,
            plugin: Some("anonymize".into()),
            digest: Some("0123456789ab".into()),
            broke: true,
            limit: Some(Limit::Memory),
            reason: "out of memory".into(),
        };
        let host =
            Trouble { attempt: 2, plugin: None, digest: None, broke: false, limit: None, reason: "no\x1b[2J".into() };
        let story = story(&letter(vec![broke, host]));
        assert!(story.contains("\nattempt 1 anonymize 0123456789ab broke the plugin: out of memory\n"), "{story}");
        assert!(story.ends_with("\nattempt 2 host - no\\u{1b}[2J\n"), "{story}");
        for line in ["died      2000-02-29T00:00:00Z", "topic     news", "header    user: Mia", "delivered hook"] {
            assert!(story.lines().any(|other| other == line), "{line} is not in {story}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_in_a_line() {
        let trouble =
            Trouble { attempt: 1, plugin: None, digest: None, broke: false, limit: None, reason: "ü".repeat(300) };
        let line = line(&letter(vec![trouble]));
        assert!(line.ends_with(&format!("  -  {}…\n", "ü".repeat(REASON))), "{line}");
    }
}
