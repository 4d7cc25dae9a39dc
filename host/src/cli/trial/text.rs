//! One tried message for people.

use super::{
    bench::{Broke, End, Exchange, Tried, Verdict},
    diff::{self, Change, Edit, Payload},
};
use crate::{
    cli::{
        figures::{size, time},
        payload::{self, plain},
        talk::{Paint, Tone},
    },
    event::Loudness,
    message::Message,
    plugin::Said,
    request::{Failure, HttpRequest, RedisValue, Reply, Request},
};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// Characters of one value, line or body that are shown.
const SHOWN: usize = 2_000;
/// Changes, lines or children that are shown of one message.
const ITEMS: usize = 50;
/// Bytes of a payload that is no text that are shown.
const BYTES: usize = 32;

/// Everything about `tried`.
pub(super) fn story(tried: &Tried, paint: Paint) -> String {
    let mut lines = vec![head(tried, paint)];
    lines.extend(body(tried, paint).into_iter().map(|line| format!("  {line}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The id, the verdict, the reason, and what it took.
fn head(tried: &Tried, paint: Paint) -> String {
    let Tried { message, end, start, took, memory, batch, .. } = tried;
    let batch = batch.map(|size| format!(" each in a batch of {size}")).unwrap_or_default();
    let start = start.map(|start| format!(" after a start of {}", time(start))).unwrap_or_default();
    let memory = memory.map(|bytes| format!(", {} of memory", size(bytes))).unwrap_or_default();
    let cost = paint.tone(Tone::Quiet, &format!("({}{batch}{start}{memory})", time(*took)));
    format!("{}  {}  {cost}", paint.tone(Tone::Title, &plain(&message.id)), verdict(end, paint))
}

/// Such as `drop: a bot`.
pub(super) fn verdict(end: &End, paint: Paint) -> String {
    let verdict = end.verdict();
    let tone = match verdict {
        Verdict::Pass | Verdict::Done | Verdict::Drop => Tone::Title,
        Verdict::Replace | Verdict::Split => Tone::Changed,
        Verdict::Retry | Verdict::Reject => Tone::Removed,
        Verdict::Broken => Tone::Bad,
    };
    let after = match end {
        End::Retry { after: Some(after), .. } => format!(" after {}", time(*after)),
        _ => String::new(),
    };
    let reason = end.reason().map(|reason| format!(": {}", short(&plain(reason)))).unwrap_or_default();
    format!("{}{after}{reason}", paint.tone(tone, &verdict.to_string()))
}

fn body(tried: &Tried, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    match &tried.end {
        End::Replace(after) => lines.extend(changes(&tried.message, after, paint)),
        End::Split(children) => lines.extend(self::children(&tried.message, children, paint)),
        _ => {}
    }
    lines.extend(tried.broke.as_ref().map(|broke| self::broke(broke, paint)));
    for round in &tried.rounds {
        lines.extend(exchanges(round, &tried.message, paint));
    }
    lines.extend(log(&tried.said, paint));
    lines
}

fn broke(Broke { size, reason }: &Broke, paint: Paint) -> String {
    let what = format!("broke over a batch of {size}, of which each message was tried alone then: {}", plain(reason));
    paint.tone(Tone::Bad, &short(&what))
}

fn children(parent: &Message, children: &[Message], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for child in children.iter().take(ITEMS) {
        lines.push(plain(&child.id));
        lines.extend(changes(parent, child, paint).into_iter().map(|line| format!("  {line}")));
    }
    lines.extend(more(children.len(), "messages"));
    lines
}

/// How `after` differs from `before`, one line for each change.
pub(super) fn changes(before: &Message, after: &Message, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((old, new)) = diff::topic(before, after) {
        lines.push(paint.tone(Tone::Changed, &format!("~ topic: {} → {}", plain(old), plain(new))));
    }
    let headers = diff::headers(before, after);
    lines.extend(headers.iter().take(ITEMS).map(|change| changed("header ", change, |value| plain(value), paint)));
    lines.extend(more(headers.len(), "headers"));
    lines.extend(payload_changes(&before.payload, &after.payload, paint));
    lines
}

fn payload_changes(before: &[u8], after: &[u8], paint: Paint) -> Vec<String> {
    match diff::payload(before, after) {
        Payload::Same => Vec::new(),
        Payload::SameValues => vec!["~ payload: the same JSON values, written in another way".to_owned()],
        Payload::Json(changes) => {
            let shown = changes.iter().take(ITEMS);
            let mut lines: Vec<String> = shown.map(|change| changed("payload ", change, json, paint)).collect();
            lines.extend(more(changes.len(), "changes"));
            lines
        }
        Payload::Lines(edits) => {
            let mut lines: Vec<String> = edits.iter().take(ITEMS).map(|edit| edited(edit, paint)).collect();
            lines.extend(more(edits.len(), "lines"));
            lines
        }
        Payload::Bytes(same) => vec![
            format!("~ payload: the same up to byte {same}, then"),
            paint.tone(Tone::Removed, &format!("- {}", bytes(before, same))),
            paint.tone(Tone::Added, &format!("+ {}", bytes(after, same))),
        ],
    }
}

fn changed<T>(what: &str, change: &Change<T>, show: impl Fn(&T) -> String, paint: Paint) -> String {
    let name = plain(&change.name);
    let place = format!("{what}{name}");
    let place = place.trim_end();
    match (&change.before, &change.after) {
        (None, Some(after)) => paint.tone(Tone::Added, &format!("+ {place}: {}", short(&show(after)))),
        (Some(before), None) => paint.tone(Tone::Removed, &format!("- {place}: {}", short(&show(before)))),
        (before, after) => {
            let side = |value: &Option<T>| value.as_ref().map(|value| short(&show(value))).unwrap_or_default();
            paint.tone(Tone::Changed, &format!("~ {place}: {} → {}", side(before), side(after)))
        }
    }
}

/// JSON escapes every control character that matters to a terminal but DEL and those of Latin 1.
fn json(value: &Value) -> String {
    plain(&value.to_string())
}

fn edited(edit: &Edit, paint: Paint) -> String {
    match edit {
        Edit::Removed(line) => paint.tone(Tone::Removed, &format!("- {}", short(&plain(line)))),
        Edit::Added(line) => paint.tone(Tone::Added, &format!("+ {}", short(&plain(line)))),
        Edit::Kept(count) => paint.tone(Tone::Quiet, &format!("  … {count} the same")),
    }
}

/// Some bytes from `from` on in hexadecimal.
fn bytes(all: &[u8], from: usize) -> String {
    let rest = all.get(from..).unwrap_or_default();
    let hex: Vec<String> = rest.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
    let dots = if rest.len() > BYTES { " …" } else { "" };
    format!("{}{dots} ({} bytes in all)", hex.join(" "), all.len())
}

/// What a publisher sent, and what it was answered.
fn exchanges(round: &[Exchange], message: &Message, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for Exchange { request, reply, carries } in round.iter().take(ITEMS) {
        lines.extend(self::request(request, message, paint));
        lines.extend(sharers(carries));
        lines.push(format!("{} {}", paint.tone(Tone::Title, "←"), answer(reply)));
    }
    lines.extend(more(round.len(), "requests"));
    lines
}

/// The messages of a batch that a request is for.
fn sharers(ids: &[Arc<str>]) -> Option<String> {
    let shown: Vec<String> = ids.iter().take(ITEMS).map(|id| plain(id)).collect();
    let rest = more(ids.len(), "messages").map(|more| format!(" {more}")).unwrap_or_default();
    (!ids.is_empty()).then(|| format!("    (for {}{rest})", shown.join(", ")))
}

fn request(request: &Request, message: &Message, paint: Paint) -> Vec<String> {
    let HttpRequest { method, url, headers, body, timeout, .. } = match request {
        Request::Http(http) => http,
        Request::Redis(words) => return vec![paint.tone(Tone::Title, &format!("→ Redis {}", command(words)))],
        Request::RedisWithSettling(words) => {
            let title = format!("→ Redis, with the settling: {}", command(words));
            return vec![paint.tone(Tone::Title, &title)];
        }
        Request::WebSocket(send) => {
            let wish = if send.expect { " and an answer" } else { "" };
            let place = format!("→ WebSocket {}{wish}", short(&plain(&send.url)));
            return [paint.tone(Tone::Title, &place)].into_iter().chain(carried(&send.body, message)).collect();
        }
        Request::File(append) => {
            let place = format!("→ file {}/{}", plain(&append.dir), short(&plain(&append.path)));
            return [paint.tone(Tone::Title, &place)].into_iter().chain(carried(&append.line, message)).collect();
        }
    };
    let within = timeout.map(|timeout| format!(" within {}", time(timeout))).unwrap_or_default();
    let title = format!("→ {} {}{within}", plain(method), short(&plain(url)));
    let mut lines = vec![paint.tone(Tone::Title, &title)];
    lines.extend(
        headers.iter().take(ITEMS).map(|(name, value)| format!("    {}: {}", plain(name), short(&plain(value)))),
    );
    lines.extend(more(headers.len(), "headers"));
    lines.extend(carried(body, message));
    lines
}

/// What a request carries.
fn carried(body: &Bytes, message: &Message) -> Vec<String> {
    if !body.is_empty() && *body == message.payload {
        return vec![format!("    (the payload, {} bytes)", body.len())];
    }
    text(body).into_iter().map(|line| format!("    {line}")).collect()
}

fn answer(reply: &Reply) -> String {
    match reply {
        Reply::Http(Ok(reply)) => reply.status.to_string(),
        Reply::Redis(Ok(value)) if *value == RedisValue::queued() => "QUEUED".to_owned(),
        Reply::Redis(Ok(_)) | Reply::File(Ok(())) | Reply::WebSocket(Ok(_)) => "OK".to_owned(),
        Reply::Http(Err(failure))
        | Reply::Redis(Err(failure))
        | Reply::File(Err(failure))
        | Reply::WebSocket(Err(failure)) => format!("{}: {}", failure_name(failure), plain(&failure.to_string())),
    }
}

/// The words of a command, those in quotes that would not be one word.
fn command(words: &[Bytes]) -> String {
    let word = |word: &Bytes| match payload::text(word) {
        Some(text) if !text.is_empty() && !text.contains([' ', '"', '\n', '\t']) => short(text),
        Some(text) => short(&Value::from(text).to_string()),
        None => format!("({})", bytes(word, 0)),
    };
    let shown: Vec<String> = words.iter().take(ITEMS).map(word).collect();
    let rest = words.len().saturating_sub(ITEMS);
    let dots = if rest > 0 { format!(" … {rest} more") } else { String::new() };
    shown.join(" ") + &dots
}

/// What `--reply` calls it.
pub(super) fn failure_name(failure: &Failure) -> &'static str {
    match failure {
        Failure::Denied(_) => "denied",
        Failure::Invalid(_) => "invalid",
        Failure::Unreachable(_) => "unreachable",
        Failure::TooLarge(_) => "too-large",
    }
}

/// A body in lines.
fn text(body: &[u8]) -> Vec<String> {
    match payload::text(body) {
        _ if body.is_empty() => Vec::new(),
        None => vec![bytes(body, 0)],
        Some(text) => {
            let mut lines: Vec<String> = text.lines().take(ITEMS).map(|line| short(&plain(line))).collect();
            lines.extend(more(text.lines().count(), "lines"));
            lines
        }
    }
}

/// What a plugin said, one line each.
pub(super) fn log(said: &Said, paint: Paint) -> Vec<String> {
    let line = |line: &crate::plugin::Line| {
        let tone = if matches!(line.loudness, Loudness::Warn | Loudness::Error) { Tone::Changed } else { Tone::Quiet };
        format!("{} {}", paint.tone(tone, &format!("log {:5}", line.loudness)), plain(&line.text))
    };
    let mut lines: Vec<String> = said.lines.iter().take(ITEMS).map(line).collect();
    let rest = said.lines.len().saturating_sub(ITEMS) as u64 + said.more;
    if rest > 0 {
        lines.push(format!("… {rest} more lines"));
    }
    lines
}

fn more(count: usize, what: &str) -> Option<String> {
    (count > ITEMS).then(|| format!("… {} more {what}", count - ITEMS))
}

/// `text`, cut where it is too long for a screen.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes in all)", text.get(..end).unwrap_or_default(), text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
