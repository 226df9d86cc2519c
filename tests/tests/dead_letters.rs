//! Dead letters of the running product, handled by its own command line: seen, shown, given back, and forced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use core::time::Duration;

use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, command};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Runs a command against the runner: whether it succeeded, and the JSON lines that it printed.
async fn run(runner: &Runner, arguments: &[&str]) -> (bool, Vec<Value>) {
    let output = command().args(arguments).env("BASE_URL", &runner.base).output().await.unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.success(), lines)
}

async fn produce(runner: &Runner, queue: &str, messages: &[String]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), messages.join("\n")).unwrap();
    let done = run(runner, &["produce", "--queue", queue, file.path().to_str().unwrap()]).await;
    assert_eq!(done, (true, vec![json!({ "queued": messages.len() })]));
}

/// Waits until so many letters are there; the list.
async fn letters(runner: &Runner, queue: &str, expected: usize) -> Vec<Value> {
    let mut seen = Vec::new();
    for _ in 0..150 {
        (_, seen) = run(runner, &["dlq", "list", queue]).await;
        if seen.len() == expected {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("{queue} has {seen:?}");
}

/// Units sold of `MUG` at `main`, as the queue carries them, so many days ago.
fn sale(name: &str, days: i64) -> String {
    let time = SystemClock.now().plus_millis(-days * DAY_MS).to_string();
    json!({
        "eventId": name, "organization": "demo", "sku": "MUG", "location": "main", "source": "etsy/store-9",
        "time": time, "jobId": "test", "change": { "type": "delta", "delta": -2 },
    })
    .to_string()
}

#[tokio::test]
async fn poison_says_why_it_died_and_an_old_sale_is_applied_once_when_it_is_forced() {
    let runner = Runner::ephemeral().await;
    let stock = json!({ "storeId": "main", "productId": "MUG", "delta": 10, "version": 0, "idempotencyKey": "k" });
    assert_eq!(runner.post("/inventory/updates", &stock).await.0, StatusCode::OK);
    let old = sale("order/old", 20);
    produce(&runner, "stock-changes", &["this is no change".to_owned(), old.clone(), sale("order/new", 1)]).await;

    let dead = letters(&runner, "stock-changes", 2).await;
    let reasons: Vec<_> = dead.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    assert!(reasons[0].starts_with("not a stock change"), "{reasons:?}");
    assert_eq!(reasons[1], "it is older than 15 days, so its repetition could not be recognized");
    for letter in &dead {
        assert_eq!(letter["attempts"], 5);
        let (first, last) = (letter["firstFailedAt"].as_str().unwrap(), letter["lastFailedAt"].as_str().unwrap());
        assert!(letter["sentAt"].as_str().unwrap() <= first && first < last, "{letter}");
    }
    let id = dead[1]["messageId"].as_str().unwrap();
    let (shown, letter) = run(&runner, &["dlq", "show", "stock-changes", id]).await;
    assert!(shown);
    assert_eq!(letter[0]["body"], serde_json::from_str::<Value>(&old).unwrap());
    let level = async || {
        let (_, level) = runner.get("/inventory/MUG?storeId=main").await;
        (level["available"].as_i64().unwrap(), level["version"].as_i64().unwrap())
    };
    assert_eq!(level().await, (8, 2), "the one between them was applied");

    let forced = run(&runner, &["dlq", "redrive", "stock-changes", id, "--force"]).await;
    assert_eq!(forced, (true, vec![json!({ "redriven": 1, "forced": 1 })]));
    runner.eventually("/inventory/MUG?storeId=main", |level| level["available"] == 6).await;
    // The same sale once more, on its way as ever and forced: both are known, and neither is a dead letter.
    let again = old.replace("\"delta\",", "\"forcedDelta\",");
    assert_ne!(again, old);
    produce(&runner, "stock-changes", &[old, again]).await;
    runner.rest().await;
    assert_eq!(level().await, (6, 3));
    let left = letters(&runner, "stock-changes", 1).await;
    assert_eq!(left[0]["messageId"], dead[0]["messageId"], "the poison alone");
    let metrics = runner.get("/api/metrics").await.1;
    assert_eq!(
        (&metrics["data"]["dlqEvents"], &metrics["data"]["queues"]["stock-changes"]["dead"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn change_of_an_unknown_warehouse_is_applied_once_when_the_warehouse_is_set_up() {
    let runner = Runner::ephemeral().await;
    let time = SystemClock.now().as_millis() - 5000;
    let row = json!({ "sku": "SHIRT", "warehouse_id": "wh-1", "quantity": 12 });
    let change =
        json!({ "op": "c", "before": null, "after": row, "source": { "ts_ms": time, "lsn": 7 }, "ts_ms": time });
    produce(&runner, "warehouse-events", &[change.to_string()]).await;
    let [letter] = letters(&runner, "warehouse-events", 1).await.try_into().unwrap();
    assert_eq!((&letter["reason"], &letter["attempts"]), (&json!("warehouse wh-1 is not known"), &json!(1)));
    assert!(letter["firstFailedAt"].is_string() && letter["lastFailedAt"] == letter["firstFailedAt"], "{letter}");

    let (done, redriven) = run(&runner, &["dlq", "redrive", "warehouse-events"]).await;
    assert_eq!((done, redriven), (true, vec![json!({ "redriven": 1 })]));
    let [again] = letters(&runner, "warehouse-events", 1).await.try_into().unwrap();
    assert_eq!((&again["attempts"], &again["firstFailedAt"]), (&json!(2), &letter["firstFailedAt"]), "still not known");

    let settings = json!({ "endpoint": "http://127.0.0.1:9999/", "conflictPolicy": "manual" });
    let set_up = runner.request(Method::PUT, "/warehouses/wh-1").json(&settings).send().await.unwrap();
    assert_eq!(set_up.status(), StatusCode::OK);
    let refused = run(&runner, &["dlq", "redrive", "warehouse-events", "--force"]).await;
    assert!(!refused.0, "there is nothing to force: {refused:?}");
    let (done, redriven) = run(&runner, &["dlq", "redrive", "warehouse-events"]).await;
    assert_eq!((done, redriven), (true, vec![json!({ "redriven": 1 })]));
    runner.eventually("/inventory/SHIRT?storeId=wh-1", |level| level["available"] == 12).await;
    runner.rest().await;
    assert_eq!(runner.get("/inventory/SHIRT?storeId=wh-1").await.1["version"], 1);
    assert_eq!(run(&runner, &["dlq", "list", "warehouse-events"]).await, (true, vec![]));
}
