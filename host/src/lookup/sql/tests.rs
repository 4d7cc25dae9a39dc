//! Databases as plugins meet them: SQLite in a file.

use super::{super::*, Database};
use config::{DatabaseAddress, Plugin, SqlGrant};
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{path::PathBuf, time::Instant};
use tempfile::TempDir;

const SHOP: &str = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, debt REAL, photo BLOB, vip BOOLEAN);
    INSERT INTO customers VALUES (7, 'ann', 1.5, x'00ff', 1), (8, NULL, NULL, NULL, 0);";
const ENDLESS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

/// A database in a file, and a plugin that may ask it.
struct Shop {
    dir: TempDir,
    lookups: Lookups,
    access: Access,
}

impl Shop {
    async fn new(write: bool) -> Self {
        Self::with(write, |_| {}).await
    }

    async fn with(write: bool, change: impl FnOnce(&mut config::Database)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut database = settings(dir.path().join("shop.db"));
        change(&mut database);
        create(&dir.path().join("shop.db")).await;
        let lookups = Lookups::alone();
        lookups.configure(&BTreeMap::from([("shop".to_owned(), database)]));
        let sql = vec![SqlGrant { database: "shop".to_owned(), write }];
        let access = lookups.access(&Arc::from("p"), &config::Lookups { sql, ..Plugin::default().lookups });
        Self { dir, lookups, access }
    }

    async fn ask(&self, statement: &str, params: Vec<Value>) -> Result<Rows, Failure> {
        self.access.query(&mut self.access.patience(), "shop", statement.to_owned(), params).await
    }

    async fn one(&self, statement: &str) -> Result<Value, Failure> {
        Ok(self.ask(statement, Vec::new()).await?.rows.remove(0).remove(0))
    }
}

fn settings(file: PathBuf) -> config::Database {
    config::Database {
        address: DatabaseAddress::Sqlite(file),
        connections: 3,
        timeout: Duration::from_secs(5),
        rows: 100,
        answer_bytes: 10_000,
    }
}

async fn create(file: &std::path::Path) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(sqlx::raw_sql(SHOP)).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn every_kind_of_value_goes_there_and_comes_back() {
    let shop = Shop::new(false).await;
    let rows = shop.ask("SELECT * FROM customers WHERE id = ?", vec![Value::Integer(7)]).await.unwrap();
    assert_eq!(rows.columns, ["id", "name", "debt", "photo", "vip"]);
    let expected = [
        Value::Integer(7),
        Value::Text("ann".to_owned()),
        Value::Float(1.5),
        Value::Bytes(vec![0, 255]),
        Value::Integer(1),
    ];
    assert_eq!(rows.rows, [expected]);
    let given = vec![Value::Null, Value::Boolean(true), Value::Text("'; --".to_owned()), Value::Bytes(vec![1])];
    let rows = shop.ask("SELECT ?, ?, ?, ?", given).await.unwrap();
    let expected = [Value::Null, Value::Integer(1), Value::Text("'; --".to_owned()), Value::Bytes(vec![1])];
    assert_eq!(rows.rows, [expected]);
    let none = shop.ask("SELECT id FROM customers WHERE id = 9", vec![]).await.unwrap();
    assert_eq!(none, Rows::default());
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let shop = Shop::new(false).await;
    let other = shop.access.query(&mut shop.access.patience(), "other\n", "SELECT 1".to_owned(), vec![]).await;
    assert!(matches!(other, Err(Failure::Denied(why)) if why.contains("allow_sql") && why.contains("other\\n")));
    for statement in [
        "UPDATE customers SET name = 'x'",
        "DELETE FROM customers",
        "WITH x AS (SELECT 1) DELETE FROM customers",
        "PRAGMA query_only = OFF",
        "ATTACH 'other.db' AS other",
    ] {
        assert!(matches!(shop.ask(statement, vec![]).await, Err(Failure::Denied(_))), "{statement}");
    }
    assert_eq!(shop.one("SELECT count(*) FROM customers WHERE name = 'ann'").await, Ok(Value::Integer(1)));
    let mut none = Patience::none();
    let early = shop.access.query(&mut none, "shop", "SELECT 1".to_owned(), vec![]).await;
    assert!(matches!(early, Err(Failure::Denied(_))));
}

