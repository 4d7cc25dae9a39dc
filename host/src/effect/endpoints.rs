//! What the operator says of servers, with the files that it names: read before any of it comes into force.

use crate::{
    config,
    connection::{FileFault, Files},
};
use std::{collections::BTreeMap, error::Error};

/// All tables of servers.
#[derive(Debug, Default)]
pub struct Endpoints(BTreeMap<String, Said>);

/// What is said of one server, or of all that have no table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) settings: config::Endpoint,
    pub(super) files: Files,
}

/// A table that nothing can be sent by.
#[derive(Debug)]
pub struct Unusable {
    /// Under which it is found: `host`, `host:port` or `*`.
    pub endpoint: String,
    /// What is wrong with its `tls`.
    pub cause: FileFault,
}

impl Unusable {
    /// What is wrong, and why.
    pub fn reason(&self) -> String {
        match self.cause.source() {
            Some(why) => format!("{}: {why}", self.cause),
            None => self.cause.to_string(),
        }
    }
}

impl Endpoints {
    /// Reads the files that `settings` name.
    ///
    /// # Errors
    /// Every table of which a file is missing, or is not what it should be.
    pub fn read(settings: &BTreeMap<String, config::Endpoint>) -> Result<Self, Vec<Unusable>> {
        let mut said = BTreeMap::new();
        let mut unusable = Vec::new();
        for (name, settings) in settings {
            match Files::read(&settings.tls) {
                Ok(files) => drop(said.insert(name.clone(), Said { settings: settings.clone(), files })),
                Err(cause) => unusable.push(Unusable { endpoint: name.clone(), cause }),
            }
        }
        if unusable.is_empty() { Ok(Self(said)) } else { Err(unusable) }
    }

    /// By name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Said)> {
        self.0.iter().map(|(name, said)| (name.as_str(), said))
    }

    /// What the requests are bound by that go to them.
    pub(super) fn settings(&self) -> BTreeMap<String, config::Endpoint> {
        self.iter().map(|(name, said)| (name.to_owned(), said.settings.clone())).collect()
    }
}
