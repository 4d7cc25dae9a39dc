//! HTTP/1.1 as bytes (RFC 9112): a request as it is written, a reply as it is read. Knows no connection.
//!
//! hyper's client keeps some 25 KB for each connection, two tasks and a channel between them. Here the message's own task
//! writes and reads, and a request that waits for its reply holds its socket and nothing else.

mod chunks;
mod reply;
mod request;

pub(super) use reply::Reading;
pub(super) use request::written;

use super::LARGEST_HEAD;

/// Why what was read is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Too many bytes or too many headers.
    #[error("the head of the reply is too large")]
    HeadTooLarge,
    /// More than the reader wanted.
    #[error("the body of the reply is too large")]
    BodyTooLarge,
    /// It is something else, which this is the reason for.
    #[error("the reply is not HTTP: {0}")]
    NotHttp(&'static str),
    /// The connection ended in the middle of it.
    #[error("the connection was closed before the reply was complete")]
    CutShort,
}

/// How many bytes were used of what had come, `None` where more has to come first.
type Used = Result<Option<usize>, Fault>;

/// Nothing that has to be in one piece to be understood is longer.
const LONGEST: usize = LARGEST_HEAD as usize;
