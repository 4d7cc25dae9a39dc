//! A reply as it is read, however it is cut into pieces.

use super::{Fault, LONGEST, Used, chunks::Chunks};
use crate::request::HttpReply;
use bytes::{Buf, BytesMut};
use httparse::{Header, ParserConfig, Response, Status};
use hyper::Method;
use std::mem::MaybeUninit;

/// In one head; more than any server sends that means well.
const HEADERS: usize = 100;
/// Room that is made for a body before it comes, in bytes: what a server announces is not what it sends.
const ANNOUNCED: usize = 64 * 1024;

/// A reply under way.
pub(in crate::effect::http) struct Reading {
    /// Whether its request is one whose replies have no body.
    head_only: bool,
    /// Of its body, in bytes.
    largest: usize,
    stage: Stage,
    /// What has come and is not understood yet.
    rest: BytesMut,
    status: u16,
    headers: Vec<(String, String)>,
    body: BytesMut,
    /// Whether the server expects another request behind it.
    goes_on: bool,
}

/// What comes next.
enum Stage {
    Head,
    /// So many more bytes of the body.
    Sized(usize),
    Chunks(Chunks),
    /// The body, until the connection ends.
    UntilEnd,
    Done,
}

/// How a body is told from what follows.
enum Framing {
    None,
    Length(u64),
    Chunks,
    End,
}

impl Reading {
    /// The reply to a request of this `method`, whose body is to be no longer than `largest` bytes.
    pub(in crate::effect::http) fn new(method: &Method, largest: usize) -> Self {
        Self {
            head_only: *method == Method::HEAD,
            largest,
            stage: Stage::Head,
            rest: BytesMut::new(),
            status: 0,
            headers: Vec::new(),
            body: BytesMut::new(),
            goes_on: false,
        }
    }

    /// Takes in what has come next.
    pub(in crate::effect::http) fn read(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.rest.is_empty() {
            // Almost every reply comes in one piece, which then is never copied as a whole.
            let used = self.steps(bytes)?;
            self.rest.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(bytes);
            rest.advance(self.steps(&rest)?);
            self.rest = rest;
        }
        Ok(())
    }

    /// Nothing more will come.
    pub(in crate::effect::http) fn end(&mut self) -> Result<(), Fault> {
        match self.stage {
            Stage::Done => Ok(()),
            Stage::UntilEnd => {
                self.stage = Stage::Done;
                Ok(())
            }
            _ => Err(Fault::CutShort),
        }
    }

