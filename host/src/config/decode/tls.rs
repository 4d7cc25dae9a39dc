//! `tls = { ca, cert, key }`, of Redis and of other servers.

use super::{
    super::{
        Tls,
        document::Entry,
        fault::Fault,
        fields::Fields,
        place::key_of,
        read::{Item, Reading},
    },
    Path, PathBuf,
};

/// The files, which are relative to `directory`.
pub(super) fn tls(reading: &mut Reading<'_>, above: &Fields<'_>, directory: &Path) -> Option<Tls> {
    let fields = above.table(reading, "tls");
    let mut file = |key| file(reading, fields.item(key), directory);
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    Some(Tls { ca: ca?, cert: cert?, key: key? })
}

/// A certificate proves nothing without its key. The files stand in `entry`, which messages call `title`.
pub(in crate::config) fn pair(reading: &mut Reading<'_>, entry: &Entry, title: &str, tls: &Tls) {
    let (there, missing) = match (&tls.cert, &tls.key) {
        (Some(_), None) => ("cert", "key"),
        (None, Some(_)) => ("key", "cert"),
        _ => return,
    };
    let fault = Fault::error(format!("`{there}` stands in {title} without `{missing}`")).at(&key_of(entry, there));
    reading.faults.push(fault.help(format!("set `{missing}` too, or leave both out")));
}

fn file(reading: &mut Reading<'_>, item: Item<'_>, directory: &Path) -> Option<Option<PathBuf>> {
    let path = reading.optional_text(item)?;
    Some(path.map(|path| directory.join(path)))
}
