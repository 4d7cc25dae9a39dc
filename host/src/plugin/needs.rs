//! What a plugin works with outside of its own instance: what it says it needs, and what its imports let it try.

use super::v0_1::Kind;
use crate::config::{self, Ambient, DirAccess};
use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};
use wasmparser::{Parser, Payload};

/// The custom section in which a plugin declares what it needs: lines such as `http api.example.com`.
const SECTION: &str = "gristmill:needs";
/// Bytes of a declaration that are read; a longer one is none.
const SECTION_BYTES: usize = 64 << 10;

/// Something that a plugin has only if a key of its table grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// HTTP requests that the host sends for it.
    Http,
    /// Commands of Redis that the host carries out for it.
    Redis,
    /// Files and directories.
    Files,
    /// Variables of the node's environment.
    Environment,
    /// The time.
    Clock,
    /// Chance that is good for keys.
    Random,
    /// A store of its own.
    Store,
    /// Databases.
    Sql,
    /// Sockets of its own, which nothing grants.
    Sockets,
}

const ALL: [Means; 9] = [
    Means::Http,
    Means::Redis,
    Means::Files,
    Means::Environment,
    Means::Clock,
    Means::Random,
    Means::Store,
    Means::Sql,
    Means::Sockets,
];

impl Means {
    /// The key of `[plugin.NAME]` that grants it.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Http => Some("allow_http"),
            Self::Redis => Some("allow_redis"),
            Self::Files => Some("allow_dirs"),
            Self::Environment => Some("allow_env"),
            Self::Clock | Self::Random => Some("allow"),
            Self::Store => Some("allow_store"),
            Self::Sql => Some("allow_sql"),
            Self::Sockets => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Redis => "redis",
            Self::Files => "files",
            Self::Environment => "environment",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Store => "store",
            Self::Sql => "sql",
            Self::Sockets => "sockets",
        }
    }

    /// What an import of this name, a component's interface or a core module's function, is there for.
    fn behind(import: &str) -> Option<Self> {
        let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
        match interface {
            "gristmill:plugin/store" => Some(Self::Store),
            "gristmill:plugin/sql" => Some(Self::Sql),
            "wasi:cli/environment" | "environ_get" => Some(Self::Environment),
            "wasi:random/random" | "random_get" => Some(Self::Random),
            "wasi:clocks/wall-clock" | "wasi:clocks/monotonic-clock" | "clock_time_get" => Some(Self::Clock),
            _ if interface.starts_with("wasi:filesystem/") || interface.starts_with("path_") => Some(Self::Files),
            _ if interface.starts_with("wasi:sockets/") || interface.starts_with("sock_") => Some(Self::Sockets),
            _ => None,
        }
    }
}

impl Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that a plugin cannot work without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What it is.
    pub means: Means,
    /// Which of them, such as a host or a directory; any will do where it is absent.
    pub which: Option<String>,
}

impl Need {
    /// As a declaration spells it: what it is, and behind a space which one.
    fn parse(line: &str) -> Option<Self> {
        let (word, which) = match line.split_once(' ') {
            Some((word, which)) => (word, Some(which.trim().to_owned())),
            None => (line, None),
        };
        let means = ALL.into_iter().find(|means| means.word() == word)?;
        Some(Self { means, which })
    }

    /// Whether `settings` grant it.
    pub fn granted(&self, settings: &config::Plugin) -> bool {
        let Some(which) = self.which.as_deref() else {
            return granted(self.means, settings);
        };
        match self.means {
            Means::Http => {
                let wanted = config::HttpGrant::parse(which);
                wanted.is_some_and(|wanted| settings.allow_http.iter().any(|grant| grant.covers(&wanted)))
            }
            Means::Redis => {
                let wanted = config::RedisGrant::parse(which);
                wanted.is_some_and(|wanted| settings.allow_redis.iter().any(|grant| grant.covers(&wanted)))
            }
            Means::Files => {
                let (name, access) = match which.strip_suffix(":ro") {
                    Some(name) => (name, DirAccess::Read),
                    None => (which, DirAccess::Write),
                };
                let dir = settings.allow_dirs.get(name);
                dir.is_some_and(|dir| access == DirAccess::Read || dir.access == DirAccess::Write)
            }
            Means::Environment => settings.allow_env.iter().any(|name| name == which),
            Means::Sql => {
                let wanted = config::SqlGrant::parse(which);
                wanted.is_some_and(|wanted| settings.lookups.sql.iter().any(|grant| grant.covers(&wanted)))
            }
            Means::Clock | Means::Random | Means::Store | Means::Sockets => granted(self.means, settings),
        }
    }

