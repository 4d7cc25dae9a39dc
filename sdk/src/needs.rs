//! What a plugin declares that it cannot work without.

/// Declares what the plugin cannot work without. A host that does not grant all of it refuses the plugin when it is loaded, and
/// says which line of the configuration would grant it; an older version of the plugin stays in force meanwhile.
///
/// Each need is a word, with which one is meant behind it where only that one will do:
///
/// | need | granted by |
/// |---|---|
/// | `http`, `http api.example.com`, `http api.example.com:8443` | `allow_http` |
/// | `redis`, `redis PUBLISH news.*` | `allow_redis` |
/// | `files`, `files out`, `files in:ro` | `allow_dirs` |
/// | `environment`, `environment LANG` | `allow_env` |
/// | `sql`, `sql shop`, `sql shop:write` | `allow_sql` |
/// | `store` | `allow_store` |
/// | `clock` | `allow` |
/// | `random` | `allow` |
///
/// It stands once, beside the plugin. Without it nothing is refused beforehand, and what was not granted is denied when it is tried.
/// `needs!()` declares that the plugin needs nothing.
///
/// ```
/// gristmill_sdk::needs!("http api.example.com", "clock");
/// ```
///
/// ```compile_fail
/// gristmill_sdk::needs!("telepathy");
/// ```
#[macro_export]
macro_rules! needs {
    ($($need:literal),* $(,)?) => {
        const _: () = {
            $(::core::assert!($crate::needs::is_known($need), "a need is `http`, `redis`, `files`, `environment` or `sql`, with which one behind it or not, or `store`, `clock` or `random`");)*
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            const TEXT: &str = ::core::concat!($($need, "\n",)* "\n");
            #[used]
            #[unsafe(link_section = "gristmill:needs")]
            static DECLARED: [u8; TEXT.len()] = $crate::needs::bytes(TEXT);
        };
    };
}

/// Whether `need` begins with a word that hosts know.
#[doc(hidden)]
pub const fn is_known(need: &str) -> bool {
    let which = [b"http".as_slice(), b"redis", b"files", b"environment", b"sql"];
    let plain = [b"clock".as_slice(), b"random", b"store"];
    is_one_of(need.as_bytes(), &which, true) || is_one_of(need.as_bytes(), &plain, false)
}

/// `text` as an array, which is what a section of a file is made of.
#[doc(hidden)]
pub const fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    *text.as_bytes().first_chunk().expect("the array is as long as the text")
}

const fn is_one_of(need: &[u8], mut words: &[&[u8]], with_more: bool) -> bool {
    while let Some((word, others)) = words.split_first() {
        if begins_with(need, word) {
            match need.split_at(word.len()).1 {
                [] => return true,
                [b' ', more @ ..] => return with_more && !more.trim_ascii().is_empty(),
                _ => {}
            }
        }
        words = others;
    }
    false
}

const fn begins_with(mut text: &[u8], mut word: &[u8]) -> bool {
    while let Some((first, rest)) = word.split_first() {
        match text.split_first() {
            Some((letter, after)) if *letter == *first => (text, word) = (after, rest),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::needs!("http", "http a.org:80", "files in:ro", "environment LANG", "clock", "random");

    #[test]
    fn words_that_hosts_know_are_taken_and_others_are_not() {
        assert!(["http", "http a.org", "files out", "clock"].iter().all(|need| is_known(need)));
        let wrong = ["", "https", "http ", "clock now", "telepathy", " http", "HTTP"];
        assert!(wrong.iter().all(|need| !is_known(need)));
    }

    #[test]
    fn the_section_holds_the_text() {
        assert_eq!(&bytes::<5>("clock"), b"clock");
    }
}
