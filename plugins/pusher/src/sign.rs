//! Requests signed as the HTTP API of Pusher Channels wants it: <https://pusher.com/docs/channels/library_auth_reference/rest-api>.

use gristmill_sdk::{HttpRequest, Request};
use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

/// One application on one server.
pub(crate) struct App {
    /// Scheme, host and port.
    server: String,
    /// In front of an endpoint, as `/apps/3/`.
    path: String,
    key: String,
    secret: String,
}

impl App {
    /// The application `id` behind `url`, if that is one with a host and neither query nor fragment.
    pub(crate) fn new(url: &str, id: &str, key: String, secret: String) -> Option<Self> {
        let scheme = ["http://", "https://"].into_iter().find(|scheme| url.starts_with(scheme))?;
        let rest = url.get(scheme.len()..)?;
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        if authority.is_empty() || rest.contains(['?', '#', '@', ' ']) {
            return None;
        }
        let path = format!("{}/apps/{id}/", path.trim_end_matches('/'));
        Some(Self { server: format!("{scheme}{authority}"), path, key, secret })
    }

    /// `body` for `endpoint`, signed `now`, in seconds since 1970: servers refuse what is 600 s from their own clock.
    pub(crate) fn post(&self, endpoint: &str, body: Vec<u8>, now: u64) -> HttpRequest {
        let path = format!("{}{endpoint}", self.path);
        // In the order of the names, which is the order in which they are signed.
        let query = format!(
            "auth_key={}&auth_timestamp={now}&auth_version=1.0&body_md5={}",
            self.key,
            hex(&md5::compute(&body).0)
        );
        let signature = signature(&self.secret, &path, &query);
        let url = format!("{}{path}?{query}&auth_signature={signature}", self.server);
        Request::post(url).header("content-type", "application/json").body(body)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn signature(secret: &str, path: &str, query: &str) -> String {
    hex(&hmac_sha256::HMAC::mac(format!("POST\n{path}\n{query}"), secret))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The application and the request of the worked example in Pusher's own documentation.
    fn published() -> HttpRequest {
        let app =
            App::new("http://api.pusherapp.com/", "3", "278d425bdf160c739803".into(), "7ad3773142a6692b25b8".into());
        let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        app.unwrap().post("events", body.to_vec(), 1_353_088_179)
    }

    #[test]
    fn the_published_example_has_the_published_signature() {
        assert_eq!(
            published().url,
            "http://api.pusherapp.com/apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179\
             &auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f\
             &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }

    #[test]
    fn the_clock_is_in_seconds() {
        assert!((1_700_000_000..5_000_000_000).contains(&now()));
    }

    #[test]
    fn a_path_in_front_is_signed_too() {
        let app = App::new("https://h:8443/ws/", "7", "k".into(), "s".into()).unwrap();
        let url = app.post("batch_events", Vec::new(), 1).url;
        let query = "auth_key=k&auth_timestamp=1&auth_version=1.0&body_md5=d41d8cd98f00b204e9800998ecf8427e";
        let signed = signature("s", "/ws/apps/7/batch_events", query);
        assert_eq!(url, format!("https://h:8443/ws/apps/7/batch_events?{query}&auth_signature={signed}"));
    }
}
