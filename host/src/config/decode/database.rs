//! `[database.NAME]`.

use super::{
    super::{
        Database,
        document::Entry,
        fault::{Fault, shown},
        fields::Fields,
        notation,
        place::header,
        read::Reading,
    },
    lookups::bytes,
    named::Named,
};
use std::path::Path;

/// A database's table, under the name by which `allow_sql` calls it.
pub(in crate::config) type DatabaseDraft<'a> = Named<'a, Database>;

pub(super) fn database<'a>(
    reading: &mut Reading<'_>,
    entry: &'a Entry,
    fields: &Fields<'_>,
    directory: &Path,
) -> DatabaseDraft<'a> {
    let name = reading.accept_at("database", &entry.key_span, notation::check_name(&entry.key));
    Named { entry, name: name.map(|()| entry.key.clone()), value: settings(reading, entry, fields, directory) }
}

fn settings(reading: &mut Reading<'_>, entry: &Entry, fields: &Fields<'_>, directory: &Path) -> Option<Database> {
    let address = match fields.written("url") {
        Some(item) => reading.some_text(item).and_then(|url| {
            let address = notation::database_address(&url, directory);
            reading.accept(item, address)
        }),
        None => {
            let fault = Fault::error(format!("[database.{}] does not say where it is", shown(&entry.key)));
            let help = "write `url = \"postgres://user:password@host/name\"`, or one with \"mysql\" or \"sqlite\"";
            reading.refuse(fault.at(&header(entry)).help(help))
        }
    };
    let connections = reading.number(fields.item("connections"), 1..=1_000);
    let timeout = reading.duration(fields.item("timeout"), "1ms");
    let rows = reading.number(fields.item("rows"), 1..=1_000_000);
    let answer_kib = reading.number(fields.item("answer_kib"), 1..=65_536);
    Some(Database {
        address: address?,
        connections: connections?,
        timeout: timeout?,
        rows: rows?,
        answer_bytes: bytes(answer_kib?),
    })
}
