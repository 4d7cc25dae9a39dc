//! Redis commands that are plain data, and where their keys stand; which commands nobody is ever granted; and patterns for keys.

/// Those whose first argument is their only key, or the channel that is published to.
const FIRST: &str = "APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS \
GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY \
HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL \
HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM PERSIST PEXPIRE PEXPIREAT PEXPIRETIME \
PFADD PSETEX PTTL PUBLISH RPOP RPUSH RPUSHX SADD SCARD SET SETBIT SETEX SETNX SETRANGE SISMEMBER SMEMBERS SMISMEMBER SPOP SPUBLISH \
SRANDMEMBER SREM SSCAN STRLEN SUBSTR TTL TYPE XACK XADD XDEL XLEN XRANGE XREVRANGE XTRIM ZADD ZCARD ZCOUNT ZINCRBY ZLEXCOUNT ZMSCORE \
ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE \
ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE";
/// The first two arguments.
const TWO: &str = "GEOSEARCHSTORE LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE";
/// Every argument.
const EVERY: &str =
    "DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK";
/// Every other argument, from the first on.
const PAIRS: &str = "MSET MSETNX";
/// Every argument but the first.
const BEHIND: &str = "BITOP";
/// As many as the first argument says, behind it.
const COUNTED: &str = "LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION";
/// The first argument, and as many as the second says, behind that.
const STORED: &str = "ZDIFFSTORE ZINTERSTORE ZUNIONSTORE";
/// What blocks a connection that is shared, changes what it is, or ends the server.
const NEVER: &str = "ASKING AUTH BLMOVE BLMOVEM BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT DEBUG DISCARD EXEC FAILOVER \
HELLO MODULE MONITOR MULTI PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE REPLCONF REPLICAOF RESET SELECT SHUTDOWN SLAVEOF \
SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SYNC UNSUBSCRIBE UNWATCH WAIT WAITAOF WATCH XREAD XREADGROUP";

/// Where the keys of a command stand among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    First,
    Two,
    Every,
    Pairs,
    Behind,
    Counted,
    Stored,
}

const PLAIN: [(&str, Keys); 7] = [
    (FIRST, Keys::First),
    (TWO, Keys::Two),
    (EVERY, Keys::Every),
    (PAIRS, Keys::Pairs),
    (BEHIND, Keys::Behind),
    (COUNTED, Keys::Counted),
    (STORED, Keys::Stored),
];

fn plain(name: &str) -> Option<Keys> {
    PLAIN.into_iter().find(|(names, _)| lists(names, name)).map(|(_, keys)| keys)
}

fn lists(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|listed| listed == name)
}

/// Whether the command `name`, in capitals, reads or changes the values of keys that it names, and nothing else.
pub fn is_plain(name: &str) -> bool {
    plain(name).is_some()
}

/// Whether nobody is ever granted the command `name`, in capitals.
pub fn is_never_granted(name: &str) -> bool {
    lists(NEVER, name)
}

/// The keys among the `arguments` of the plain command `name`, in capitals; the channel of one that publishes.
/// Nothing if it is not plain, or has not the arguments that it should have.
pub fn keys<'a, T: AsRef<[u8]>>(name: &str, arguments: &'a [T]) -> Option<Vec<&'a [u8]>> {
    let keys: Vec<&[u8]> = match plain(name)? {
        Keys::First => arguments.iter().take(1).map(AsRef::as_ref).collect(),
        Keys::Two => arguments.get(..2)?.iter().map(AsRef::as_ref).collect(),
        Keys::Every => arguments.iter().map(AsRef::as_ref).collect(),
        Keys::Pairs => arguments.iter().step_by(2).map(AsRef::as_ref).collect(),
        Keys::Behind => arguments.iter().skip(1).map(AsRef::as_ref).collect(),
        Keys::Counted => counted(arguments)?,
        Keys::Stored => {
            let (target, rest) = arguments.split_first()?;
            [&[target.as_ref()], &counted(rest)?[..]].concat()
        }
    };
    (!keys.is_empty()).then_some(keys)
}

fn counted<T: AsRef<[u8]>>(arguments: &[T]) -> Option<Vec<&[u8]>> {
    let (count, rest) = arguments.split_first()?;
    let count: usize = std::str::from_utf8(count.as_ref()).ok()?.parse().ok()?;
    Some(rest.get(..count)?.iter().map(AsRef::as_ref).collect())
}

/// A pattern for keys or channels, as `KEYS` and ACLs of Redis take them: `*`, `?`, `[a-z]`, `[^a]`, and `\` before what is meant as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches everything.
    pub fn is_everything(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether it names one key and matches nothing else.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?', '['])
    }

    /// Whether it matches `text`. Takes at most as many steps as the lengths of both multiplied.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut pattern, mut rest) = (self.0.as_bytes(), text);
        // Where the last star stood and what it has not swallowed yet: only that one needs to be tried again.
        let mut star: Option<(&[u8], &[u8])> = None;
        loop {
            if let [b'*', behind @ ..] = pattern {
                (pattern, star) = (behind, Some((behind, rest)));
                continue;
            }
            match (step(pattern, rest), rest) {
                (Some(behind), [_, after @ ..]) => (pattern, rest) = (behind, after),
                (None, []) if pattern.is_empty() => return true,
                _ => match star {
                    Some((behind, [_, after @ ..])) => {
                        (pattern, rest, star) = (behind, after, Some((behind, after)));
                    }
                    _ => return false,
                },
            }
        }
    }
}

