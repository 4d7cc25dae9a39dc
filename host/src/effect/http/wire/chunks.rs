//! A body that comes in chunks (RFC 9112, section 7.1).

use super::{Fault, LONGEST, Used};
use httparse::{Status, parse_chunk_size};
use memchr::memchr;

/// Where in it the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// To the line before a chunk.
    Size,
    /// To a chunk of which so many bytes are missing.
    Data(u64),
    /// To the line end behind a chunk.
    End,
    /// To the lines behind the last chunk, of which so many bytes have come.
    Trailer(usize),
    /// Behind all of it.
    Done,
}

const BROKEN: Fault = Fault::NotHttp("invalid chunk parsed");

impl Chunks {
    /// Goes on by what `bytes` begin with; what belongs to the body is given to `add`.
    pub(super) fn step(&mut self, bytes: &[u8], mut add: impl FnMut(&[u8]) -> Result<(), Fault>) -> Used {
        match *self {
            Self::Size => self.size(bytes),
            Self::Data(missing) => {
                let length = usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len());
                let (piece, _) = bytes.split_at(length);
                add(piece)?;
                let missing = missing - length as u64;
                *self = if missing == 0 { Self::End } else { Self::Data(missing) };
                Ok((length > 0).then_some(length))
            }
            Self::End => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Self::Size;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err(BROKEN),
            },
            Self::Trailer(before) => self.trailer(bytes, before),
            Self::Done => Ok(None),
        }
    }

    fn size(&mut self, bytes: &[u8]) -> Used {
        match parse_chunk_size(bytes).map_err(|_| BROKEN)? {
            // The parser would take a line without any digit for a zero.
            Status::Complete(_) if !bytes.first().is_some_and(u8::is_ascii_hexdigit) => Err(BROKEN),
            Status::Complete((used, size)) => {
                *self = if size == 0 { Self::Trailer(0) } else { Self::Data(size) };
                Ok(Some(used))
            }
            Status::Partial if bytes.len() > LONGEST => Err(BROKEN),
            Status::Partial => Ok(None),
        }
    }

    /// Nobody asks for what it says.
    fn trailer(&mut self, bytes: &[u8], before: usize) -> Used {
        let line = memchr(b'\n', bytes).map(|end| end + 1);
        let length = before + line.unwrap_or(bytes.len());
        if length > LONGEST {
            return Err(Fault::HeadTooLarge);
        }
        let Some(line) = line else { return Ok(None) };
        let empty = matches!(bytes, [b'\r', b'\n', ..] | [b'\n', ..]);
        *self = if empty { Self::Done } else { Self::Trailer(length) };
        Ok(Some(line))
    }
}
