//! The dashboard: a page of our own, part of the program, that asks this node as any other program would.

use super::reply::{Reply, whole};
use http::{HeaderValue, StatusCode, header};

/// Nothing but what comes from here runs, is shown or is asked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, kind and text.
const FILES: [(&str, &str, &str); 12] = [
    ("", HTML, include_str!("dashboard/index.html")),
    ("style.css", STYLE, include_str!("dashboard/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    ("main.js", SCRIPT, include_str!("dashboard/main.js")),
    ("node.js", SCRIPT, include_str!("dashboard/node.js")),
    ("figures.js", SCRIPT, include_str!("dashboard/figures.js")),
    ("page.js", SCRIPT, include_str!("dashboard/page.js")),
    ("pipelines.js", SCRIPT, include_str!("dashboard/pipelines.js")),
    ("plugins.js", SCRIPT, include_str!("dashboard/plugins.js")),
    ("letters.js", SCRIPT, include_str!("dashboard/letters.js")),
    ("endpoints.js", SCRIPT, include_str!("dashboard/endpoints.js")),
    ("tap.js", SCRIPT, include_str!("dashboard/tap.js")),
];

/// The file with this name; the page itself where it has none.
pub(super) fn file(name: &str) -> Option<Reply> {
    let (_, kind, text) = FILES.into_iter().find(|(known, ..)| *known == name)?;
    let mut reply = whole(StatusCode::OK, kind, text);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_file_names_is_a_file() {
        for (name, _, text) in FILES {
            let named = text.split(['"', '\'']).filter_map(|word| {
                word.strip_prefix("./").or_else(|| word.strip_prefix("dashboard/")).filter(|word| word.contains('.'))
            });
            for named in named {
                assert!(file(named).is_some(), "{name} names {named}");
            }
        }
        assert!(file("none.js").is_none());
    }

    #[test]
    fn nothing_in_it_needs_what_the_policy_forbids() {
        for (name, _, text) in FILES {
            for forbidden in ["innerHTML", "eval(", "style=\"", "onclick=", "http://", "https://"] {
                let text = text.replace("http://www.w3.org/", "");
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
        }
    }
}
