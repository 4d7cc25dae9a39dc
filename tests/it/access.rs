//! Who may come in, by which way, and what Redis must allow: TLS, passwords, and the user that the README shows.

use crate::{
    harm::{HELD, Producer, progress, troubles},
    jobs::{SOON, all_arrive, jobs, nothing_is_left, pipeline},
};
use gristmill_tests::{Answer, Dead, Ending, Fault, Mill, Node, Proxy, Redis, built, eventually, eventually::pause};
use std::{
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// What the README gives the user `gristmill`, for `list` instead of the one it names.
fn least(list: &str) -> Vec<String> {
    let readme = fs::read_to_string(built::repository().join("README.md")).unwrap();
    let shown = readme.split("ACL SETUSER gristmill ").nth(1).expect("the README shows a user");
    let shown = shown.split("```").next().unwrap().replace("notifications", list).replace(">PASSWORD", ">secret");
    shown.split_whitespace().map(str::to_owned).collect()
}

/// A server with that user, who may see `more` lists too.
fn guarded(more: &[&str]) -> Redis {
    let mut rules = least("jobs");
    rules.extend(more.iter().flat_map(|list| least(list)).filter(|rule| rule.starts_with('~')));
    let rules: Vec<&str> = rules.iter().map(String::as_str).filter(|rule| *rule != "on").collect();
    Redis::setup().tcp().user("gristmill", &rules).start()
}

fn as_user(redis: Redis, config: &str) -> Mill {
    Mill::at(redis.tcp_url_of("gristmill", "secret"), redis).plugins(&["http"]).config(config)
}

/// Everything that was refused to the user.
fn refused(redis: &Redis) -> Vec<String> {
    let log: Vec<Vec<redis::Value>> = redis.ask(&["ACL", "LOG"]);
    log.iter().map(|entry| format!("{entry:?}")).collect()
}

/// Which of the commands `names` were never carried out.
fn unused(redis: &Redis, names: &[String]) -> Vec<String> {
    let told: String = redis.ask(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    names.iter().filter(|name| calls(name) == 0).cloned().collect()
}

const HARD: &str = "in_flight = 8\nretry = { attempts = 3, first = \"50ms\", longest = \"50ms\" }\n\
    backlog = { keep = 100000, drop = \"oldest\" }";
const ORDERED: &str = "\n[pipeline.inline]\nfrom = { list = \"inline\" }\npublish = [\"http\"]\norder_by = \"topic\"\n";

#[test]
fn the_user_that_the_readme_shows_may_all_that_is_needed_and_no_more() {
    let redis = guarded(&["inline"]);
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], redis.port())));
    let url = redis
        .tcp_url_of("gristmill", "secret")
        .replace(&format!(":{}", redis.port()), &format!(":{}", proxy.address().port()));
    let mill = Mill::at(url, redis).plugins(&["http"]).config(&pipeline(HARD, ORDERED));
    // One hangs at the head of its lane until its node is killed, and one is never taken.
    let asked = AtomicUsize::new(0);
    mill.sink.answer_by(move |received| match received.json()["id"].as_u64() {
        Some(0) if asked.fetch_add(1, Ordering::Relaxed) == 0 => Answer::Hang,
        Some(1) => Answer::Status(400),
        _ => Answer::Status(200),
    });
    let mut one = mill.node();
    mill.redis.push("jobs", jobs(0..300));
    eventually(SOON, "the lane has moved on past what is slow", || (mill.sink.count() >= 300).then_some(()));
    one.kill9();
    let mut other = mill.node();
    proxy.set(Fault::CutOnce(1_000, Ending::Reset));
    mill.sink.answer_first(5, Answer::Status(503));
    mill.redis.push("jobs", jobs(300..600));
    mill.redis.push("inline", jobs(600..700));
    all_arrive(&mill.sink, 0..700);
    other.sigstop();
    pause(Duration::from_secs(3));
    other.sigcont();
    mill.redis.push("jobs", jobs(700..800));
    all_arrive(&mill.sink, 0..800);
    let dead = Dead::of(&mill, "jobs");
    let letter = eventually(SOON, "a dead letter", || dead.list().pop());
    dead.show(&Dead::entry(&letter));
    mill.sink.answer(Answer::Status(200));
    dead.replay(&Dead::entry(&letter));
    nothing_is_left(&mill.redis);
    assert_eq!(other.terminate(), 0);
    assert_eq!(troubles(&other), 1, "the cut and nothing else: {}", other.log());
    assert!(refused(&mill.redis).is_empty(), "{:#?}", refused(&mill.redis));
    let granted = least("jobs").into_iter().filter_map(|rule| rule.strip_prefix('+').map(str::to_owned));
    // That is for connections which only the server still holds for good.
    let granted = granted.filter(|name| name != "client|kill");
    let never = unused(&mill.redis, &granted.collect::<Vec<_>>());
    assert!(never.is_empty(), "granted and not needed: {never:?}");
}

