//! `[log]` and `[traces]`.

use super::super::{
    LogFormat, OrderBy, Traces,
    document::Kind,
    fields::Fields,
    notation,
    read::{Item, Reading},
};

pub(super) fn log(reading: &mut Reading<'_>, top: &Fields<'_>) -> Option<LogFormat> {
    let fields = top.table(reading, "log");
    reading.one_of(fields.item("format"), &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

pub(super) fn traces(reading: &mut Reading<'_>, top: &Fields<'_>) -> Option<Traces> {
    let fields = top.table(reading, "traces");
    let item = fields.item("endpoint");
    let collector = match reading.optional_text(item) {
        Some(Some(url)) => reading.accept(item, notation::collector(&url)).map(Some),
        nothing => nothing.map(|_| None),
    };
    let sample = reading.share(fields.item("sample"));
    let service = reading.some_text(fields.item("service"));
    let traceparent = places(reading, fields.item("traceparent"));
    Some(Traces { collector: collector?, sample: sample?, service: service?, traceparent: traceparent? })
}

/// None at all is a choice, too.
fn places(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Vec<OrderBy>> {
    if matches!(&item.value.kind, Kind::List(places) if places.is_empty()) {
        return Some(Vec::new());
    }
    reading.list(item, |reading, item| {
        let text = reading.text(item)?;
        reading.accept(item, notation::traceparent(&text))
    })
}
