//! Counters of the workers, as `/api/metrics` shows them after real work: orders, callbacks, changes of warehouses and
//! their reconciliations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Receiver, Runner, command};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Waits until a section of the metrics is as expected; and Prometheus' text at that time.
async fn counted(runner: &Runner, section: &str, expected: Value) -> String {
    runner.eventually("/api/metrics", |metrics| metrics["data"][section] == expected).await;
    let text = runner.request(Method::GET, "/api/metrics").header("accept", "text/plain").send().await.unwrap();
    text.text().await.unwrap()
}

#[tokio::test]
async fn orders_are_counted_by_whoever_got_the_answer() {
    let mut with_short_waits = command();
    with_short_waits
        .arg("--ephemeral")
        .env("RECEIPT_RETRY_BASE_SECONDS", "1")
        .env("RECEIPT_RETRY_MAX_SECONDS", "1")
        .env("SYNC_SCHEDULER_INTERVAL_SECONDS", "1");
    let runner = Runner::start(with_short_waits).await;
    let store = json!({
        "organizationId": "demo", "marketplace": "etsy", "externalStoreId": "ext1", "storeName": "Store",
        "accessToken": "tok", "currency": "USD",
    });
    let (_, registered) = runner.post("/stores/register", &store).await;
    let import = async |receipt: &str| {
        let body = json!({ "syncToken": registered["syncToken"], "receipt": receipt });
        assert_eq!(runner.post("/orders/import", &body).await.0, StatusCode::OK);
    };
    import("receipt-1").await;
    import("receipt-1").await;
    import("receipt-3").await;
    import("receipt-128").await;
    counted(&runner, "orders", json!({ "imported": 2, "rateLimited": 0 })).await;
    import("RL15").await;
    // Once it was asked about for the caller; from then on the worker asks.
    let asked = |metrics: &Value| metrics["data"]["orders"]["rateLimited"].as_u64().is_some_and(|asked| asked >= 3);
    let metrics = runner.eventually("/api/metrics", asked).await;
    assert_eq!(metrics["data"]["orders"]["imported"], 2);
}

#[tokio::test]
async fn callbacks_are_counted_by_what_came_of_them() {
    let mut with_one_retry = command();
    with_one_retry.arg("--ephemeral").env("CALLBACK_RETRY_SCHEDULE", "1s");
    let runner = Runner::start(with_one_retry).await;
    let (well, failing) = (Receiver::start(&[]).await, Receiver::start(&["--fail"]).await);
    for receiver in [&well, &failing] {
        let endpoint = json!({ "organizationId": "demo", "event": "stock.changed", "targetUrl": receiver.url() });
        assert_eq!(runner.post("/webhooks/register", &endpoint).await.0, StatusCode::OK);
    }
    let stock = json!({ "storeId": "s", "productId": "P", "delta": 5, "version": 0, "idempotencyKey": "k" });
    assert_eq!(runner.post("/inventory/updates", &stock).await.0, StatusCode::OK);
    let text = counted(&runner, "callbacks", json!({ "succeeded": 1, "failed": 1, "retried": 1 })).await;
    for line in ["callbacks_succeeded_total", "callbacks_failed_total", "callbacks_retried_total"] {
        assert!(text.contains(&format!("\n{line}{{function=\"local\"}} 1\n")), "{text}");
    }
}

#[tokio::test]
async fn changes_of_warehouses_and_reconciliations_are_counted() {
    let warehouse = MockServer::start().await;
    let listed = json!([{ "sku": "SHIRT", "quantity": 7, "version": 1, "updatedAt": "2026-01-01T08:00:00Z" }]);
    let page = ResponseTemplate::new(200).set_body_json(json!({ "items": listed, "nextCursor": "" }));
    Mock::given(path("/well/inventory")).respond_with(page).mount(&warehouse).await;
    Mock::given(path("/shut/inventory")).respond_with(ResponseTemplate::new(401)).mount(&warehouse).await;
    let runner = Runner::ephemeral().await;
    for (id, base) in [("wh-1", "well"), ("wh-2", "shut")] {
        let settings = json!({ "endpoint": format!("{}/{base}", warehouse.uri()), "conflictPolicy": "manual" });
        let put = runner.request(Method::PUT, &format!("/warehouses/{id}")).json(&settings);
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    }
    let now = SystemClock.now().as_millis();
    let change = |ago_ms: i64, before: Option<i64>, after: i64| {
        let row = |units: i64| json!({ "sku": "SHIRT", "warehouse_id": "wh-1", "quantity": units });
        let time = now - ago_ms;
        json!({ "op": "u", "before": before.map(row), "after": row(after), "source": { "ts_ms": time, "lsn": time } })
    };
    // One after the other, so that none overtakes another.
    for lines in [
        vec![change(9000, None, 12), change(8000, Some(12), 11)],
        vec![change(9000, None, 12)],
        vec![change(7000, Some(5), 4)],
        vec![json!({ "op": "x" })],
    ] {
        let body = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let send = runner.request(Method::POST, "/local/queues/warehouse-events").body(body);
        assert_eq!(send.send().await.unwrap().status(), StatusCode::OK);
        let idle = |metrics: &Value| {
            let queue = &metrics["data"]["queues"]["warehouse-events"];
            queue["waiting"] == 0 && queue["inFlight"] == 0
        };
        runner.eventually("/api/metrics", idle).await;
    }
    let mut expected = json!({
        "applied": 2, "stale": 1, "conflicts": 1, "reconciliations": 0, "reconciliationsFailed": 0, "driftRepaired": 0,
    });
    counted(&runner, "warehouses", expected.clone()).await;
    assert_eq!(runner.post("/sync/warehouses/wh-1", &json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(runner.post("/sync/warehouses/wh-2", &json!({})).await.0, StatusCode::ACCEPTED);
    expected["reconciliations"] = json!(1);
    expected["driftRepaired"] = json!(1);
    expected["reconciliationsFailed"] = json!(1);
    let text = counted(&runner, "warehouses", expected).await;
    for (name, count) in [
        ("warehouse_changes_applied_total", 2),
        ("warehouse_changes_stale_total", 1),
        ("warehouse_conflicts_total", 1),
        ("dlq_events_total", 1),
        ("reconciliations_total", 1),
        ("reconciliations_failed_total", 1),
        ("drift_repaired_total", 1),
    ] {
        assert!(text.contains(&format!("\n{name}{{function=\"local\"}} {count}\n")), "{name}: {text}");
    }
}
