//! Stores in a real Redis.

use super::*;
use crate::source::embedded::Embedded;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use tempfile::TempDir;

struct Server {
    embedded: Embedded,
    _dir: TempDir,
}

impl Server {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        Self { embedded: Embedded::start(dir.path(), 0).await.unwrap(), _dir: dir }
    }

    fn connector(&self) -> Connector {
        Connector::new(&self.embedded.url()).unwrap()
    }

    async fn redis(&self) -> MultiplexedConnection {
        self.connector().shared().await.unwrap()
    }

    fn access(&self, plugin: &str) -> Access {
        Lookups::new(self.connector()).access(&Arc::from(plugin), &settings(Kind::Redis))
    }
}

#[tokio::test]
async fn a_store_in_redis_does_what_one_in_memory_does() {
    let server = Server::start().await;
    for access in [server.access("p"), access(Kind::Memory)] {
        let patience = &mut access.patience();
        assert_eq!(access.get(patience, "k").await, Ok(None));
        assert_eq!(access.set(patience, "k", vec![0, 255], None).await, Ok(()));
        assert_eq!(access.get(patience, "k").await, Ok(Some(Bytes::from_static(&[0, 255]))));
        assert_eq!(access.add(patience, "k", vec![1], None).await, Ok(false));
        assert_eq!(access.add(patience, "l", vec![1], Some(20)).await, Ok(true));
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(access.add(patience, "l", vec![2], None).await, Ok(true), "the first has ended");
        assert_eq!(access.increment(patience, "n", 9_007_199_254_740_993, None).await, Ok(9_007_199_254_740_993));
        assert_eq!(access.increment(patience, "n", -1, None).await, Ok(9_007_199_254_740_992));
        assert_eq!(access.get(patience, "n").await, Ok(Some(Bytes::from_static(b"9007199254740992"))));
        assert_eq!(access.increment(patience, "n", i64::MAX, None).await, Err(store::no_number()));
        assert_eq!(access.increment(patience, "k", 1, None).await, Err(store::no_number()));
        assert_eq!((access.delete(patience, "k").await, access.delete(patience, "k").await), (Ok(true), Ok(false)));
    }
}

#[tokio::test]
async fn keys_lie_under_the_plugins_name_with_an_end() {
    let server = Server::start().await;
    let access = server.access("first-filter");
    let patience = &mut access.patience();
    access.set(patience, "a{b}", vec![1], None).await.unwrap();
    access.increment(patience, "n", 1, Some(5_000)).await.unwrap();
    access.increment(patience, "n", 1, Some(3_600_000)).await.unwrap();
    let mut redis = server.redis().await;
    let mut keys: Vec<String> = redis.keys("*").await.unwrap();
    keys.sort();
    assert_eq!(keys, ["gristmill:store:{first-filter}:a{b}", "gristmill:store:{first-filter}:n"]);
    let left: i64 = redis.pttl("gristmill:store:{first-filter}:n").await.unwrap();
    assert!((1..=5_000).contains(&left), "the first count has set the end: {left}");
    let left: i64 = redis.ttl("gristmill:store:{first-filter}:a{b}").await.unwrap();
    assert!((29 * 86_400..=30 * 86_400).contains(&left), "`longest` holds where no end was asked for: {left}");
}

#[tokio::test]
async fn of_many_that_add_at_once_one_succeeds_and_counts_miss_nothing() {
    let server = Server::start().await;
    let nodes = [server.access("p"), server.access("p"), server.access("p")];
    let all = (0..300).map(|n| {
        let access = &nodes[n % nodes.len()];
        async move {
            let patience = &mut access.patience();
            access.increment(patience, "n", 1, None).await.unwrap();
            access.add(patience, "k", vec![1], None).await.unwrap()
        }
    });
    let added = futures_util::future::join_all(all).await;
    assert_eq!(added.into_iter().filter(|added| *added).count(), 1);
    let access = server.access("p");
    assert_eq!(access.increment(&mut access.patience(), "n", 0, None).await, Ok(300));
}

#[tokio::test]
async fn a_server_that_is_silent_or_gone_is_unavailable_in_time_and_works_again_afterwards() {
    let server = Server::start().await;
    let mut settings = settings(Kind::Redis);
    settings.wait = Duration::from_millis(300);
    let access = Lookups::new(server.connector()).access(&Arc::from("p"), &settings);
    access.set(&mut access.patience(), "k", vec![1], None).await.unwrap();
    let mut redis = server.redis().await;
    // Nothing is answered for a while, then connections are cut.
    let _: () = redis::cmd("CLIENT").arg("PAUSE").arg(4_000).arg("ALL").query_async(&mut redis).await.unwrap();
    let start = Instant::now();
    assert!(matches!(access.get(&mut access.patience(), "k").await, Err(Failure::Unreachable(_))));
    assert!(start.elapsed() < Duration::from_millis(3_500), "{:?}", start.elapsed());
    let found = async {
        while access.get(&mut access.patience(), "k").await != Ok(Some(Bytes::from_static(&[1]))) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
    let _: i64 = redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes")
        .query_async(&mut redis)
        .await
        .unwrap();
    let again = async {
        while access.get(&mut access.patience(), "k").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_is_full_or_forbids_it_is_unavailable_and_the_connection_stays() {
    let server = Server::start().await;
    let access = server.access("p");
    let mut redis = server.redis().await;
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query_async(&mut redis).await.unwrap();
    let patience = &mut access.patience();
    assert!(matches!(access.set(patience, "k", vec![1], None).await, Err(Failure::Unreachable(_))));
    assert_eq!(access.get(patience, "k").await, Ok(None));
}