#[tokio::test]
async fn a_plugin_that_may_write_does_and_is_told_how_much() {
    let shop = Shop::new(true).await;
    let changed = shop.ask("UPDATE customers SET debt = ?", vec![Value::Float(2.0)]).await.unwrap();
    assert_eq!(changed.affected, 2);
    let twice = shop.ask("INSERT INTO customers (id) VALUES (7)", vec![]).await;
    assert!(matches!(twice, Err(Failure::Invalid(why)) if why.contains("UNIQUE")));
    let returned = shop.ask("INSERT INTO customers (id) VALUES (9) RETURNING id", vec![]).await.unwrap();
    assert_eq!(returned.rows, [[Value::Integer(9)]]);
    assert!(matches!(shop.ask("DROP TABLE customers", vec![]).await, Err(Failure::Denied(_))));
    assert!(matches!(shop.ask("DELETE FROM customers; DELETE FROM customers", vec![]).await, Err(Failure::Invalid(_))));
}

#[tokio::test]
async fn answers_are_bounded_and_the_database_goes_on() {
    let shop = Shop::new(false).await;
    let numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?) SELECT x FROM n";
    let many = |count| shop.ask(numbers, vec![Value::Integer(count)]);
    assert_eq!(many(100).await.unwrap().rows.len(), 100);
    assert!(matches!(many(101).await, Err(Failure::TooLarge(why)) if why.contains("`rows`")));
    let wide = |bytes| shop.ask("SELECT zeroblob(?)", vec![Value::Integer(bytes)]);
    assert!(wide(9_000).await.is_ok());
    assert!(matches!(wide(10_001).await, Err(Failure::TooLarge(why)) if why.contains("answer_kib")));
    // What is made of it at once is bounded for all connections together.
    for bytes in [50_000_000, 100_000_000, 200_000_000, 900_000_000] {
        assert!(matches!(wide(bytes).await, Err(Failure::TooLarge(_))), "{bytes}");
    }
    assert_eq!(shop.one("SELECT 1").await, Ok(Value::Integer(1)));
}

#[tokio::test]
async fn a_statement_that_does_not_end_is_ended_and_leaves_its_connection_to_others() {
    let shop = Shop::with(false, |database| {
        (database.connections, database.timeout) = (1, Duration::from_millis(200));
    })
    .await;
    let start = Instant::now();
    assert!(matches!(shop.one(ENDLESS).await, Err(Failure::Unreachable(_))));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    // A call that is dropped in the middle leaves nothing behind either.
    let dropped = tokio::time::timeout(Duration::from_millis(50), shop.one(ENDLESS)).await;
    assert!(dropped.is_err());
    let again = async {
        while shop.one("SELECT 1").await != Ok(Value::Integer(1)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
}

#[tokio::test]
async fn more_questions_than_connections_wait_for_one_another() {
    let shop = Shop::new(false).await;
    let all = (0..200).map(|_| shop.one("SELECT count(*) FROM customers"));
    let all = futures_util::future::join_all(all).await;
    assert!(all.into_iter().all(|answer| answer == Ok(Value::Integer(2))));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable_until_it_is() {
    let shop = Shop::with(false, |database| database.timeout = Duration::from_millis(500)).await;
    let (file, away) = (shop.dir.path().join("shop.db"), shop.dir.path().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    assert!(matches!(shop.one("SELECT 1").await, Err(Failure::Unreachable(why)) if why.contains("`shop`")));
    assert!(!file.exists(), "nothing is made there");
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(shop.one("SELECT count(*) FROM customers").await, Ok(Value::Integer(2)));
}

#[tokio::test]
async fn a_reload_keeps_what_is_the_same_and_a_database_that_is_gone_is_unavailable() {
    let shop = Shop::new(false).await;
    shop.one("SELECT 1").await.unwrap();
    let of = |shop: &Shop| shop.lookups.0.databases.load().get("shop").cloned();
    let before = of(&shop).unwrap();
    let mut databases = BTreeMap::from([("shop".to_owned(), before.settings.clone())]);
    shop.lookups.configure(&databases);
    assert!(Arc::ptr_eq(&before, &of(&shop).unwrap()));
    databases.get_mut("shop").unwrap().rows = 1;
    shop.lookups.configure(&databases);
    assert!(matches!(shop.ask("SELECT id FROM customers", vec![]).await, Err(Failure::TooLarge(_))));
    shop.lookups.configure(&BTreeMap::new());
    assert!(matches!(shop.one("SELECT 1").await, Err(Failure::Unreachable(_))));
}

#[test]
fn an_address_that_nobody_can_read_is_found_out_without_showing_it() {
    let address = DatabaseAddress::Postgres("postgres://u:s3cr3t@host:port/db".to_owned());
    let database = config::Database { address, ..settings(PathBuf::new()) };
    let databases = BTreeMap::from([("shop".to_owned(), database.clone())]);
    let [(name, reason)] = &unusable(&databases)[..] else { panic!("one") };
    assert!(*name == "shop" && !reason.contains("s3cr3t"), "{reason}");
    assert!(!format!("{database:?}").contains("s3cr3t"));
    drop(Database::new("shop", &database));
}
