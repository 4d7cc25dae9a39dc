//! A table that bears a name, whose parts may each be wrong by itself.

use super::super::document::Entry;

/// The table `[kind.NAME]` and what was made of it.
pub(in crate::config) struct Named<'a, T> {
    pub(in crate::config) entry: &'a Entry,
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) value: Option<T>,
}

impl<T> Named<'_, T> {
    /// Name and value, where both are good.
    pub(in crate::config) fn finish(self) -> Option<(String, T)> {
        Some((self.name?, self.value?))
    }
}
