//! Decompressing, up to a bound: a few bytes can stand for very many.

use flate2::bufread::MultiGzDecoder;
use gristmill_sdk::{Error, Result};
use std::io::Read;

/// Whether a payload says so of itself.
pub(crate) fn is_gzip(payload: &[u8]) -> bool {
    payload.starts_with(&[0x1f, 0x8b])
}

/// The bytes that `payload` stands for, `most` at most; it may have several members.
///
/// # Errors
/// A rejection if it is not gzip, was damaged, or stands for more.
pub(crate) fn decompress(payload: &[u8], most: usize) -> Result<Vec<u8>> {
    if !is_gzip(payload) {
        return Err(Error::reject("payload: not gzip"));
    }
    let mut out = Vec::new();
    let bound = u64::try_from(most)?.saturating_add(1);
    let read = MultiGzDecoder::new(payload).take(bound).read_to_end(&mut out);
    read.map_err(|error| Error::reject(format!("payload: not whole as gzip: {error}")))?;
    if out.len() > most {
        return Err(Error::reject(format!("payload: decompresses to more than {} KiB, see `most_kib`", most / 1024)));
    }
    Ok(out)
}
