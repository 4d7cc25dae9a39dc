//! Reads JSON without making anything of it: every byte is checked against the grammar once, in constant stack.

use super::Invalid;

/// A place in a document.
pub(super) struct Scanner<'d> {
    text: &'d [u8],
    at: usize,
    /// The bytes of strings, or-ed together: a high bit means that UTF-8 has to be checked.
    seen: u64,
}

/// A key as it is written.
pub(super) struct Key<'d> {
    /// Between the quotes.
    pub(super) raw: &'d [u8],
    pub(super) escaped: bool,
}

impl<'d> Scanner<'d> {
    pub(super) fn new(text: &'d [u8]) -> Self {
        Self { text, at: 0, seen: 0 }
    }

    /// The offset of the next byte.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to an offset that was passed before.
    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    /// The bytes from `start` up to here.
    pub(super) fn since(&self, start: usize) -> &'d [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is not white space, not yet taken; 0, which begins nothing in JSON, at the end.
    #[inline]
    pub(super) fn next(&mut self) -> u8 {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        self.peek()
    }

    /// Takes one byte that was looked at.
    #[inline]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    #[inline]
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    pub(super) fn wrong<T>(&self, expected: &'static str) -> Result<T, Invalid> {
        Err(Invalid { at: self.at, ended: self.at >= self.text.len(), expected })
    }

    /// Nothing but white space is left, and all that was read is UTF-8.
    pub(super) fn end(mut self) -> Result<(), Invalid> {
        self.next();
        if self.at < self.text.len() {
            return self.wrong("the end");
        }
        if self.seen & HIGH == 0 {
            return Ok(());
        }
        let broken = |error: std::str::Utf8Error| Invalid { at: error.valid_up_to(), ended: false, expected: "UTF-8" };
        std::str::from_utf8(self.text).map(drop).map_err(broken)
    }

    /// Takes a key and the colon behind it.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Key<'d>, Invalid> {
        if self.next() != b'"' {
            return self.wrong("a key in quotes");
        }
        self.step();
        let start = self.at;
        let escaped = self.string()?;
        let raw = self.text.get(start..self.at - 1).unwrap_or_default();
        if self.next() != b':' {
            return self.wrong("`:`");
        }
        self.step();
        Ok(Key { raw, escaped })
    }

    /// Takes one whole value, however deep.
    pub(super) fn skip(&mut self) -> Result<(), Invalid> {
        let mut open = Nesting::default();
        loop {
            match self.next() {
                b'{' => {
                    self.step();
                    if self.next() != b'}' {
                        open.push(true);
                        self.key()?;
                        continue;
                    }
                    self.step();
                }
                b'[' => {
                    self.step();
                    if self.next() != b']' {
                        open.push(false);
                        continue;
                    }
                    self.step();
                }
                first => self.scalar(first)?,
            }
            if !self.leave(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here; says whether another value follows inside of something open.
    #[inline]
    fn leave(&mut self, open: &mut Nesting) -> Result<bool, Invalid> {
        while let Some(object) = open.top() {
            match (self.next(), object) {
                (b',', true) => {
                    self.step();
                    self.key()?;
                    return Ok(true);
                }
                (b',', false) => {
                    self.step();
                    return Ok(true);
                }
                (b'}', true) | (b']', false) => self.step(),
                (_, true) => return self.wrong("`,` or `}`"),
                (_, false) => return self.wrong("`,` or `]`"),
            }
            open.pop();
        }
        Ok(false)
    }

    /// Takes a value that begins with `first` and holds no others.
    #[inline]
    fn scalar(&mut self, first: u8) -> Result<(), Invalid> {
        match first {
            b'"' => {
                self.step();
                self.string().map(drop)
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.wrong("a value"),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Invalid> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word) {
            return self.wrong("a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Invalid> {
        if self.peek() == b'-' {
            self.step();
        }
        if self.peek() == b'0' {
            self.step();
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.step();
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.step();
            if matches!(self.peek(), b'+' | b'-') {
                self.step();
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Invalid> {
        if !self.peek().is_ascii_digit() {
            return self.wrong("a digit");
        }
        while self.peek().is_ascii_digit() {
            self.step();
        }
        Ok(())
    }

    /// Takes the rest of a string whose opening quote is taken, and says whether it holds escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Invalid> {
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek() {
                b'"' => {
                    self.step();
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ if self.at >= self.text.len() => return self.wrong("a closing quote"),
                _ => return self.wrong("no bare control character in a string"),
            }
        }
    }

    /// Passes over the bytes of a string that stand for themselves, eight at a time.
    #[inline]
    fn plain(&mut self) {
        while let Some(chunk) = self.text.get(self.at..).and_then(<[u8]>::first_chunk) {
            let chunk = u64::from_le_bytes(*chunk);
            self.seen |= chunk;
            let special = below(chunk ^ (ONES * u64::from(b'"')), 1)
                | below(chunk ^ (ONES * u64::from(b'\\')), 1)
                | below(chunk, 0x20);
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = self.text.get(self.at) {
            if matches!(byte, b'"' | b'\\' | 0..0x20) {
                return;
            }
            self.seen |= u64::from(byte);
            self.at += 1;
        }
    }

    /// Takes a backslash and what belongs to it. Surrogates are not paired up: what is not touched stays as it is.
    fn escape(&mut self) -> Result<(), Invalid> {
        self.step();
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.step(),
            b'u' => {
                self.step();
                for _ in 0..4 {
                    if !self.peek().is_ascii_hexdigit() {
                        return self.wrong("four hex digits");
                    }
                    self.step();
                }
            }
            _ => return self.wrong("an escape that JSON knows"),
        }
        Ok(())
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of every byte of `chunk` that is less than `bound`, which is at most 0x80. Right for the lowest such byte, and only
/// above it may a byte be marked by mistake.
#[inline]
fn below(chunk: u64, bound: u64) -> u64 {
    chunk.wrapping_sub(ONES * bound) & !chunk & HIGH
}

/// Which containers are open, one bit each: set for an object.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The innermost up to 64.
    bits: u64,
    /// The outer ones, 64 to a word.
    outer: Vec<u64>,
}

impl Nesting {
    #[inline]
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}
