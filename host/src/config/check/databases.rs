//! Databases that plugins are granted and that are not there, or the other way round.

use super::{
    super::decode::{DatabaseDraft, PluginDraft},
    Fault, Reading, did_you_mean, header, items,
};
use std::collections::BTreeSet;

/// Every grant names a database, and every database serves a grant.
pub(in crate::config) fn databases(
    reading: &mut Reading<'_>,
    plugins: &[PluginDraft<'_>],
    databases: &[DatabaseDraft<'_>],
) {
    let known = || databases.iter().map(|database| database.entry.key.as_str());
    let mut granted = BTreeSet::new();
    for plugin in plugins {
        let grants = plugin.value.iter().flat_map(|plugin| &plugin.lookups.sql);
        for (grant, value) in grants.zip(items(plugin.entry, "allow_sql")) {
            granted.insert(grant.database.as_str());
            if known().any(|name| name == grant.database) {
                continue;
            }
            // The name as the file has it, because the value of a variable must not get into a message.
            let spelled = value.text().is_some_and(|text| text.trim_end_matches(":write") == grant.database);
            let meant = did_you_mean(&grant.database, known()).filter(|_| spelled);
            let help = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "add a table `[database.NAME]` with its `url`".to_owned(),
            };
            reading
                .faults
                .push(Fault::error("`allow_sql` names a database that is not there").at(&value.span).help(help));
        }
    }
    let complete = plugins.iter().all(|plugin| plugin.value.is_some());
    for database in databases.iter().filter(|database| complete && !granted.contains(database.entry.key.as_str())) {
        let name = super::super::fault::shown(&database.entry.key);
        let fault = Fault::warning(format!("no plugin may ask [database.{name}]")).at(&header(database.entry));
        reading.faults.push(fault.help("name it in `allow_sql` of a plugin, or leave the table out"));
    }
}
