//! What `cargo xtask fuzz` does with what a server sends.

/// A reply over HTTP/1.
pub fn reply(bytes: &[u8]) {
    super::http::fuzz(bytes);
}
