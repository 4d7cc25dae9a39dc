//! Where Redis is, and how the node shows itself there.

use super::{
    super::{
        Admin, Listen, Redis, Tls,
        fields::Fields,
        notation::{self, Address, redis_address},
        read::Reading,
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

/// A path is taken from `data_dir`.
pub(super) fn admin(reading: &mut Reading<'_>, top: &Fields<'_>, data_dir: Option<&Path>) -> Option<Admin> {
    let fields = top.table(reading, "admin");
    let item = fields.item("listen");
    let Some(written) = reading.optional_text(item)? else {
        return Some(Admin { listen: None });
    };
    let listen = match reading.accept(item, notation::listen(&written))? {
        Listen::Socket(path) => Listen::Socket(data_dir?.join(path)),
        address @ Listen::Address(_) => address,
    };
    Some(Admin { listen: Some(listen) })
}
