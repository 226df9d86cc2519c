//! Writes while the centre is there, while it is away, and when it is not clear which.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Centre, Mode, Node, change, folder};
use tempfile::TempDir;
use tokio::time::Instant;

/// A node in contact, and ten units of SKU at its store in version 1.
async fn ten_units(settings: &[(&str, &str)]) -> (Centre, TempDir, Node) {
    let (centre, data) = (Centre::start(), folder());
    centre.world().change("SKU", "store-7", 10, 0);
    let node = Node::with(&centre.url(), &data, settings).await;
    node.in_contact().await;
    (centre, data, node)
}

fn queued(position: u64) -> Value {
    json!({ "queued": true, "position": position })
}

#[tokio::test]
async fn write_is_handed_on_and_its_answer_is_read_at_once() {
    let (centre, _data, node) = ten_units(&[]).await;
    let reply = node.write(&change("SKU", -4, Some(1), "k1")).await;
    assert_eq!((reply.status, &reply.body["newQuantity"], &reply.body["newVersion"]), (200, &json!(6), &json!(2)));
    let read = node.level("SKU").await.body;
    assert_eq!((&read["available"], &read["version"], &read["stale"]), (&json!(6), &json!(2), &json!(false)));
    let again = node.write(&change("SKU", -4, Some(1), "k1")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));

    let conflict = node.write(&change("SKU", -4, Some(1), "k2")).await;
    assert_eq!((conflict.status, &conflict.body["code"]), (409, &json!("conflict")));
    assert_eq!(conflict.body["current"], json!({ "available": 6, "version": 2 }));
    assert_eq!(node.write(&change("SKU", -40, None, "k3")).await.status, 422);
    assert_eq!(centre.world().effects, ["k1"]);
    assert_eq!(node.get("/health").await.body["queue"]["depth"], 0);
}

#[tokio::test]
async fn wrong_writes_are_refused_here_with_every_field() {
    let (centre, _data, node) = ten_units(&[]).await;
    let before = centre.world().asked.len();
    assert_eq!(node.write(&json!({})).await.fields(), ["storeId", "productId", "delta", "version", "idempotencyKey"]);
    let wrong = json!({ "storeId": "store-7", "productId": " x", "delta": 0, "version": -1, "idempotencyKey": "" });
    assert_eq!(node.write(&wrong).await.fields(), ["productId", "delta", "version", "idempotencyKey"]);
    assert_eq!(node.write(&json!([])).await.fields(), ["body"]);
    assert_eq!(node.write(&json!({ "storeId": "store-7", "updates": [] })).await.fields(), ["updates"]);
    let mut other = change("SKU", 1, None, "k");
    other["storeId"] = json!("store-1");
    assert_eq!(node.write(&other).await.status, 403);
    assert_eq!(node.write(&json!({ "storeId": "x".repeat(300_000) })).await.status, 413);
    assert_eq!(node.get("/store/intents?limit=0&cursor=-&state=x").await.fields(), ["state", "limit", "cursor"]);
    assert_eq!(centre.world().asked.len(), before);
}

