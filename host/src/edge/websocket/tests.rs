use super::*;

const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

/// A frame as clients send it.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    server_frame(&mut frame, 0, payload);
    frame[0] = first;
    frame[1] |= 0x80;
    let head = frame.len() - payload.len();
    frame.splice(head.., MASK.into_iter().chain(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b)));
    frame
}

/// What is heard of `input` in pieces of this length.
fn heard(input: &[u8], piece: usize) -> Result<Vec<Heard>, u16> {
    let (mut reader, mut all) = (Reader::default(), Vec::new());
    for piece in input.chunks(piece) {
        reader.read(piece, 100_000, |heard| all.push(heard))?;
    }
    assert!(reader.0.is_none(), "nothing is kept between messages");
    Ok(all)
}

#[test]
fn a_key_is_answered_as_the_rfc_shows_it() {
    assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn messages_are_read_in_pieces_of_any_length() {
    let long = "ü".repeat(40_000);
    let input = [
        client_frame(0x81, b"one"),
        client_frame(0x89, b"ping"),
        client_frame(0x01, "hal\u{e4}".as_bytes().split_at(4).0),
        client_frame(0x8a, b""),
        client_frame(0x80, "hal\u{e4}".as_bytes().split_at(4).1),
        client_frame(0x82, &[0, 255]),
        client_frame(0x81, long.as_bytes()),
        client_frame(0x81, b""),
        client_frame(0x88, &[0x03, 0xe8, b'x']),
    ]
    .concat();
    let expected = [
        Heard::Text(b"one".to_vec()),
        Heard::Ping(b"ping".to_vec()),
        Heard::Pong,
        Heard::Text("hal\u{e4}".into()),
        Heard::Binary(vec![0, 255]),
        Heard::Text(long.into_bytes()),
        Heard::Text(Vec::new()),
        Heard::Close(1000),
    ];
    for piece in [1, 2, 3, 7, 1_000, usize::MAX] {
        assert_eq!(heard(&input, piece).as_deref(), Ok(&expected[..]), "{piece}");
    }
}

#[test]
fn what_breaks_the_protocol_is_told_by_its_code() {
    let mut unmasked = Vec::new();
    server_frame(&mut unmasked, TEXT, b"x");
    for (input, code) in [
        (unmasked, 1002),
        (client_frame(0xc1, b"x"), 1002),
        (client_frame(0x83, b"x"), 1002),
        (client_frame(0x80, b"x"), 1002),
        (client_frame(0x09, b"x"), 1002),
        (client_frame(0x89, &[0; 126]), 1002),
        ([client_frame(0x01, b"x"), client_frame(0x81, b"x")].concat(), 1002),
        (vec![0x81, 0xfe, 0, 125, 0, 0, 0, 0], 1002),
        (vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),
        (client_frame(0x81, &[0xff]), 1007),
        (client_frame(0x81, &[0xc3]), 1007),
        (client_frame(0x01, &[0xc3, 0x28]), 1007),
        (client_frame(0x88, &[0x03]), 1002),
        (client_frame(0x88, &[0x03, 0xed]), 1002),
        (client_frame(0x88, &[0x03, 0xe8, 0xff]), 1007),
        (client_frame(0x82, &[0; 100_001]), 1009),
        ([client_frame(0x02, &[0; 60_000]), client_frame(0x80, &[0; 60_000])].concat(), 1009),
    ] {
        for piece in [1, usize::MAX] {
            assert_eq!(heard(&input, piece), Err(code), "{:?}", input.get(..12));
        }
    }
}

#[test]
fn text_that_is_none_is_told_before_its_frame_is_whole() {
    let frame = client_frame(0x81, &[0xff; 1_000]);
    let mut reader = Reader::default();
    assert_eq!(reader.read(&frame[..20], 100_000, |_| ()), Err(1007));
}

#[test]
fn frames_of_any_length_have_the_head_that_fits() {
    for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let mut out = Vec::new();
        server_frame(&mut out, BINARY, &vec![7; length]);
        assert_eq!(out.len(), length + head);
    }
}
