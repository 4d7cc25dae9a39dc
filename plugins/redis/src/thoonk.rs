//! Jobs and items for Thoonk queues of the Python generation, as its `put` leaves them.
//!
//! It does so in one transaction, which plugins have not. So what is told comes last: at first the item is put down, and only when it
//! is there the queue is told its id, unless an attempt before has done that. Who looks in between sees an item that is in no queue,
//! which is what Thoonk's `maintenance` is for.

use crate::config::Kind;
use gristmill_sdk::{Message, Reply, Request, Result};
use sha2::{Digest, Sha256};
use std::time::{Duration, UNIX_EPOCH};

/// Puts the item down, and asks what has become of it in an attempt before.
pub(crate) fn first(name: &str, kind: Kind, message: &Message) -> Vec<Request> {
    let (id, payload) = (id(message), message.payload());
    let key = |what: &str| format!("feed.{what}:{name}").into_bytes();
    let kind_name = if kind == Kind::Job { b"job".as_slice() } else { b"queue" };
    let mut commands: Vec<Vec<Vec<u8>>> = vec![
        words(b"LPOS", key("ids"), &[id.as_bytes()]),
        words(b"ZSCORE", key("claimed"), &[id.as_bytes()]),
        words(b"SADD", b"feeds".to_vec(), &[name.as_bytes()]),
        words(b"HSETNX", key("config"), &[b"type", kind_name]),
        words(b"HSET", key("items"), &[id.as_bytes(), payload]),
    ];
    if kind == Kind::Job {
        commands.push(words(b"ZADD", key("published"), &[b"NX", taken_ms(message).as_bytes(), id.as_bytes()]));
    } else {
        commands.remove(1);
    }
    commands.into_iter().map(Request::redis).collect()
}

/// Tells the queue, unless it knows.
pub(crate) fn second(name: &str, kind: Kind, message: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
    let id = id(message);
    let known = if kind == Kind::Job { 2 } else { 1 };
    let mut commands = Vec::new();
    for reply in replies.iter().take(known) {
        if !matches!(reply.redis()?, gristmill_sdk::RedisValue::Nil) {
            return Ok(commands);
        }
    }
    let told = |body: &[u8]| [id.as_bytes(), b"\0", body].concat();
    let is_new =
        replies.get(known).map(Reply::redis).transpose()?.and_then(gristmill_sdk::RedisValue::number) == Some(1);
    if is_new {
        commands.push(Request::redis([
            b"PUBLISH".as_slice(),
            b"newfeed",
            &[name.as_bytes(), b"\0", id.as_bytes()].concat(),
        ]));
    }
    commands.push(Request::redis(["LPUSH", &format!("feed.ids:{name}"), &id]));
    commands.push(Request::redis(["INCR", &format!("feed.publishes:{name}")]));
    if kind == Kind::Job {
        let channel = format!("feed.publishes:{name}");
        commands.push(Request::redis([b"PUBLISH".as_slice(), channel.as_bytes(), &told(message.payload())]));
    }
    Ok(commands)
}

fn words(command: &[u8], key: Vec<u8>, more: &[&[u8]]) -> Vec<Vec<u8>> {
    [command.to_vec(), key].into_iter().chain(more.iter().map(|word| word.to_vec())).collect()
}

/// 32 hexadecimal digits, as Thoonk's are, and the same in every attempt.
fn id(message: &Message) -> String {
    Sha256::digest(message.id()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn taken_ms(message: &Message) -> String {
    message.received().duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_millis).to_string()
}
