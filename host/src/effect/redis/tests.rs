//! Commands against a real server, and everything that is refused before one is asked.

use super::*;
use crate::config::Reserved;
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A server of its own at a socket in a directory of its own; both are gone with the test.
struct Server {
    dir: tempfile::TempDir,
    process: Child,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let process = run(dir.path().join("redis"));
        Self { dir, process }
    }

    fn redis(&self) -> Redis {
        let url = format!("unix://{}", self.dir.path().join("redis").display());
        Redis::at(Connector::new(&url).unwrap())
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn run(socket: PathBuf) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(socket);
    command.stdout(Stdio::null()).spawn().expect("`redis-server` is installed")
}

fn allowance(grants: &[&str]) -> Allowance {
    let grants = grants.iter().map(|grant| RedisGrant::parse(grant).unwrap_or_else(|| panic!("{grant}")));
    let settings = config::Plugin { allow_redis: grants.collect(), http_response_kib: 1, ..config::Plugin::default() };
    Allowance::new(&settings)
}

fn words(command: &str) -> Vec<Bytes> {
    command.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

fn bytes(text: &'static str) -> RedisValue {
    RedisValue::Bytes(Bytes::from_static(text.as_bytes()))
}

/// The answer once the server is up.
async fn answer(redis: &Redis, allowance: &Allowance, command: &str) -> Result<RedisValue, Failure> {
    let start = Instant::now();
    loop {
        match redis.carry_out(allowance, &words(command)).await {
            Err(Failure::Unreachable(_)) if start.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

/// Why `command` is not carried out; nothing is connected.
async fn denied(grants: &[&str], command: &str) -> String {
    let redis = Redis::default();
    redis.reserve(reserved());
    match redis.carry_out(&allowance(grants), &words(command)).await {
        Err(Failure::Denied(why)) => why,
        other => panic!("{grants:?} {command}: {other:?}"),
    }
}

/// Whether `command` would be sent.
async fn granted(grants: &[&str], command: &str) -> bool {
    let redis = Redis::default();
    redis.reserve(reserved());
    let outcome = redis.carry_out(&allowance(grants), &words(command)).await;
    outcome == Err(Failure::Unreachable("there is no Redis here".to_owned()))
}

fn reserved() -> Reserved {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "[pipeline.a]\nfrom.list = \"jobs\"\npublish = [\"x\"]\ndead_letters = \"graveyard\"\n\
        [pipeline.b]\nfrom.resque = \"*\"\npublish = [\"x\"]\n[pipeline.c]\nfrom.thoonk = \"chores\"\npublish = [\"x\"]\n\
        [pipeline.d]\nfrom.pattern = \"news.*\"\npublish = [\"x\"]\n";
    std::fs::write(file.path(), text).unwrap();
    Reserved::of(&config::load(file.path(), &|_| None).unwrap_or_else(|faults| panic!("{faults}")).config)
}

#[tokio::test]
async fn answers_come_as_redis_gives_them() {
    let server = Server::start();
    let (redis, all) = (server.redis(), allowance(&["* *"]));
    for (command, expected) in [
        ("SET a 1", bytes("OK")),
        ("get a", bytes("1")),
        ("GET b", RedisValue::Nil),
        ("INCR a", RedisValue::Number(2)),
        ("RPUSH l x y", RedisValue::Number(2)),
        ("LRANGE l 0 -1", RedisValue::List(vec![bytes("x"), bytes("y")])),
        ("MGET a b", RedisValue::List(vec![bytes("2"), RedisValue::Nil])),
        ("XADD s 1-1 f v", bytes("1-1")),
        ("PUBLISH c text", RedisValue::Number(0)),
    ] {
        assert_eq!(answer(&redis, &all, command).await, Ok(expected), "{command}");
    }
    let entry = RedisValue::List(vec![bytes("1-1"), RedisValue::List(vec![bytes("f"), bytes("v")])]);
    assert_eq!(answer(&redis, &all, "XRANGE s - +").await, Ok(RedisValue::List(vec![entry])));
}

#[tokio::test]
async fn what_redis_refuses_is_told_in_its_words() {
    let server = Server::start();
    let (redis, all) = (server.redis(), allowance(&["* *"]));
    answer(&redis, &all, "RPUSH l x").await.unwrap();
    let Err(Failure::Invalid(why)) = answer(&redis, &all, "GET l").await else { panic!() };
    assert!(why.starts_with("`GET`: ") && why.contains("WRONGTYPE"), "{why}");
    let Err(Failure::TooLarge(why)) =
        answer(&redis, &all, &format!("SETRANGE l2 5000 {}", "x")).await.and(answer(&redis, &all, "GET l2").await)
    else {
        panic!()
    };
    assert_eq!(why, "the answer to `GET` is longer than 1 KiB");
}

#[tokio::test]
async fn a_lost_server_is_told_and_found_again() {
    let mut server = Server::start();
    let (redis, all) = (server.redis(), allowance(&["* *"]));
    answer(&redis, &all, "SET a 1").await.unwrap();
    server.stop();
    let Err(Failure::Unreachable(_)) = redis.carry_out(&all, &words("GET a")).await else { panic!() };
    let Err(Failure::Unreachable(why)) = redis.carry_out(&all, &words("GET a")).await else { panic!() };
    assert!(why.contains("no connection to Redis at `unix://"), "{why}");
    std::fs::remove_file(server.dir.path().join("redis")).ok();
    server.process = run(server.dir.path().join("redis"));
    assert_eq!(answer(&redis, &all, "GET a").await, Ok(RedisValue::Nil));
}

#[tokio::test]
async fn commands_at_once_share_a_connection() {
    let server = Server::start();
    let (redis, all) = (server.redis(), allowance(&["* *"]));
    answer(&redis, &all, "SET n 0").await.unwrap();
    let commands = words("INCR n");
    let all_done = futures_util::future::join_all((0..500).map(|_| redis.carry_out(&all, &commands))).await;
    assert!(all_done.iter().all(Result::is_ok));
    assert_eq!(answer(&redis, &all, "GET n").await, Ok(bytes("500")));
}

#[tokio::test]
async fn nothing_is_sent_that_was_not_granted() {
    assert_eq!(denied(&[], "GET a").await, "`allow_redis` does not name `GET`");
    assert_eq!(denied(&["GET a"], "SET a 1").await, "`allow_redis` does not name `SET`");
    assert_eq!(denied(&["GET cache:*"], "GET cach").await, "`allow_redis` does not grant `GET` of `cach`");
    // A grant of one command is none of another, and each key counts.
    assert_eq!(denied(&["GET a", "SET b"], "SET a 1").await, "`allow_redis` does not grant `SET` of `a`");
    assert_eq!(denied(&["* cache:*"], "MGET cache:a other").await, "`allow_redis` does not grant `MGET` of `other`");
    assert_eq!(
        denied(&["* cache:*"], "ZUNIONSTORE cache:a 1 other").await,
        "`allow_redis` does not grant `ZUNIONSTORE` of `other`"
    );
    assert_eq!(
        denied(&["* cache:*"], "RENAME cache:a other").await,
        "`allow_redis` does not grant `RENAME` of `other`"
    );
    assert!(granted(&["GET|SET cache:*"], "set cache:a 1").await);
    assert!(granted(&["* cache:*", "DEL old:*"], "DEL cache:a old:b").await);
}

#[tokio::test]
async fn what_is_no_plain_data_has_to_be_named_and_some_is_never_granted() {
    for command in [
        "EVAL x 0",
        "CONFIG GET *",
        "FLUSHALL",
        "KEYS *",
        "SCRIPT FLUSH",
        "SCAN 0",
        "SORT a",
        "ACL LIST",
        "FUNCTION FLUSH",
    ] {
        let name = command.split(' ').next().unwrap();
        assert_eq!(denied(&["* *"], command).await, format!("`allow_redis` does not name `{name}`"));
        assert!(granted(&[&format!("{name} *")], command).await, "{command}");
    }
    for command in [
        "MULTI",
        "EXEC",
        "BLPOP a 0",
        "SUBSCRIBE a",
        "SELECT 1",
        "AUTH x",
        "CLIENT KILL",
        "MONITOR",
        "XREAD BLOCK 0 STREAMS a 0",
    ] {
        let why = denied(&["* *"], command).await;
        assert!(why.ends_with("is a command that plugins never get"), "{why}");
    }
}

#[tokio::test]
async fn keys_of_the_broker_and_its_sources_are_reached_by_their_full_names_only() {
    for key in [
        "gristmill:{jobs}:jobs:dead",
        "jobs",
        "graveyard",
        "resque:queue:critical",
        "resque:failed",
        "feed.ids:chores",
        "feed.items:chores",
        "news.today",
    ] {
        let why = denied(&["* *", "RPUSH *", "RPUSH j*"], &format!("RPUSH {key} x")).await;
        assert!(why.contains("names it in full"), "{why}");
        assert!(granted(&["* *", &format!("RPUSH {key}")], &format!("RPUSH {key} x")).await, "{key}");
        assert!(!granted(&["* *", &format!("RPUSH {key}")], &format!("DEL {key}")).await, "{key}");
    }
    for key in ["jobs2", "feed.ids:other", "resque", "news"] {
        assert!(granted(&["* *"], &format!("RPUSH {key} x")).await, "{key}");
    }
}

#[tokio::test]
async fn a_command_for_the_settling_of_a_message_is_granted_as_others_are_and_needs_a_place() {
    let cluster = Redis::at(Connector::new("redis+cluster://127.0.0.1:1").unwrap());
    let (single, all) = (Redis::default(), allowance(&["* *", "EVAL *"]));
    single.reserve(reserved());
    let told = |redis: &Redis, settling, command: &str| redis.queue(&all, settling, &words(command));
    let invalid = |redis: &Redis, settling, command: &str| match told(redis, settling, command) {
        Err(Failure::Invalid(why)) => why,
        other => panic!("{command}: {other:?}"),
    };
    let here = slot::of("jobs");
    for command in ["INCR a", "rpush a b", "MSET a 1 b 2", "PUBLISH c text"] {
        assert_eq!(told(&single, Ok(here), command), Ok(RedisValue::queued()), "{command}");
    }
    let denied = single.queue(&allowance(&["GET a"]), Ok(here), &words("INCR a"));
    assert_eq!(denied, Err(Failure::Denied("`allow_redis` does not name `INCR`".into())));
    let Err(Failure::Denied(why)) = told(&single, Ok(here), "RPUSH jobs x") else { panic!() };
    assert!(why.contains("names it in full"), "{why}");
    assert!(invalid(&single, Ok(here), "EVAL x 0").contains("only a command that is plain data can"));
    let long = vec![Bytes::from_static(b"DEL"); 1_001];
    assert!(
        matches!(single.queue(&all, Ok(here), &long), Err(Failure::Invalid(why)) if why.contains("1 to 1000 words"))
    );
    assert_eq!(
        invalid(&single, Err("of it nothing is settled"), "INCR a"),
        "`INCR` cannot be carried out with the settling of this message: of it nothing is settled; ask for an ordinary command"
    );
    for command in ["RPUSH {jobs}:out x", "MSET {jobs}:a 1 {jobs}:b 2", "PUBLISH news text"] {
        assert_eq!(told(&cluster, Ok(here), command), Ok(RedisValue::queued()), "{command}");
    }
    let why = invalid(&cluster, Ok(here), "MSET {jobs}:a 1 b 2");
    assert!(why.contains(&format!("`b` lies in slot {}", slot::of("b"))), "{why}");
    assert!(why.contains(&format!("settled in slot {here}")) && why.contains("`{jobs}:out`"), "{why}");
    assert!(invalid(&cluster, Ok(here), "SPUBLISH news x").contains("hash tag"));
}

#[tokio::test]
async fn a_command_without_its_words_is_wrong() {
    let redis = Redis::default();
    for command in [Vec::new(), words("GET"), words("LMPOP 9 a"), vec![Bytes::from_static(b"x"); WORDS + 1]] {
        let refused = redis.carry_out(&allowance(&["* *"]), &command).await;
        assert!(matches!(refused, Err(Failure::Invalid(_) | Failure::Denied(_))), "{refused:?}");
    }
    let strange = vec![Bytes::from_static(b"\xff\n"), Bytes::from_static(b"a")];
    let Err(Failure::Denied(why)) = redis.carry_out(&allowance(&["* *"]), &strange).await else { panic!() };
    assert!(!why.contains('\n'), "{why}");
}