    /// The line that would grant it, if any line does.
    pub fn grant(&self) -> Option<String> {
        let which = self.which.as_deref();
        match self.means {
            Means::Http => Some(format!("allow_http = [\"{}\"]", which.unwrap_or("HOST"))),
            Means::Redis => Some(format!("allow_redis = [\"{}\"]", which.unwrap_or("GET KEYS"))),
            Means::Files => {
                let (name, end) = match which.and_then(|which| which.strip_suffix(":ro")) {
                    Some(name) => (Some(name), ":ro"),
                    None => (which, ""),
                };
                Some(format!("allow_dirs = {{ {} = \"DIRECTORY{end}\" }}", name.unwrap_or("NAME")))
            }
            Means::Environment => Some(format!("allow_env = [\"{}\"]", which.unwrap_or("VARIABLE"))),
            Means::Clock | Means::Random => Some(format!("allow = [\"{}\"]", self.means)),
            Means::Store => Some("allow_store = \"memory\"".to_owned()),
            Means::Sql => Some(format!("allow_sql = [\"{}\"]", which.unwrap_or("DATABASE"))),
            Means::Sockets => None,
        }
    }
}

impl Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Some(which) => write!(f, "{} `{}`", self.means, which.escape_debug()),
            None => write!(f, "{}", self.means),
        }
    }
}

/// Whether any of it is granted.
fn granted(means: Means, settings: &config::Plugin) -> bool {
    match means {
        Means::Http => !settings.allow_http.is_empty(),
        Means::Redis => !settings.allow_redis.is_empty(),
        Means::Files => !settings.allow_dirs.is_empty(),
        Means::Environment => !settings.allow_env.is_empty(),
        Means::Clock => settings.allow.contains(&Ambient::Clock),
        Means::Random => settings.allow.contains(&Ambient::Random),
        Means::Store => settings.lookups.store != config::Store::Nothing,
        Means::Sql => !settings.lookups.sql.is_empty(),
        Means::Sockets => false,
    }
}

/// What the file of a plugin says about all this.
///
/// An import of WASI proves nothing: standard libraries import files, clocks and variables for programs that never touch
/// them. So such an import only means that the plugin may try, and it is denied when it does. What is a need is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    declared: Option<BTreeSet<Need>>,
    strange: Option<String>,
    imports: Vec<String>,
}

impl Needs {
    /// Those of the component or core module in `wasm`; nothing if it is neither.
    pub fn of(wasm: &[u8]) -> Self {
        let mut needs = Self::default();
        // Modules and components inside are declared by the outermost, which is at depth 0.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload {
                Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::ComponentImportSection(imports)) if depth == 0 => {
                    let names = imports.into_iter().flatten().map(|import| import.name.name.to_owned());
                    needs.imports.extend(names);
                }
                Ok(Payload::ImportSection(imports)) if depth == 0 => {
                    let names = imports.into_imports().flatten().map(|import| import.name.to_owned());
                    needs.imports.extend(names);
                }
                Ok(Payload::CustomSection(section)) if section.name() == SECTION => needs.declare(section.data()),
                Ok(_) => {}
                // What is wrong with it is for the compiler to say.
                Err(_) => break,
            }
        }
        needs
    }

    fn declare(&mut self, section: &[u8]) {
        let declared = self.declared.get_or_insert_default();
        let text = match std::str::from_utf8(section) {
            Ok(text) if text.len() <= SECTION_BYTES => text,
            _ => {
                self.strange = Some("what is no text".to_owned());
                return;
            }
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match Need::parse(line) {
                Some(need) => drop(declared.insert(need)),
                None => self.strange = Some(line.chars().take(100).collect()),
            }
        }
    }

    /// What it cannot work without, as far as it says so.
    pub fn iter(&self) -> impl Iterator<Item = &Need> {
        self.declared.iter().flatten()
    }

    /// Whether it says what it needs at all.
    pub fn declares(&self) -> bool {
        self.declared.is_some()
    }

    /// A declared need that this host has never heard of.
    pub fn strange(&self) -> Option<&str> {
        self.strange.as_deref()
    }

    /// The interfaces that it imports, or the functions of a core module, as it names them.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str)
    }

    /// What its imports let it try, needed or not.
    pub fn may_try(&self) -> BTreeSet<Means> {
        self.imports().filter_map(Means::behind).collect()
    }

    /// What it needs and `settings` do not grant.
    pub fn lacking(&self, settings: &config::Plugin) -> Vec<Need> {
        self.iter().filter(|need| !need.granted(settings)).cloned().collect()
    }

    /// What `settings` grant though a plugin of this `kind` does not need it: its imports, or its declaration if it has one, leave it out.
    pub fn idle(&self, kind: Kind, settings: &config::Plugin) -> Vec<Means> {
        let tried = self.may_try();
        let needed: BTreeSet<Means> = self.iter().map(|need| need.means).collect();
        // Nothing is imported for requests, such as for lines in files: they are described.
        let possible = |means: Means| match means {
            Means::Http | Means::Redis => kind == Kind::Publisher,
            other => tried.contains(&other) || (other == Means::Files && kind == Kind::Publisher),
        };
        let wanted = |means: Means| possible(means) && (!self.declares() || needed.contains(&means));
        ALL.into_iter().filter(|&means| granted(means, settings) && !wanted(means)).collect()
    }
}

