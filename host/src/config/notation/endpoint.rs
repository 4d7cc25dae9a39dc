//! How servers are named that requests go to.

use super::{
    super::{HostPattern, HttpGrant},
    Wrong, http_grant, wrong,
};

/// A host, with its port or without, or `*` for all that are not named; spelled as it is looked for.
pub(in crate::config) fn endpoint(text: &str) -> Result<String, Wrong> {
    const HELP: &str =
        "name one host, such as \"api.example.com\" or \"api.example.com:8443\", or \"*\" for all that have no table";
    match http_grant(text)? {
        HttpGrant { host: HostPattern::Below(_), .. } => Err(wrong("stands for many hosts", HELP)),
        HttpGrant { host: HostPattern::Any, port: Some(_) } => Err(wrong("has a port for all hosts", HELP)),
        grant => Ok(spelled(&grant)),
    }
}

fn spelled(HttpGrant { host, port }: &HttpGrant) -> String {
    let host = match host {
        HostPattern::Exact(host) if host.contains(':') => format!("[{host}]"),
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(_) | HostPattern::Any => "*".to_owned(),
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}
