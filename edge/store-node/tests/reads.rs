//! What a shop reads while the centre is there, away, and back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use serde_json::json;
use support::{Centre, Mode, Node, change, folder};

#[tokio::test]
async fn copy_follows_the_centre_and_answers_while_it_is_away() {
    let (mut centre, data) = (Centre::start(), folder());
    for product in ["SKU-123", "a/b#c ü", "x", "y", "z"] {
        centre.world().change(product, "store-7", 10, 0);
        centre.world().change(product, "store-1", 5, 2);
    }
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    assert!(centre.world().snapshots >= 3, "by pages");

    let reply = node.level("SKU-123").await;
    assert_eq!(
        reply.body,
        json!({ "productId": "SKU-123", "storeId": "store-7", "available": 10, "reserved": 0, "version": 1,
                "lastUpdated": "2026-01-01T00:00:00.000Z", "stale": false })
    );
    assert!(reply.header("x-replication-lag-ms").unwrap().parse::<u64>().unwrap() < 60_000);
    for path in ["a%2Fb%23c%20%C3%BC", "a/b%23c%20%C3%BC"] {
        assert_eq!(node.level(path).await.body["available"], 10);
    }
    let sums = node.level("SKU-123?scope=all").await.body;
    assert_eq!((&sums["available"], &sums["reserved"], &sums["version"]), (&json!(15), &json!(2), &json!(2)));
    assert_eq!(sums["storeId"], json!(null));
    assert_eq!(node.level("unknown").await.status, 404);
    assert_eq!((node.level("x?scope=some").await.status, node.level("%20x").await.status), (400, 400));
    assert_eq!(node.get("/nowhere").await.status, 404);

    centre.world().change("SKU-123", "store-7", -3, 3);
    let reply = node.eventually("/store/inventory/SKU-123", |reply| reply.body["available"] == 7).await;
    assert_eq!((&reply.body["reserved"], &reply.body["version"]), (&json!(3), &json!(2)));

    centre.kill();
    let away = node.eventually("/store/inventory/SKU-123", |reply| reply.body["stale"] == true).await;
    assert_eq!((away.status, &away.body["available"]), (200, &json!(7)));
    centre.world().change("SKU-123", "store-7", 1, 0);
    centre.restart();
    node.eventually("/store/inventory/SKU-123", |reply| reply.body["stale"] == false && reply.body["available"] == 8)
        .await;
    assert!(node.terminate().await.success());
}

#[tokio::test]
async fn node_without_a_copy_answers_503_until_it_has_one_and_keeps_it() {
    let (mut centre, data) = (Centre::start(), folder());
    centre.world().change("SKU", "store-7", 4, 0);
    centre.kill();
    let node = Node::start(&centre, &data).await;
    assert_eq!(node.level("SKU").await.status, 503);
    assert_eq!(node.get("/health").await.body["status"], "starting");
    centre.restart();
    node.in_contact().await;
    assert_eq!(node.level("SKU").await.body["available"], 4);
    node.kill().await;
    centre.kill();
    let node = Node::start(&centre, &data).await;
    let kept = node.level("SKU").await;
    assert_eq!((&kept.body["available"], &kept.body["stale"]), (&json!(4), &json!(true)));
    assert!(kept.header("x-replication-lag-ms").is_some(), "also without contact since the start");
}

#[tokio::test]
async fn node_away_for_longer_than_the_feed_is_kept_makes_a_new_copy() {
    let (centre, data) = (Centre::start(), folder());
    for product in ["kept", "gone", "other"] {
        centre.world().change(product, "store-7", 4, 0);
    }
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    node.kill().await;
    centre.world().change("kept", "store-7", 5, 0);
    centre.world().levels.remove(&("gone".to_owned(), "store-7".to_owned()));
    centre.world().expire();
    let before = centre.world().snapshots;
    let node = Node::start(&centre, &data).await;
    node.eventually("/store/inventory/kept", |reply| reply.body["available"] == 9).await;
    assert_eq!(node.level("gone").await.status, 404);
    node.in_contact().await;
    assert!(centre.world().snapshots > before);
}

#[tokio::test]
async fn reads_go_on_and_are_stale_under_every_failure_of_the_centre() {
    let (centre, data) = (Centre::start(), folder());
    centre.world().change("SKU", "store-7", 4, 0);
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    node.kill().await;
    for mode in [Mode::Fails(500, None), Mode::Fails(503, Some(1)), Mode::Fails(403, None), Mode::Foreign] {
        centre.mode(mode);
        let node = Node::start(&centre, &data).await;
        let failed = node.eventually("/health", |health| !health.body["lastError"].is_null()).await;
        assert_eq!(failed.body["status"], "degraded", "{mode:?}");
        let read = node.level("SKU").await;
        assert_eq!((&read.body["available"], &read.body["stale"]), (&json!(4), &json!(true)), "{mode:?}");
        node.kill().await;
    }
}

#[tokio::test]
async fn clients_need_the_key_when_there_is_one() {
    let (centre, data) = (Centre::start(), folder());
    centre.world().change("SKU", "store-7", 4, 0);
    let node = Node::with(&centre.url(), &data, &[("STORE_API_KEY", "hunter2")]).await;
    node.in_contact().await;
    for path in ["/store/inventory/SKU", "/store/intents"] {
        assert_eq!(node.get(path).await.status, 401);
    }
    assert_eq!(node.write(&change("SKU", 1, None, "k")).await.status, 401);
    let with = |name: &'static str, value: &'static str| {
        node.request(reqwest::Method::GET, "/store/inventory/SKU").header(name, value).send()
    };
    assert_eq!(with("x-api-key", "hunter3").await.unwrap().status(), 401);
    assert_eq!(with("x-api-key", "hunter2").await.unwrap().status(), 200);
    assert_eq!(with("authorization", "Bearer hunter2").await.unwrap().status(), 200);
    assert!(centre.world().effects.is_empty());
}
