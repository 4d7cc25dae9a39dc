use super::*;
use gristmill_sdk::{Failure, RedisValue, config};

fn plugin(json: &str) -> Result<Redis> {
    Redis::new(config::parse(json)?)
}

/// The commands as text, NUL as a dot.
fn shown(requests: Vec<Request>) -> Vec<String> {
    let words = |request: Request| match request {
        Request::Redis(words) => words.iter().map(|word| String::from_utf8_lossy(word).replace('\0', ".")).collect(),
        other => vec![format!("{other:?}")],
    };
    requests.into_iter().map(|request| words(request).join(" ")).collect()
}

fn commands(json: &str, message: &Message) -> Vec<String> {
    shown(plugin(json).unwrap().publish(message).unwrap())
}

fn message() -> Message {
    Message::test("body").with_topic("t").with_header("user", "u")
}

#[test]
fn each_target_is_one_command() {
    for (config, command) in [
        (r#"{"list": "l:{topic}"}"#, "RPUSH l:t body"),
        (r#"{"list": "l", "pushed": "left"}"#, "LPUSH l body"),
        (r#"{"stream": "s:{header:user}"}"#, "XADD s:u * payload body user u"),
        (r#"{"stream": "s", "keep": 10}"#, "XADD s MAXLEN ~ 10 * payload body user u"),
        (r#"{"channel": "c"}"#, "PUBLISH c body"),
        (r#"{"shard_channel": "c"}"#, "SPUBLISH c body"),
        (r#"{"key": "k:{id}"}"#, "SET k:test body"),
        (r#"{"key": "k", "expires": "1m", "only_new": true}"#, "SET k body PX 60000 NX"),
    ] {
        assert_eq!(commands(config, &message()), [command]);
    }
}

#[test]
fn what_is_atomic_goes_there_when_the_message_is_settled() {
    for (config, command) in [
        (r#"{"list": "l", "atomic": true}"#, ["RPUSH", "l", "body"]),
        (r#"{"channel": "c", "atomic": true}"#, ["PUBLISH", "c", "body"]),
        (r#"{"key": "k", "atomic": true}"#, ["SET", "k", "body"]),
    ] {
        let mut plugin = plugin(config).unwrap();
        assert_eq!(plugin.publish(&message()).unwrap(), [Request::redis_with_settling(command)]);
        assert_eq!(plugin.answered(&message(), &[Reply::queued()]), Ok(Vec::new()));
    }
    assert_eq!(commands(r#"{"list": "l", "atomic": false}"#, &message()), ["RPUSH l body"]);
    let away = [Reply::Redis(Err(Failure::Invalid("it comes from a channel".into())))];
    let refused = plugin(r#"{"list": "l", "atomic": true}"#).unwrap().answered(&message(), &away).unwrap_err();
    assert!(!refused.is_retry());
}

#[test]
fn a_job_is_put_down_first_and_then_told_once() {
    let config = r#"{"thoonk": "jobs"}"#;
    let id = "9f86d081884c7d659a2feaa0c55ad015";
    let first = commands(config, &message());
    let expected = [
        format!("LPOS feed.ids:jobs {id}"),
        format!("ZSCORE feed.claimed:jobs {id}"),
        "SADD feeds jobs".to_owned(),
        "HSETNX feed.config:jobs type job".to_owned(),
        format!("HSET feed.items:jobs {id} body"),
        format!("ZADD feed.published:jobs NX 0 {id}"),
    ];
    assert_eq!(first, expected);
    let replies = |ids, claimed, new| [ids, claimed, RedisValue::Number(new)].map(|value| Reply::Redis(Ok(value)));
    let mut plugin = plugin(config).unwrap();
    let answered = message().with_round(1);
    let mut told = |replies: &[Reply]| shown(plugin.answered(&answered, replies).unwrap());
    let push = format!("LPUSH feed.ids:jobs {id}");
    let tell = format!("PUBLISH feed.publishes:jobs {id}.body");
    let count = "INCR feed.publishes:jobs".to_owned();
    assert_eq!(told(&replies(RedisValue::Nil, RedisValue::Nil, 0)), [push.clone(), count.clone(), tell.clone()]);
    let new = format!("PUBLISH newfeed jobs.{id}");
    assert_eq!(told(&replies(RedisValue::Nil, RedisValue::Nil, 1)), [new, push, count, tell]);
    assert!(told(&replies(RedisValue::Number(3), RedisValue::Nil, 0)).is_empty(), "it waits already");
    assert!(told(&replies(RedisValue::Nil, RedisValue::Bytes(b"1".to_vec()), 0)).is_empty(), "somebody has it");
}

#[test]
fn an_item_of_a_queue_has_no_claim_and_is_not_published() {
    let config = r#"{"thoonk": "q", "kind": "queue"}"#;
    assert_eq!(commands(config, &message()).len(), 4);
    let replies = [RedisValue::Nil, RedisValue::Number(0)].map(|value| Reply::Redis(Ok(value)));
    let told = shown(plugin(config).unwrap().answered(&message().with_round(1), &replies).unwrap());
    assert_eq!(told.len(), 2, "{told:?}");
    let done = plugin(config).unwrap().answered(&message().with_round(2), &replies);
    assert_eq!(done, Ok(Vec::new()));
}

#[test]
fn redis_that_is_away_is_tried_again() {
    let away = [Reply::Redis(Err(Failure::Unreachable("no connection".into())))];
    assert!(plugin(r#"{"list": "l"}"#).unwrap().answered(&message(), &away).unwrap_err().is_retry());
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
    let one = "config: expected one of `list`, `stream`, `channel`, `shard_channel`, `key` and `thoonk`";
    assert_eq!([why("{}"), why(r#"{"list": "a", "key": "b"}"#)], [one, one]);
    let atomic = r#"{"thoonk": "a", "atomic": true}"#;
    assert_eq!(why(atomic), "config.atomic: `thoonk` asks before it puts, and so cannot have it");
    assert_eq!(why(r#"{"list": "a", "keep": 3}"#), "config.keep: only `stream` has it");
    assert_eq!(why(r#"{"key": "a", "expires": "0s"}"#), "config.expires: expected more than nothing");
    assert!(why(r#"{"key": "a", "expires": "soon"}"#).starts_with("config.expires: `soon` is no duration"));
    assert!(why(r#"{"list": "{user}"}"#).starts_with("config.list: nothing is known as `{user}`"));
    assert!(why(r#"{"lists": "a"}"#).starts_with("config.lists: unknown field, did you mean `list`?"));
}
