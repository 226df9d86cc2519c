//! The change feed of the running product: gapless over kills, quick to those who wait, and the same as the table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use support::{Runner, change, delivery};
use tokio::process::Command;
use tokio::time::sleep;

/// Follows the feed from the beginning until `versions` changes were read; every number and change once.
async fn fold(runner: &Runner, versions: u64) -> BTreeMap<(String, String), (u64, i64)> {
    let (mut offset, mut seen, mut levels) = (0, BTreeSet::new(), BTreeMap::new());
    for _ in 0..60 {
        let path = format!("/replication/changes?fromOffset={offset}&limit=37&longPollSeconds=5");
        let (status, body) = runner.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        for event in body["events"].as_array().unwrap() {
            offset += 1;
            assert_eq!(event["seq"], offset);
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let (level, version) = ((text("productId"), text("storeId")), event["newVersion"].as_u64().unwrap());
            assert!(seen.insert((level.clone(), version)), "{event} comes twice");
            let state = (version, event["newQuantity"].as_i64().unwrap());
            let known = levels.entry(level).or_insert(state);
            *known = (*known).max(state);
        }
        if offset >= versions {
            return levels;
        }
    }
    panic!("the feed ends at {offset} instead of {versions}");
}

/// What a snapshot says, and how many changes it took.
async fn copied(runner: &Runner) -> (BTreeMap<(String, String), (u64, i64)>, u64) {
    let (status, body) = runner.get("/replication/snapshot").await;
    assert_eq!((status, &body["nextCursor"]), (StatusCode::OK, &Value::from("")));
    let mut levels = BTreeMap::new();
    for (sku, product) in body["state"].as_object().unwrap() {
        for (location, level) in product["perStore"].as_object().unwrap() {
            let state = (level["version"].as_u64().unwrap(), level["qty"].as_i64().unwrap());
            levels.insert((sku.clone(), location.clone()), state);
        }
    }
    let versions = levels.values().map(|(version, _)| version).sum();
    (levels, versions)
}

#[tokio::test]
async fn feed_is_gapless_and_folds_to_the_table_over_kills() {
    let data = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let runner = Runner::on(data.path()).await;
        for n in 0..40 {
            let sku = format!("P{}", n % 5);
            let update = change(&sku, 1, None, &format!("{round}-{n}"));
            let (status, body) = runner.post("/inventory/updates", &update).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            assert_eq!(runner.deliver(&delivery("D", n, round * 100 + n)).await, Some(StatusCode::ACCEPTED));
        }
        // In the middle of publishing.
        sleep(Duration::from_millis(40 * round.unsigned_abs())).await;
        let killed = Command::new("/bin/kill").args(["-KILL", &runner.id()]).status().await.unwrap();
        assert!(killed.success());
    }
    let runner = Runner::on(data.path()).await;
    runner.rest().await;
    let (levels, versions) = copied(&runner).await;
    assert!(versions >= 120, "{versions}");
    assert_eq!(fold(&runner, versions).await, levels);
}

#[tokio::test]
async fn two_hundred_who_wait_all_hear_of_a_change() {
    let runner = Runner::ephemeral().await;
    let waiting = (0..200).map(|_| runner.get("/replication/changes?fromOffset=0&longPollSeconds=20"));
    let (answers, ()) = tokio::join!(join_all(waiting), async {
        sleep(Duration::from_secs(3)).await;
        let (status, body) = runner.post("/inventory/updates", &change("SHIRT", 5, None, "first")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    });
    for (status, body) in answers {
        assert_eq!((status, body["events"].as_array().unwrap().len()), (StatusCode::OK, 1), "{body}");
    }
}
