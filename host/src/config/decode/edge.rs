//! `[edge]` and `[channel.NAME]`.

use super::{
    super::{
        Channel, Edge, EdgeLimits, EdgeTarget, EdgeTimeouts, HistoryBounds, PushStream, Rate, Scope, Slow,
        document::Entry,
        fields::Fields,
        notation,
        read::{Item, Reading},
    },
    Path,
    lookups::bytes,
    named::Named,
};
use crate::command::Pattern;
use std::time::Duration;

/// A channel's table, under the pattern that it is for.
pub(in crate::config) type ChannelDraft<'a> = Named<'a, Channel>;

pub(in crate::config) fn edge(
    reading: &mut Reading<'_>,
    top: &Fields<'_>,
    channels: Vec<ChannelDraft<'_>>,
    directory: &Path,
) -> Option<Edge> {
    let fields = top.table(reading, "edge");
    let listen = listen(reading, fields.item("listen"));
    let threads = reading.number(fields.item("threads"), 0..=1_024);
    let secret = secret(reading, fields.item("token_secret"));
    let keys = reading.optional_text(fields.item("token_keys"));
    let audience = reading.optional_text(fields.item("token_audience"));
    let origins = origins(reading, fields.item("origins"));
    let limits = limits(reading, &fields);
    let timeouts = timeouts(reading, &fields);
    let coalesce = reading.duration(fields.item("coalesce"), "0ms");
    let slow = reading.one_of(fields.item("slow"), &[("close", Slow::Close), ("drop", Slow::Drop)]);
    let reconnect = reading.duration(fields.item("reconnect"), "100ms");
    let push_stream = push_stream(reading, &fields);
    let channels: Option<Vec<_>> = channels.into_iter().map(ChannelDraft::finish).collect();
    Some(Edge {
        listen: listen?,
        threads: Some(threads?).filter(|threads| *threads > 0),
        token_secret: secret?,
        token_keys: keys?.map(|path| directory.join(path)),
        token_audience: audience?,
        origins: origins?,
        limits: limits?,
        timeouts: timeouts?,
        coalesce: coalesce?,
        slow: slow?,
        reconnect: reconnect?,
        push_stream: push_stream?,
        channels: channels?.into_iter().map(|(name, channel)| (Pattern::new(name), channel)).collect(),
    })
}

pub(super) fn channel<'a>(reading: &mut Reading<'_>, entry: &'a Entry, fields: &Fields<'_>) -> ChannelDraft<'a> {
    let name = reading.accept_at("channel", &entry.key_span, notation::channel_pattern(&entry.key));
    Named { entry, name: name.map(|()| entry.key.clone()), value: channel_settings(reading, fields) }
}

/// What a channel without a table has, and each with one that leaves keys out.
pub(in crate::config) fn channel_settings(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Channel> {
    let open = reading.one_of(fields.item("read"), &[("token", false), ("anyone", true)]);
    let history = fields.table(reading, "history");
    let messages = reading.number(history.item("messages"), 0..=1_000_000);
    let kib = reading.number(history.item("kib"), 1..=1_048_576);
    let age = reading.duration(history.item("age"), "1s");
    Some(Channel { open: open?, history: HistoryBounds { messages: messages?, bytes: bytes(kib?), age: age? } })
}

/// `edge` of a pipeline.
pub(super) fn target(reading: &mut Reading<'_>, pipeline: &Fields<'_>) -> Option<EdgeTarget> {
    let fields = pipeline.table(reading, "edge");
    let item = fields.item("channel");
    let channel = reading.some_text(item).and_then(|text| reading.accept(item, notation::template(&text)));
    let item = fields.item("event");
    let event = reading.text(item).and_then(|text| reading.accept(item, notation::template(&text)));
    Some(EdgeTarget { channel: channel?, event: event? })
}

fn listen(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Option<std::net::SocketAddr>> {
    match reading.optional_text(item)? {
        Some(text) => reading.accept(item, notation::any_address(&text)).map(Some),
        None => Some(None),
    }
}

fn secret(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Option<String>> {
    let secret = reading.optional_text(item)?;
    let long = secret.as_ref().is_none_or(|secret| secret.len() >= 32);
    let wrong = notation::Wrong {
        what: "is shorter than 32 bytes, so it can be guessed",
        help: "make one with `openssl rand -base64 32`",
    };
    reading.accept(item, if long { Ok(secret) } else { Err(wrong) })
}

fn origins(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Vec<String>> {
    reading.list(item, |reading, item| {
        let text = reading.text(item)?;
        reading.accept(item, notation::origin(&text))
    })
}

fn push_stream(reading: &mut Reading<'_>, edge: &Fields<'_>) -> Option<Option<PushStream>> {
    let fields = edge.table(reading, "push_stream");
    let enabled = reading.truth(fields.item("enabled"));
    let template = reading.some_text(fields.item("template"));
    let open = reading.one_of(fields.item("publish"), &[("token", false), ("anyone", true)]);
    let (enabled, dialect) = (enabled?, PushStream { template: template?, open: open? });
    Some(enabled.then_some(dialect))
}

fn limits(reading: &mut Reading<'_>, edge: &Fields<'_>) -> Option<EdgeLimits> {
    let fields = edge.table(reading, "limits");
    let connections = reading.number(fields.item("connections"), 1..=10_000_000);
    let per_address = reading.number(fields.item("per_address"), 1..=10_000_000);
    let item = fields.item("connects");
    let connects = reading.unless(item, "unlimited", |reading| {
        let text = reading.text(item)?;
        reading.accept(item, notation::rate(&text))
    });
    let channels = reading.number(fields.item("channels"), 1..=10_000_000);
    let head_kib = reading.number(fields.item("head_kib"), 1..=1_024);
    let message_kib = reading.number(fields.item("message_kib"), 1..=16_384);
    let queue_kib = reading.number(fields.item("queue_kib"), 1..=1_048_576);
    let send_buffer_kib = reading.number(fields.item("send_buffer_kib"), 4..=65_536u32);
    let history_mib = reading.number(fields.item("history_mib"), 1..=1_048_576u32);
    let connects = connects?.map(|per_second| Rate {
        per_second,
        burst: Rate::usual_burst(per_second),
        ramp: Duration::ZERO,
        scope: Scope::Node,
    });
    Some(EdgeLimits {
        connections: connections?,
        per_address: per_address?,
        connects,
        channels: channels?,
        head_bytes: bytes(head_kib?),
        message_bytes: bytes(message_kib?),
        queue_bytes: bytes(queue_kib?),
        send_buffer_bytes: send_buffer_kib? << 10,
        history_bytes: bytes(history_mib?) << 10,
    })
}

fn timeouts(reading: &mut Reading<'_>, edge: &Fields<'_>) -> Option<EdgeTimeouts> {
    let fields = edge.table(reading, "timeouts");
    let head = reading.duration(fields.item("head"), "100ms");
    let body = reading.duration(fields.item("body"), "100ms");
    let item = fields.item("ping");
    let ping = reading.duration(item, "1s").and_then(|ping| {
        let wrong = notation::Wrong {
            what: "is longer than \"240s\"",
            help: "write a shorter one: proxies cut silent connections after a minute or less",
        };
        reading.accept(item, if ping > Duration::from_secs(240) { Err(wrong) } else { Ok(ping) })
    });
    let pong = reading.duration(fields.item("pong"), "1s");
    let stall = reading.duration(fields.item("stall"), "1s");
    Some(EdgeTimeouts { head: head?, body: body?, ping: ping?, pong: pong?, stall: stall? })
}
