//! Where traces go, and where messages say of which trace they are a part.

use super::{Wrong, grants::http_grant, order_by, wrong};
use crate::config::{Collector, OrderBy};
use http::Uri;

/// Where OTLP has traces posted to, below the address of a collector.
const PATH: &str = "/v1/traces";

/// Source: OpenTelemetry Protocol Exporter, endpoint URLs for OTLP/HTTP.
pub(in crate::config) fn collector(text: &str) -> Result<Collector, Wrong> {
    const HELP: &str = "write the address of a collector without a path, such as \"http://127.0.0.1:4318\"";
    let uri: Uri = text.parse().map_err(|_| wrong("is not a URL", HELP))?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("is neither `http://…` nor `https://…`", HELP));
    };
    if uri.query().is_some() || authority.as_str().contains('@') {
        return Err(wrong("holds more than host, port and path", HELP));
    }
    let port = authority.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = http_grant(&format!("{}:{port}", authority.host()))?;
    Ok(Collector { url: format!("{}{PATH}", text.trim_end_matches('/')), host })
}

/// A header, or a place in the payload.
pub(in crate::config) fn traceparent(text: &str) -> Result<OrderBy, Wrong> {
    const HELP: &str = "write \"header:traceparent\", or \"json:/pointer/into/the/payload\"";
    match order_by(text) {
        Ok(Some(place @ (OrderBy::Header(_) | OrderBy::Json(_)))) => Ok(place),
        Ok(_) => Err(wrong("is no place for a `traceparent`", HELP)),
        Err(Wrong { what, .. }) => Err(Wrong { what, help: HELP }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_posted_below_the_address_of_a_collector() {
        let url = |text| collector(text).map(|collector| collector.url).map_err(|wrong| wrong.what);
        assert_eq!(url("http://127.0.0.1:4318"), Ok("http://127.0.0.1:4318/v1/traces".to_owned()));
        assert_eq!(url("https://otlp.example/team/"), Ok("https://otlp.example/team/v1/traces".to_owned()));
        assert_eq!(url("127.0.0.1:4318"), Err("is neither `http://…` nor `https://…`"));
        assert_eq!(url("http://user:pass@a"), Err("holds more than host, port and path"));
        assert!(url("ftp://a").is_err() && url("a b").is_err());
    }

    #[test]
    fn a_topic_is_no_place_for_a_traceparent() {
        assert_eq!(traceparent("header:x").ok(), Some(OrderBy::Header("x".to_owned())));
        assert_eq!(traceparent("json:/trace").ok(), Some(OrderBy::Json("/trace".to_owned())));
        assert!(traceparent("topic").is_err() && traceparent("nothing").is_err() && traceparent("json:x").is_err());
    }
}
