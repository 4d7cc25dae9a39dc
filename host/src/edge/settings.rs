//! What is in force at the edge: the configuration, and the keys that it names.

use super::{
    access::{Access, Unusable},
    head::Dialects,
    message::Voice,
    push_stream::Template,
};
use crate::config;
use std::{fs, io};

/// See the module; replaced as a whole.
#[derive(Debug)]
pub struct Settings {
    pub(super) edge: config::Edge,
    pub(super) access: Access,
    /// Of the dialect of push stream.
    template: Template,
}

/// Why `token_keys` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// What is in it.
    #[error("{0}")]
    Keys(String),
}

impl From<Unusable> for Error {
    fn from(unusable: Unusable) -> Self {
        Self::Keys(unusable.to_string())
    }
}

impl Settings {
    /// Reads the keys that `edge` names.
    pub fn read(edge: &config::Edge) -> Result<Self, Error> {
        let keys = edge.token_keys.as_ref().map(fs::read_to_string).transpose()?;
        let access = Access::new(edge, keys.as_deref())?;
        let template = edge.push_stream.as_ref().map(|dialect| Template::parse(&dialect.template));
        Ok(Self { edge: edge.clone(), access, template: template.unwrap_or_default() })
    }

    /// Which dialects are spoken.
    pub(super) fn dialects(&self) -> Dialects {
        Dialects { push_stream: self.edge.push_stream.is_some() }
    }

    /// What is needed to write in every form.
    pub(super) fn voice<'a>(&'a self, epoch: &'a str) -> Voice<'a> {
        Voice { epoch, template: &self.template }
    }
}
