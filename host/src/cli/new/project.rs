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
        match language {
            Language::Rust => rust(name, kind),
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
    let renamed = |text: &str| text.replace("NAME", &name.plain).replace("IDENT", &name.ident);
    let mut files: Vec<(String, String)> = Vec::new();
    files.extend(
        below("host/templates/rust/").map(|(path, text)| (path.replace("gitignore", ".gitignore"), renamed(text))),
    );
    files.extend(below(template).map(|(path, text)| (path.to_owned(), renamed(text))));
    files.extend(below(example).map(|(path, text)| (path.to_owned(), text.replace(&old, &name.ident))));
    files.extend(sdk::files()?);
    Ok(Project { files })
}

/// The files below `dir`, by their paths from there.
pub(super) fn below(dir: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    REPOSITORY.iter().filter_map(move |(path, text)| Some((path.strip_prefix(dir)?, *text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn project(kind: Kind) -> Project {
        Project::new(&Name::of(Path::new("my-plugin")).unwrap(), kind, Language::Rust).unwrap()
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
    fn its_configuration_is_one_that_a_node_reads() {
        for kind in [Kind::Filter, Kind::Publisher] {
            let project = project(kind);
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text(&project, "gristmill.toml")).unwrap();
            let config = crate::config::load(file.path(), &|_| None).unwrap().config;
            assert!(config.plugins.contains_key("my-plugin") && config.pipelines.contains_key("my-plugin"));
        }
    }

    #[test]
    fn its_readme_names_three_commands() {
        for kind in [Kind::Filter, Kind::Publisher] {
            assert_eq!(project(kind).commands().count(), 3);
        }
    }
}