#[tokio::test]
async fn writes_wait_for_the_centre_and_are_sent_in_order_without_their_versions() {
    let (mut centre, _data, node) = ten_units(&[]).await;
    centre.kill();
    assert_eq!(node.write(&change("SKU", -1, Some(1), "a/1")).await.body, queued(1));
    assert_eq!(node.level("SKU").await.body["available"], 10, "nothing is decremented here");
    assert_eq!(node.write(&change("SKU", -99, Some(1), "b")).await.body, queued(2));
    let third = node.write(&change("SKU", -2, Some(1), "c")).await;
    assert_eq!((third.status, third.body), (202, queued(3)));
    assert_eq!(node.write(&change("SKU", -99, Some(1), "b")).await.body, queued(2), "no second intent");
    assert_eq!(node.write(&change("SKU", -98, Some(1), "b")).await.status, 422);
    assert_eq!(node.delete("/store/intents/b").await.status, 409);
    let waiting = node.get("/store/intents?limit=2").await.body;
    assert_eq!(waiting["items"][0]["idempotencyKey"], "a/1");
    let rest = node.get(&format!("/store/intents?cursor={}", waiting["nextCursor"].as_str().unwrap())).await.body;
    assert_eq!((&rest["items"][0]["idempotencyKey"], &rest["nextCursor"]), (&json!("c"), &json!("")));

    centre.world().change("SKU", "store-7", 5, 0);
    centre.restart();
    let health = node.sent().await;
    assert_eq!(health.body["queue"]["refused"], 1);
    assert_eq!(centre.world().effects, ["a/1", "c"]);
    assert!(centre.world().asked.iter().all(|(_, body)| body["version"].is_null()));
    node.eventually("/store/inventory/SKU", |reply| reply.body["available"] == 12).await;

    let refused = node.get("/store/intents").await.body["items"].clone();
    assert_eq!(refused.as_array().unwrap().len(), 1);
    assert_eq!((&refused[0]["idempotencyKey"], &refused[0]["answer"]["status"]), (&json!("b"), &json!(422)));
    let asked = centre.world().asked.len();
    assert_eq!(node.write(&change("SKU", -99, Some(1), "b")).await.status, 422);
    let done = node.write(&change("SKU", -1, Some(1), "a/1")).await;
    assert_eq!((done.status, done.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(node.write(&change("SKU", -3, Some(1), "a/1")).await.status, 422);
    assert_eq!(centre.world().asked.len(), asked, "answered here");
    assert_eq!(node.delete("/store/intents/b").await.status, 204);
    assert_eq!(node.delete("/store/intents/b").await.status, 404);
    assert_eq!(node.delete("/store/intents/a%2F1").await.status, 404, "done is not refused");
}

#[tokio::test]
async fn versions_are_kept_when_told_so_and_a_stale_one_is_refused_without_blocking_the_next() {
    let (mut centre, _data, node) = ten_units(&[("QUEUE_VERSIONLESS", "false")]).await;
    centre.kill();
    for (key, version) in [("a", 1), ("b", 1), ("c", 2)] {
        assert_eq!(node.write(&change("SKU", -1, Some(version), key)).await.status, 202);
    }
    centre.restart();
    node.sent().await;
    assert_eq!(centre.world().effects, ["a", "c"]);
    let refused = node.get("/store/intents?state=refused").await.body["items"].clone();
    assert_eq!((&refused[0]["idempotencyKey"], &refused[0]["answer"]["status"]), (&json!("b"), &json!(409)));
}

#[tokio::test]
async fn write_whose_answer_was_lost_is_sent_again_unchanged_and_counts_once() {
    let (centre, _data, node) = ten_units(&[]).await;
    centre.mode(Mode::LosesAnswers);
    assert_eq!(node.write(&change("SKU", -4, Some(1), "k")).await.body, queued(1));
    assert_eq!(node.write(&change("SKU", -1, Some(1), "next")).await.body, queued(2));
    centre.mode(Mode::Up);
    node.sent().await;
    assert_eq!(centre.world().effects, ["k", "next"]);
    assert!(
        centre
            .world()
            .asked
            .iter()
            .filter(|(_, body)| body["idempotencyKey"] == "k")
            .all(|(_, body)| body["version"] == 1),
        "the key is bound to the version"
    );
    node.eventually("/store/inventory/SKU", |reply| reply.body["available"] == 5).await;
    let done = node.write(&change("SKU", -4, Some(1), "k")).await;
    assert_eq!((done.status, &done.body["newQuantity"]), (200, &json!(6)));
}

#[tokio::test]
async fn write_that_reached_the_centre_by_another_way_is_recognized_when_it_is_replayed() {
    let (mut centre, _data, node) = ten_units(&[]).await;
    // As if this node had been killed between sending and noting: the centre knows the key with its version.
    let direct = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = direct.post(format!("{}/inventory/updates", centre.url())).header("x-api-key", "demo");
    assert_eq!(sent.json(&change("SKU", -4, Some(1), "k")).send().await.unwrap().status(), 200);
    centre.kill();
    assert_eq!(node.write(&change("SKU", -4, Some(1), "k")).await.status, 202);
    centre.restart();
    let health = node.sent().await;
    assert_eq!((&health.body["queue"]["refused"], &centre.world().effects), (&json!(0), &vec!["k".to_owned()]));
    assert_eq!(node.write(&change("SKU", -4, Some(1), "k")).await.body["newQuantity"], 6);
}

#[tokio::test]
async fn refused_key_stops_sending_and_loses_nothing() {
    let (mut centre, data, node) = ten_units(&[]).await;
    centre.kill();
    assert_eq!(node.write(&change("SKU", -1, Some(1), "a")).await.status, 202);
    centre.world().api_key = "rotated".to_owned();
    centre.restart();
    let stuck = node.eventually("/health", |health| {
        health.body["queue"]["stuck"]["message"].as_str().is_some_and(|message| message.contains("API_KEY"))
    });
    assert_eq!(stuck.await.body["queue"]["depth"], 1);
    assert_eq!(node.write(&change("SKU", -1, Some(1), "b")).await.body, queued(2));
    node.kill().await;
    let snapshots = centre.world().snapshots;
    let node = Node::with(&centre.url(), &data, &[("API_KEY", "rotated")]).await;
    node.sent().await;
    node.in_contact().await;
    assert_eq!(centre.world().effects, ["a", "b"]);
    assert!(centre.world().snapshots > snapshots, "the copy is made anew under another key");
}

#[tokio::test]
async fn requested_waits_are_kept() {
    let (centre, _data, node) = ten_units(&[]).await;
    centre.mode(Mode::WritesFail(503, Some(2)));
    assert_eq!(node.write(&change("SKU", -1, Some(1), "a")).await.status, 202);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(centre.world().asked.len() <= 3, "{}", centre.world().asked.len());
    centre.mode(Mode::Up);
    let began = Instant::now();
    node.sent().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    let asked = centre.world().asked.clone();
    let replays: Vec<_> = asked.iter().skip(1).map(|(at, _)| *at).collect();
    assert!(replays.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(2)), "{asked:?}");
    assert_eq!(centre.world().effects, ["a"]);
    centre.mode(Mode::WritesFail(429, Some(7)));
    let busy = node.write(&change("SKU", -1, None, "b")).await;
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("7")), "a busy centre is not away");
}

