//! Compressed in one pipeline, decompressed in another, within bounds.

use super::{back, config, letter, made_by, made_of};
use gristmill_tests::Mill;

fn zipping(gunzip: &str) -> Mill {
    let tables = format!(
        "[plugin.gzip]\nconfig = {{ level = 9, at_least = 100 }}\n[plugin.gunzip]\nfile = \"gzip.wasm\"\nconfig = {{ mode = \"gunzip\"{gunzip} }}\n{}",
        back(&["gunzip"])
    );
    Mill::new().plugins(&["gzip", "http"]).config(&config(&["gzip"], &tables))
}

#[test]
fn what_is_compressed_comes_back_as_it_was() {
    let mill = zipping(", plain = \"pass\"");
    let mut node = mill.node();
    let text = r#"{"type":"order","state":"paid"}"#.repeat(100);
    let zipped = made_of(&mill, &text);
    assert!(zipped.body.starts_with(&[0x1f, 0x8b]) && zipped.body.len() < 200, "{} bytes", zipped.body.len());
    assert_eq!(made_by(&mill, "back", &zipped.body).text(), text);
    assert_eq!(made_of(&mill, "short").text(), "short");
    assert_eq!(made_by(&mill, "back", "short").text(), "short");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_bomb_is_kept_and_harms_nothing() {
    let mill = zipping(", most_kib = 1024");
    let mut node = mill.node();
    let bomb = made_of(&mill, vec![b'0'; 4 << 20]).body;
    assert!(bomb.len() < 20_000, "{} bytes", bomb.len());
    mill.redis.push("back", [&bomb[..]]);
    let letter = letter(&mill, "back");
    assert!(letter.to_string().contains("decompresses to more than 1024 KiB, see `most_kib`"), "{letter}");
    assert_eq!(letter["attempts"], 1, "{letter}");
    let fine = made_of(&mill, vec![b'1'; 1 << 20]).body;
    assert_eq!(made_by(&mill, "back", &fine).body.len(), 1 << 20);
    assert_eq!(node.terminate(), 0);
}
