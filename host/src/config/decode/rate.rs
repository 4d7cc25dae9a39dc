//! `rate` and the keys beside it, of a pipeline or of an endpoint.

use super::super::{Rate, Scope, fields::Fields, notation, read::Reading};
use std::time::Duration;

/// The rate, or none where there is no limit; `ramp` is read by whoever has that key.
pub(super) fn rate(reading: &mut Reading<'_>, fields: &Fields<'_>, ramp: Option<Duration>) -> Option<Option<Rate>> {
    let item = fields.item("rate");
    let per_second = reading.unless(item, "unlimited", |reading| {
        let text = reading.text(item)?;
        reading.accept(item, notation::rate(&text))
    });
    let item = fields.item("burst");
    let burst = reading.unless(item, "auto", |reading| reading.number(item, 1..=1_000_000));
    let scope = reading.one_of(fields.item("rate_scope"), &[("node", Scope::Node), ("cluster", Scope::Cluster)]);
    let (per_second, burst, scope, ramp) = (per_second?, burst?, scope?, ramp?);
    Some(per_second.map(|per_second| Rate {
        per_second,
        burst: burst.unwrap_or_else(|| Rate::usual_burst(per_second)),
        ramp,
        scope,
    }))
}
