//! A filter that takes personal data out of JSON messages.

mod config;
mod network;
mod pseudonym;
mod text;

pub use config::Config;
use config::{Rules, Scope, Treatment};
use gristmill_sdk::{
    Filter, Message, Result, Verdict, filter,
    json::{Edit, Found, Json},
};

gristmill_sdk::needs!();

/// The filter.
pub struct Anonymize(Rules);

#[filter]
impl Filter for Anonymize {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        config.rules().map(Self)
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let Self(rules) = self;
        // Also where it has no fields to look for: what comes after takes JSON for granted.
        message.edit(&rules.fields, |found| rules.treat(&found))?;
        match &rules.scope {
            Scope::Nowhere => {}
            Scope::Below(paths) => {
                message.edit(paths, |found| rules.scrub(found.raw).map_or(Edit::Keep, replace))?;
            }
            Scope::Everywhere => {
                if let Some(scrubbed) = rules.scrub(message.payload()) {
                    message.set_payload(scrubbed);
                }
            }
        }
        Ok(message.into())
    }
}

/// What was JSON and had strings put in for strings is JSON.
fn replace(json: Vec<u8>) -> Edit {
    Json::parse(json).map_or(Edit::Remove, Edit::Replace)
}

impl Rules {
    fn treat(&self, found: &Found<'_>) -> Edit {
        match self.treatments.get(found.path) {
            Some(Treatment::Drop) | None => Edit::Remove,
            Some(Treatment::Mask) => Edit::Replace(self.mask.clone()),
            Some(Treatment::Hash) => match &self.pseudonyms {
                Some(pseudonyms) => Edit::Replace(pseudonyms.of(found)),
                None => Edit::Remove,
            },
            Some(Treatment::Truncate) => self.truncate(found),
        }
    }

    /// What is no address is masked: it may be anything.
    fn truncate(&self, found: &Found<'_>) -> Edit {
        match found.text() {
            _ if found.raw == b"null" => Edit::Keep,
            Some(text) if text.is_empty() => Edit::Keep,
            text => match text.and_then(|text| self.keep.networks(&text)) {
                Some(networks) => Edit::Replace(Json::string(&networks)),
                None => Edit::Replace(self.mask.clone()),
            },
        }
    }

    /// `json`, which is known to be JSON, with every string in it looked through, keys too; none if there was nothing to find.
    fn scrub(&self, json: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (mut taken, mut at) = (0, 0);
        while let Some(start) = json.get(at..)?.iter().position(|byte| *byte == b'"').map(|passed| at + passed) {
            let raw = string(json.get(start..)?);
            at = start + raw.len();
            if let Some(scrubbed) = self.scrub_string(raw) {
                out.extend_from_slice(json.get(taken..start)?);
                out.extend_from_slice(scrubbed.as_bytes());
                taken = at;
            }
        }
        out.extend_from_slice(json.get(taken..)?);
        (taken > 0).then_some(out)
    }

    fn scrub_string(&self, raw: &[u8]) -> Option<Json> {
        let text = Found { path: 0, raw }.text()?;
        let scrubbed = text::scrub(&text, &self.patterns, self.keep)?;
        (*scrubbed != *text).then(|| Json::string(&scrubbed))
    }
}

/// The string at the beginning of `json`, with its quotes.
fn string(json: &[u8]) -> &[u8] {
    let mut escaped = true;
    let inside = json.iter().take_while(|byte| {
        let ends = **byte == b'"' && !escaped;
        escaped = !escaped && **byte == b'\\';
        !ends
    });
    let length = inside.count() + 1;
    json.get(..length).unwrap_or(json)
}

#[cfg(test)]
mod tests;
