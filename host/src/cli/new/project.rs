//! The files of a new project: those of an example of the same language, under another name.

use super::{Language, name::Name, sdk};
use std::fmt;

/// Files of the repository, by their paths in it.
pub(super) const REPOSITORY: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/repository.rs"));

/// What the plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Filter,
    Publisher,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Publisher => "publisher",
        })
    }
}

/// Everything that is written.
#[derive(Debug)]
pub(super) struct Project {
    /// By their paths in it.
    pub(super) files: Vec<(String, String)>,
}

impl Project {
    pub(super) fn new(name: &Name, kind: Kind, language: Language) -> anyhow::Result<Self> {
        match (language, kind) {
            (Language::Rust, kind) => rust(name, kind),
            (Language::Python, Kind::Filter) => Ok(foreign(name, "examples/languages/python/", &PYTHON)),
            (Language::JavaScript, Kind::Filter) => Ok(foreign(name, "examples/languages/javascript/", &JAVASCRIPT)),
            (Language::TypeScript, Kind::Filter) => Ok(foreign(name, TYPESCRIPT_EXAMPLE, &TYPESCRIPT)),
            (Language::Python, Kind::Publisher) => Ok(template(name, "host/templates/python-publisher/")),
            (Language::JavaScript, Kind::Publisher) => Ok(template(name, "host/templates/javascript-publisher/")),
            (Language::TypeScript, Kind::Publisher) => Ok(typescript_publisher(name)),
        }
    }

    /// The commands of its README.
    pub(super) fn commands(&self) -> impl Iterator<Item = &str> {
        let readme = self.files.iter().find(|(path, _)| path == "README.md").map_or("", |(_, text)| text.as_str());
        readme.lines().skip_while(|line| *line != "```sh").skip(1).take_while(|line| *line != "```")
    }
}

fn rust(name: &Name, kind: Kind) -> anyhow::Result<Project> {
    let (template, example) = match kind {
        Kind::Filter => ("host/templates/rust-filter/", "examples/first-filter/"),
        Kind::Publisher => ("host/templates/rust-publisher/", "examples/first-publisher/"),
    };
    let old = example.trim_start_matches("examples/").trim_end_matches('/').replace('-', "_");
    let mut files: Vec<(String, String)> = Vec::new();
    files.extend(
        below("host/templates/rust/").map(|(path, text)| (path.replace("gitignore", ".gitignore"), name.filled(text))),
    );
    files.extend(below(template).map(|(path, text)| (path.to_owned(), name.filled(text))));
    files.extend(below(example).map(|(path, text)| (path.to_owned(), text.replace(&old, &name.ident))));
    files.extend(sdk::files()?);
    Ok(Project { files })
}

/// What the examples call themselves, and what a project calls that: `NAME` with `-` between its words, `IDENT` with `_`.
type Renames = [(&'static str, &'static str)];

const PYTHON: [(&str, &str); 3] = [
    ("componentize notification -o", "componentize IDENT -o"),
    ("`notification.py`", "`IDENT.py`"),
    ("from notification import", "from IDENT import"),
];

const JAVASCRIPT: [(&str, &str); 4] = [
    ("componentize-js notification.js", "componentize-js NAME.js"),
    ("`notification.js`", "`NAME.js`"),
    ("'./notification.js'", "'./NAME.js'"),
    ("\"name\": \"notification\"", "\"name\": \"NAME\""),
];

const TYPESCRIPT: [(&str, &str); 5] = [
    ("build/notification.js", "build/NAME.js"),
    ("build/notification.test.js", "build/NAME.test.js"),
    ("`notification.ts`", "`NAME.ts`"),
    ("'./notification.js'", "'./NAME.js'"),
    ("\"name\": \"notification\"", "\"name\": \"NAME\""),
];

const TYPESCRIPT_EXAMPLE: &str = "examples/languages/typescript/";

/// What all examples have in common.
const ALL: [(&str, &str); 7] = [
    ("# A filter in", "# NAME, a filter in"),
    ("RPUSH notifications", "RPUSH NAME"),
    ("plugins/notification.wasm", "plugins/NAME.wasm"),
    ("[pipeline.notifications]", "[pipeline.NAME]"),
    ("{ list = \"notifications\" }", "{ list = \"NAME\" }"),
    ("[\"notification\"]", "[\"NAME\"]"),
    ("[plugin.notification]", "[plugin.NAME]"),
];

