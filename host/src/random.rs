//! Chance: names that do not repeat, and jitter, none of it for secrets; and keys, which are.

use rustls::crypto::ring;
use std::hash::{BuildHasher, RandomState};

/// From 0 up to 1.
pub(crate) fn jitter() -> f64 {
    (bits() >> 11) as f64 / (1u64 << 53) as f64
}

/// Ten letters and digits that no other call anywhere is likely to return: 50 bits of chance.
pub(crate) fn unique() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits = bits();
    (0..10)
        .filter_map(|digit| DIGITS.get((bits >> (5 * digit)) as usize & 31))
        .map(|digit| char::from(*digit))
        .collect()
}

/// 32 hexadecimal digits that no other call is likely to return.
pub(crate) fn hex() -> String {
    format!("{:016x}{:016x}", bits(), bits())
}

/// 256 bits that nobody can guess.
pub(crate) fn key() -> [u8; 32] {
    let mut key = [0; 32];
    ring::default_provider().secure_random.fill(&mut key).expect("a running system has chance to give");
    key
}

/// The hasher's keys are seeded by the operating system and differ from one state to the next.
fn bits() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_do_not_repeat() {
        let names: HashSet<String> = (0..10_000).map(|_| unique()).collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.iter().all(|name| name.len() == 10));
    }

    #[test]
    fn keys_differ() {
        assert_ne!(key(), key());
    }

    #[test]
    fn jitter_stays_below_one() {
        assert!((0..10_000).map(|_| jitter()).all(|jitter| (0.0..1.0).contains(&jitter)));
    }
}
