//! What stands in `[plugin.NAME]` about lookups.

use super::super::{Lookups, Store, StoreBounds, fields::Fields, notation, read::Reading};

pub(super) fn lookups(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Lookups> {
    let stores = [("nothing", Store::Nothing), ("memory", Store::Memory), ("redis", Store::Redis)];
    let store = reading.one_of(fields.item("allow_store"), &stores);
    let bounds = bounds(reading, fields);
    let sql = reading.list(fields.item("allow_sql"), |reading, item| {
        let grant = reading.text(item)?;
        reading.accept(item, notation::sql_grant(&grant))
    });
    let wait = reading.duration(fields.item("wait"), "1ms");
    Some(Lookups { store: store?, bounds: bounds?, sql: sql?, wait: wait? })
}

fn bounds(reading: &mut Reading<'_>, plugin: &Fields<'_>) -> Option<StoreBounds> {
    let fields = plugin.table(reading, "store");
    let keys = reading.number(fields.item("keys"), 1..=10_000_000);
    let total_kib = reading.number(fields.item("total_kib"), 1..=16_777_216);
    let value_kib = reading.number(fields.item("value_kib"), 1..=65_536);
    let longest = fields.item("longest");
    let longest = reading.unless(longest, "never", |reading| reading.duration(longest, "1ms"));
    Some(StoreBounds { keys: keys?, bytes: bytes(total_kib?), value_bytes: bytes(value_kib?), longest: longest? })
}

pub(super) fn bytes(kib: u32) -> usize {
    usize::try_from(kib).unwrap_or(usize::MAX).saturating_mul(1024)
}
