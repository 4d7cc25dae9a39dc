use super::*;

const LARGEST: usize = 20;

/// `bytes` read in pieces of this length, and then the end of the connection.
fn read(method: &Method, bytes: &[u8], piece: usize) -> Result<(HttpReply, bool), Fault> {
    let mut reading = Reading::new(method, LARGEST);
    for piece in bytes.chunks(piece) {
        reading.read(piece)?;
    }
    if !reading.is_complete() {
        reading.end()?;
    }
    let again = reading.leaves_connection();
    Ok((reading.reply(), again))
}

/// The status, the body and whether the connection can be used again, which are the same however the bytes are cut.
fn outcome(method: &Method, text: &str) -> Result<(u16, String, bool), Fault> {
    let whole = read(method, text.as_bytes(), usize::MAX);
    for piece in 1..text.len() {
        assert_eq!(read(method, text.as_bytes(), piece), whole, "{text:?} in pieces of {piece}");
    }
    whole.map(|(reply, again)| (reply.status, String::from_utf8(reply.body.to_vec()).unwrap(), again))
}

#[test]
fn the_end_of_a_reply_is_found_by_every_framing_and_tells_whether_another_may_follow() {
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    for (head, body, expected, again) in [
        ("1.1 200 OK\r\ncontent-length: 3\r\n\r\n", "abc", "abc", true),
        ("1.1 200 OK\r\nContent-Length: 3, 3\r\ncontent-length:3\r\n\r\n", "abc", "abc", true),
        ("1.1 200 OK\r\ncontent-length: 3\r\nConnection: x, Close\r\n\r\n", "abc", "abc", false),
        ("1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n", "abc", "abc", false),
        ("1.1 200 OK\r\ncontent-length: 3\r\n\r\n", "abcd", "abc", false),
        ("1.0 200 OK\r\ncontent-length: 3\r\n\r\n", "abc", "abc", false),
        ("1.0 200 OK\r\ncontent-length: 3\r\nconnection: Keep-Alive\r\n\r\n", "abc", "abc", true),
        ("1.1 200 OK\r\n\r\n", "until the end", "until the end", false),
        ("1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "until the end", "until the end", false),
        (
            &format!("1.1 200 OK\r\n{chunked}"),
            "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
            "abc0123456789",
            true,
        ),
        (&format!("1.1 200 OK\r\n{chunked}"), "1 \r\na\r\n00\r\nx: 1\r\ny: 2\r\n\r\n", "a", true),
        (&format!("1.1 200 OK\r\ncontent-length: 1\r\n{chunked}"), "2\r\nab\r\n0\r\n\r\n", "ab", false),
        ("1.1 204 No Content\r\n\r\n", "", "", true),
        ("1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", "", "", true),
        ("1.1 101 Switching\r\n\r\n", "anything", "", false),
    ] {
        let status = head[4..7].parse().unwrap();
        let reply = format!("HTTP/{head}{body}");
        assert_eq!(outcome(&Method::GET, &reply), Ok((status, expected.to_owned(), again)), "{reply}");
    }
    let head_only = outcome(&Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n");
    assert_eq!(head_only, Ok((200, String::new(), true)));
    let after = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 1\r\n\r\n!";
    assert_eq!(outcome(&Method::POST, after), Ok((201, "!".to_owned(), true)));
}

#[test]
fn what_is_no_reply_is_told_by_its_first_fault() {
    let chunk = |chunk: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
    let broken = Fault::NotHttp("invalid chunk parsed");
    for (reply, fault) in [
        (String::new(), Fault::CutShort),
        ("HTTP/1.1 200 OK\r\n".into(), Fault::CutShort),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab".into(), Fault::CutShort),
        (chunk(""), Fault::CutShort),
        (chunk("3\r\nabc\r\n"), Fault::CutShort),
        (chunk("0\r\n"), Fault::CutShort),
        (chunk("0\r\nx: 1\r\n"), Fault::CutShort),
        (chunk("\r\n"), broken),
        (chunk(";x\r\n"), broken),
        (chunk("x\r\n"), broken),
        (chunk("-1\r\n"), broken),
        (chunk("3\r\nabcd\r\n"), broken),
        (chunk("10000000000000000\r\n"), broken),
        (chunk("ffffffffffffffff\r\n0123456789012345678901"), Fault::BodyTooLarge),
        (chunk("14\r\n01234567890123456789\r\n1\r\n0"), Fault::BodyTooLarge),
        ("HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n".into(), Fault::BodyTooLarge),
        ("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n".into(), Fault::BodyTooLarge),
        ("HTTP/1.1 200 OK\r\n\r\n012345678901234567890".into(), Fault::BodyTooLarge),
        ("HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\n".into(), Fault::NotHttp("invalid content-length parsed")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\n".into(), Fault::NotHttp("invalid content-length parsed")),
        ("HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n".into(), Fault::NotHttp("invalid content-length parsed")),
        (
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into(),
            Fault::NotHttp("unexpected transfer-encoding parsed"),
        ),
        ("HTTP/1.1 099 OK\r\n\r\n".into(), Fault::NotHttp("invalid HTTP status-code parsed")),
        ("HTTP/2 200 OK\r\n\r\n".into(), Fault::NotHttp("invalid HTTP version parsed")),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n".into(), Fault::NotHttp("invalid HTTP header parsed")),
    ] {
        assert_eq!(outcome(&Method::GET, &reply), Err(fault), "{reply}");
    }
}

#[test]
fn nothing_that_has_to_be_kept_whole_grows_without_end() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    for (start, more) in [
        (head.to_owned(), "x: 0123456789\r\n"),
        (format!("{head}x: "), "0123456789"),
        (format!("{chunked}1;"), "0123456789"),
        (format!("{chunked}0\r\n"), "0123456789"),
        (format!("{chunked}0\r\n"), "x: 0123456789\r\n"),
    ] {
        let mut reading = Reading::new(&Method::GET, LARGEST);
        reading.read(start.as_bytes()).unwrap();
        let read = (0..LONGEST).find_map(|_| reading.read(more.as_bytes()).err());
        assert!(
            matches!(read, Some(Fault::HeadTooLarge | Fault::NotHttp("invalid chunk parsed"))),
            "{start}: {read:?}"
        );
        assert!(reading.rest.len() <= 2 * LONGEST);
    }
}
