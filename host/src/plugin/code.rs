//! The two forms of WebAssembly, and the machine code that the engine makes of each.

use wasmtime::{Engine, Module, component::Component};

/// What the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A component: a plugin, or a program for WASI 0.2.
    Component,
    /// A core module: a program for WASI 0.1.
    Module,
}

/// Machine code, in memory and ready to be linked.
pub(super) enum Code {
    Component(Component),
    Module(Module),
}

impl Form {
    /// Tells by the first eight bytes; none for what is no Wasm.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Some(Self::Component),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Some(Self::Module),
            _ => None,
        }
    }

    /// Compiles `bytes` into what [`Form::load`] takes.
    pub(super) fn compile(self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component => engine.precompile_component(bytes),
            Self::Module => engine.precompile_module(bytes),
        }
    }

    /// Makes code out of `artifact`, the output of this very engine.
    #[expect(
        unsafe_code,
        reason = "machine code can only be trusted, not checked: it comes from this program, or verified from a directory that is ours alone"
    )]
    pub(super) fn load(self, engine: &Engine, artifact: &[u8]) -> wasmtime::Result<Code> {
        // SAFETY: `artifact` was made by `Form::compile` in a child of this process that is the same program, or by one
        // with the same engine, version and flags, and has lain in a directory only this user can write since, with a checksum over it.
        unsafe {
            match self {
                Self::Component => Component::deserialize(engine, artifact).map(Code::Component),
                Self::Module => Module::deserialize(engine, artifact).map(Code::Module),
            }
        }
    }
}
