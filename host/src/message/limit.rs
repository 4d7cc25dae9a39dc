//! The limits that a plugin can go beyond, by the names that logs, metrics and dead letters call them.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// A limit of one plugin. There are no others, so its names may be labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The time of one call, computing and waiting.
    Time,
    /// Linear memory of an instance.
    Memory,
    /// Elements of an instance's tables.
    TableElements,
    /// How deep calls may nest.
    Stack,
    /// Core instances, tables and memories of a component.
    Parts,
    /// Handles that an instance holds to what the host keeps for it.
    Handles,
    /// Bytes of one answer.
    Answer,
    /// Messages that one message may become.
    Children,
    /// Requests for one message.
    Requests,
    /// Rounds of requests for one message.
    Rounds,
    /// Lines in the log.
    LogLines,
    /// The time of compiling it.
    CompileTime,
    /// The memory of compiling it.
    CompileMemory,
    /// The size of its file.
    File,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Time,
        Self::Memory,
        Self::TableElements,
        Self::Stack,
        Self::Parts,
        Self::Handles,
        Self::Answer,
        Self::Children,
        Self::Requests,
        Self::Rounds,
        Self::LogLines,
        Self::CompileTime,
        Self::CompileMemory,
        Self::File,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Memory => "memory",
            Self::TableElements => "table_elements",
            Self::Stack => "stack",
            Self::Parts => "parts",
            Self::Handles => "handles",
            Self::Answer => "answer",
            Self::Children => "children",
            Self::Requests => "requests",
            Self::Rounds => "rounds",
            Self::LogLines => "log_lines",
            Self::CompileTime => "compile_time",
            Self::CompileMemory => "compile_memory",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A limit by its name; none for a name that only another version knows, whose messages must be readable all the same.
pub(super) fn known<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Limit>, D::Error> {
    let name = Option::<String>::deserialize(source)?;
    Ok(name.and_then(|name| Limit::ALL.into_iter().find(|limit| limit.name() == name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Trouble;

    #[test]
    fn every_limit_is_written_and_read_by_its_name() {
        for limit in Limit::ALL {
            assert_eq!(serde_json::to_value(limit).unwrap(), limit.name());
            let trouble = Trouble {
                attempt: 1,
                plugin: None,
                digest: None,
                broke: true,
                limit: Some(limit),
                reason: "too much".to_owned(),
            };
            let written = serde_json::to_string(&trouble).unwrap();
            assert_eq!(serde_json::from_str::<Trouble>(&written).unwrap(), trouble);
        }
    }

    #[test]
    fn troubles_of_other_versions_are_readable() {
        for limit in ["", r#""limit":null,"#, r#""limit":"phase_of_the_moon","#] {
            let trouble: Trouble =
                serde_json::from_str(&format!(r#"{{{limit}"attempt":1,"broke":true,"reason":"r"}}"#)).unwrap();
            assert_eq!(trouble.limit, None);
        }
    }
}
