//! `[endpoint."HOST:PORT"]`.

use super::{
    super::{
        Breaker, Endpoint, HostPattern, HttpGrant,
        document::Entry,
        fault::{Fault, shown},
        fields::Fields,
        notation,
        place::header,
        read::Reading,
    },
    named::Named,
    rate,
};
use std::{collections::BTreeMap, time::Duration};

/// A server's table, under the name by which it is found: `host`, `host:port` or `*`.
pub(super) type EndpointDraft<'a> = Named<'a, Endpoint>;

pub(super) fn endpoint<'a>(reading: &mut Reading<'_>, entry: &'a Entry, fields: &Fields<'_>) -> EndpointDraft<'a> {
    let name = notation::endpoint(&entry.key);
    Named {
        entry,
        name: reading.accept_at("endpoint", &entry.key_span, name).map(|grant| spelled(&grant)),
        value: settings(reading, fields),
    }
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

pub(super) fn settings(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Endpoint> {
    let rate = rate::rate(reading, fields, Some(Duration::ZERO));
    let in_flight = reading.number(fields.item("in_flight"), 1..=100_000);
    let breaker = breaker(reading, fields);
    Some(Endpoint { rate: rate?, in_flight: in_flight?, breaker: breaker? })
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

fn spelled(HttpGrant { host, port }: &HttpGrant) -> String {
    let host = match host {
        HostPattern::Exact(host) if host.contains(':') => format!("[{host}]"),
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(_) | HostPattern::Any => "*".to_owned(),
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}
