//! What rules ask about a message, looked up when it is asked for and only once.

use crate::condition::Subjects;
use gristmill_sdk::{
    Error, Message, Result,
    json::{Found, Paths},
};

/// One message, as far as it was looked at.
pub(crate) struct Facts<'m> {
    message: &'m Message,
    documents: Vec<Document<'m>>,
}

/// What one walk through the payload finds.
struct Document<'m> {
    paths: &'m Paths,
    found: Option<Vec<Found<'m>>>,
}

impl<'m> Facts<'m> {
    pub(crate) fn of(message: &'m Message, subjects: &'m Subjects) -> Self {
        let documents = subjects.walks().iter().map(|paths| Document { paths, found: None }).collect();
        Self { message, documents }
    }

    pub(crate) fn message(&self) -> &'m Message {
        self.message
    }

    /// What path number `path` of walk number `walk` leads to.
    ///
    /// # Errors
    /// A rejection that names the position if the payload is not JSON.
    pub(crate) fn found(&mut self, walk: usize, path: usize) -> Result<impl Iterator<Item = &Found<'m>>> {
        let found = match self.documents.get_mut(walk) {
            Some(document) => document.read(self.message)?,
            None => &[],
        };
        Ok(found.iter().filter(move |found| found.path == path))
    }
}

impl<'m> Document<'m> {
    fn read(&mut self, message: &'m Message) -> Result<&[Found<'m>]> {
        if self.found.is_none() {
            let found = self.paths.find(message.payload());
            self.found = Some(found.map_err(|error| Error::reject(format!("payload: {error}")))?);
        }
        Ok(self.found.as_deref().unwrap_or_default())
    }
}
