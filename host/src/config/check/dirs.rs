//! A plugin that could write what the node trusts would have granted itself everything.

use super::{
    super::{DirAccess, document::find, place::key_of},
    Fault, PluginDraft, Reading,
};
use std::path::{Path, PathBuf};

/// Refuses to let plugins write where the file itself lies, where plugins lie, or where the node keeps what it has compiled.
pub(in crate::config) fn own_dirs(
    reading: &mut Reading<'_>,
    plugins: &[PluginDraft<'_>],
    [file, plugins_dir, data_dir]: [Option<&Path>; 3],
) {
    for draft in plugins {
        for (name, grant) in draft.value.iter().flat_map(|plugin| &plugin.allow_dirs) {
            if grant.access == DirAccess::Read {
                continue;
            }
            let granted = real(&grant.host);
            // What lies beside the file is common; the file itself must stay out of reach.
            let holds_file = file.is_some_and(|dir| real(dir).starts_with(&granted));
            let shared = |dir: Option<&Path>| {
                dir.map(real).is_some_and(|dir| dir.starts_with(&granted) || granted.starts_with(dir))
            };
            let what = match (holds_file, shared(plugins_dir), shared(data_dir)) {
                (true, _, _) => "this very file",
                (_, true, _) => "`plugins_dir`",
                (_, _, true) => "`data_dir`",
                _ => continue,
            };
            let table = draft.entry.value.table().and_then(|table| find(table, "allow_dirs"));
            let span = table.map_or_else(|| key_of(draft.entry, "allow_dirs"), |dirs| key_of(dirs, name));
            let fault =
                Fault::error(format!("this lets a plugin change {what}, and with it what plugins may do")).at(&span);
            reading.faults.push(fault.help("give it a directory of its own, or write \":ro\" behind this one"));
        }
    }
}

/// `path` without links and detours, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for known in path.ancestors() {
        let known = if known.as_os_str().is_empty() { Path::new(".") } else { known };
        if let Ok(real) = known.canonicalize() {
            return real.join(path.strip_prefix(known).unwrap_or(path));
        }
    }
    path.to_owned()
}
