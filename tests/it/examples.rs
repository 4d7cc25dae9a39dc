//! The examples as a newcomer follows their READMEs: their commands, with places of this test's own, and their configurations.

mod pusher;
mod resque;
mod thoonk;

use gristmill_tests::{
    Redis, built, eventually,
    process::{Finished, Process, finish},
};
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tempfile::TempDir;

/// Long enough for anything that should happen on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// What each README builds first; this test finds it built.
const BUILT: [&str; 4] =
    ["cargo xtask setup", "cargo xtask setup --peers", "cargo xtask plugins", "cargo build --bin gristmill"];
/// Where each README has a Redis of its own.
const REDIS: &str = "redis-server --port 6390 --save ''";

/// An example that is followed.
struct Example {
    name: String,
    /// What is different here from what the README says: texts of its commands, and what stands in their place.
    instead: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    commands: Vec<String>,
    redis: Redis,
    dir: TempDir,
}

impl Example {
    /// The example in the directory `name`, with a Redis of its own in the place of the one that its README starts, and no plugins
    /// but these.
    fn of(name: &str, wanted: &[&str]) -> Self {
        let readme = fs::read_to_string(built::repository().join("examples").join(name).join("README.md")).unwrap();
        let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut commands: Vec<String> = blocks.flat_map(str::lines).map(str::to_owned).collect();
        assert_eq!(commands.drain(..BUILT.len()).collect::<Vec<_>>(), BUILT);
        let redis = commands.iter().position(|command| command == REDIS).expect("it starts a Redis");
        commands.remove(redis);
        let (redis, dir) = (Redis::on_tcp(), tempfile::tempdir().unwrap());
        let example =
            Self { name: name.to_owned(), instead: Vec::new(), environment: Vec::new(), commands, redis, dir };
        let (target, profile) = (built::target_dir(), built::profile_dir());
        let (port, plugins) = (example.redis.port().to_string(), example.path("plugins"));
        fs::create_dir(&plugins).unwrap();
        for plugin in wanted {
            fs::copy(built::plugin(plugin), plugins.join(format!("{plugin}.wasm"))).unwrap();
        }
        example
            .replacing("-p 6390", &format!("-p {port}"))
            .instead("target/debug/", &format!("{}/", profile.display()))
            .instead("target/peers/", &format!("{}/peers/", target.display()))
            .env("REDIS_PORT", &port)
            .env("REDIS_URL", &format!("redis://127.0.0.1:{port}"))
            .env("GRISTMILL_PLUGINS", &plugins.display().to_string())
    }

    /// With `other` where a command has `text`.
    fn instead(self, text: &str, other: &str) -> Self {
        assert!(self.commands.iter().any(|command| command.contains(text)), "no command has `{text}`");
        self.replacing(text, other)
    }

    /// The same where no command need have it.
    fn replacing(mut self, text: &str, other: &str) -> Self {
        self.instead.push((text.to_owned(), other.to_owned()));
        self
    }

    /// With this variable for every command.
    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// All commands of the README behind those that build, in their order, so that none is added that no test runs.
    #[track_caller]
    fn commands<const N: usize>(&self) -> [String; N] {
        assert_eq!(self.commands.len(), N, "{:#?}", self.commands);
        self.commands.clone().try_into().expect("they were counted")
    }

    /// Starts a command that goes on until it is ended, and waits until it says that it is `ready`.
    #[track_caller]
    fn start(&self, name: &str, command: &str, ready: &str) -> Process {
        // The shell becomes the program, so that a signal reaches that.
        let mut shell = self.shell(&format!("exec env {command}"));
        let mut process = Process::start(name, &mut shell, &self.path(&format!("{name}.log")));
        eventually(SOON, &format!("{name} says `{ready}`"), || {
            assert!(process.ended().is_none(), "{name} ended");
            process.log().contains(ready).then_some(())
        });
        process
    }

    /// Starts a node, which `name` tells from others, and waits until it takes.
    #[track_caller]
    fn node(&self, name: &str, command: &str) -> Process {
        self.start(name, command, "ready node=")
    }

    /// Runs a command to its end and returns what it prints.
    #[track_caller]
    fn run(&self, command: &str) -> String {
        let Finished { code, stdout, stderr } = finish(&mut self.shell(command), SOON);
        assert_eq!(code, 0, "`{command}`: {stderr}");
        stdout
    }

    /// `command` in a shell, from the root of the repository.
    fn shell(&self, command: &str) -> Command {
        let other = |command: String, (text, other): &(String, String)| command.replace(text, other);
        let command = self.instead.iter().fold(command.to_owned(), other);
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(built::repository()).env("GRISTMILL_DATA", self.path("data"));
        shell.envs(self.environment.iter().map(|(name, value)| (name, value)));
        shell
    }

    /// A copy of one of its files, which may be changed, in the place of that.
    fn with_copy(self, file: &str) -> Self {
        let (source, copy) = (format!("examples/{}/{file}", self.name), self.path(file));
        fs::copy(built::repository().join(&source), &copy).unwrap();
        self.instead(&source, &copy.display().to_string())
    }

    /// A file of this test's own.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
