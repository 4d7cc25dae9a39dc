//! From a file to the types: the one way for start, reload and every command that reads a configuration.

use super::{
    Channel, Compile, Config, Edge, Endpoint, Plugin, decode,
    document::Document,
    expand::{Environment, SECRET},
    fault::{Fault, Faults, Source},
    fields::Fields,
    place::{self, Place},
    read::Reading,
    reference::{defaults, named_defaults},
};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// No configuration a person keeps is this long; a wrong file may be.
const LONGEST_FILE: u64 = 1 << 20;

/// A file that can be used, and what is odd about it.
#[derive(Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What works, though perhaps not as meant.
    pub warnings: Faults,
    pub(super) document: Document,
}

/// Reads the configuration file at `path`; `${NAME}` in its strings comes from `environment`.
///
/// # Errors
/// Everything that is wrong with the file, its warnings included; if it is not TOML, the first place where.
pub fn load(path: &Path, environment: &Environment<'_>) -> Result<Loaded, Faults> {
    parse(read(path)?, environment)
}

/// Like `load`, with the text at hand.
pub(super) fn parse(source: Source, environment: &Environment<'_>) -> Result<Loaded, Faults> {
    let document = Document::parse(source)?;
    // No variable passes for a secret, whatever it is called.
    let variables = |name: &str| environment(name).filter(|_| !name.starts_with(SECRET));
    let mut reading = Reading { text: &document.source.text, environment: &variables, faults: Vec::new() };
    let directory = document.source.path.parent().unwrap_or(Path::new(""));
    let config = decode::config(&mut reading, &document.root, directory);
    let faults = Faults::new(&document.source, reading.faults);
    match config {
        Some(config) if !faults.has_errors() => Ok(Loaded { config, warnings: faults, document }),
        _ => Err(faults),
    }
}

/// Without what may be secret.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loaded({})", self.document.source.path.display())
    }
}

impl Loaded {
    /// `fault`, pointing at `place`.
    #[must_use]
    pub fn fault_at(&self, place: Place<'_>, fault: Fault) -> Fault {
        match place::span(&self.document, place) {
            Some(span) => fault.at(&span),
            None => fault,
        }
    }

    /// What later checks found in this file.
    pub fn faults(&self, list: Vec<Fault>) -> Faults {
        Faults::new(&self.document.source, list)
    }
}

/// What a file that does not speak of it means.
impl Default for Compile {
    fn default() -> Self {
        let mut reading = Reading { text: "", environment: &|_| None, faults: Vec::new() };
        let fields = Fields::new(&mut reading, String::new(), &[], defaults());
        decode::compile(&mut reading, &fields).expect("`default.toml` is part of the program, and a test reads it")
    }
}

/// What a server without a table has.
impl Default for Endpoint {
    fn default() -> Self {
        let mut reading = Reading { text: "", environment: &|_| None, faults: Vec::new() };
        decode::usual_endpoint(&mut reading).expect("`default.toml` is part of the program, and a test reads it")
    }
}

/// What a file that does not speak of it means.
impl Default for Edge {
    fn default() -> Self {
        let mut reading = Reading { text: "", environment: &|_| None, faults: Vec::new() };
        let fields = Fields::new(&mut reading, String::new(), &[], defaults());
        decode::edge(&mut reading, &fields, Vec::new(), Path::new(""))
            .expect("`default.toml` is part of the program, and a test reads it")
    }
}

/// What a channel without a table has.
impl Default for Channel {
    fn default() -> Self {
        let mut reading = Reading { text: "", environment: &|_| None, faults: Vec::new() };
        let fields = Fields::new(&mut reading, String::new(), &[], named_defaults("channel"));
        decode::channel_settings(&mut reading, &fields)
            .expect("`default.toml` is part of the program, and a test reads it")
    }
}

/// What a plugin without a table has.
impl Default for Plugin {
    fn default() -> Self {
        let mut reading = Reading { text: "", environment: &|_| None, faults: Vec::new() };
        let fields = Fields::new(&mut reading, String::new(), &[], named_defaults("plugin"));
        decode::plugin(&mut reading, &fields, Path::new(""))
            .expect("`default.toml` is part of the program, and a test reads it")
    }
}

fn read(path: &Path) -> Result<Source, Faults> {
    let bytes = read_bytes(path).map_err(|error| Faults::without_text(path, unreadable(&error)))?;
    if bytes.len() as u64 > LONGEST_FILE {
        let fault = Fault::error("this file is longer than 1 MiB, so it is no configuration")
            .help("name the right file with `--config`");
        return Err(Faults::without_text(path, fault));
    }
    let path = path.to_owned();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { path, text }),
        Err(error) => Err(not_text(path, error.utf8_error(), error.as_bytes())),
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => Fault::error("there is no such file")
            .help("`gristmill config default > gristmill.toml` writes one to begin with; `--config` names another"),
        _ => Fault::error(format!("this file cannot be read: {error}"))
            .help("name a file that can be read with `--config`"),
    }
}

/// Points at the first byte that is not UTF-8, which the text as shown has replaced.
fn not_text(path: PathBuf, error: std::str::Utf8Error, bytes: &[u8]) -> Faults {
    let start = error.valid_up_to();
    let source = Source { path, text: String::from_utf8_lossy(bytes).into_owned() };
    let fault = Fault::error("this file is not text in UTF-8")
        .at(&(start..start + char::REPLACEMENT_CHARACTER.len_utf8()))
        .help("save it as UTF-8, or name the right file with `--config`");
    Faults::new(&source.into(), vec![fault])
}
