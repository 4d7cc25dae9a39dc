//! `[endpoint."HOST:PORT"]`.

use super::{
    super::{
        Breaker, Compress, Endpoint, Proxy,
        document::{Entry, find},
        fault::{Fault, shown},
        fields::Fields,
        notation,
        place::header,
        read::Reading,
    },
    Path,
    named::Named,
    rate, tls,
};
use std::{collections::BTreeMap, time::Duration};

/// A server's table, under the name by which it is found: `host`, `host:port` or `*`.
pub(super) type EndpointDraft<'a> = Named<'a, Endpoint>;

pub(super) fn endpoint<'a>(
    reading: &mut Reading<'_>,
    entry: &'a Entry,
    fields: &Fields<'_>,
    directory: &Path,
) -> EndpointDraft<'a> {
    let name = notation::endpoint(&entry.key);
    let draft = Named {
        entry,
        name: reading.accept_at("endpoint", &entry.key_span, name),
        value: settings(reading, fields, directory),
    };
    let files = entry.value.table().and_then(|table| find(table, "tls"));
    if let (Some(files), Some(endpoint)) = (files, &draft.value) {
        tls::pair(reading, files, &format!("`tls` of [endpoint.\"{}\"]", shown(&entry.key)), &endpoint.tls);
    }
    draft
}

/// All of them; two tables for one server are reported.
pub(super) fn finish(reading: &mut Reading<'_>, drafts: Vec<EndpointDraft<'_>>) -> Option<BTreeMap<String, Endpoint>> {
    let mut first: BTreeMap<String, &Entry> = BTreeMap::new();
    let mut endpoints = BTreeMap::new();
    let mut whole = true;
    for draft in drafts {
        let entry = draft.entry;
        let Some((name, endpoint)) = draft.finish() else {
            whole = false;
            continue;
        };
        if let Some(other) = first.insert(name.clone(), entry) {
            let what = Fault::error(format!("[endpoint.\"{}\"] stands here twice", shown(&entry.key)));
            let fault = what.at(&header(entry)).and_at(&header(other), "first here");
            reading.faults.push(fault.help("capitals make no difference in a host's name; leave one table out"));
            whole = false;
        }
        endpoints.insert(name, endpoint);
    }
    whole.then_some(endpoints)
}

pub(super) fn settings(reading: &mut Reading<'_>, fields: &Fields<'_>, directory: &Path) -> Option<Endpoint> {
    let rate = rate::rate(reading, fields, Some(Duration::ZERO));
    let in_flight = reading.number(fields.item("in_flight"), 1..=100_000);
    let breaker = breaker(reading, fields);
    let tls = tls::tls(reading, fields, directory);
    let proxy = proxy(reading, fields);
    let compress = reading.one_of(fields.item("compress"), &[("never", None), ("gzip", Some(Compress::Gzip))]);
    let connect_timeout = reading.duration(fields.item("connect_timeout"), "10ms");
    let item = fields.item("first_byte_timeout");
    let first_byte_timeout = reading.unless(item, "never", |reading| reading.duration(item, "10ms"));
    Some(Endpoint {
        rate: rate?,
        in_flight: in_flight?,
        breaker: breaker?,
        tls: tls?,
        proxy: proxy?,
        compress: compress?,
        connect_timeout: connect_timeout?,
        first_byte_timeout: first_byte_timeout?,
    })
}

fn proxy(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Option<Proxy>> {
    let item = fields.item("proxy");
    match reading.optional_text(item)? {
        Some(text) => reading.accept(item, notation::proxy(&text)).map(Some),
        None => Some(None),
    }
}

fn breaker(reading: &mut Reading<'_>, endpoint: &Fields<'_>) -> Option<Option<Breaker>> {
    let fields = endpoint.table(reading, "breaker");
    let item = fields.item("failures");
    let failures = reading.unless(item, "never", |reading| reading.number(item, 1..=1_000_000));
    let share = reading.share(fields.item("share"));
    let window = reading.duration(fields.item("window"), "100ms");
    let pause = reading.duration(fields.item("pause"), "100ms");
    let (failures, share, window, pause) = (failures?, share?, window?, pause?);
    Some(failures.map(|failures| Breaker { failures, share, window, pause }))
}
