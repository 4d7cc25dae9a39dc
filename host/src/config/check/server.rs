//! What the address of Redis makes of the keys about TLS and Sentinels.

use super::{
    super::{
        Tls,
        decode::pair,
        document::{Entry, find},
        notation::{Address, Servers},
    },
    Fault, Reading, Server,
};

pub(super) fn access(reading: &mut Reading<'_>, root: &[Entry], server: &Server) {
    tls(reading, root, server);
    sentinels(reading, root, server);
}

fn tls(reading: &mut Reading<'_>, root: &[Entry], server: &Server) {
    let (Some(entry), Some(tls)) = (find(root, "tls"), &server.tls) else { return };
    pair(reading, entry, "[tls]", tls);
    if *tls != Tls::default() && is_not(server, |address| address.tls) {
        let fault = Fault::warning("[tls] has no effect, because `redis` does not ask for TLS").at(&entry.key_span);
        let help = "begin the address with \"rediss\" instead of \"redis\", or leave the table out";
        reading.faults.push(fault.help(help));
    }
}

fn sentinels(reading: &mut Reading<'_>, root: &[Entry], server: &Server) {
    for (key, value) in [("sentinel_user", &server.sentinel_user), ("sentinel_password", &server.sentinel_password)] {
        let (Some(entry), Some(Some(_))) = (find(root, key), value) else { continue };
        if is_not(server, |address| address.servers == Servers::Sentinel) {
            let fault = Fault::warning(format!("`{key}` has no effect, because `redis` names no Sentinels"));
            let help =
                "leave it out; the login at the server itself stands in its address: \"redis://user:password@host\"";
            reading.faults.push(fault.at(&entry.value.span).help(help));
        }
    }
    let user = find(root, "sentinel_user").filter(|_| matches!(server.sentinel_user, Some(Some(_))));
    if let (Some(user), Some(None)) = (user, &server.sentinel_password) {
        let fault = Fault::error("`sentinel_user` has no password").at(&user.value.span);
        reading.faults.push(fault.help("set `sentinel_password` too"));
    }
}

/// Whether it is known where Redis is, and that it is not such a place.
fn is_not(server: &Server, such: impl Fn(Address) -> bool) -> bool {
    server.redis.is_some() && !server.address.is_some_and(such)
}
