//! A request as it stands on a connection.

use bytes::Bytes;
use hyper::{
    HeaderMap, Request, Uri,
    header::{CONTENT_LENGTH, HOST},
};
use std::io::Write;

/// What most heads fit into, in bytes.
const USUAL: usize = 512;

/// The head of `request`, to be followed by its body. A proxy that is to pass it on is told all of the URL.
pub(in crate::effect::http) fn written(request: &Request<Bytes>, forwarded: bool) -> Bytes {
    let mut head = Vec::with_capacity(USUAL);
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    target(&mut head, request.uri(), forwarded);
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        line(&mut head, name.as_str(), value.as_bytes());
    }
    beside(&mut head, request.headers(), request.uri(), request.body().len());
    head.extend_from_slice(b"\r\n");
    head.into()
}

fn target(head: &mut Vec<u8>, uri: &Uri, forwarded: bool) {
    if forwarded {
        head.extend_from_slice(uri.scheme_str().unwrap_or("http").as_bytes());
        head.extend_from_slice(b"://");
        head.extend_from_slice(authority(uri).as_bytes());
    }
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    if !path.starts_with('/') {
        head.push(b'/');
    }
    head.extend_from_slice(path.as_bytes());
}

/// What a request needs and `headers` do not have.
fn beside(head: &mut Vec<u8>, headers: &HeaderMap, uri: &Uri, body: usize) {
    if !headers.contains_key(HOST) {
        line(head, HOST.as_str(), host(uri).as_bytes());
    }
    if body > 0 && !headers.contains_key(CONTENT_LENGTH) {
        head.extend_from_slice(b"content-length: ");
        write!(head, "{body}\r\n").expect("a vector takes whatever is written");
    }
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

/// The authority without a port that goes without saying.
fn host(uri: &Uri) -> &str {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    match uri.port_u16() {
        Some(port) if port == usual => uri.host().unwrap_or_default(),
        _ => authority(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, url: &str, body: &'static [u8], forwarded: bool) -> String {
        let request = Request::builder().method(method).uri(url).header("x-a", "1").body(Bytes::from_static(body));
        String::from_utf8(written(&request.unwrap(), forwarded).to_vec()).unwrap()
    }

    #[test]
    fn a_server_is_told_the_path_and_a_proxy_the_whole_url() {
        for (url, plain, whole, host) in [
            ("http://a.b", "/", "http://a.b/", "a.b"),
            ("http://a.b:80/c?d=e", "/c?d=e", "http://a.b:80/c?d=e", "a.b"),
            ("http://a.b:81?d", "/?d", "http://a.b:81/?d", "a.b:81"),
            ("https://[::1]:443/c", "/c", "https://[::1]:443/c", "[::1]"),
            ("https://[::1]:80/c", "/c", "https://[::1]:80/c", "[::1]:80"),
        ] {
            assert_eq!(head("GET", url, b"", false), format!("GET {plain} HTTP/1.1\r\nx-a: 1\r\nhost: {host}\r\n\r\n"));
            assert_eq!(head("GET", url, b"", true), format!("GET {whole} HTTP/1.1\r\nx-a: 1\r\nhost: {host}\r\n\r\n"));
        }
    }

    #[test]
    fn a_body_is_announced_by_its_length() {
        let expected = "POST / HTTP/1.1\r\nx-a: 1\r\nhost: a.b\r\ncontent-length: 12\r\n\r\n";
        assert_eq!(head("POST", "http://a.b/", b"twelve bytes", false), expected);
    }
}
