//! Dead letters through a running node: listed, shown, replayed, edited or not, and dropped.

use super::{
    Window,
    access::Role,
    payload::{Redaction, for_json, from_base64},
    reply::{Problem, Reply, json, problem},
};
use crate::{
    config, event,
    source::dead::{Changes, DeadLetters, Error, Filter, Letter, Place},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json as value};
use std::collections::BTreeMap;

/// Letters in one answer, where nothing else is asked for, and at most.
const USUAL: usize = 50;
const MOST: usize = 500;
/// Letters that are looked at for one answer: more than a search of ours should read at once.
const LOOKED_AT: usize = 20_000;

/// A letter as JSON has it, without its payload.
pub(crate) fn letter_object(letter: &Letter) -> Result<Value, serde_json::Error> {
    let mut object = serde_json::to_value(letter)?;
    if let Some(object) = object.as_object_mut() {
        object.insert("died_ms".to_owned(), letter.died_ms().into());
        object.insert("payload_bytes".to_owned(), letter.payload.len().into());
    }
    Ok(object)
}

/// A letter as JSON has it, with this as its payload.
pub(crate) fn letter_with_payload(letter: &Letter, payload: &[u8]) -> Result<Value, serde_json::Error> {
    let mut object = letter_object(letter)?;
    let (key, payload) = for_json(payload);
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), payload.into());
    }
    Ok(object)
}

/// What a request for letters says.
pub(super) struct Asked<'a> {
    pub(super) window: &'a Window,
    pub(super) role: Role,
    pub(super) query: BTreeMap<String, String>,
}

/// What the body of a replay may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    to: Option<String>,
    payload: Option<String>,
    payload_base64: Option<String>,
}

impl Edit {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).map_err(|error| bad(&format!("the body is not what a replay takes: {error}")))
    }

    fn payload(&self) -> Result<Option<Vec<u8>>, Problem> {
        match (&self.payload, &self.payload_base64) {
            (Some(_), Some(_)) => Err(bad("give `payload` or `payload_base64`, not both")),
            (Some(text), None) => Ok(Some(text.clone().into_bytes())),
            (None, Some(text)) => from_base64(text).map(Some).ok_or_else(|| bad("`payload_base64` is no base64")),
            (None, None) => Ok(None),
        }
    }
}

