//! What `cargo xtask fuzz` does with what others have put into Redis.

use super::{
    dead::Letter,
    lane::{envelope::Envelope, register::Register},
    resque, stream,
};
use bytes::Bytes;

/// Of a message that waits for another attempt, and of a dead letter.
pub fn envelope(bytes: &[u8]) {
    let Some((envelope, payload)) = Envelope::open(&Bytes::copy_from_slice(bytes)) else { return };
    let again = Envelope::open(&envelope.seal(&payload).into());
    assert_eq!(again.as_ref(), Some(&(envelope.clone(), payload)));
    assert!(envelope.broken() >= envelope.crashes);
    let fields = [(b"envelope".to_vec(), envelope.line()), (b"payload".to_vec(), bytes.to_vec())];
    let letter = Letter::read("stream", "1-0", fields.into_iter().collect());
    assert!(letter.is_some_and(|letter| letter.payload == bytes && !letter.reason().contains('\0')));
}

/// Of a lane: what is read is written the same, and the head moves over what is settled only.
pub fn register(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(mut register) = Register::parse(text) else { return };
    assert_eq!(Register::parse(&register.to_string()), Some(register.clone()));
    let head = register.head;
    let passed = register.pass();
    assert_eq!(register.head, head + passed);
    assert!(!register.is_done(register.head));
    register.settle(register.head.saturating_add(1_000));
    assert!(register.pass() <= 1_001);
}

/// A job: what we keep of it is JSON that Ruby would have written, and reads as the same job.
pub fn resque(bytes: &[u8]) {
    resque::fuzz(bytes);
}

/// An entry with its fields, which are separated by NUL, after its id.
pub fn stream(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let id = String::from_utf8_lossy(&parts.next().unwrap_or_default()).into_owned();
    let deliveries = bytes.len() as u32;
    stream::fuzz(id, parts.collect(), deliveries);
}
