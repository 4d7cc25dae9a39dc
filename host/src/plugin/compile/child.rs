//! Compiling within limits that this process sets itself: a component on stdin, an entry of the cache on stdout.

use super::super::{cache, code::Form, engine, fault};
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setpriority_process, setrlimit,
};
use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
    thread,
};

/// The bytes are no component that can be compiled; why stands on stderr.
pub(super) const UNUSABLE: u8 = 65;
/// There was not enough memory.
pub(super) const NO_MEMORY: u8 = 71;
/// Bytes of stack; the compiler recurses over what strangers have nested.
const STACK: usize = 16 << 20;
/// How much the compiler gives way, on the system's scale to 19.
const NICENESS: i32 = 10;

/// Compiles what stdin holds, with so many bytes of memory and seconds of CPU time at most.
pub fn compile_stdin(memory: u64, seconds: u64) -> ExitCode {
    let said = match confine(memory, seconds).and_then(|()| answer()) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(said)) => said,
        Err(error) => error.to_string(),
    };
    let _closed = writeln!(io::stderr(), "{said}").is_err();
    ExitCode::from(if said.contains("Cannot allocate memory") || said.contains("out of memory") {
        NO_MEMORY
    } else {
        UNUSABLE
    })
}

/// What the machine refuses of this is no reason not to go on, but for the limits themselves.
fn confine(memory: u64, seconds: u64) -> io::Result<()> {
    let _alone = set_parent_process_death_signal(Some(Signal::KILL)).is_err();
    let _first = setpriority_process(None, NICENESS).is_err();
    // Whoever looks for a process to kill for want of memory shall take this one and not the node.
    let _last = fs::write("/proc/self/oom_score_adj", "1000").is_err();
    limit(Resource::Core, 0, 0)?;
    // Where both were the same, it would be killed without a word why.
    limit(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    limit(Resource::As, memory, memory)
}

/// A limit that is stricter already stays.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum.map_or(hard, |maximum| maximum.min(hard));
    Ok(setrlimit(resource, Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) })?)
}

/// The outer error is the machine's, the inner one what is wrong with the component.
fn answer() -> io::Result<Result<(), String>> {
    let mut wasm = Vec::new();
    io::stdin().lock().read_to_end(&mut wasm)?;
    match entry(&wasm) {
        Ok(entry) => io::stdout().lock().write_all(&entry).map(Ok),
        Err(said) => Ok(Err(said)),
    }
}

/// The entry of the cache for `wasm`, or why there is none.
pub(super) fn entry(wasm: &[u8]) -> Result<Vec<u8>, String> {
    thread::scope(|scope| {
        let deep = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || compile(wasm));
        let compiled = deep.map_err(|error| error.to_string())?.join();
        // What it panicked with stands on stderr already.
        compiled.unwrap_or_else(|_| Err("the compiler gave up on it".to_owned()))
    })
}

fn compile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let said = |error: wasmtime::Error| fault::one_line(&error);
    let form = Form::of(wasm).ok_or("it is not WebAssembly")?;
    let artifact = engine::for_compiling().and_then(|engine| form.compile(&engine, wasm)).map_err(said)?;
    Ok(cache::entry(&artifact))
}
