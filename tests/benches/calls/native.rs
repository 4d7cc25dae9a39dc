//! The same done by native code, written as one would.

use bytes::Bytes;
use serde_json::Value;
use sqlx::{Row, SqlitePool, sqlite::SqliteConnectOptions};
use std::path::{Path, PathBuf};

/// Takes `ip` and `user.email` out of a document.
pub(crate) struct Anonymizer;

impl Anonymizer {
    pub(crate) fn value(&self, json: &[u8]) -> Value {
        serde_json::from_slice(json).unwrap()
    }

    pub(crate) fn edit(&self, payload: &Bytes) -> Vec<u8> {
        let mut value = self.value(payload);
        let fields = value.as_object_mut().unwrap();
        fields.remove("ip");
        if let Some(user) = fields.get_mut("user").and_then(Value::as_object_mut) {
            user.remove("email");
        }
        serde_json::to_vec(&value).unwrap()
    }
}

/// A database with a table of a thousand customers.
pub(crate) struct Customers {
    file: PathBuf,
    pool: SqlitePool,
}

impl Customers {
    pub(crate) async fn fill(dir: &Path) -> Self {
        let file = dir.join("shop.sqlite");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
             WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000)
             INSERT INTO customers SELECT id, 'ann' FROM n",
        )
        .execute(&pool)
        .await
        .unwrap();
        Self { file, pool }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) async fn name(&self, id: i64) -> String {
        let query = sqlx::query("SELECT name FROM customers WHERE id = ?").bind(id);
        query.fetch_one(&self.pool).await.unwrap().get(0)
    }
}
