//! The plugin's config, and what is made of it at the start.

use crate::{
    event::{Data, Reader},
    sign::App,
};
use gristmill_sdk::{Error, Result, Template};
use serde::Deserialize;

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    app_id: String,
    key: String,
    secret: String,
    /// Of a server of one's own.
    url: Option<String>,
    /// Of the hosted service.
    cluster: Option<String>,
    /// Instead of those that the payload names.
    channel: Option<String>,
    /// Instead of the one that the payload names.
    event: Option<String>,
    #[serde(default)]
    data: Data,
    #[serde(default = "ten")]
    data_kib: usize,
}

fn ten() -> usize {
    10
}

impl Config {
    pub(crate) fn ready(self) -> Result<(App, Reader)> {
        word("app_id", &self.app_id)?;
        word("key", &self.key)?;
        if self.secret.is_empty() {
            return Err(wrong("secret", "is empty"));
        }
        if is_stand_in(&self.secret) {
            return Err(wrong(
                "secret",
                "has to be seen by the plugin, which signs with it: write `${NAME}` instead of `${secret:NAME}`",
            ));
        }
        let url = self.server()?;
        let app = App::new(&url, &self.app_id, self.key, self.secret).ok_or_else(|| {
            wrong(
                "url",
                &format!("`{url}` is not `http://HOST[:PORT]` or `https://HOST[:PORT]`, with a path or without"),
            )
        })?;
        let template = |field: &str, text: Option<String>| {
            text.map(|text| Template::parse(&text).map_err(|error| wrong(field, error.reason()))).transpose()
        };
        let channel = template("channel", self.channel)?;
        let event = template("event", self.event)?;
        if self.data_kib == 0 {
            return Err(wrong("data_kib", "is at least 1"));
        }
        Ok((app, Reader::new(channel, event, self.data, self.data_kib.saturating_mul(1 << 10))?))
    }

    fn server(&self) -> Result<String> {
        match (&self.url, &self.cluster) {
            (Some(url), None) => Ok(url.clone()),
            (None, Some(cluster)) => {
                word("cluster", cluster)?;
                Ok(format!("https://api-{cluster}.pusher.com"))
            }
            (None, None) => Err(Error::reject(
                "config: say where to, with `cluster = \"eu\"` for the hosted service or `url` for a server of your own",
            )),
            (Some(_), Some(_)) => Err(wrong("cluster", "cannot stand beside `url`")),
        }
    }
}

/// Wants `value` to be what may stand in a URL as it is.
fn word(field: &str, value: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match value {
        "" => Err(wrong(field, "is empty")),
        value if value.chars().all(plain) => Ok(()),
        value => Err(wrong(field, &format!("`{value}` has more than letters, digits, `-`, `_` and `.`"))),
    }
}

/// Whether this is what the host puts where the config says `${secret:NAME}`.
fn is_stand_in(text: &str) -> bool {
    text.strip_prefix("secret-").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn wrong(field: &str, why: &str) -> Error {
    Error::reject(format!("config.{field}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::config;

    fn why(json: &str) -> String {
        let config: Config = match config::parse(json) {
            Ok(config) => config,
            Err(invalid) => return invalid.to_string(),
        };
        config.ready().err().map(|error| error.reason().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_config_that_will_not_do_is_refused_by_field() {
        for (json, reason) in [
            ("{}", "config: missing field `app_id`"),
            (r#"{"app_id":"3","key":"k","secret":"s"}"#, "config: say where to"),
            (r#"{"app_id":"3","key":"k","secret":"s","url":"x"}"#, "config.url: `x` is not"),
            (r#"{"app_id":"3","key":"k","secret":"s","url":"http://h/?a"}"#, "config.url: `http://h/?a` is not"),
            (r#"{"app_id":"3","key":"k","secret":"s","url":"http://h","cluster":"eu"}"#, "config.cluster: cannot"),
            (r#"{"app_id":"../3","key":"k","secret":"s","cluster":"eu"}"#, "config.app_id: `../3` has more than"),
            (r#"{"app_id":"3","key":"k&b","secret":"s","cluster":"eu"}"#, "config.key: `k&b` has more than"),
            (r#"{"app_id":"3","key":"k","secret":"","cluster":"eu"}"#, "config.secret: is empty"),
            (r#"{"app_id":"3","key":"k","secret":"s","cluster":"eu","channel":"{x}"}"#, "config.channel: nothing is"),
            (r#"{"app_id":"3","key":"k","secret":"s","cluster":"eu","data":"all"}"#, "config.data: "),
            (r#"{"app_id":"3","key":"k","secret":"s","cluster":"eu","data_kib":0}"#, "config.data_kib: "),
            (r#"{"app_id":"3","key":"k","secret":"s","cluster":"eu","chanel":"c"}"#, "config.chanel: unknown field"),
            (
                r#"{"app_id":"3","key":"k","secret":"secret-0123456789abcdef0123456789abcdef","cluster":"eu"}"#,
                "config.secret: has to be",
            ),
        ] {
            let said = why(json);
            assert!(said.starts_with(reason), "{json}: {said}");
        }
    }

    #[test]
    fn the_hosted_service_is_found_by_its_cluster() {
        assert_eq!(why(r#"{"app_id":"3","key":"k","secret":"s","cluster":"eu"}"#), "");
    }
}
