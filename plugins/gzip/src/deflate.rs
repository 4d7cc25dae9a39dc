//! Compressing, with one state for all messages: making it anew would cost more than most messages.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use gristmill_sdk::Result;

/// A member of RFC 1952 without name and time, of an unknown system, so that the same payload becomes the same bytes.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// What compresses.
pub struct Compressor(Compress);

impl Compressor {
    /// At this level, 0 to 9.
    pub(crate) fn new(level: u32) -> Self {
        Self(Compress::new(Compression::new(level), false))
    }

    pub(crate) fn compress(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        let Self(state) = self;
        state.reset();
        let mut out = Vec::with_capacity(HEAD.len() + payload.len() / 2 + 64);
        out.extend_from_slice(&HEAD);
        loop {
            let taken = usize::try_from(state.total_in())?;
            let rest = payload.get(taken..).unwrap_or_default();
            if state.compress_vec(rest, &mut out, FlushCompress::Finish)? == Status::StreamEnd {
                break;
            }
            out.reserve(payload.len() / 2 + 64);
        }
        let mut sum = Crc::new();
        sum.update(payload);
        out.extend_from_slice(&sum.sum().to_le_bytes());
        out.extend_from_slice(&sum.amount().to_le_bytes());
        Ok(out)
    }
}
