//! What happens rarely, and needs permissions of its own.

use evenstock_app::Clock;
use evenstock_runtime::SystemClock;
use serde_json::{Value, json};

use crate::request::{batch_of, request};
use crate::stack::Stack;

/// Old entries leave the level for pages, and a change that comes once more is found there.
#[tokio::test(flavor = "multi_thread")]
async fn change_that_comes_again_after_forty_others_is_looked_for_in_the_pages() {
    let stack = Stack::start().await;
    let begin = SystemClock.now().plus_millis(-3_600_000);
    let sale = |n: i64| {
        json!({
            "eventId": format!("etsy/s/sale-{n}"), "organization": "demo", "sku": "SKU-1", "location": "main",
            "source": "etsy/s", "time": begin.plus_millis(n * 1000).to_string(), "jobId": "j",
            "change": { "type": "delta", "delta": -1 },
        })
    };
    let sales: Vec<Value> = (0..40).map(sale).collect();
    for some in [&sales[..20], &sales[20..], &sales[..1]] {
        let answer = stack.invoke("StockWorkerFunction", &batch_of(some, 1)).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let read = request("GET", "/inventory/SKU-1?storeId=main", &[], None);
    let level = stack.ask("InventoryApiFunction", &read, 200).await;
    assert_eq!((&level["oversold"], &level["version"]), (&json!(40), &json!(40)), "the first counted once: {level}");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_fails_for_the_last_time_is_counted() {
    let stack = Stack::start().await;
    let unreadable = batch_of(&[json!("no job")], 5);
    let answer = stack.invoke("PollerFunction", &unreadable).await;
    assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(1), "{answer}");
    let metrics = request("GET", "/api/metrics", &[], None);
    let counted = stack.ask("SyncApiFunction", &metrics, 200).await;
    assert_eq!(counted["data"]["requests"], 0, "nobody asked before: {counted}");
    stack.ask("SyncApiFunction", &request("POST", "/api/metrics/reset", &[], Some(&json!({}))), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_of_a_whole_sync_is_kept_for_its_repeat() {
    let stack = Stack::start().await;
    let products = json!({ "storeId": "main", "mode": "merge", "products": [{ "id": "a", "qty": 5, "version": 0 }] });
    let sync = request("POST", "/inventory/sync", &[("idempotency-key", "once")], Some(&products));
    let first = stack.ask("InventoryApiFunction", &sync, 200).await;
    assert_eq!(first["created"], 1, "{first}");
    assert_eq!(stack.ask("InventoryApiFunction", &sync, 200).await, first);
}
