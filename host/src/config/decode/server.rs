//! Where Redis is, and how the node shows itself there.

use super::{
    super::{
        Admin, Listen, Redis, Tls,
        document::Kind,
        fault::Fault,
        fields::Fields,
        notation::{self, Address, redis_address},
        read::{Item, Reading},
    },
    Path, tls,
};

/// What could be read of all that concerns the server.
pub(in crate::config) struct Server {
    pub(in crate::config) redis: Option<Redis>,
    /// What its address asks for; `None` where it is embedded, or could not be read.
    pub(in crate::config) address: Option<Address>,
    pub(in crate::config) tls: Option<Tls>,
    pub(in crate::config) sentinel_user: Option<Option<String>>,
    pub(in crate::config) sentinel_password: Option<Option<String>>,
}

pub(super) fn server(reading: &mut Reading<'_>, top: &Fields<'_>, directory: &Path) -> Server {
    let (redis, address) = redis(reading, top).unzip();
    Server {
        redis,
        address: address.flatten(),
        tls: tls::tls(reading, top, directory),
        sentinel_user: reading.optional_text(top.item("sentinel_user")),
        sentinel_password: reading.optional_text(top.item("sentinel_password")),
    }
}

fn redis(reading: &mut Reading<'_>, top: &Fields<'_>) -> Option<(Redis, Option<Address>)> {
    let embedded = top.table(reading, "embedded");
    let port = reading.number(embedded.item("port"), 0..=u16::MAX);
    let item = top.item("redis");
    let url = reading.some_text(item)?;
    if url == "embedded" {
        return Some((Redis::Embedded { port: port? }, None));
    }
    let address = reading.accept(item, redis_address(&url))?;
    Some((Redis::Url(url), Some(address)))
}

/// The socket's path is taken from `data_dir`, that of the tokens from `directory`.
pub(super) fn admin(
    reading: &mut Reading<'_>,
    top: &Fields<'_>,
    directory: &Path,
    data_dir: Option<&Path>,
) -> Option<Admin> {
    let fields = top.table(reading, "admin");
    let tokens = reading.optional_text(fields.item("tokens")).map(|path| path.map(|path| directory.join(path)));
    let redact = redact(reading, fields.item("redact"));
    let listen = listen(reading, fields.item("listen"), data_dir, matches!(tokens, Some(None)));
    Some(Admin { listen: listen?, tokens: tokens?, redact: redact? })
}

fn listen(reading: &mut Reading<'_>, item: Item<'_>, data_dir: Option<&Path>, open: bool) -> Option<Option<Listen>> {
    let Some(written) = reading.optional_text(item)? else {
        return Some(None);
    };
    match reading.accept(item, notation::listen(&written))? {
        Listen::Socket(path) => Some(Some(Listen::Socket(data_dir?.join(path)))),
        Listen::Address(address) if open && !address.ip().is_loopback() => {
            let fault = Fault::error(
                "`listen` is an address that other machines could reach, and nothing there asks who they are",
            );
            let help = "set `tokens` too, or write an address of this machine alone such as \"127.0.0.1:9464\"";
            reading.refuse(fault.at(&item.value.span).help(help))
        }
        address => Some(Some(address)),
    }
}

/// No name at all shows everything.
fn redact(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Vec<String>> {
    if matches!(&item.value.kind, Kind::List(names) if names.is_empty()) {
        return Some(Vec::new());
    }
    Some(reading.names(item, |_| Ok(()))?.into_iter().map(|name| name.to_lowercase()).collect())
}
