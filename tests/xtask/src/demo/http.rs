//! Just enough HTTP/1.1 to receive deliveries: requests with a length or in chunks, on connections that stay open.

use std::io::{self, BufRead, Read};

const HEAD: u64 = 64 * 1024;
const BODY: u64 = 64 * 1024 * 1024;

/// One request.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first value of the header `name`, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the client wants the connection closed behind the answer.
    pub(crate) fn is_last(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The next request, or none when the client has hung up between two.
    ///
    /// `go_on` is called where the client waits for permission to send its body.
    ///
    /// # Errors
    /// `InvalidData` for what is not HTTP/1.1 or too long, and whatever reading says.
    pub(crate) fn read(stream: &mut impl BufRead, go_on: impl FnOnce() -> io::Result<()>) -> io::Result<Option<Self>> {
        let mut head = stream.take(HEAD);
        let first = line(&mut head)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut words = first.split(' ');
        let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid("no request line"));
        };
        if !version.starts_with("HTTP/1.") {
            return Err(invalid("not HTTP/1"));
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        let mut request = Self { method, path, headers: headers(&mut head)?, body: Vec::new() };
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            go_on()?;
        }
        request.body = request.read_body(stream)?;
        Ok(Some(request))
    }

    fn read_body(&self, stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return chunks(stream);
        }
        let length = self.header("content-length").map_or(Ok(0), |value| value.trim().parse::<u64>());
        exactly(stream, length.map_err(|_| invalid("no length"))?)
    }
}

/// One line without its end; empty at the end of the stream.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes)?;
    if !bytes.is_empty() && bytes.pop() != Some(b'\n') {
        return Err(invalid("a line without an end"));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("a line that is not text"))?;
    Ok(text.trim_end_matches('\r').to_owned())
}

fn headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header without a colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk without a size"))?;
        if size == 0 {
            headers(stream)?;
            return Ok(body);
        }
        if body.len() as u64 + size > BODY {
            return Err(invalid("too long a body"));
        }
        body.extend(exactly(stream, size)?);
        line(stream)?;
    }
}

fn exactly(stream: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > BODY {
        return Err(invalid("too long a body"));
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    if body.len() as u64 == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> io::Result<Vec<Request>> {
        let mut requests = Vec::new();
        while let Some(request) = Request::read(&mut bytes, || Ok(()))? {
            requests.push(request);
        }
        Ok(requests)
    }

    #[test]
    fn requests_on_one_connection_are_told_apart() {
        let bytes = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nonePUT /b HTTP/1.1\r\ntransfer-encoding: chunked\r\nConnection: close\r\n\r\n4\r\ntwo \r\n3;x=y\r\ntoo\r\n0\r\nTrailer: x\r\n\r\n";
        let requests = read(bytes).unwrap();
        let seen: Vec<_> = requests
            .iter()
            .map(|request| (request.method.as_str(), request.path.as_str(), request.body.as_slice()))
            .collect();
        assert_eq!(seen, [("POST", "/a", b"one".as_slice()), ("PUT", "/b", b"two too".as_slice())]);
        assert_eq!(requests.iter().map(Request::is_last).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn what_is_cut_short_or_not_http_is_an_error() {
        for bytes in [
            "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\none",
            "POST /a HTTP/1.1\r\nContent-Length: many\r\n\r\n",
            "POST /a HTTP/1.1\r\nno colon\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "hello\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
        ] {
            assert!(read(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }

    #[test]
    fn permission_to_send_a_body_is_asked_for_only_when_wanted() {
        let mut asked = 0;
        let mut bytes = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx".as_slice();
        Request::read(&mut bytes, || {
            asked += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(asked, 1);
    }
}