/// What the README gives that user besides for a plugin whose store is in Redis.
fn of_store(plugin: &str) -> Vec<String> {
    let readme = fs::read_to_string(built::repository().join("README.md")).unwrap();
    let line = readme.split("* A plugin with `allow_store = \"redis\"` needs `").nth(1).expect("the README says it");
    line.split('`').next().unwrap().replace("PLUGIN", plugin).split_whitespace().map(str::to_owned).collect()
}

/// Every step of a store, and what is answered where it works.
const STEPS: &str = r#"[{"set":{"key":"k","value":"1","ms":60000}},{"add":{"key":"k","value":"2"}},{"get":{"key":"k"}},
    {"increment":{"key":"n","by":2,"ms":60000}},{"increment":{"key":"n","by":3}},{"delete":{"key":"k"}}]"#;
const ANSWERS: &str = "[\"set\",false,\"1\",2,5,true]";

#[test]
fn a_store_in_redis_needs_what_the_readme_shows_and_no_more() {
    let (rules, more) = (least("jobs"), of_store("lookups"));
    let rules: Vec<&str> = rules.iter().chain(&more).map(String::as_str).filter(|rule| *rule != "on").collect();
    let redis = Redis::setup().tcp().user("gristmill", &rules).start();
    let tables = "[plugin.lookups]\nconfig = { mode = \"ask\" }\nallow_store = \"redis\"\n";
    let config = pipeline("filters = [\"lookups\"]", tables);
    let mill = Mill::at(redis.tcp_url_of("gristmill", "secret"), redis).plugins(&["http"]).guests(&["lookups"]);
    mill.write_config(&config);
    let node = mill.node();
    assert_eq!(answered(&mill), ANSWERS);
    assert!(refused(&mill.redis).is_empty(), "{:#?}", refused(&mill.redis));
    // Without any one of them something is refused.
    for (rule, without, named) in more.iter().map(|rule| match rule.strip_prefix('+') {
        Some(command) => (rule, vec![format!("-{command}")], command.to_owned()),
        None => (
            rule,
            ["resetkeys", "~jobs", "~gristmill:{jobs}:*"].map(str::to_owned).to_vec(),
            "gristmill:store:".to_owned(),
        ),
    }) {
        let change = |rules: &[String]| {
            let words = ["ACL", "SETUSER", "gristmill"].map(str::to_owned);
            let words: Vec<&str> = words.iter().chain(rules).map(String::as_str).collect();
            mill.redis.ask::<()>(&words);
        };
        change(&without);
        mill.redis.ask::<()>(&["DEL", "gristmill:store:{lookups}:n"]);
        let answered = answered(&mill);
        assert!(answered.contains("unavailable"), "{rule}: {answered}");
        assert!(refused(&mill.redis).concat().contains(&named), "{rule}: {:#?}", refused(&mill.redis));
        change(std::slice::from_ref(rule));
        mill.redis.ask::<()>(&["ACL", "LOG", "RESET"]);
    }
    node.says(&["store does not answer", "may not do this", "gristmill:store:{lookups}:*"]);
    mill.redis.ask::<()>(&["DEL", "gristmill:store:{lookups}:n"]);
    assert_eq!(answered(&mill), ANSWERS, "the connection was good all the time");
}

/// What a plugin that asks for every step is answered.
#[track_caller]
fn answered(mill: &Mill) -> String {
    mill.sink.forget();
    mill.redis.push("jobs", [STEPS]);
    eventually(SOON, "the answers", || mill.sink.received().pop()).text()
}

#[test]
fn what_the_user_may_no_longer_is_named_and_waited_for() {
    for (taken, given, named) in [
        (vec!["-lmove", "-blmove"], vec!["+lmove", "+blmove"], "blmove"),
        (vec!["-evalsha"], vec!["+evalsha"], "evalsha"),
        (vec!["resetkeys"], vec!["~jobs", "~gristmill:{jobs}:*"], "keys"),
    ] {
        let mill = as_user(guarded(&[]), &pipeline("in_flight = 128", ""));
        mill.sink.answer(Answer::Late(Duration::from_millis(20)));
        let mut node = mill.node();
        let producer = Producer::default();
        producer.push(&mill.redis, 1_500);
        progress(&mill, 200);
        let change = |rules: &[&str]| mill.redis.ask::<()>(&[&["ACL", "SETUSER", "gristmill"], rules].concat());
        change(&taken);
        node.says(&["may not do this", named, "ACL SETUSER"]);
        pause(Duration::from_secs(1));
        let tries = refused(&mill.redis).len();
        assert!(tries < 128, "{tries} kinds of refusal");
        change(&given);
        producer.push(&mill.redis, 100);
        producer.lost_nothing(&mill, &mill.redis, HELD);
        assert!(troubles(&node) <= 4, "{taken:?}: {}", node.log());
        assert_eq!(node.ended(), None);
    }
}

