//! Which slot of a Redis Cluster a key lies in, and how another key is made to lie in the same one.
//!
//! Source: Redis Cluster specification, "Key distribution model" and "Hash tags".

/// How many there are.
const SLOTS: u16 = 16_384;

/// The slot of `key`, 0 to 16,383.
pub fn of(key: &str) -> u16 {
    hash(hash_tag(key).unwrap_or(key))
}

/// As [`of`], for a key that may be no text.
pub fn of_bytes(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|at| {
        let rest = key.get(at + 1..)?;
        rest.get(..rest.iter().position(|byte| *byte == b'}')?).filter(|tag| !tag.is_empty())
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

/// What stands between the braces of a key, if that alone decides on its slot.
pub fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    Some(tag).filter(|tag| !tag.is_empty())
}

/// What goes between braces so that another key hashes to the slot of `key`.
pub fn tag_for(key: &str) -> String {
    match hash_tag(key) {
        Some(tag) => tag.to_owned(),
        None if !key.contains('}') && !key.is_empty() => key.to_owned(),
        None => same_slot(key),
    }
}

/// A short string in the slot of `key`, for keys that cannot stand between braces.
fn same_slot(key: &str) -> String {
    let slot = hash(key);
    // One in 16,384 strings fits; a million tries miss with a chance of e^-61.
    (0u32..1 << 20).map(|n| format!("{n:x}")).find(|tag| hash(tag) == slot).unwrap_or_default()
}

fn hash(text: &str) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(text.as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_the_one_redis_documents() {
        assert_eq!(of("123456789"), 0x31C3);
    }

    #[test]
    fn only_the_first_tag_counts_and_an_empty_one_does_not() {
        assert_eq!(hash_tag("{user1000}.following"), Some("user1000"));
        assert_eq!(hash_tag("foo{}{bar}"), None);
        assert_eq!(hash_tag("foo{{bar}}zap"), Some("{bar"));
        assert_eq!(hash_tag("foo{bar}{zap}"), Some("bar"));
        assert_eq!(hash_tag("a}b{"), None);
        assert_eq!(of("{user1000}.following"), of("{user1000}.followers"));
        assert_ne!(of("foo{}{bar}"), of("{bar}"));
    }

    #[test]
    fn every_key_has_a_tag_that_leads_to_its_slot() {
        for key in ["notifications", "{app}:jobs", "a}b", "{}x", "x{", "a{b}{c}", "}", "q{}{t}", "ü"] {
            let tagged = format!("gristmill:{{{}}}:rest", tag_for(key));
            assert_eq!(of(&tagged), of(key), "{tagged} and {key}");
        }
    }
}