/// What follows the first element of `pattern`, which is no star, if that matches the first byte of `text`.
fn step<'a>(pattern: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    let first = text.first()?;
    match pattern {
        [b'?', behind @ ..] => Some(behind),
        [b'[', class @ ..] => {
            let (within, behind) = in_class(class, *first);
            within.then_some(behind)
        }
        [b'\\', literal, behind @ ..] | [literal, behind @ ..] => (literal == first).then_some(behind),
        [] => None,
    }
}

/// Whether `byte` is in the class that begins `text`, and what follows its bracket; one that is not closed ends with the pattern.
fn in_class(text: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut text) = match text {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut within = false;
    loop {
        text = match text {
            [] => return (within != negated, text),
            [b']', rest @ ..] => return (within != negated, rest),
            [b'\\', literal, rest @ ..] => {
                within |= *literal == byte;
                rest
            }
            [low, b'-', high, rest @ ..] => {
                within |= (low.min(high)..=low.max(high)).contains(&&byte);
                rest
            }
            [literal, rest @ ..] => {
                within |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn found(words: &str) -> Option<Vec<String>> {
        let words: Vec<&str> = words.split(' ').collect();
        let keys = keys(words[0], &words[1..])?;
        Some(keys.into_iter().map(|key| String::from_utf8(key.to_vec()).unwrap()).collect())
    }

    #[test]
    fn every_key_of_a_command_is_found() {
        for (words, expected) in [
            ("GET a", "a"),
            ("SET a b EX 9", "a"),
            ("PUBLISH c text", "c"),
            ("MGET a b c", "a b c"),
            ("MSET a 1 b 2", "a b"),
            ("RENAME a b", "a b"),
            ("LMOVE a b LEFT RIGHT", "a b"),
            ("BITOP AND d a b", "d a b"),
            ("SUNIONSTORE d a b", "d a b"),
            ("LMPOP 2 a b LEFT COUNT 3", "a b"),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b"),
            ("ZINTER 1 a WITHSCORES", "a"),
        ] {
            assert_eq!(found(words).unwrap().join(" "), expected, "{words}");
        }
    }

    #[test]
    fn arguments_that_hide_keys_are_refused() {
        for words in [
            "GET",
            "RENAME a",
            "LMPOP",
            "LMPOP x a",
            "LMPOP -1 a",
            "LMPOP 3 a b",
            "ZUNIONSTORE d",
            "ZUNIONSTORE d 2 a",
            "ZINTER 0",
            "EVAL x 0",
            "SORT a",
            "get a",
            "",
        ] {
            assert_eq!(found(words), None, "{words}");
        }
    }

    #[test]
    fn no_command_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for name in PLAIN.iter().map(|(names, _)| *names).chain([NEVER]).flat_map(str::split_ascii_whitespace) {
            assert!(seen.insert(name), "{name}");
        }
    }

    #[test]
    fn nothing_plain_blocks_runs_scripts_or_looks_beyond_its_keys() {
        for name in [
            "EVAL", "EVALSHA", "FCALL", "SCRIPT", "CONFIG", "KEYS", "SCAN", "FLUSHALL", "SORT", "COPY", "MULTI",
            "BLPOP", "ACL",
        ] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(["MULTI", "BLPOP", "SUBSCRIBE", "XREAD", "SELECT"].iter().all(|name| is_never_granted(name)));
        assert!(!is_never_granted("EVAL"));
    }

    #[test]
    fn patterns_match_as_those_of_redis() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("*", "x"),
            ("cache:*", "cache:"),
            ("cache:*", "cache:a:b"),
            ("*:a*b", "x:y:aab"),
            ("h?llo", "hallo"),
            ("h[ae]llo", "hello"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]llo", "hbllo"),
            ("a\\*b", "a*b"),
            ("[\\]]", "]"),
            ("\\", "\\"),
        ] {
            assert!(Pattern::new(pattern).matches(text.as_bytes()), "{pattern} matches {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("a", "A"),
            ("cache:*", "cache"),
            ("cache:*", "xcache:a"),
            ("h?llo", "hllo"),
            ("h[ae]llo", "hillo"),
            ("h[^e]llo", "hello"),
            ("a\\*b", "axb"),
            ("[a", "b"),
            ("*a", "ab"),
        ] {
            assert!(!Pattern::new(pattern).matches(text.as_bytes()), "{pattern} does not match {text}");
        }
    }

    #[test]
    fn a_pattern_full_of_stars_takes_no_time() {
        let text = "a".repeat(10_000);
        assert!(!Pattern::new("*a*a*a*a*a*a*a*a*a*a*b").matches(text.as_bytes()));
    }

    #[test]
    fn a_literal_pattern_has_nothing_open() {
        assert!(["a", "a:b", "a\\:b"].iter().all(|text| Pattern::new(*text).is_literal()));
        assert!(["a*", "a?", "[ab]"].iter().all(|text| !Pattern::new(*text).is_literal()));
        assert!(Pattern::new("**").is_everything() && !Pattern::new("").is_everything());
    }
}