/// What it needs, and what else it may try.
impl Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |means: BTreeSet<Means>| means.iter().map(Means::to_string).collect::<Vec<_>>().join(", ");
        let needs: Vec<String> = self.iter().map(Need::to_string).collect();
        let mut tried = self.may_try();
        tried.retain(|means| self.iter().all(|need| need.means != *means));
        match (needs.is_empty(), self.declares()) {
            (false, _) => f.write_str(&needs.join(", "))?,
            (true, true) => f.write_str("nothing")?,
            (true, false) => f.write_str("does not say")?,
        }
        if tried.is_empty() { Ok(()) } else { write!(f, "; may try {}", list(tried)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with these imports that declares `needs`.
    fn component(imports: &[&str], needs: Option<&str>) -> Vec<u8> {
        let imports: String = imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
        let needs = needs.map_or_else(String::new, |needs| {
            format!("(core module (@custom \"{SECTION}\" \"{}\"))", needs.replace('\n', "\\n"))
        });
        wat::parse_str(format!("(component {imports} {needs})")).unwrap()
    }

    fn settings(lines: &str) -> config::Plugin {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("[pipeline.p]\nfrom.list = \"q\"\npublish = [\"it\"]\n[plugin.it]\n{lines}\n");
        std::fs::write(file.path(), text).unwrap();
        let loaded = config::load(file.path(), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        loaded.config.plugins.get("it").unwrap().clone()
    }

    fn need(line: &str) -> Need {
        Need::parse(line).unwrap()
    }

    #[test]
    fn imports_say_what_may_be_tried_and_not_what_is_needed() {
        let imports = ["wasi:cli/environment@0.2.0", "wasi:clocks/wall-clock@0.2.6", "wasi:sockets/tcp@0.2.0"];
        let needs = Needs::of(&component(&imports, None));
        assert_eq!(needs.imports().collect::<Vec<_>>(), imports);
        assert_eq!(needs.may_try(), BTreeSet::from([Means::Environment, Means::Clock, Means::Sockets]));
        assert_eq!((needs.iter().count(), needs.declares()), (0, false));
        assert_eq!(needs.to_string(), "does not say; may try environment, clock, sockets");
        assert!(needs.lacking(&settings("")).is_empty());
    }

    #[test]
    fn a_declaration_is_found_in_the_module_inside() {
        let needs = Needs::of(&component(&[], Some("http api.example.com\nclock\n")));
        assert_eq!(needs.iter().collect::<Vec<_>>(), [&need("http api.example.com"), &need("clock")]);
        assert_eq!(needs.to_string(), "http `api.example.com`, clock");
        assert_eq!(Needs::of(&component(&[], Some(""))).to_string(), "nothing");
    }

    #[test]
    fn a_core_module_says_it_by_its_functions() {
        let module = r#"(module (import "wasi_snapshot_preview1" "path_open" (func))
            (import "wasi_snapshot_preview1" "fd_write" (func)) (import "wasi_snapshot_preview1" "random_get" (func)))"#;
        let needs = Needs::of(&wat::parse_str(module).unwrap());
        assert_eq!(needs.may_try(), BTreeSet::from([Means::Files, Means::Random]));
    }

    #[test]
    fn what_is_no_wasm_or_only_a_part_of_it_says_nothing() {
        assert_eq!(Needs::of(b"#!/bin/sh"), Needs::default());
        let whole = component(&["wasi:random/random@0.2.0"], Some("clock"));
        for end in 0..whole.len() {
            assert!(Needs::of(&whole[..end]).iter().count() <= 1);
        }
    }

    #[test]
    fn a_need_that_nobody_knows_is_kept_to_be_told() {
        let needs = Needs::of(&component(&[], Some("clock\ntelepathy at night")));
        assert_eq!(needs.strange(), Some("telepathy at night"));
        let long = "x".repeat(SECTION_BYTES + 1);
        assert_eq!(Needs::of(&component(&[], Some(&long))).strange(), Some("what is no text"));
    }

    #[test]
    fn needs_are_met_by_grants_that_cover_them() {
        for (lines, met) in [
            ("allow_http = [\"*.example.com\"]", "http api.example.com:443"),
            ("allow_http = [\"a.org\"]", "http"),
            ("allow_redis = [\"SET|GET cache:*\"]", "redis GET cache:*"),
            ("allow_redis = [\"* *\"]", "redis RPUSH jobs"),
            ("allow_dirs = { out = \"x\" }", "files out"),
            ("allow_dirs = { out = \"x:ro\" }", "files out:ro"),
            ("allow_env = [\"LANG\"]", "environment LANG"),
            ("allow = [\"clock\"]", "clock"),
            ("allow = [\"random\"]", "random"),
        ] {
            assert!(need(met).granted(&settings(lines)), "{lines} grants {met}");
            assert!(!need(met).granted(&settings("")), "nothing grants {met}");
        }
        for (lines, unmet) in [
            ("allow_http = [\"api.example.com:80\"]", "http api.example.com"),
            ("allow_http = [\"*\"]", "http 169.254.169.254"),
            ("allow_redis = [\"GET cache:*\"]", "redis SET cache:*"),
            ("allow_redis = [\"GET cache:*\"]", "redis GET *"),
            ("allow_redis = [\"* *\"]", "redis EVAL *"),
            ("allow_dirs = { out = \"x:ro\" }", "files out"),
            ("allow_dirs = { in = \"x\" }", "files out:ro"),
            ("allow_env = [\"LANG\"]", "environment PATH"),
            ("allow = [\"clock\"]", "random"),
            ("allow = [\"clock\", \"random\"]", "sockets"),
        ] {
            assert!(!need(unmet).granted(&settings(lines)), "{lines} does not grant {unmet}");
        }
    }

    #[test]
    fn every_need_names_the_line_that_grants_it() {
        for line in [
            "redis",
            "redis PUBLISH news.*",
            "http",
            "http a.org:81",
            "files",
            "files out",
            "files in:ro",
            "environment LANG",
            "clock",
            "random",
        ] {
            let need = need(line);
            assert!(need.granted(&settings(&need.grant().unwrap())), "{line}");
        }
        assert_eq!(need("sockets").grant(), None);
    }

    #[test]
    fn grants_without_use_are_named() {
        let all = settings(
            "allow_http = [\"a.org\"]\nallow_dirs = { a = \"b\" }\nallow_env = [\"LANG\"]\nallow = [\"clock\", \"random\"]",
        );
        let silent = Needs::of(&component(&["wasi:clocks/wall-clock@0.2.0", "wasi:filesystem/types@0.2.0"], None));
        assert_eq!(silent.idle(Kind::Publisher, &all), [Means::Environment, Means::Random]);
        assert_eq!(silent.idle(Kind::Filter, &all), [Means::Http, Means::Environment, Means::Random]);
        let outspoken = Needs::of(&component(&["wasi:clocks/wall-clock@0.2.0"], Some("clock")));
        let idle = outspoken.idle(Kind::Publisher, &all);
        assert_eq!(idle, [Means::Http, Means::Files, Means::Environment, Means::Random]);
        let writer = Needs::of(&component(&[], Some("files a")));
        assert!(writer.idle(Kind::Publisher, &settings("allow_dirs = { a = \"b\" }")).is_empty());
        assert!(outspoken.idle(Kind::Publisher, &settings("")).is_empty());
    }
}
