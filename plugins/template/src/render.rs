//! The templates of a config, and their texts for one message.

use gristmill_sdk::{Error, Result};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::Deserialize;
use std::collections::BTreeSet;

/// What is done to values that the payload's template puts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Escape {
    #[default]
    None,
    Html,
    Json,
}

/// All templates, by the keys of the config that hold them.
pub(crate) struct Templates {
    environment: Environment<'static>,
    /// What they name.
    names: BTreeSet<String>,
}

impl Templates {
    pub(crate) fn new(escape: Escape, lenient: bool, fuel: u64) -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(fuel));
        environment.set_undefined_behavior(match lenient {
            true => UndefinedBehavior::Chainable,
            false => UndefinedBehavior::SemiStrict,
        });
        environment.set_auto_escape_callback(move |key| match escape {
            Escape::Html if key == crate::PAYLOAD => AutoEscape::Html,
            Escape::Json if key == crate::PAYLOAD => AutoEscape::Json,
            _ => AutoEscape::None,
        });
        Self { environment, names: BTreeSet::new() }
    }

    /// Takes the template of this key.
    ///
    /// # Errors
    /// What is wrong in it and in which line, or a name that is not among `known`.
    pub(crate) fn add(&mut self, key: &str, text: String, known: &[&str]) -> Result<()> {
        let refused = |error: minijinja::Error| Error::reject(format!("config.{}", place(key, &error)));
        self.environment.add_template_owned(key.to_owned(), text).map_err(refused)?;
        let names = self.environment.get_template(key).map_err(refused)?.undeclared_variables(false);
        let functions: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        for name in names.into_iter().collect::<BTreeSet<_>>() {
            if functions.contains(name.as_str()) {
                continue;
            }
            if !known.contains(&name.as_str()) {
                let listed = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                return Err(Error::reject(format!("config.{key}: nothing is known as `{name}`; known are {listed}")));
            }
            self.names.insert(name);
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.environment.templates().next().is_none()
    }

    /// Whether a template names this.
    pub(crate) fn name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The text of the template of this key, if there is one.
    ///
    /// # Errors
    /// A rejection that says what was missing or too much, and in which line, without values.
    pub(crate) fn text(&self, key: &str, facts: &Value) -> Result<Option<String>> {
        let Ok(template) = self.environment.get_template(key) else {
            return Ok(None);
        };
        let text = template.render(facts.clone());
        text.map(Some).map_err(|error| Error::reject(without_values(key, &error)))
    }

    /// As `text`, for what has to be one line.
    ///
    /// # Errors
    /// As `text`, and where it is more than a line.
    pub(crate) fn line(&self, key: &str, facts: &Value) -> Result<Option<String>> {
        match self.text(key, facts)? {
            Some(text) if text.contains(['\r', '\n', '\0']) => {
                Err(Error::reject(format!("{key}: a line break comes out, which cannot be there")))
            }
            text => Ok(text),
        }
    }
}

fn place(key: &str, error: &minijinja::Error) -> String {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("{key}: {}{detail}{line}", error.kind())
}

/// A reason gets into logs; details may hold something of the message.
fn without_values(key: &str, error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    let hint = match error.kind() {
        ErrorKind::OutOfFuel => ", see `fuel`",
        ErrorKind::UndefinedError => ", see `lenient`",
        ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest | ErrorKind::UnknownMethod => {
            return place(key, error);
        }
        _ => "",
    };
    format!("{key}: {}{line}{hint}", error.kind())
}