#[test]
fn a_user_who_is_deleted_and_made_again_is_let_in_again() {
    let mill = as_user(guarded(&[]), &pipeline("in_flight = 128", ""));
    mill.sink.answer(Answer::Late(Duration::from_millis(20)));
    let node = mill.node();
    let producer = Producer::default();
    producer.push(&mill.redis, 1_500);
    progress(&mill, 200);
    mill.redis.ask::<()>(&["ACL", "DELUSER", "gristmill"]);
    node.says(&["does not let us in", "user and password"]);
    let rules = least("jobs");
    let rules: Vec<&str> =
        ["ACL", "SETUSER", "gristmill"].into_iter().chain(rules.iter().map(String::as_str)).collect();
    mill.redis.ask::<()>(&rules);
    producer.push(&mill.redis, 100);
    producer.lost_nothing(&mill, &mill.redis, HELD);
    assert!(!node.log().contains("secret"), "{}", node.log());
}

/// What a node says that does not start.
#[track_caller]
fn does_not_start(url: String, tables: &str) -> String {
    let mill = Mill::at(url, ()).plugins(&["http"]).config(&pipeline("", tables));
    let mut node: Node = mill.node_unready();
    assert_eq!(node.exit_code(SOON), 69, "{}", node.log());
    let log = node.log();
    assert!(!log.contains("secret") && !log.contains("panicked"), "{log}");
    log
}

#[test]
fn who_is_not_let_in_is_told_why_and_ends_with_69() {
    let redis = Redis::setup().tcp().password("right").user("app", &[">also right", "+@all", "~*"]).start();
    let bare = format!("redis://127.0.0.1:{}", redis.port());
    let stranger = redis.tcp_url_of("nobody", "secret");
    for url in [bare, redis.tcp_url().replace("right", "secret"), redis.tcp_url_of("app", "secret"), stranger] {
        let log = does_not_start(url, "");
        assert!(log.contains("does not let us in") && log.contains("user and password in the address"), "{log}");
    }
}

fn trusting(redis: &Redis, more: &str) -> String {
    format!("\n[tls]\nca = \"{}\"\n{more}", redis.certificates().authority().display())
}

#[test]
fn a_server_with_tls_of_an_authority_of_ones_own_is_taken_from() {
    for mutual in [false, true] {
        let setup = Redis::setup().password("p@ss:/w");
        let redis = if mutual { setup.mutual_tls() } else { setup.tls() }.start();
        let certificates = redis.certificates();
        let shown = format!("cert = {:?}\nkey = {:?}\n", certificates.client(), certificates.client_key());
        let tables = trusting(&redis, if mutual { &shown } else { "" });
        let mill = Mill::at(redis.tls_url(), redis).plugins(&["http"]).config(&pipeline("in_flight = 128", &tables));
        let node = mill.node();
        let producer = Producer::default();
        producer.push(&mill.redis, 2_000);
        progress(&mill, 200);
        mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        producer.push(&mill.redis, 500);
        producer.lost_nothing(&mill, &mill.redis, 0);
        assert!(troubles(&node) <= 1, "{}", node.log());
    }
}

#[test]
fn a_server_that_cannot_be_trusted_is_told_as_that() {
    let redis = Redis::setup().tls().start();
    let stranger = Redis::setup().tls_named(&["elsewhere.example"]).start();
    let wanting = Redis::setup().mutual_tls().start();
    for (url, tables) in [
        (redis.tls_url(), String::new()),
        (redis.tls_url(), trusting(&stranger, "")),
        (stranger.tls_url(), trusting(&stranger, "")),
        (wanting.tls_url(), trusting(&wanting, "")),
    ] {
        let log = does_not_start(url, &tables);
        assert!(log.contains("TLS does not come about") && log.contains("`ca`"), "{log}");
    }
}

#[test]
fn commands_with_the_settling_need_their_own_permission_and_nothing_else() {
    let config = "[pipeline.jobs]\nfrom.list = \"jobs\"\npublish = [\"redis\"]\n[plugin.redis]\n\
        config = { list = \"out\", atomic = true }\nallow_redis = [\"RPUSH out\"]\ntimeout = \"20s\"\n";
    let mill = as_user(guarded(&[]), config).plugins(&["redis"]);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..1));
    let dead = Dead::of(&mill, "jobs");
    let letter = eventually(SOON, "a dead letter", || dead.list().pop());
    let text = letter.to_string();
    assert!(text.contains("`RPUSH`, with the settling of the message: "), "{text}");
    let refusals = refused(&mill.redis);
    assert!(refusals.len() == 1 && refusals[0].contains("out"), "{refusals:?}");
    mill.redis.ask::<()>(&["ACL", "SETUSER", "gristmill", "~out"]);
    dead.replay(&Dead::entry(&letter));
    eventually(SOON, "it is there", || (mill.redis.len("out") == 1).then_some(()));
    assert_eq!(refused(&mill.redis).len(), 1);
}
