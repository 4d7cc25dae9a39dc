//! Reading Rust source well enough to see which modules and crates it names.

use std::{fs, path::Path};

/// One source file, without its comments and the insides of its strings.
pub(crate) struct File {
    /// Below the directory that was searched.
    pub(crate) path: String,
    text: String,
    code: String,
}

/// All `.rs` files below `dir`, sorted by path.
pub(crate) fn files_below(dir: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(dir, dir, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).unwrap().to_string_lossy();
            files.push(File::new(&below, &fs::read_to_string(&path).unwrap()));
        }
    }
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: bare(text) }
    }

    /// The module right below the crate that this file belongs to.
    pub(crate) fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    pub(crate) fn begins_with_a_doc(&self) -> bool {
        self.text.starts_with("//!")
    }

    /// What `mod` declares at its top level, in order.
    pub(crate) fn declared_modules(&self) -> Vec<String> {
        let declared = |line: &str| {
            let at = line
                .strip_prefix("pub mod ")
                .or_else(|| line.strip_prefix("pub(crate) mod "))
                .or_else(|| line.strip_prefix("mod "));
            Some(at?.strip_suffix(';')?.trim().to_owned())
        };
        self.code.lines().filter_map(declared).collect()
    }

    /// What stands right behind `crate::`, in groups too.
    pub(crate) fn named_modules(&self) -> Vec<String> {
        let mut named = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            if !self.code[..at].ends_with(is_part_of_name) {
                named.extend(first_names(&self.code[at + "crate::".len()..]));
            }
        }
        named.sort();
        named.dedup();
        named
    }

    /// Whether a path begins with this crate.
    pub(crate) fn names_crate(&self, name: &str) -> bool {
        self.code.match_indices(&format!("{name}::")).any(|(at, _)| {
            let before = &self.code[..at];
            // `::redis::` is the crate, `config::redis::` is not.
            let outside = before.strip_suffix("::").unwrap_or(before);
            !outside.ends_with(is_part_of_name) && (before == outside || !outside.ends_with('>'))
        })
    }
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name at the start of `path`, or where a `{` stands there, the first name of each path inside.
fn first_names(path: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix('{') else {
        return vec![path.chars().take_while(|&c| is_part_of_name(c)).collect()];
    };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let name: String = inside[start..at].trim_start().chars().take_while(|&c| is_part_of_name(c)).collect();
                names.push(name);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// `text` without comments and without what stands in strings.
fn bare(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            'r' if !code.ends_with(is_part_of_name) => raw_string(rest),
            '"' => string(rest),
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\\"'") => 4,
            _ => 0,
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the string at the start of `text`.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The length of the raw string at the start of `text`, 0 when there is none.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|&c| c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    text[start..].find(&end).map_or(text.len(), |at| start + at + end.len())
}

#[test]
fn names_are_seen_in_groups_and_not_in_comments_or_strings() {
    let text = r##"
        //! Talks of crate::ghost.
        use crate::{message::{Message, Outcome}, event, config::Config};
        use crate::source;
        const A: &str = "crate::string \" crate::string";
        const B: &str = r#"crate::raw " crate::raw"#;
        fn f(c: char) { if c == '"' { crate::node::run() } /* crate::block */ let mycrate = 1; }
    "##;
    let file = File::new("plugin/engine.rs", text);
    assert_eq!(file.named_modules(), ["config", "event", "message", "node", "source"]);
    assert_eq!(file.module(), "plugin");
}

#[test]
fn a_crate_is_told_from_a_module_of_its_name() {
    for (code, expected) in [
        ("use redis::Client;", true),
        ("let a: ::redis::Value;", true),
        ("use crate::effect::redis::Pool;", false),
        ("config::redis::X", false),
        ("let credis::x", false),
        ("// redis::Client", false),
    ] {
        assert_eq!(File::new("a.rs", code).names_crate("redis"), expected, "{code}");
    }
}

#[test]
fn declared_modules_keep_their_order() {
    let file = File::new("lib.rs", "//! mod no;\npub mod message;\nmod event;\npub(crate) mod config;\n");
    assert_eq!(file.declared_modules(), ["message", "event", "config"]);
}
