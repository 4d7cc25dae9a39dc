//! The name of a new plugin, in the forms that it is written in.

use super::{Language, taken};
use anyhow::{Context, bail};
use std::path::Path;

/// Longer ones are a nuisance in metrics and logs.
const LONGEST: usize = 64;
/// A name that can be that of a crate, a module, a file and a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// With `-` between its words.
    pub(super) plain: String,
    /// With `_` between them.
    pub(super) ident: String,
}

impl Name {
    /// That of the directory `dir`, for a plugin in this language.
    pub(super) fn of(dir: &Path, language: Language) -> anyhow::Result<Self> {
        let name = dir.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("`{}` names no directory to make", dir.display()))?;
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_');
        let words = name.split(['-', '_']).all(|word| !word.is_empty());
        if !name.chars().all(fits) || !name.starts_with(|letter: char| letter.is_ascii_lowercase()) || !words {
            bail!(
                "`{name}` cannot be the name of a plugin: it begins with a letter from a to z, and goes on with those, digits, and single `-` or `_`"
            );
        }
        let ident = name.replace('-', "_");
        if name.len() > LONGEST {
            bail!("`{name}` has {} characters; {LONGEST} are enough", name.len());
        }
        if taken::by(language).contains(&&*ident) {
            bail!("`{name}` means something else to {language}; add a word, as in `my-{name}`");
        }
        Ok(Self { plain: ident.replace('_', "-"), ident })
    }

    /// `text` with this name wherever one is left open: `NAME` with `-` between its words, `IDENT` with `_`.
    pub(super) fn filled(&self, text: &str) -> String {
        text.replace("NAME", &self.plain).replace("IDENT", &self.ident)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<Name, String> {
        name_in(text, Language::Rust)
    }

    fn name_in(text: &str, language: Language) -> Result<Name, String> {
        Name::of(Path::new(text), language).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_is_the_last_part_of_a_path_in_two_spellings() {
        let expected = Name { plain: "my-filter-2".to_owned(), ident: "my_filter_2".to_owned() };
        for spelling in ["my-filter-2", "my_filter-2", "some/where/my-filter-2/"] {
            assert_eq!(name(spelling).unwrap(), expected);
        }
    }

    #[test]
    fn names_that_something_chokes_on_are_refused() {
        for wrong in
            ["", "/", "..", "2fast", "-a", "a-", "a--b", "Upper", "ü", "a b", "a.b", "match", "std", "gristmill-sdk"]
        {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert!(name(&"a".repeat(65)).unwrap_err().contains("64 are enough"));
        assert!(name("match").unwrap_err().ends_with("as in `my-match`"));
    }

    #[test]
    fn each_language_has_words_of_its_own() {
        use Language::{JavaScript, Python, Rust, TypeScript};
        for (word, refused) in [
            ("match", &[Rust][..]),
            ("serde", &[Rust]),
            ("class", &[Python]),
            ("json", &[Python]),
            ("async", &[Rust, Python]),
            ("typescript", &[TypeScript]),
            ("test", &[Rust, Python, JavaScript, TypeScript]),
            ("orders", &[]),
        ] {
            for language in [Rust, Python, JavaScript, TypeScript] {
                let refusal = name_in(word, language).err();
                let expected = format!("`{word}` means something else to {language}; add a word, as in `my-{word}`");
                assert_eq!(refusal, refused.contains(&language).then_some(expected), "{language}");
            }
        }
    }
}