/// The example in `dir`.
fn foreign(name: &Name, dir: &str, renames: &Renames) -> Project {
    let renamed = |text: &str| {
        let pairs = ALL.iter().chain(renames);
        pairs.fold(text.to_owned(), |text, (old, new)| text.replace(old, &name.filled(new)))
    };
    // Python finds modules by names that are identifiers.
    let module = |path: &str| match path.ends_with(".py") {
        true => path.replace("notification", &name.ident),
        false => path.replace("notification", &name.plain),
    };
    let mut files: Vec<(String, String)> = below(dir).map(|(path, text)| (module(path), renamed(text))).collect();
    files.extend(below("host/templates/notification/").map(|(path, text)| (path.to_owned(), text.to_owned())));
    componentized(name, files)
}

/// What stands in `dir` with the plugin's name left open, also in the names of files.
fn template(name: &Name, dir: &str) -> Project {
    let path = |path: &str| name.filled(path).replace("gitignore", ".gitignore");
    componentized(name, below(dir).map(|(file, text)| (path(file), name.filled(text))).collect())
}

/// How it is compiled, and by which versions of its tools, it shares with the example.
fn typescript_publisher(name: &Name) -> Project {
    let mut project = template(name, "host/templates/typescript-publisher/");
    let shared = below(TYPESCRIPT_EXAMPLE).filter(|(path, _)| ["package-lock.json", "tsconfig.json"].contains(path));
    let called = |text: &str| text.replace("\"name\": \"notification\"", &format!("\"name\": \"{}\"", name.plain));
    project.files.extend(shared.map(|(path, text)| (path.to_owned(), called(text))));
    project
}

/// With the plugin API in `wit`, and word of how it is tried.
fn componentized(name: &Name, mut files: Vec<(String, String)>) -> Project {
    files.extend(below("sdk/wit/v0.1/").map(|(path, text)| (format!("wit/{path}"), text.to_owned())));
    if let Some((_, readme)) = files.iter_mut().find(|(path, _)| path == "README.md") {
        *readme += &name.filled(TRY);
    }
    Project { files }
}

/// Stands at the end of the README.
const TRY: &str = "* `gristmill try plugins/NAME.wasm --config gristmill.toml < messages.txt` shows what it does with each line of a file, without Redis; with `--watch`,
  and `--build` before the second command, it builds and shows again whenever you save.
";