impl Asked<'_> {
    /// Those that are meant, oldest first, as many as are wanted.
    pub(super) async fn list(self) -> Result<Reply, Problem> {
        let filter = self.filter()?;
        let limit = match self.query.get("limit").map(|limit| limit.parse()) {
            None => USUAL,
            Some(Ok(limit @ 1..=MOST)) => limit,
            Some(_) => return Err(bad(&format!("`limit` is a number from 1 to {MOST}"))),
        };
        let search = self.query.get("search").filter(|search| !search.is_empty());
        let mut letters = self.open().await?;
        let total = letters.count().await.map_err(|error| failed(&error))?;
        let mut walk = letters.walk(filter).await.map_err(|error| failed(&error))?;
        let (mut found, mut looked_at) = (Vec::new(), 0);
        while found.len() <= limit && looked_at < LOOKED_AT {
            let Some(letter) = walk.next().await.map_err(|error| failed(&error))? else { break };
            looked_at += 1;
            if search.is_none_or(|search| self.holds(&letter, search)) {
                found.push(self.shown(letter));
            }
        }
        let more = found.len() > limit || looked_at == LOOKED_AT;
        found.truncate(limit);
        let objects: Result<Vec<Value>, _> = found.iter().map(letter_object).collect();
        let objects = objects.map_err(|error| unsaid(&error))?;
        Ok(json(StatusCode::OK, &value!({ "letters": objects, "more": more, "total": total })))
    }

    /// The one at `entry`.
    pub(super) async fn show(self, entry: &str) -> Result<Reply, Problem> {
        let (_, letter) = self.one(entry).await?;
        let payload = match self.role {
            Role::Full => letter.payload.clone(),
            _ => Redaction(&self.window.redact()).payload(&letter.payload),
        };
        let shown = self.shown(letter);
        Ok(json(StatusCode::OK, &letter_with_payload(&shown, &payload).map_err(|error| unsaid(&error))?))
    }

    /// Tries the one at `entry` again, with what `body` changes.
    pub(super) async fn replay(self, entry: &str, body: &[u8]) -> Result<Reply, Problem> {
        let edit = Edit::read(body)?;
        let to = edit.to.as_deref().map(|name| self.place(name)).transpose()?;
        let changes = Changes { to, payload: edit.payload()? };
        let (mut letters, letter) = self.one(entry).await?;
        let replayed = letters.replay(&letter, &changes).await.map_err(|error| failed(&error))?;
        let replayed = replayed.ok_or_else(|| gone(entry))?;
        event::letter_replayed(&replayed.to, entry, &letter.id, changes.payload.is_some());
        Ok(json(StatusCode::OK, &value!({ "entry": entry, "replayed_as": replayed.id, "to": replayed.to })))
    }

    /// Forgets the one at `entry`.
    pub(super) async fn drop(self, entry: &str) -> Result<Reply, Problem> {
        let (mut letters, letter) = self.one(entry).await?;
        if !letters.drop(&letter).await.map_err(|error| failed(&error))? {
            return Err(gone(entry));
        }
        event::letter_dropped(&letter.pipeline, entry, &letter.id);
        Ok(json(StatusCode::OK, &value!({ "entry": entry })))
    }

    async fn one(&self, entry: &str) -> Result<(DeadLetters, Letter), Problem> {
        let filter = self.filter()?;
        let mut letters = self.open().await?;
        let mut found = letters.find(entry, &filter).await.map_err(|error| failed(&error))?;
        match (found.pop(), found.is_empty()) {
            (Some(letter), true) => Ok((letters, letter)),
            (Some(_), false) => {
                let error = "there are several dead letters with this entry; say which with `pipeline` and `source`";
                Err(problem(StatusCode::CONFLICT, error))
            }
            (None, _) => Err(gone(entry)),
        }
    }

    async fn open(&self) -> Result<DeadLetters, Problem> {
        let places: Vec<Place> = match self.query.get("pipeline") {
            Some(name) => vec![self.place(name)?],
            None => self.window.pipelines().into_iter().filter_map(|shown| shown.letters).collect(),
        };
        DeadLetters::open(&self.window.connector, places).await.map_err(|error| failed(&error))
    }

    fn place(&self, name: &str) -> Result<Place, Problem> {
        let shown = self.window.pipelines().into_iter().find(|shown| shown.name == name);
        let shown = shown.ok_or_else(|| problem(StatusCode::NOT_FOUND, &format!("there is no pipeline `{name}`")))?;
        let keeps =
            format!("pipeline `{name}` takes from {}, which keeps no messages and has no dead letters", shown.from);
        shown.letters.ok_or_else(|| bad(&keeps))
    }

    fn filter(&self) -> Result<Filter, Problem> {
        let text = |name: &str| self.query.get(name).filter(|text| !text.is_empty()).cloned();
        let span = |name: &str| match text(name) {
            None => Ok(None),
            Some(text) => match config::duration(&text) {
                Some(span) => Ok(Some(span)),
                None => Err(bad(&format!("`{name}` is a whole number and its unit: `30s`, `10m`, `2h` or `1d`"))),
            },
        };
        Ok(Filter {
            pipeline: text("pipeline"),
            source: text("source"),
            id: text("id"),
            plugin: text("plugin").map(|name| name.replace('_', "-")),
            reason: text("reason"),
            older: span("older")?,
            newer: span("newer")?,
        })
    }

    /// Whether `search` stands anywhere in what this caller may see of the letter.
    fn holds(&self, letter: &Letter, search: &str) -> bool {
        let named = [letter.id.as_str(), &letter.source, &letter.pipeline, letter.reason()];
        named.iter().any(|text| text.contains(search)) || {
            let payload = match self.role {
                Role::Full => String::from_utf8_lossy(&letter.payload).into_owned(),
                _ => String::from_utf8_lossy(&Redaction(&self.window.redact()).payload(&letter.payload)).into_owned(),
            };
            payload.contains(search)
        }
    }

    /// The letter without the headers that this caller must not see.
    fn shown(&self, mut letter: Letter) -> Letter {
        if self.role < Role::Full {
            let names = self.window.redact();
            for (name, value) in &mut letter.headers {
                *value = Redaction(&names).header(name, value).to_owned();
            }
        }
        letter
    }
}

fn bad(error: &str) -> Problem {
    problem(StatusCode::BAD_REQUEST, error)
}

fn gone(entry: &str) -> Problem {
    problem(StatusCode::NOT_FOUND, &format!("there is no dead letter `{entry}`"))
}

fn unsaid(error: &serde_json::Error) -> Problem {
    problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

fn failed(error: &Error) -> Problem {
    let status = match error {
        Error::Redis(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::NothingKept { .. } | Error::Homeless { .. } | Error::NoQueue { .. } => StatusCode::CONFLICT,
    };
    problem(status, &error.to_string())
}
