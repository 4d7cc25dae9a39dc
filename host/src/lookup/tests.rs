//! What a plugin may look up, as its settings have it.

mod shelf;

use super::*;
use config::{Lookups as Settings, Plugin, Store as Kind, StoreBounds};
use std::time::Instant;

fn settings(store: Kind) -> Settings {
    Settings { store, ..Plugin::default().lookups }
}

fn access(store: Kind) -> Access {
    Lookups::alone().access(&Arc::from("p"), &settings(store))
}

#[tokio::test]
async fn without_the_grant_every_step_is_denied_and_says_what_grants_it() {
    let access = access(Kind::Nothing);
    let patience = &mut access.patience();
    let denied = [
        access.get(patience, "k").await.map(drop),
        access.set(patience, "k", vec![1], None).await,
        access.add(patience, "k", vec![1], None).await.map(drop),
        access.increment(patience, "k", 1, None).await.map(drop),
        access.delete(patience, "k").await.map(drop),
    ];
    for outcome in denied {
        assert!(matches!(&outcome, Err(Failure::Denied(why)) if why.contains("allow_store")), "{outcome:?}");
    }
}

#[tokio::test]
async fn nothing_is_looked_up_before_the_first_message() {
    let access = access(Kind::Memory);
    assert!(matches!(access.get(&mut Patience::none(), "k").await, Err(Failure::Denied(why)) if why.contains("init")));
}

#[tokio::test]
async fn without_a_redis_a_store_in_it_is_unavailable() {
    let access = access(Kind::Redis);
    assert!(matches!(access.get(&mut access.patience(), "k").await, Err(Failure::Unreachable(_))));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_kept() {
    let mut settings = settings(Kind::Memory);
    settings.bounds = StoreBounds { value_bytes: 3, ..settings.bounds };
    let access = Lookups::alone().access(&Arc::from("p"), &settings);
    let patience = &mut access.patience();
    assert!(matches!(access.set(patience, "k", vec![0; 4], None).await, Err(Failure::TooLarge(_))));
    assert!(matches!(access.add(patience, &"k".repeat(1025), vec![], None).await, Err(Failure::TooLarge(_))));
    assert!(matches!(access.get(patience, "").await, Err(Failure::Invalid(_))));
    assert!(matches!(access.increment(patience, "k", 1, Some(0)).await, Err(Failure::Invalid(_))));
    assert_eq!(access.get(patience, "k").await, Ok(None));
}

#[tokio::test]
async fn versions_of_a_plugin_share_its_store_and_other_plugins_have_their_own() {
    let lookups = Lookups::alone();
    let access = |name| lookups.access(&Arc::from(name), &settings(Kind::Memory));
    let (old, other) = (access("p"), access("q"));
    old.set(&mut old.patience(), "k", vec![1], None).await.unwrap();
    let new = access("p");
    drop(old);
    assert_eq!(new.get(&mut new.patience(), "k").await, Ok(Some(Bytes::from_static(&[1]))));
    assert_eq!(other.get(&mut other.patience(), "k").await, Ok(None));
    drop(new);
    let again = access("p");
    assert_eq!(again.get(&mut again.patience(), "k").await, Ok(None), "it ends with the plugin");
}

#[tokio::test]
async fn nothing_stays_longer_than_the_operator_allows() {
    let mut settings = settings(Kind::Memory);
    settings.bounds.longest = Some(Duration::from_millis(20));
    let access = Lookups::alone().access(&Arc::from("p"), &settings);
    let patience = &mut access.patience();
    access.set(patience, "k", vec![1], None).await.unwrap();
    access.set(patience, "l", vec![1], Some(u64::MAX)).await.unwrap();
    assert!(access.get(patience, "k").await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!((access.get(patience, "k").await, access.get(patience, "l").await), (Ok(None), Ok(None)));
}

#[tokio::test]
async fn only_so_many_calls_of_all_plugins_are_under_way_at_once() {
    let lookups = Lookups::alone();
    lookups.fit(6);
    let access = |name| lookups.access(&Arc::from(name), &settings(Kind::Nothing));
    let (one, two) = (access("p"), access("q"));
    let turns = [one.turn().await, one.turn().await, two.turn().await];
    assert!(tokio::time::timeout(Duration::from_millis(50), two.turn()).await.is_err(), "half of six are three");
    drop(turns);
    tokio::time::timeout(Duration::from_secs(5), two.turn()).await.unwrap();
}
