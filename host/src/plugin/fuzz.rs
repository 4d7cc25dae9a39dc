//! What `cargo xtask fuzz` does with the file of a plugin.

use super::{engine::Engine, fault::one_line, needs::Needs, parse_head, parse_line, v0_1::Exports};
use bytes::Bytes;
use std::sync::LazyLock;
use wasmtime::component::Component;

/// Whatever is in a file, it is a plugin of some kind or refused in one line of words; and so is what it needs.
pub fn component(bytes: &[u8]) {
    let needs = Needs::of(bytes);
    assert!(needs.iter().all(|need| !need.to_string().contains('\n')), "{needs}");
    static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(|| Engine::new().ok());
    let Some(engine) = ENGINE.as_ref().map(Engine::wasm) else { return };
    if !bytes.starts_with(b"\0asm\x0d\0\x01\0") {
        return;
    }
    let refused = match Component::new(engine, bytes) {
        Ok(component) => Exports::of(&component, engine).err().map(|cause| cause.to_string()),
        Err(error) => Some(one_line(&error)),
    };
    assert!(refused.is_none_or(|why| !why.is_empty() && !why.contains('\n')));
}

/// Whatever a program that is fed lines answers, it is a verdict or it is said why it is none.
pub fn line(bytes: &[u8]) {
    if let Err(garbled) = parse_line(bytes) {
        assert!(!garbled.to_string().is_empty());
    }
}

/// Whatever a program writes that puts headers in front, the rest of it is the payload.
pub fn head(bytes: &[u8]) {
    if let Ok(change) = parse_head(&Bytes::copy_from_slice(bytes)) {
        assert!(change.payload.is_some_and(|payload| bytes.ends_with(&payload)));
        assert!(change.headers.iter().all(|(name, _)| !name.contains(['\n', ':'])));
    }
}
