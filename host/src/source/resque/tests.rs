//! Resque queues against a real server: what peers find there, byte for byte.

mod books;
mod queues;
mod scheduler;

use crate::{
    config,
    source::tests::{Node, Server, eventually, pipeline_of, trouble},
};
use redis::{FromRedisValue, ToRedisArgs};

const JOB: &str = r#"{"class":"Ok","args":[0.01,{"k":"v/é<>"}]}"#;

fn from(queues: &[&str], host: &str) -> config::Resque {
    let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
    config::Resque { queues, namespace: "resque".to_owned(), host: Some(host.to_owned()), scheduler: false }
}

fn start(server: &Server, resque: config::Resque, in_flight: usize) -> Node {
    let name = resque.host.clone().unwrap_or_default();
    Node::with(server, &name, &pipeline_of(config::From::Resque(resque), in_flight))
}

/// The id of a worker of `host`.
fn id(host: &str, queues: &str, slot: u32) -> String {
    format!("{host}:{}-{slot}:{queues}", std::process::id())
}

impl Server {
    /// As a Ruby producer does.
    async fn enqueue(&self, queue: &str, job: impl ToRedisArgs) {
        let mut redis = self.redis().await;
        let mut pipe = redis::pipe();
        pipe.cmd("SADD").arg("resque:queues").arg(queue).ignore();
        pipe.cmd("RPUSH").arg(format!("resque:queue:{queue}")).arg(job).ignore();
        pipe.exec_async(&mut redis).await.unwrap();
    }

    /// Waits until the answer to `words` is `wanted`.
    async fn answers<T: FromRedisValue + PartialEq>(&self, words: &[&str], wanted: T) {
        let wanted = &wanted;
        eventually(&words.join(" "), || async move { self.ask::<T>(words).await == *wanted }).await;
    }
}
