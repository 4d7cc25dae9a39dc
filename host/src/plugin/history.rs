//! What has become of each plugin's versions, as far back as is worth telling.

use std::{
    collections::{BTreeMap, VecDeque},
    time::SystemTime,
};

/// Steps that are remembered of one plugin.
const STEPS: usize = 20;
/// Plugins of which something is remembered; names come from whatever lies in the directory.
const PLUGINS: usize = 1_000;

/// Something that has happened to a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: SystemTime,
    /// The first 12 hex digits of the version that this is about; none where its file could not be read.
    pub digest: Option<String>,
    /// What.
    pub turn: Turn,
}

/// What happens to plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It came into force, and there was none before.
    Loaded,
    /// It took over from the version with this digest.
    Replaced(String),
    /// It did not come up, and this is why; what was in force stayed.
    Refused(String),
    /// It is no longer there.
    Removed,
}

/// The steps of all plugins, each plugin's oldest first.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<String, VecDeque<Step>>);

impl History {
    pub(super) fn add(&mut self, plugin: &str, digest: Option<&str>, turn: Turn) {
        if self.0.len() >= PLUGINS && !self.0.contains_key(plugin) {
            return;
        }
        let steps = self.0.entry(plugin.to_owned()).or_default();
        if steps.len() == STEPS {
            steps.pop_front();
        }
        steps.push_back(Step { at: SystemTime::now(), digest: digest.map(ToOwned::to_owned), turn });
    }

    pub(super) fn of(&self, plugin: &str) -> Vec<Step> {
        self.0.get(plugin).into_iter().flatten().cloned().collect()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_steps_are_remembered_and_no_more() {
        let mut history = History::default();
        for number in 0..30 {
            history.add("a", Some(&number.to_string()), Turn::Loaded);
        }
        let digests: Vec<_> = history.of("a").into_iter().filter_map(|step| step.digest).collect();
        assert_eq!((digests.len(), digests[0].as_str(), digests[19].as_str()), (STEPS, "10", "29"));
        (0..2 * PLUGINS).for_each(|number| history.add(&number.to_string(), None, Turn::Removed));
        assert_eq!(history.names().count(), PLUGINS);
        assert!(history.of("none").is_empty());
    }
}
