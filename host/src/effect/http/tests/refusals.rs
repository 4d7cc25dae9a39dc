//! Requests that are never sent, and what is said about them.

use super::*;

async fn refused(wanted: HttpRequest) -> Failure {
    let allowance = Allowance::new(&settings(vec![any(), exact("127.0.0.1")]));
    carry_out(&Effects::new().unwrap(), &allowance, wanted).await.unwrap_err()
}

fn invalid(text: &str) -> Failure {
    Failure::Invalid(text.to_owned())
}

#[tokio::test]
async fn methods_that_are_none_are_named() {
    for (method, shown) in [("", ""), ("PO ST", "PO ST"), ("POST\r\nx: y", "POST\\r\\nx: y"), ("CONNECT", "CONNECT")] {
        assert_eq!(
            refused(request(method, "http://127.0.0.1:9/")).await,
            invalid(&format!("`{shown}` is not a method that can be sent"))
        );
    }
}

#[tokio::test]
async fn urls_that_cannot_be_requested_are_named() {
    let cases = [
        ("", "GET: `` is not a URL: empty string"),
        ("http://host name/", "GET: `http://host name/` is not a URL: invalid uri character"),
        ("http://h/a b?token=secret", "GET: `http://h/a b` is not a URL: invalid uri character"),
        ("http://user:pa?ss w@host/", "GET: `…` is not a URL: invalid uri character"),
        ("/path", "GET /path: the URL names no host"),
        ("example.com", "GET example.com: the URL is neither `http` nor `https`"),
        ("ftp://example.com/", "GET ftp://example.com/: the URL is neither `http` nor `https`"),
        (
            "http://user:secret@127.0.0.1/",
            "GET http://127.0.0.1/: the URL holds user-info, send an `authorization` header instead",
        ),
        (
            "http://@127.0.0.1/",
            "GET http://127.0.0.1/: the URL holds user-info, send an `authorization` header instead",
        ),
        ("http://127.0.0.1:99999/", "GET http://127.0.0.1/: the URL's port is not a number up to 65535"),
        ("http://127.0.0.1:/", "GET http://127.0.0.1/: the URL's port is not a number up to 65535"),
    ];
    for (url, text) in cases {
        assert_eq!(refused(request("GET", url)).await, invalid(text), "{url}");
    }
}

#[tokio::test]
async fn headers_that_cannot_be_sent_are_named() {
    let at = "GET http://127.0.0.1:9/";
    for (name, value, text) in [
        ("", "x", "`` is not a header name"),
        ("a b", "x", "`a b` is not a header name"),
        (":path", "/other", "`:path` is not a header name"),
        ("X-Secret", "a\r\nhost: other", "the value of the header `X-Secret` cannot be sent"),
        ("x-secret", "a\0", "the value of the header `x-secret` cannot be sent"),
    ] {
        let wanted =
            HttpRequest { headers: vec![(name.into(), value.into())], ..request("GET", "http://127.0.0.1:9/?q") };
        assert_eq!(refused(wanted).await, invalid(&format!("{at}: {text}")));
    }
}

#[tokio::test]
async fn headers_of_the_connection_are_the_hosts() {
    for name in [
        "Connection",
        "content-length",
        "expect",
        "Host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        let wanted = HttpRequest { headers: vec![(name.into(), "5".into())], ..request("POST", "http://127.0.0.1:9/") };
        let text = format!("POST http://127.0.0.1:9/: the header `{}` is the host's to set", name.to_lowercase());
        assert_eq!(refused(wanted).await, invalid(&text));
    }
}

#[tokio::test]
async fn headers_without_number_are_refused() {
    let headers = (0..40_000).map(|number| (format!("x-{number}"), String::new())).collect();
    let wanted = HttpRequest { headers, ..request("GET", "http://127.0.0.1:9/") };
    assert_eq!(refused(wanted).await, invalid("GET http://127.0.0.1:9/: too many headers"));
}

#[tokio::test]
async fn what_a_plugin_makes_up_is_not_repeated_without_end() {
    let Failure::Unreachable(text) =
        refused(request("GET", &format!("http://127.0.0.1:9/{}", "a".repeat(60_000)))).await
    else {
        panic!()
    };
    assert!(text.len() < 300 && text.ends_with("…: connection refused"), "{text}");
}
