//! The benchmark's job without Gristmill: what one would write by hand in Rust, and as safe against crashes.
//!
//! `native-job REDIS_URL LIST HTTP_URL`: each message is JSON, loses `ip` and `user.email` and is POSTed. Messages stay in a
//! list of the lane that took them until they are delivered; a lane whose lease has run out is put back at the start.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use redis::{AsyncCommands, AsyncConnectionConfig, RedisResult, Value as Reply, aio::MultiplexedConnection};
use serde_json::Value;
use std::{collections::HashMap, env, error::Error, sync::Arc, time::Duration};
use tokio::task::JoinSet;

type Http = Client<HttpConnector, Full<Bytes>>;

/// Together as many messages in flight as the pipeline beside it.
const LANES: usize = 4;
const MOST: usize = 64;
const LEASE_MS: u64 = 15_000;
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(100);

/// What every lane works with.
struct Job {
    list: String,
    lanes: String,
    lease: String,
    url: Uri,
    http: Http,
}

// One thread costs a fifth less CPU per message here than several.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [redis, list, url] = arguments.as_slice() else {
        return Err("native-job REDIS_URL LIST HTTP_URL".into());
    };
    let client = redis::Client::open(redis.as_str())?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let job = Arc::new(Job {
        list: list.clone(),
        lanes: format!("native:{list}:lanes"),
        lease: format!("native:{list}:lease:{}", std::process::id()),
        url: url.parse()?,
        http: Client::builder(TokioExecutor::new()).build(connector),
    });
    put_back(&job, &mut connect(&client).await?).await?;
    let mut lanes = JoinSet::new();
    for number in 0..LANES {
        lanes.spawn(run_lane(Arc::clone(&job), number, connect(&client).await?));
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    Ok(())
}

async fn connect(client: &redis::Client) -> RedisResult<MultiplexedConnection> {
    // The default would give up on a blocking take whose message the server still hands out.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Puts what a dead process has left in its lanes back at the head of the list.
async fn put_back(job: &Job, redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let lanes: HashMap<String, String> = redis.hgetall(&job.lanes).await?;
    for (lane, lease) in lanes {
        if redis.exists(&lease).await? {
            continue;
        }
        let mut back = redis::cmd("LMOVE");
        back.arg(&lane).arg(&job.list).arg("RIGHT").arg("LEFT");
        while back.query_async::<Option<Bytes>>(redis).await?.is_some() {}
        redis.hdel::<_, _, ()>(&job.lanes, &lane).await?;
    }
    Ok(())
}

async fn run_lane(
    job: Arc<Job>,
    number: usize,
    mut redis: MultiplexedConnection,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let lane = format!("native:{}:lane:{}:{number}", job.list, std::process::id());
    let (mut settled, mut want) = (0, 1);
    loop {
        let batch = take(&job, &lane, settled, want, &mut redis).await?;
        want = if batch.len() == want { (want * 2).min(MOST) } else { want.div_ceil(2) };
        settled = batch.len();
        let mut posts = JoinSet::new();
        for payload in batch {
            posts.spawn(deliver(Arc::clone(&job), payload));
        }
        while let Some(post) = posts.join_next().await {
            post??;
        }
    }
}

/// Trims the `settled` oldest messages off the lane and takes up to `want` new ones, in one round trip.
async fn take(
    job: &Job,
    lane: &str,
    settled: usize,
    want: usize,
    redis: &mut MultiplexedConnection,
) -> RedisResult<Vec<Bytes>> {
    let mut round = redis::pipe();
    round.cmd("LTRIM").arg(lane).arg(settled).arg(-1).ignore();
    round.cmd("HSET").arg(&job.lanes).arg(lane).arg(&job.lease).ignore();
    round.cmd("SET").arg(&job.lease).arg(1).arg("PX").arg(LEASE_MS).ignore();
    round.cmd("BLMOVE").arg(&job.list).arg(lane).arg("LEFT").arg("RIGHT").arg(1);
    for _ in 1..want {
        round.cmd("LMOVE").arg(&job.list).arg(lane).arg("LEFT").arg("RIGHT");
    }
    let replies: Vec<Reply> = round.query_async(redis).await?;
    let taken = |reply| {
        if let Reply::BulkString(bytes) = reply { Some(Bytes::from(bytes)) } else { None }
    };
    Ok(replies.into_iter().filter_map(taken).collect())
}

async fn deliver(job: Arc<Job>, payload: Bytes) -> Result<(), Box<dyn Error + Send + Sync>> {
    let body = Bytes::from(without_private(&payload)?);
    for _ in 0..ATTEMPTS {
        if post(&job, body.clone()).await.is_ok_and(|delivered| delivered) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err("the sink refuses a message".into())
}

fn without_private(payload: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(payload)?;
    if let Some(members) = document.as_object_mut() {
        members.remove("ip");
        if let Some(user) = members.get_mut("user").and_then(Value::as_object_mut) {
            user.remove("email");
        }
    }
    serde_json::to_vec(&document)
}

async fn post(job: &Job, body: Bytes) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let request = Request::builder().method(Method::POST).uri(job.url.clone());
    let request = request.header("content-type", "application/json").body(Full::new(body))?;
    let mut response = job.http.request(request).await?;
    while let Some(frame) = response.body_mut().frame().await {
        frame?;
    }
    Ok(response.status().is_success())
}
