//! `[pipeline.NAME]`.

use super::{
    super::{
        Backlog, EdgeTarget, From, KeepDead, Order, Pipeline, Rate, Retry, Take, check,
        document::Entry,
        fields::Fields,
        notation,
        read::{Item, Reading},
    },
    edge, from, optional, rate,
};

/// A pipeline, as far as its table could be read.
pub(in crate::config) struct Draft<'a> {
    pub(in crate::config) entry: &'a Entry,
    pub(in crate::config) from: Option<From>,
    pub(in crate::config) filters: Option<Vec<String>>,
    pub(in crate::config) publish: Option<Vec<String>>,
    pub(in crate::config) order: Option<Option<Order>>,
    pub(in crate::config) dead_letters: Option<Option<String>>,
    edge: Option<EdgeTarget>,
    in_flight: Option<usize>,
    pub(in crate::config) rate: Option<Option<Rate>>,
    take: Option<Take>,
    pub(in crate::config) backlog: Option<Option<Backlog>>,
    retry: Option<Retry>,
    journal: Option<bool>,
    keep_dead: Option<KeepDead>,
}

/// Which of several messages is meant.
const ENDS: [(&str, Take); 2] = [("oldest", Take::Oldest), ("newest", Take::Newest)];

pub(super) fn pipeline<'a>(reading: &mut Reading<'_>, entry: &'a Entry, fields: &Fields<'_>) -> Draft<'a> {
    reading.accept_at("pipeline", &entry.key_span, notation::check_name(&entry.key));
    Draft {
        entry,
        from: from::from(reading, entry, fields),
        filters: plugin_names(reading, fields.item("filters")),
        publish: plugin_names(reading, fields.item("publish")),
        edge: edge::target(reading, fields),
        in_flight: reading.number(fields.item("in_flight"), 1..=100_000),
        rate: paced(reading, fields),
        take: reading.one_of(fields.item("take"), &ENDS),
        backlog: backlog(reading, fields),
        order: order(reading, fields),
        retry: retry(reading, fields),
        journal: reading.truth(fields.item("journal")),
        dead_letters: optional(fields.written("dead_letters"), |item| reading.some_text(item)),
        keep_dead: keep_dead(reading, fields),
    }
}

impl Draft<'_> {
    pub(super) fn finish(self) -> Option<(String, Pipeline)> {
        let pipeline = Pipeline {
            from: self.from?,
            filters: self.filters?,
            publish: self.publish?,
            edge: self.edge?,
            in_flight: self.in_flight?,
            rate: self.rate?,
            take: self.take?,
            backlog: self.backlog?,
            order: self.order?,
            retry: self.retry?,
            journal: self.journal?,
            dead_letters: self.dead_letters?,
            keep_dead: self.keep_dead?,
        };
        Some((self.entry.key.clone(), pipeline))
    }
}

fn plugin_names(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Vec<String>> {
    reading.list(item, |reading, item| {
        let name = reading.text(item)?;
        reading.accept(item, notation::plugin_name(&name))
    })
}

fn paced(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Option<Rate>> {
    let ramp = reading.duration(fields.item("ramp"), "0s");
    rate::rate(reading, fields, ramp)
}

fn backlog(reading: &mut Reading<'_>, pipeline: &Fields<'_>) -> Option<Option<Backlog>> {
    let fields = pipeline.table(reading, "backlog");
    let keep = fields.item("keep");
    let keep = reading.unless(keep, "all", |reading| reading.number(keep, 1..=1_000_000_000));
    let drop = reading.one_of(fields.item("drop"), &ENDS)?;
    keep.map(|keep| keep.map(|keep| Backlog { keep, drop }))
}

fn order(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Option<Order>> {
    let item = fields.item("order_by");
    let by = reading.text(item).and_then(|text| reading.accept(item, notation::order_by(&text)));
    let hold = reading.one_of(fields.item("order_retries"), &[("hold", true), ("overtake", false)])?;
    by.map(|by| by.map(|by| Order { by, hold }))
}

fn retry(reading: &mut Reading<'_>, pipeline: &Fields<'_>) -> Option<Retry> {
    let fields = pipeline.table(reading, "retry");
    let attempts = reading.number(fields.item("attempts"), 1..=1_000_000);
    let crashes = reading.number(fields.item("crashes"), 1..=1_000_000);
    let first = reading.duration(fields.item("first"), "1ms");
    let longest = reading.duration(fields.item("longest"), "1ms");
    let retry = Retry { attempts: attempts?, crashes: crashes?, first: first?, longest: longest? };
    check::pauses(reading, &fields, &retry);
    Some(retry)
}

fn keep_dead(reading: &mut Reading<'_>, pipeline: &Fields<'_>) -> Option<KeepDead> {
    let fields = pipeline.table(reading, "keep_dead");
    let most = reading.number(fields.item("most"), 1..=1_000_000_000);
    let longest = reading.duration(fields.item("longest"), "1s");
    Some(KeepDead { most: most?, longest: longest? })
}
