//! Warehouses against the running product: a database change becomes stock, a conflict is settled, a drifted warehouse is
//! repaired.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, command};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A change of a row in warehouse `wh-1`, so many milliseconds ago.
fn change(sku: &str, ago_ms: i64, before: Option<i64>, after: i64) -> Value {
    let row = |units: i64| json!({ "sku": sku, "warehouse_id": "wh-1", "quantity": units });
    let time = now_ms() - ago_ms;
    json!({
        "op": if before.is_some() { "u" } else { "c" }, "before": before.map(row), "after": row(after),
        "source": { "ts_ms": time, "lsn": time }, "ts_ms": time + 5,
    })
}

/// Feeds changes as the command line does; how many were queued.
async fn produce(runner: &Runner, changes: &[Value]) -> u64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<_> = changes.iter().map(Value::to_string).collect();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let mut command = command();
    command.arg("produce").arg(file.path()).env("BASE_URL", &runner.base);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["queued"].as_u64().unwrap()
}

async fn set_up(runner: &Runner, endpoint: &str, policy: &str) {
    let settings = json!({ "endpoint": endpoint, "apiKey": "wh-key", "conflictPolicy": policy });
    let answer = runner.request(Method::PUT, "/warehouses/wh-1").json(&settings).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn database_change_becomes_stock_and_a_conflict_is_settled() {
    let runner = Runner::ephemeral().await;
    set_up(&runner, "http://127.0.0.1:9999/", "manual").await;
    let changes = [change("SHIRT", 9000, None, 12), change("SHIRT", 8000, Some(12), 11), Value::Null];
    assert_eq!(produce(&runner, &changes).await, 3);
    runner.eventually("/inventory/SHIRT", |level| level["available"] == 11 && level["version"] == 2).await;

    assert_eq!(produce(&runner, &[change("SHIRT", 7000, Some(5), 4), json!({ "op": "x" })]).await, 2);
    let open = "/sync/conflicts?status=open";
    let found = runner.eventually(open, |list| list["items"].as_array().is_some_and(|items| items.len() == 1)).await;
    let conflict = &found["items"][0];
    assert_eq!((&conflict["warehouse"]["quantity"], &conflict["central"]["quantity"]), (&json!(4), &json!(11)));
    assert_eq!(runner.get("/inventory/SHIRT").await.1["available"], 11, "nothing before somebody decides");

    let resolve = format!("/sync/conflicts/{}/resolve", conflict["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, settled) = runner.post(&resolve, &json!({ "resolution": "warehouse" })).await;
        assert_eq!((status, &settled["status"]), (StatusCode::OK, &json!("resolved")));
        assert_eq!(runner.get("/inventory/SHIRT").await.1["available"], 4);
    }
    let (status, _) = runner.post(&resolve, &json!({ "resolution": "central" })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(produce(&runner, &[change("SHIRT", 6000, Some(4), 3)]).await, 1);
    runner.eventually("/inventory/SHIRT", |level| level["available"] == 3).await;
}

#[tokio::test]
async fn drifted_warehouse_is_repaired_with_an_exact_report() {
    let warehouse = MockServer::start().await;
    let page = |items: Value, next: &str| {
        ResponseTemplate::new(200).set_body_json(json!({ "items": items, "nextCursor": next }))
    };
    let listed =
        || Mock::given(method("GET")).and(path("/api/inventory")).and(header("authorization", "Bearer wh-key"));
    let first = json!([{ "sku": "SHIRT", "quantity": 7, "version": 3, "updatedAt": "2026-11-20T08:00:00Z" }]);
    listed().and(query_param_is_missing("cursor")).respond_with(page(first, "p2")).mount(&warehouse).await;
    let second = json!([{ "sku": "SOCKS", "quantity": 5, "version": 1, "updatedAt": "2026-11-20T08:00:00Z" }]);
    listed().and(query_param("cursor", "p2")).respond_with(page(second, "")).mount(&warehouse).await;

    let runner = Runner::ephemeral().await;
    set_up(&runner, &format!("{}/api", warehouse.uri()), "warehouse_wins").await;
    let changes = [change("SHIRT", 9000, None, 12), change("SOCKS", 8000, None, 5), change("GONE", 7000, None, 2)];
    produce(&runner, &changes).await;
    runner.eventually("/inventory/GONE", |level| level["available"] == 2).await;

    let (status, job) = runner.post("/sync/warehouses/wh-1", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let status = format!("/sync/status/{}", job["jobId"].as_str().unwrap());
    let ended = runner.eventually(&status, |job| job["status"] == "completed").await;
    let drift = json!([
        { "sku": "SHIRT", "warehouse": 7, "central": 12 },
        { "sku": "GONE", "warehouse": 0, "central": 2 },
    ]);
    assert_eq!((&ended["drift"], &ended["driftCount"]), (&drift, &json!(2)), "{ended}");
    for (sku, units) in [("SHIRT", 7), ("SOCKS", 5), ("GONE", 0)] {
        assert_eq!(runner.get(&format!("/inventory/{sku}")).await.1["available"], units, "{sku}");
    }
    let (status, again) = runner.post("/sync/trigger", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let status = format!("/sync/status/{}", again["jobId"].as_str().unwrap());
    let ended = runner.eventually(&status, |job| job["status"] == "completed").await;
    assert_eq!(ended["driftCount"], 0, "the trigger reconciles warehouses, and nothing has drifted since: {ended}");
}
