//! Which span of which trace: W3C Trace Context, the header `traceparent`.
//!
//! Source: W3C Trace Context, level 1, section 3.2.

use crate::random;
use std::fmt;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether it is recorded.
    pub(super) sampled: bool,
}

impl Context {
    /// A trace that begins here.
    pub(super) fn new() -> Self {
        Self { trace: chance(), span: chance(), sampled: true }
    }

    /// Another span of the same trace.
    pub(super) fn child(self) -> Self {
        Self { span: chance(), ..self }
    }

    /// What `text` says; none where it says nothing that can be gone on with. Of a version of the future what is known of it counts.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let version: [u8; 1] = bytes(parts.next()?)?;
        let (trace, span) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
        let flags: [u8; 1] = bytes(parts.next()?)?;
        let whole = match version {
            [0xff] => false,
            [0] => parts.next().is_none(),
            _ => true,
        };
        let named = trace != [0; 16] && span != [0; 8];
        (whole && named).then(|| Self { trace, span, sampled: flags.iter().any(|flags| flags & 1 == 1) })
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        f.write_str("00-")?;
        hex(f, &self.trace)?;
        f.write_str("-")?;
        hex(f, &self.span)?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

/// Never only zeros, which stand for nothing.
fn chance<const N: usize>() -> [u8; N] {
    bytes(random::hex().get(..2 * N).unwrap_or_default()).filter(|bytes| *bytes != [0; N]).unwrap_or([1; N])
}

/// Exactly so many, as lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |letter: &u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    let digits: Vec<u8> = text.as_bytes().iter().map(digit).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = Context::parse(text).expect("it is one");
        assert!(context.sampled);
        assert_eq!(context.to_string(), text);
        assert_ne!(Context::new(), Context::new());
        let own = Context::new().to_string();
        assert_eq!(Context::parse(&own).map(|context| context.to_string()), Some(own));
    }

    #[test]
    fn a_later_version_may_say_more_and_what_is_broken_says_nothing() {
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more";
        assert!(Context::parse(later).is_some_and(|context| !context.sampled));
        for broken in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cé-b7ad6b7169203331-01",
        ] {
            assert_eq!(Context::parse(broken), None, "{broken}");
        }
    }
}