#[tokio::test]
async fn another_server_at_the_centres_address_decides_nothing() {
    let (centre, _data, node) = ten_units(&[]).await;
    centre.mode(Mode::Foreign);
    assert_eq!(node.write(&change("SKU", -1, Some(1), "a")).await.status, 202);
    node.eventually("/health", |health| !health.body["queue"]["stuck"].is_null()).await;
    centre.mode(Mode::Up);
    assert_eq!(node.sent().await.body["queue"]["refused"], 0);
    assert_eq!(centre.world().effects, ["a"]);
}

#[tokio::test]
async fn full_queue_and_no_queue_answer_503() {
    let (mut centre, data, node) = ten_units(&[("QUEUE_LIMIT", "2")]).await;
    centre.kill();
    for key in ["a", "b"] {
        assert_eq!(node.write(&change("SKU", -1, None, key)).await.status, 202);
    }
    assert_eq!(node.write(&change("SKU", -1, None, "c")).await.status, 503);
    assert_eq!(node.write(&change("SKU", -1, None, "b")).await.body, queued(2), "what waits is answered as before");
    node.kill().await;
    let node = Node::with(&centre.url(), &data, &[("QUEUE_WRITES", "false")]).await;
    assert_eq!(node.write(&change("SKU", -1, None, "d")).await.status, 503);
    assert_eq!(node.get("/health").await.body["queue"]["depth"], 2, "what waited still waits");
    centre.restart();
    node.sent().await;
    assert_eq!(centre.world().effects, ["a", "b"]);
}

#[tokio::test]
async fn list_is_handed_on_whole_and_waits_as_single_writes() {
    let (mut centre, _data, node) = ten_units(&[]).await;
    let row =
        |delta: i64, key: &str| json!({ "productId": "SKU", "delta": delta, "version": null, "idempotencyKey": key });
    let list = |rows: &[Value]| json!({ "storeId": "store-7", "updates": rows });
    let handed_on = node.write(&list(&[row(-1, "a"), row(-99, "b")])).await;
    assert_eq!((handed_on.status, &handed_on.body["results"][1]["errorType"]), (200, &json!("unprocessable")));
    assert_eq!(node.level("SKU").await.body["available"], 9);
    centre.kill();
    let kept = node.write(&list(&[row(-2, "c"), row(0, "d"), row(-3, "e"), row(-2, "c")])).await;
    assert_eq!((kept.status, &kept.body["queued"]), (202, &json!(true)));
    assert_eq!(kept.body["summary"], json!({ "total": 4, "succeeded": 0, "failed": 1, "queued": 3 }));
    let positions: Vec<_> =
        kept.body["results"].as_array().unwrap().iter().map(|row| row["position"].clone()).collect();
    assert_eq!(positions, [json!(1), Value::Null, json!(2), json!(1)]);
    assert_eq!(kept.body["results"][1]["errorType"], "bad_request");
    centre.restart();
    node.sent().await;
    assert_eq!(centre.world().effects, ["a", "c", "e"]);
    let known = node.write(&list(&[row(-2, "c"), row(-1, "f")])).await;
    assert_eq!(
        (&known.body["results"][0]["newQuantity"], &known.body["results"][1]["queued"]),
        (&json!(7), &json!(true))
    );
    node.sent().await;
    assert_eq!(centre.world().effects, ["a", "c", "e", "f"]);
}
