use super::*;

#[test]
fn a_durable_server_keeps_its_lists_over_a_kill() {
    let mut redis = Redis::durable();
    redis.push("jobs", (0..2500).map(|n| n.to_string()));
    redis.kill9();
    assert!(redis.try_connect().is_err());
    redis.restart();
    assert_eq!(redis.len("jobs"), 2500);
    assert_eq!(redis.ask::<String>(&["LINDEX", "jobs", "-1"]), "2499");
}

#[test]
fn a_server_in_memory_forgets_over_a_stop() {
    let mut redis = Redis::start();
    redis.push("jobs", ["one"]);
    assert_eq!(redis.keys("*"), ["jobs"]);
    redis.stop();
    redis.restart();
    assert_eq!(redis.len("jobs"), 0);
}

#[test]
fn a_server_on_tcp_is_the_same_one() {
    let redis = Redis::on_tcp();
    redis.push("jobs", ["one"]);
    let mut tcp = redis::Client::open(redis.tcp_url()).unwrap().get_connection().unwrap();
    assert_eq!(tcp.lpop::<_, String>("jobs", None).unwrap(), "one");
}

#[test]
fn two_servers_share_nothing() {
    let (one, other) = (Redis::start(), Redis::start());
    one.push("jobs", ["one"]);
    assert_eq!(other.len("jobs"), 0);
}

fn ping(url: &str) -> redis::RedisResult<String> {
    redis::cmd("PING").query(&mut Client::open(url)?.get_connection()?)
}

/// `redis-cli` with TLS to this server, pinging.
fn ping_by_tls(redis: &Redis, more: &[&Path]) -> String {
    let mut command = std::process::Command::new("redis-cli");
    command.args(["--tls", "-h", "127.0.0.1", "-p", &redis.tls_port().to_string()]).args(more).arg("PING");
    let finished = crate::process::finish(&mut command, START);
    finished.stdout + &finished.stderr
}

#[test]
fn every_program_serves() {
    for program in Program::ALL {
        if program.found().is_none() {
            continue;
        }
        let mut redis = Redis::setup().program(program).tcp().durable().start();
        redis.push("jobs", ["one"]);
        redis.kill9();
        assert!(!redis.is_up());
        redis.restart();
        assert_eq!(redis.len("jobs"), 1, "{program:?}");
        let info: String = redis.ask(&["INFO", "server"]);
        let expected = match program {
            Program::OnPath => "redis_version:",
            Program::Redis62 => "redis_version:6.2.",
            Program::Valkey => "valkey_version:9.",
        };
        assert!(info.contains(expected), "{program:?}: {info}");
    }
}

#[test]
fn a_password_is_asked_for_and_part_of_the_addresses() {
    let password = "p@ss w:/?#%";
    let redis = Redis::setup().tcp().password(password).start();
    assert_eq!((ping(&redis.url()).unwrap(), ping(&redis.tcp_url()).unwrap()), ("PONG".into(), "PONG".into()));
    let denied = ping(&format!("redis://127.0.0.1:{}", redis.port())).unwrap_err();
    assert_eq!(denied.code(), Some("NOAUTH"));
    assert_eq!(redis.ask::<String>(&["PING"]), "PONG");
}

#[test]
fn a_user_may_what_its_rules_say_even_after_a_restart() {
    let mut redis = Redis::setup().tcp().user("app", &[">secret", "~jobs*", "+ping", "+llen"]).start();
    redis.stop();
    redis.restart();
    let url = redis.tcp_url_of("app", "secret");
    assert_eq!(ping(&url).unwrap(), "PONG");
    let mut connection = Client::open(url).unwrap().get_connection().unwrap();
    assert_eq!(connection.llen::<_, usize>("jobs").unwrap(), 0);
    for denied in [connection.llen::<_, usize>("other"), connection.lpush::<_, _, usize>("jobs", "one")] {
        assert_eq!(denied.unwrap_err().code(), Some("NOPERM"));
    }
    assert!(ping(&redis.tcp_url_of("app", "wrong")).is_err());
}

#[test]
fn a_tls_server_is_trusted_through_its_own_authority_only() {
    let (redis, stranger) = (Redis::setup().tls().start(), Redis::setup().tls().start());
    let trust = |redis: &Redis| redis.certificates().authority();
    assert_eq!(ping_by_tls(&redis, &[Path::new("--cacert"), &trust(&redis)]), "PONG\n");
    let refused = ping_by_tls(&redis, &[Path::new("--cacert"), &trust(&stranger)]);
    assert!(refused.contains("certificate verify failed"), "{refused}");
    assert!(redis.tls_url().starts_with("rediss://127.0.0.1:"));
}

#[test]
fn a_server_with_mutual_tls_wants_a_certificate() {
    let redis = Redis::setup().mutual_tls().start();
    let certificates = redis.certificates();
    let trust = [Path::new("--cacert"), &certificates.authority()];
    assert!(!ping_by_tls(&redis, &trust).contains("PONG"));
    let (shown, key) = (certificates.client(), certificates.client_key());
    let all = [trust.as_slice(), &[Path::new("--cert"), &shown, Path::new("--key"), &key]].concat();
    assert_eq!(ping_by_tls(&redis, &all), "PONG\n");
}

#[test]
fn a_proxied_server_is_harmed_only_by_way_of_its_proxy() {
    let redis = Redis::start().proxied();
    assert_eq!(ping(&redis.url()).unwrap(), "PONG");
    redis.proxy.set(crate::Fault::Refuse);
    assert!(ping(&redis.url()).is_err());
    redis.push("jobs", ["one"]);
    assert_eq!(redis.len("jobs"), 1);
}