/// The files below `dir`, by their paths from there.
pub(super) fn below(dir: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    REPOSITORY.iter().filter_map(move |(path, text)| Some((path.strip_prefix(dir)?, *text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const FOREIGN: [Language; 3] = [Language::Python, Language::JavaScript, Language::TypeScript];

    fn project(kind: Kind) -> Project {
        written(kind, Language::Rust)
    }

    fn written(kind: Kind, language: Language) -> Project {
        Project::new(&Name::of(Path::new("my-plugin"), language).unwrap(), kind, language).unwrap()
    }

    fn all() -> Vec<Project> {
        let rust = [Kind::Filter, Kind::Publisher].map(project);
        let foreign =
            FOREIGN.iter().flat_map(|language| [Kind::Filter, Kind::Publisher].map(|kind| written(kind, *language)));
        rust.into_iter().chain(foreign).collect()
    }

    fn text<'a>(project: &'a Project, path: &str) -> &'a str {
        &project.files.iter().find(|(known, _)| known == path).unwrap_or_else(|| panic!("no {path}")).1
    }

    #[test]
    fn a_project_is_an_example_under_its_own_name() {
        for (kind, test) in [(Kind::Filter, "tests/people_only.rs"), (Kind::Publisher, "tests/hook.rs")] {
            let project = project(kind);
            assert!(text(&project, test).contains("use my_plugin::"));
            assert!(text(&project, "Cargo.toml").contains("name = \"my-plugin\""));
            assert!(text(&project, ".gitignore").contains("/target"));
            for (path, text) in project.files.iter().filter(|(path, _)| !path.starts_with("gristmill-sdk/")) {
                let left =
                    ["NAME", "IDENT", "first_filter", "first_publisher"].iter().find(|word| text.contains(**word));
                assert_eq!(left, None, "in {path}");
            }
        }
    }

    #[test]
    fn an_example_in_another_language_leaves_its_name_behind() {
        let python = (Language::Python, "my_plugin.py", "examples/languages/python/", &PYTHON[..]);
        let javascript = (Language::JavaScript, "my-plugin.js", "examples/languages/javascript/", &JAVASCRIPT[..]);
        let typescript = (Language::TypeScript, "my-plugin.ts", TYPESCRIPT_EXAMPLE, &TYPESCRIPT[..]);
        for (language, module, example, renames) in [python, javascript, typescript] {
            let project = written(Kind::Filter, language);
            assert!(text(&project, module).contains("A Gristmill filter in"));
            assert!(text(&project, "wit/plugin.wit").contains("package gristmill:plugin@"));
            assert!(text(&project, "README.md").ends_with(&TRY.replace("NAME", "my-plugin")));
            for (old, _) in ALL.iter().chain(renames) {
                assert!(below(example).any(|(_, text)| text.contains(old)), "nothing is called {old} any more");
                assert!(!project.files.iter().any(|(_, text)| text.contains(old)), "{old} is still there");
            }
            assert!(!project.files.iter().any(|(path, text)| path.contains("notification") || text.contains("NAME")));
        }
    }

    #[test]
    fn a_publisher_in_another_language_fills_its_template_and_has_the_tools_of_the_example() {
        let pin = |project: &Project, file: &str, name: &str| {
            let line = text(project, file).lines().find(|line| line.contains(name)).map(str::to_owned);
            line.unwrap_or_else(|| panic!("no {name}"))
        };
        for (language, module, test, file, tool) in [
            (Language::Python, "my_plugin.py", "test_my_plugin.py", "README.md", "componentize-py=="),
            (Language::JavaScript, "my-plugin.js", "my-plugin.test.js", "package.json", "componentize-js\":"),
            (Language::TypeScript, "my-plugin.ts", "my-plugin.test.ts", "package.json", "typescript\":"),
        ] {
            let project = written(Kind::Publisher, language);
            assert!(text(&project, module).contains("A Gristmill publisher in"));
            assert!(text(&project, test).contains("my"));
            assert!(text(&project, ".gitignore").contains("plugins"));
            assert!(text(&project, "wit/plugin.wit").contains("package gristmill:plugin@"));
            assert!(text(&project, "README.md").ends_with(&TRY.replace("NAME", "my-plugin")));
            let open = |text: &str| text.contains("NAME") || text.contains("IDENT");
            assert!(!project.files.iter().any(|(path, text)| open(path) || open(text)));
            assert_eq!(pin(&project, file, tool), pin(&written(Kind::Filter, language), file, tool));
        }
    }

    #[test]
    fn a_project_in_typescript_is_compiled_by_the_locked_versions_of_what_it_asks_for() {
        let part = |text: &str, place: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            value.pointer(place).unwrap_or_else(|| panic!("no {place}")).clone()
        };
        for project in [Kind::Filter, Kind::Publisher].map(|kind| written(kind, Language::TypeScript)) {
            let (asked, lock) = (text(&project, "package.json"), text(&project, "package-lock.json"));
            assert_eq!(part(asked, "/devDependencies"), part(lock, "/packages//devDependencies"));
            assert_eq!(part(lock, "/name"), "my-plugin");
            assert!(text(&project, "tsconfig.json").contains("\"strict\": true"));
        }
    }

    #[test]
    fn its_configuration_is_one_that_a_node_reads() {
        for project in all() {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text(&project, "gristmill.toml")).unwrap();
            let config = crate::config::load(file.path(), &|_| None).unwrap().config;
            assert!(config.plugins.contains_key("my-plugin") && config.pipelines.contains_key("my-plugin"));
        }
    }

    #[test]
    fn its_readme_names_three_commands() {
        for project in all() {
            assert_eq!(project.commands().count(), 3);
        }
    }
}
