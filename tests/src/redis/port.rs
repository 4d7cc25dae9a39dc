//! Ports for servers that have to be told theirs.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that the system gives to outgoing connections, so that none of these takes a server's while it restarts.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;
/// A member of a Cluster listens for the others this far above its port.
const BUS: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback port that was free a moment ago, and so was the one that a Cluster would use with it.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    // Tests run in several processes at once: each begins elsewhere.
    let start = std::process::id().wrapping_mul(173) % u32::from(COUNT);
    let start = u16::try_from(start).expect("it is less than a `u16`");
    let tries = (0..COUNT).map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    tries.into_iter().find(|&port| is_free(port) && is_free(port + BUS)).expect("a free port")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_can_be_listened_at() {
        let (one, other) = (free_port(), free_port());
        assert_ne!(one, other);
        assert!(is_free(one) && is_free(other));
        let _taken = TcpListener::bind(("127.0.0.1", one)).unwrap();
        assert!(!is_free(one));
    }
}
