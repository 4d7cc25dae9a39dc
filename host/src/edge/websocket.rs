//! The server's side of WebSocket (RFC 6455): the handshake's answer, frames that it sends, and what it makes of frames that
//! clients send. A connection that is between two messages has no buffer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1_smol::Sha1;

/// What both sides hash behind the key, so that only who knows WebSockets answers right.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CONTINUATION: u8 = 0;
/// Opcodes of frames.
pub(super) const TEXT: u8 = 1;
const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Of a control frame's payload.
const LONGEST_CONTROL: u64 = 125;

const PROTOCOL_ERROR: u16 = 1002;
/// The code for a client that speaks where nobody listens.
pub(super) const UNSUPPORTED: u16 = 1003;
/// The code for a client that speaks when nobody can listen.
pub(super) const TRY_LATER: u16 = 1013;
/// The code where the other side goes.
pub(super) const GOING: u16 = 1001;
const NOT_UTF8: u16 = 1007;
const TOO_LONG: u16 = 1009;

/// What answers a client's key.
pub(super) fn accept(key: &str) -> String {
    let mut hash = Sha1::from(key);
    hash.update(MAGIC);
    STANDARD.encode(hash.digest().bytes())
}

/// The head that begins a WebSocket.
pub(super) fn switching(key: &str) -> String {
    let accept = accept(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    )
}

/// Writes a whole, unmasked frame.
pub(super) fn server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match u16::try_from(payload.len()) {
        Ok(short @ ..126) => out.push(short as u8),
        Ok(length) => {
            out.push(126);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend(payload);
}

/// Writes the frame that answers a ping.
pub(super) fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    server_frame(out, PONG, payload);
}

/// Something whole that a client has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// To be answered with the same.
    Ping(Vec<u8>),
    /// An answer to one of ours.
    Pong,
    /// The client closes, with the code to answer with.
    Close(u16),
    /// In UTF-8.
    Text(Vec<u8>),
    /// Any bytes.
    Binary(Vec<u8>),
}

/// What has been read of one client's frames; nothing between messages.
#[derive(Debug, Default)]
pub(super) struct Reader(Option<Box<Partial>>);

#[derive(Debug, Default)]
struct Partial {
    head: Vec<u8>,
    frame: Option<Frame>,
    /// Of the control frame that is being read.
    control: Vec<u8>,
    message: Option<Message>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    last: bool,
    opcode: u8,
    mask: [u8; 4],
    length: u64,
    read: u64,
}

#[derive(Debug)]
struct Message {
    text: bool,
    bytes: Vec<u8>,
    /// So many bytes are known to be UTF-8.
    good: usize,
}

impl Reader {
    /// Reads on, and tells what is whole; a message may have `longest` bytes.
    ///
    /// # Errors
    /// The code to close with, where the client breaks the protocol. Nothing more is to be read then.
    pub(super) fn read(&mut self, mut input: &[u8], longest: usize, mut hear: impl FnMut(Heard)) -> Result<(), u16> {
        while !input.is_empty() {
            let partial = self.0.get_or_insert_default();
            if partial.frame.is_none() {
                partial.take_head(&mut input, longest)?;
            }
            if let Some(heard) = partial.take_payload(&mut input)? {
                hear(heard);
            }
            if partial.is_between_messages() {
                self.0 = None;
            }
        }
        Ok(())
    }
}

