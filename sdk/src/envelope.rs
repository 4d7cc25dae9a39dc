//! Where a message's envelope comes from: the host's imports in a component, a test's own values natively.

#[cfg(target_family = "wasm")]
use crate::bindings::envelope as host;

/// What surrounds a payload.
#[derive(Clone, Debug)]
pub(crate) enum Envelope {
    /// Asked for on demand, one crossing per value.
    #[cfg(target_family = "wasm")]
    Host,
    Sample(Box<Sample>),
}

/// An envelope that came with its message: one of a batch, or made up by a test.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) topic: String,
    pub(crate) attempt: u32,
    pub(crate) round: u32,
    pub(crate) received_ms: u64,
    pub(crate) headers: Vec<(String, String)>,
}

impl Default for Sample {
    fn default() -> Self {
        let name = || "test".to_owned();
        Self { id: name(), source: name(), topic: name(), attempt: 1, round: 0, received_ms: 0, headers: Vec::new() }
    }
}

impl Envelope {
    pub(crate) fn id(&self) -> String {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::id(),
            Self::Sample(sample) => sample.id.clone(),
        }
    }

    pub(crate) fn source(&self) -> String {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::source(),
            Self::Sample(sample) => sample.source.clone(),
        }
    }

    pub(crate) fn topic(&self) -> String {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::topic(),
            Self::Sample(sample) => sample.topic.clone(),
        }
    }

    pub(crate) fn attempt(&self) -> u32 {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::attempt(),
            Self::Sample(sample) => sample.attempt,
        }
    }

    pub(crate) fn round(&self) -> u32 {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::round(),
            Self::Sample(sample) => sample.round,
        }
    }

    pub(crate) fn received_ms(&self) -> u64 {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::received_ms(),
            Self::Sample(sample) => sample.received_ms,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::header(name),
            Self::Sample(sample) => {
                let (_, value) = sample.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
                Some(value.clone())
            }
        }
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        match self {
            #[cfg(target_family = "wasm")]
            Self::Host => host::headers(),
            Self::Sample(sample) => sample.headers.clone(),
        }
    }
}
