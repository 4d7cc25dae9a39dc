//! Which fields of a message are sealed, each for itself.

use gristmill_sdk::{Error, Result, json::Paths};

/// The paths of `fields`, and how they are written there.
#[derive(Debug)]
pub struct Fields {
    paths: Paths,
    names: Vec<String>,
}

impl Fields {
    /// The fields at the paths `names`; none where the whole payload is meant.
    ///
    /// # Errors
    /// When one of them is no path.
    pub fn read(names: Vec<String>) -> Result<Option<Self>> {
        if names.is_empty() {
            return Ok(None);
        }
        let paths = Paths::new(&names).map_err(|error| Error::reject(format!("config.fields: {error}")))?;
        Ok(Some(Self { paths, names }))
    }

    /// What finds them.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The path of this number as the configuration writes it; a value is bound to it.
    pub fn name(&self, path: usize) -> &str {
        self.names.get(path).map_or("", String::as_str)
    }
}
