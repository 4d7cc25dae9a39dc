//! What went wrong on the wire, in the words of the innermost error that has any.

use super::{dial, place::Place, wire::Fault};
use crate::{
    event::{self, Timeout},
    request::Failure,
};
use std::{error::Error, io};

/// Why the exchange at `place` came to nothing.
pub(super) fn failure(place: &Place, error: &(dyn Error + 'static)) -> Failure {
    match innermost(error) {
        Cause::Private(why) => place.denied(why),
        Cause::HeadTooLarge => place.too_large(Fault::HeadTooLarge),
        Cause::NoConnection(why) => {
            event::request_timed_out(Timeout::Connect);
            place.unreachable(why)
        }
        Cause::Other(why) => place.unreachable(why),
    }
}

enum Cause {
    Private(String),
    HeadTooLarge,
    /// Not in time.
    NoConnection(String),
    Other(String),
}

fn innermost(error: &(dyn Error + 'static)) -> Cause {
    if let Some(cause) = telling(error) {
        return cause;
    }
    match within(error) {
        Some(inner) => innermost(inner),
        None => Cause::Other(lower(&error.to_string())),
    }
}

/// What `error` was made from. An `io::Error` counts only what is below the error that it wraps as its source.
pub(super) fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The cause, if `error` says more than whatever is within it.
fn telling(error: &(dyn Error + 'static)) -> Option<Cause> {
    if let Some(error) = error.downcast_ref::<dial::Error>() {
        return of_dialling(error);
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(Cause::Other(format!("tls: {}", lower(&error.to_string()))));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return of_system(error).map(Cause::Other);
    }
    match error.downcast_ref::<Fault>() {
        Some(Fault::HeadTooLarge) => Some(Cause::HeadTooLarge),
        Some(fault) => Some(Cause::Other(fault.to_string())),
        None => of_protocol(error.downcast_ref::<hyper::Error>()?),
    }
}

fn of_dialling(error: &dial::Error) -> Option<Cause> {
    match error {
        dial::Error::Private(_) | dial::Error::Obscure => Some(Cause::Private(error.to_string())),
        dial::Error::Lookup(cause) => Some(Cause::Other(format!("{error}: {}", lower(&cause.to_string())))),
        dial::Error::Proxy { cause, .. } => Some(match innermost(cause.as_ref()) {
            Cause::Other(why) => Cause::Other(format!("{error}: {why}")),
            Cause::HeadTooLarge => Cause::Other(format!("{error}: the head of its reply is too large")),
            cause @ (Cause::Private(_) | Cause::NoConnection(_)) => cause,
        }),
        dial::Error::Refused { .. } => Some(Cause::Other(error.to_string())),
        dial::Error::TimedOut(_) => Some(Cause::NoConnection(error.to_string())),
        dial::Error::NoAddress | dial::Error::NoPlace | dial::Error::NoDescriptor | dial::Error::NoRoots(_) => {
            Some(Cause::Other(error.to_string()))
        }
        dial::Error::Connect(cause) => Some(innermost(cause.as_ref())),
    }
}

fn of_system(error: &io::Error) -> Option<String> {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut => Some("the connection timed out".to_owned()),
        Kind::UnexpectedEof => Some(Fault::CutShort.to_string()),
        kind @ (Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable) => Some(kind.to_string()),
        _ => None,
    }
}

fn of_protocol(error: &hyper::Error) -> Option<Cause> {
    if error.is_parse_too_large() {
        Some(Cause::HeadTooLarge)
    } else if error.is_parse() {
        Some(Cause::Other(format!("the reply is not HTTP: {}", lower(&error.to_string()))))
    } else if error.is_incomplete_message() {
        Some(Cause::Other(Fault::CutShort.to_string()))
    } else {
        None
    }
}

/// `text` as the end of a sentence: libraries begin theirs with a capital.
fn lower(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}
