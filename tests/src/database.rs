//! Databases that plugins ask, each of its own for a test: a file of SQLite, or a server on a socket in a temporary directory.

use crate::{
    built,
    eventually::eventually,
    process::{Process, finish},
};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(60);

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// In a file; always there.
    Sqlite,
    /// From Debian's `postgresql`.
    Postgres,
    /// From Debian's `mariadb-server`.
    MariaDb,
}

/// A database; its server is killed when it is dropped.
#[derive(Debug)]
pub struct Database {
    engine: Engine,
    dir: TempDir,
    server: Option<Process>,
    starts: u32,
}

impl Database {
    /// An empty database; nothing where its server is not installed: a test that needs it then passes over, saying so.
    ///
    /// # Panics
    /// When it is not installed where `GRISTMILL_ALL_SERVERS` is set.
    pub fn start(engine: Engine) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("gristmill-sql-").tempdir().expect("a temporary directory");
        let mut database = Self { engine, dir, server: None, starts: 0 };
        match engine {
            Engine::Sqlite => {}
            Engine::Postgres => {
                database.make(&mut as_user("postgres", &postgres("initdb")?, database.path()), &["-A", "trust"])
            }
            Engine::MariaDb => database.make(&mut Command::new(mariadb("mariadb-install-db")?), &[]),
        }
        database.restart();
        Some(database)
    }

    /// What goes behind `url =` in a config.
    pub fn url(&self) -> String {
        let dir = self.path().display();
        match self.engine {
            Engine::Sqlite => format!("sqlite:{dir}/shop.db"),
            Engine::Postgres => format!("postgres://postgres@localhost/postgres?host={dir}"),
            Engine::MariaDb => format!("mysql://root@localhost/mysql?socket={dir}/socket"),
        }
    }

    /// Runs these statements as the database's owner.
    ///
    /// # Panics
    /// When one of them fails.
    #[track_caller]
    pub fn run(&self, statements: &str) {
        self.try_run(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// The one whole number that this query answers with.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn number(&self, query: &str) -> i64 {
        let (url, text) = (self.url(), AssertSqlSafe(query.to_owned()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = runtime.block_on(async {
            match self.engine {
                Engine::Sqlite => sqlx::query_scalar(text).fetch_one(&mut SqliteConnection::connect(&url).await?).await,
                Engine::Postgres => sqlx::query_scalar(text).fetch_one(&mut PgConnection::connect(&url).await?).await,
                Engine::MariaDb => sqlx::query_scalar(text).fetch_one(&mut MySqlConnection::connect(&url).await?).await,
            }
        });
        answer.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Ends the server as a power cut would.
    pub fn kill9(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill9();
        }
    }

    /// Starts the server again.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.starts += 1;
        let log = self.path().join(format!("server-{}.log", self.starts));
        let dir = self.path().display().to_string();
        let mut command = match self.engine {
            Engine::Sqlite => return self.run("PRAGMA user_version = 1"),
            Engine::Postgres => {
                let mut command = as_user("postgres", &postgres("postgres").expect("was there"), self.path());
                command.args(["-D", &format!("{dir}/data"), "-k", &dir, "-c", "listen_addresses=", "-c", "fsync=off"]);
                command
            }
            Engine::MariaDb => {
                let mut command = Command::new(mariadb("mariadbd").expect("was there"));
                command.args(["--no-defaults", "--skip-networking", &format!("--datadir={dir}/data")]);
                command.arg(format!("--socket={dir}/socket")).args(self.small()).args(root());
                command
            }
        };
        self.server = Some(Process::start("a database", &mut command, &log));
        eventually(START, "the database answers", || {
            let server = self.server.as_mut()?;
            assert!(server.ended().is_none(), "the database ended at once:\n{}", server.tail());
            self.try_run("SELECT 1").ok()
        });
    }

    fn make(&self, command: &mut Command, more: &[&str]) {
        let data = self.path().join("data");
        match self.engine {
            Engine::MariaDb => {
                command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
                command.arg(format!("--datadir={}", data.display())).args(self.small()).args(root());
            }
            _ => drop(command.arg("-D").arg(&data).args(["-E", "UTF8", "--no-sync", "--locale=C"])),
        }
        let finished = finish(command.args(more), START);
        assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
    }

    /// For a MariaDB: many fit on one machine, and none clears away the temporary tables of another as it starts.
    fn small(&self) -> [String; 3] {
        let tmpdir = format!("--tmpdir={}", self.path().display());
        [tmpdir, "--innodb-use-native-aio=0".to_owned(), "--innodb-buffer-pool-size=16M".to_owned()]
    }

    fn try_run(&self, statements: &str) -> Result<(), sqlx::Error> {
        let (url, statements) = (self.url(), sqlx::raw_sql(AssertSqlSafe(statements.to_owned())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            match self.engine {
                Engine::Sqlite => {
                    SqliteConnection::connect(&format!("{url}?mode=rwc")).await?.execute(statements).await.map(drop)
                }
                Engine::Postgres => PgConnection::connect(&url).await?.execute(statements).await.map(drop),
                Engine::MariaDb => MySqlConnection::connect(&url).await?.execute(statements).await.map(drop),
            }
        })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Debian keeps the programs of each version in a directory of their own.
fn postgres(program: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(program)).find(|path| path.exists());
    found.or_else(|| missing("postgresql"))
}

fn mariadb(program: &str) -> Option<PathBuf> {
    let dirs = ["/usr/sbin", "/usr/bin"].map(|dir| Path::new(dir).join(program));
    dirs.into_iter().find(|path| path.exists()).or_else(|| missing("mariadb-server"))
}

fn missing<T>(package: &str) -> Option<T> {
    built::pass_over(&format!("the package `{package}` is not installed"));
    None
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// MariaDB runs as root only where it is told to.
fn root() -> Option<&'static str> {
    is_root().then_some("--user=root")
}

/// `program` as this user, where we are root, for PostgreSQL refuses to run as root; the directory is the user's then.
fn as_user(user: &str, program: &Path, dir: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let owned = finish(Command::new("chown").arg("-R").arg(user).arg(dir), START);
    assert_eq!(owned.code, 0, "{}", owned.stderr);
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"])
        .arg(program)
        .current_dir(dir);
    command
}
