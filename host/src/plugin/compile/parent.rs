//! The parent's side of compiling: starts the child, feeds it, reads what it answers, and ends it when its time is over.

use super::{
    super::{cache, digest::Digest, refusal::Cause},
    child::{NO_MEMORY, UNUSABLE},
    unusable,
};
use crate::{config, event, message::Limit};
use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

/// This program as it was started, even where another has taken its place on disk since.
const PROGRAM: &str = "/proc/self/exe";
/// How many times its CPU time a child may take by the clock: it gives way to everything else.
const PATIENCE: u32 = 3;
/// Bytes of what it says that are read.
const WORDS: u64 = 16 << 10;
/// What the system sends to a process that has used up its CPU time.
const XCPU: i32 = rustix::process::Signal::XCPU.as_raw();
const ABRT: i32 = rustix::process::Signal::ABORT.as_raw();
const KILL: i32 = rustix::process::Signal::KILL.as_raw();

/// How to have a component compiled by a child.
pub(super) struct Parent {
    program: PathBuf,
    words: Vec<String>,
    settings: config::Compile,
}

/// What a child left behind.
struct Remains {
    status: ExitStatus,
    entry: Vec<u8>,
    said: String,
}

impl Parent {
    /// The child is this program with its verb for that.
    pub(super) fn of_this_program(settings: &config::Compile) -> Self {
        let bytes = u64::from(settings.memory_mib) << 20;
        let seconds = settings.timeout.as_secs_f64().ceil();
        let words = [
            "compile".to_owned(),
            "--memory".to_owned(),
            bytes.to_string(),
            "--seconds".to_owned(),
            seconds.to_string(),
        ];
        Self { program: PROGRAM.into(), words: words.into(), settings: settings.clone() }
    }

    #[cfg(test)]
    pub(super) fn of(program: &str, words: &[&str], settings: &config::Compile) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { program: program.into(), words, settings: settings.clone() }
    }

    /// The entry of the cache for `wasm`, whose digest is `digest`.
    pub(super) async fn entry(&self, wasm: &[u8], digest: Digest) -> Result<Vec<u8>, Cause> {
        // The programs of unit tests and of the fuzzer have no such verb.
        #[cfg(any(test, fuzzing))]
        if self.program == *PROGRAM {
            return super::child::entry(wasm).map_err(|said| unusable(&said));
        }
        let mut child =
            self.start().map_err(|error| Cause::Invalid(format!("the compiler cannot be started: {error}")))?;
        let time = self.settings.timeout.saturating_mul(PATIENCE);
        let Ok(remains) = timeout(time, self.converse(&mut child, wasm)).await else {
            // Dropping it ends it.
            return Err(self.too_long(&format!("was not done after {time:?}")));
        };
        self.judge(remains.map_err(|error| Cause::Invalid(format!("the compiler cannot be heard: {error}")))?, digest)
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg0("gristmill")
            .args(&self.words)
            // Nothing in it is the compiler's business.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is meant for the node.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn converse(&self, child: &mut Child, wasm: &[u8]) -> io::Result<Remains> {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A child that does not want to hear it all will say why.
                drop(stdin.write_all(wasm).await);
            }
        };
        // What it makes cannot be longer than its memory.
        let most = u64::from(self.settings.memory_mib) << 20;
        let ((), entry, said) = tokio::join!(feed, hear(stdout, most), hear(stderr, WORDS));
        Ok(Remains {
            status: child.wait().await?,
            entry: entry?,
            said: String::from_utf8_lossy(&said?).trim().to_owned(),
        })
    }

    fn judge(&self, remains: Remains, digest: Digest) -> Result<Vec<u8>, Cause> {
        let Remains { status, entry, said } = remains;
        if status.success() {
            return if cache::sound(&entry).is_some() { Ok(entry) } else { Err(garbage(digest)) };
        }
        match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
            (Some(UNUSABLE), _) => Err(unusable(said.lines().last().unwrap_or_default())),
            (Some(NO_MEMORY), _) => Err(self.too_much()),
            (_, Some(XCPU)) => Err(self.too_long("computed for longer than that")),
            (_, Some(ABRT)) if said.contains("memory allocation of") => Err(self.too_much()),
            // Nobody here did that.
            (_, Some(KILL)) => Err(Cause::Beyond(
                Limit::CompileMemory,
                "the system killed its compiler, most likely for want of memory; give the machine more, or make the plugin smaller".to_owned(),
            )),
            _ => {
                event::compiler_died(&digest.short(), &status, &said);
                Err(Cause::Invalid("the compiler gave up on it".to_owned()))
            }
        }
    }

    fn too_long(&self, what: &str) -> Cause {
        let reason = format!("compiling it {what}; `compile.timeout` = {:?} allows no more", self.settings.timeout);
        Cause::Beyond(Limit::CompileTime, reason)
    }

    fn too_much(&self) -> Cause {
        let mib = self.settings.memory_mib;
        Cause::Beyond(Limit::CompileMemory, format!("compiling it needs more than `compile.memory_mib` = {mib} allows"))
    }
}

/// What came from a child is no entry, whole and unharmed.
pub(super) fn garbage(digest: Digest) -> Cause {
    event::compiler_garbled(&digest.short());
    Cause::Invalid("the compiler's answer was damaged".to_owned())
}

/// At most so many bytes of what is said.
async fn hear(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    if let Some(from) = from {
        from.take(most).read_to_end(&mut heard).await?;
    }
    Ok(heard)
}