    /// Whether its head is there.
    pub(in crate::effect::http) fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Head)
    }

    /// Whether all of it is there.
    pub(in crate::effect::http) fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Whether its connection can be used again: it is complete, nothing has come behind it, and neither side has said otherwise.
    pub(in crate::effect::http) fn leaves_connection(&self) -> bool {
        self.is_complete() && self.goes_on && self.rest.is_empty()
    }

    /// What has been read.
    pub(in crate::effect::http) fn reply(self) -> HttpReply {
        HttpReply { status: self.status, headers: self.headers, body: self.body.freeze() }
    }

    /// How many of `bytes` are understood.
    fn steps(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut used = 0;
        while !self.is_complete() {
            match self.step(bytes.get(used..).unwrap_or_default())? {
                Some(more) => used += more,
                None => break,
            }
        }
        Ok(used)
    }

    fn step(&mut self, bytes: &[u8]) -> Used {
        match &mut self.stage {
            Stage::Head => self.head(bytes),
            Stage::Sized(missing) => {
                let length = bytes.len().min(*missing);
                *missing -= length;
                if *missing == 0 {
                    self.stage = Stage::Done;
                }
                self.add(bytes, length)
            }
            Stage::UntilEnd => self.add(bytes, bytes.len()),
            Stage::Chunks(chunks) => {
                let (body, largest) = (&mut self.body, self.largest);
                let used = chunks.step(bytes, |piece| add(body, piece, largest))?;
                if *chunks == Chunks::Done {
                    self.stage = Stage::Done;
                }
                Ok(used)
            }
            Stage::Done => Ok(None),
        }
    }

    fn add(&mut self, bytes: &[u8], length: usize) -> Used {
        add(&mut self.body, bytes.get(..length).unwrap_or_default(), self.largest)?;
        Ok((length > 0).then_some(length))
    }

    /// One head, of which there may be some before that of the reply itself.
    fn head(&mut self, bytes: &[u8]) -> Used {
        let mut space = [MaybeUninit::uninit(); HEADERS];
        let mut head = Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut head, bytes, &mut space);
        let length = match parsed.map_err(fault)? {
            Status::Complete(length) if length <= LONGEST => length,
            Status::Partial if bytes.len() < LONGEST => return Ok(None),
            _ => return Err(Fault::HeadTooLarge),
        };
        let status = head.code.unwrap_or_default();
        match status {
            0..100 => return Err(Fault::NotHttp("invalid HTTP status-code parsed")),
            // Nobody asked to switch protocols, so what follows is nothing that could be read.
            101 => self.stage = Stage::Done,
            100 | 102..200 => return Ok(Some(length)),
            200.. => self.begin(status, head.version == Some(1), head.headers)?,
        }
        self.status = status;
        self.headers = head.headers.iter().filter_map(text).collect();
        Ok(Some(length))
    }

    fn begin(&mut self, status: u16, current: bool, headers: &[Header<'_>]) -> Result<(), Fault> {
        self.goes_on = goes_on(current, headers);
        let framing =
            if self.head_only || status == 204 || status == 304 { Framing::None } else { framing(current, headers)? };
        self.stage = match framing {
            Framing::None | Framing::Length(0) => Stage::Done,
            Framing::Length(length) => {
                let length = usize::try_from(length).ok().filter(|length| *length <= self.largest);
                let length = length.ok_or(Fault::BodyTooLarge)?;
                self.body.reserve(length.min(ANNOUNCED));
                Stage::Sized(length)
            }
            Framing::Chunks => Stage::Chunks(Chunks::Size),
            Framing::End => {
                self.goes_on = false;
                Stage::UntilEnd
            }
        };
        // Where both are said, one of them is a lie, and whose end of the reply is the right one nobody knows (section 6.3).
        if values(headers, "transfer-encoding").next().is_some() && values(headers, "content-length").next().is_some() {
            self.goes_on = false;
        }
        Ok(())
    }
}

fn add(body: &mut BytesMut, piece: &[u8], largest: usize) -> Result<(), Fault> {
    if piece.len() > largest.saturating_sub(body.len()) {
        return Err(Fault::BodyTooLarge);
    }
    body.extend_from_slice(piece);
    Ok(())
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// The words that stand between commas in all headers of this name.
fn words<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    values(headers, name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// Section 9.3.
fn goes_on(current: bool, headers: &[Header<'_>]) -> bool {
    let says = |what: &[u8]| words(headers, "connection").any(|word| word.eq_ignore_ascii_case(what));
    !says(b"close") && (current || says(b"keep-alive"))
}

/// Section 6.3.
fn framing(current: bool, headers: &[Header<'_>]) -> Result<Framing, Fault> {
    if let Some(last) = words(headers, "transfer-encoding").last() {
        return match (current, last.eq_ignore_ascii_case(b"chunked")) {
            (true, true) => Ok(Framing::Chunks),
            (true, false) => Ok(Framing::End),
            (false, _) => Err(Fault::NotHttp("unexpected transfer-encoding parsed")),
        };
    }
    let mut lengths = words(headers, "content-length").map(length);
    let Some(first) = lengths.next() else { return Ok(Framing::End) };
    match first {
        Some(length) if lengths.all(|other| other == first) => Ok(Framing::Length(length)),
        _ => Err(Fault::NotHttp("invalid content-length parsed")),
    }
}

/// Digits and nothing else: the library would take a sign, too.
fn length(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// As a plugin reads it. What is no text is left out.
fn text(header: &Header<'_>) -> Option<(String, String)> {
    Some((header.name.to_ascii_lowercase(), std::str::from_utf8(header.value).ok()?.to_owned()))
}

fn fault(error: httparse::Error) -> Fault {
    Fault::NotHttp(match error {
        httparse::Error::TooManyHeaders => return Fault::HeadTooLarge,
        httparse::Error::Version => "invalid HTTP version parsed",
        httparse::Error::Status => "invalid HTTP status-code parsed",
        _ => "invalid HTTP header parsed",
    })
}

#[cfg(test)]
mod tests;