impl Partial {
    fn is_between_messages(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    /// Takes bytes until the head of a frame is whole.
    fn take_head(&mut self, input: &mut &[u8], longest: usize) -> Result<(), u16> {
        while let Some((byte, rest)) = input.split_first() {
            self.head.push(*byte);
            *input = rest;
            if self.head.len() == 2 {
                self.check_start()?;
            }
            if let Some(frame) = frame(&self.head)? {
                self.head = Vec::new();
                return self.begin(frame, longest);
            }
        }
        Ok(())
    }

    /// What the first two bytes must be.
    fn check_start(&self) -> Result<(), u16> {
        let [first, second] = *self.head else { return Ok(()) };
        let (last, opcode, length) = (first & 0x80 != 0, first & 0x0f, second & 0x7f);
        let reserved = first & 0x70 != 0;
        let masked = second & 0x80 != 0;
        let fits = match opcode {
            CONTINUATION => self.message.is_some(),
            TEXT | BINARY => self.message.is_none(),
            CLOSE | PING | PONG => last && u64::from(length) <= LONGEST_CONTROL,
            _ => false,
        };
        if fits && masked && !reserved { Ok(()) } else { Err(PROTOCOL_ERROR) }
    }

    fn begin(&mut self, frame: Frame, longest: usize) -> Result<(), u16> {
        if frame.opcode < CLOSE {
            let text = frame.opcode == TEXT;
            let message = self.message.get_or_insert_with(|| Message { text, bytes: Vec::new(), good: 0 });
            let room = longest.saturating_sub(message.bytes.len());
            if usize::try_from(frame.length).map_or(true, |length| length > room) {
                return Err(TOO_LONG);
            }
        }
        self.frame = Some(frame);
        Ok(())
    }

    /// Takes what is there of a frame's payload; tells what is whole with it.
    fn take_payload(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, u16> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let left = usize::try_from(frame.length - frame.read).unwrap_or(usize::MAX);
        let (taken, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let into = match &mut self.message {
            Some(message) if frame.opcode < CLOSE => &mut message.bytes,
            _ => &mut self.control,
        };
        let mask = frame.mask.iter().cycle().skip((frame.read % 4) as usize);
        into.extend(taken.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        frame.read += taken.len() as u64;
        let frame = *frame;
        if frame.opcode < CLOSE {
            self.check_text(frame.last && frame.read == frame.length)?;
        }
        if frame.read < frame.length {
            return Ok(None);
        }
        self.frame = None;
        self.finish(frame)
    }

    /// Text is told to be none as soon as it is seen (RFC 6455, section 8.1).
    fn check_text(&mut self, whole: bool) -> Result<(), u16> {
        let Some(message) = self.message.as_mut().filter(|message| message.text) else { return Ok(()) };
        let fresh = message.bytes.get(message.good..).unwrap_or_default();
        match std::str::from_utf8(fresh) {
            Ok(_) => message.good = message.bytes.len(),
            Err(error) if error.error_len().is_none() && !whole => message.good += error.valid_up_to(),
            Err(_) => return Err(NOT_UTF8),
        }
        Ok(())
    }

    fn finish(&mut self, frame: Frame) -> Result<Option<Heard>, u16> {
        let control = if frame.opcode >= CLOSE { std::mem::take(&mut self.control) } else { Vec::new() };
        match frame.opcode {
            PING => Ok(Some(Heard::Ping(control))),
            PONG => Ok(Some(Heard::Pong)),
            CLOSE => closed(&control).map(|code| Some(Heard::Close(code))),
            _ if !frame.last => Ok(None),
            _ => Ok(self.message.take().map(|message| match message.text {
                true => Heard::Text(message.bytes),
                false => Heard::Binary(message.bytes),
            })),
        }
    }
}

/// The frame that begins with `head`, once that is whole.
fn frame(head: &[u8]) -> Result<Option<Frame>, u16> {
    let [first, second, rest @ ..] = head else { return Ok(None) };
    let (length, rest) = match (second & 0x7f, rest) {
        (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), rest),
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest),
        (126 | 127, _) => return Ok(None),
        (length, rest) => (u64::from(length), rest),
    };
    let shortest = match second & 0x7f {
        126 => length >= 126,
        127 => length > u64::from(u16::MAX) && length >> 63 == 0,
        _ => true,
    };
    if !shortest {
        return Err(PROTOCOL_ERROR);
    }
    let [a, b, c, d] = rest else { return Ok(None) };
    Ok(Some(Frame { last: first & 0x80 != 0, opcode: first & 0x0f, mask: [*a, *b, *c, *d], length, read: 0 }))
}

/// The code to answer a close frame with.
fn closed(payload: &[u8]) -> Result<u16, u16> {
    match payload {
        [] => Ok(1000),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            match code {
                _ if std::str::from_utf8(reason).is_err() => Err(NOT_UTF8),
                1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(code),
                _ => Err(PROTOCOL_ERROR),
            }
        }
        [_] => Err(PROTOCOL_ERROR),
    }
}

#[cfg(test)]
mod tests;
