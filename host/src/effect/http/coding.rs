//! Bodies that are packed with gzip (RFC 9110, section 8.4.1.3), within bounds and in turn with other tasks.

use super::incoming::Unusable;
use bytes::Bytes;
use flate2::{Compression, read::GzEncoder, read::MultiGzDecoder};
use hyper::header::CONTENT_ENCODING;
use std::io::Read;

/// The name of the only coding that is asked for and spoken.
pub(super) const GZIP: &str = "gzip";
/// So much at once, in bytes.
const PIECE: usize = 16 * 1024;

/// Whether the body behind `headers` is packed, by nothing else beside.
pub(super) fn is_packed(headers: &[(String, String)]) -> bool {
    let mut codings = headers.iter().filter(|(name, _)| CONTENT_ENCODING == **name).map(|(_, value)| value.trim());
    let known = |name: &str| name.eq_ignore_ascii_case(GZIP) || name.eq_ignore_ascii_case("x-gzip");
    codings.next().is_some_and(known) && codings.next().is_none()
}

/// What is in `packed`, if that is no longer than `largest` bytes.
pub(super) async fn unpacked(packed: &[u8], largest: usize) -> Result<Bytes, Unusable> {
    let mut unpacked = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed);
    while add_piece(&mut decoder, &mut unpacked).map_err(Unusable::Garbled)? > 0 {
        if unpacked.len() > largest {
            return Err(Unusable::TooLarge);
        }
        tokio::task::consume_budget().await;
    }
    Ok(unpacked.into())
}

/// `body`, packed.
pub(super) async fn packed(body: &[u8]) -> Bytes {
    let mut packed = Vec::with_capacity(body.len() / 4);
    let mut encoder = GzEncoder::new(body, Compression::fast());
    // Reading from memory does not fail.
    while add_piece(&mut encoder, &mut packed).is_ok_and(|read| read > 0) {
        tokio::task::consume_budget().await;
    }
    packed.into()
}

/// How many bytes of `from` were added to `to`.
fn add_piece(from: &mut impl Read, to: &mut Vec<u8>) -> std::io::Result<usize> {
    from.take(PIECE as u64).read_to_end(to)
}
