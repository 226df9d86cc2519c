//! The examples of documents 3 and 5, as they are written there (plus the key header), against the running product.
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

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use support::Runner;

const RECORD: &str = "/api/inventory/stores/store-7/inventory/SKU-123";

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

async fn adjust(runner: &Runner, headers: &[(&str, &str)], body: Value) -> Response {
    let mut request = runner.request(Method::POST, &format!("{RECORD}/adjust")).json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn smoke_test_of_document_5() {
    let runner = Runner::ephemeral().await;
    let write =
        json!({ "storeId": "store-7", "productId": "SKU-123", "delta": 5, "version": 0, "idempotencyKey": "k1" });
    let (status, written) = runner.post("/inventory/updates", &write).await;
    assert_eq!((status, &written["newQuantity"], &written["applied"]), (StatusCode::OK, &json!(5), &json!(true)));
    let (status, read) = runner.get("/inventory/SKU-123").await;
    assert_eq!((status, &read["available"], &read["version"]), (StatusCode::OK, &json!(5), &json!(1)));
}

#[tokio::test]
async fn key_operations_of_document_5() {
    let runner = Runner::ephemeral().await;
    let bulk =
        json!({ "storeId": "store-7", "mode": "merge", "products": [{ "id": "SKU-1", "qty": 20, "version": 3 }] });
    let (status, counters) = runner.post("/inventory/sync", &bulk).await;
    assert_eq!((status, counters), (StatusCode::OK, json!({ "updated": 0, "created": 1, "skipped": 0 })));

    let update = json!({ "storeId": "store-7", "productId": "SKU-1", "delta": -1, "version": 1, "idempotencyKey": "b64url-256bit" });
    let (status, applied) = runner.post("/inventory/updates", &update).await;
    assert_eq!((status, &applied["newQuantity"], &applied["newVersion"]), (StatusCode::OK, &json!(19), &json!(2)));
    let (_, global) = runner.get("/inventory/global/SKU-1").await;
    assert_eq!(global, json!({ "productId": "SKU-1", "totalAvailable": 19, "perStore": { "store-7": 19 } }));
    let (_, listed) = runner.get("/inventory?cursor=&limit=50").await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["nextCursor"]), (1, &json!("")));

    let (_, history) = runner.get("/inventory/SKU-1/history?storeId=store-7").await;
    let kinds: Vec<_> = history["items"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["StockDecreased", "StockSet"]);
    let emptied = json!({ "storeId": "store-7", "mode": "replace", "products": [] });
    let (_, counters) = runner.post("/inventory/sync", &emptied).await;
    assert_eq!(counters, json!({ "updated": 1, "created": 0, "skipped": 0 }));
    assert_eq!(runner.get("/inventory/SKU-1").await.1["available"], 0);
}

#[tokio::test]
async fn safety_stock_holds_over_the_table_too() {
    let runner = Runner::ephemeral().await;
    let record = json!({ "sku": "SKU-123", "storeId": "store-7", "initialQuantity": 10 });
    runner.post("/api/inventory", &record).await;
    let policy = json!({ "safetyStock": 3, "lowStock": 5 });
    let set = runner.request(Method::PUT, "/inventory/SKU-123/policy").json(&policy).send().await.unwrap();
    assert_eq!(set.status(), StatusCode::OK);
    assert_eq!(adjust(&runner, &[], json!({ "delta": -8 })).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(adjust(&runner, &[], json!({ "delta": -7 })).await.status(), StatusCode::OK);
    assert_eq!(adjust(&runner, &[], json!({ "delta": -1 })).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let (_, policy) = runner.get("/inventory/SKU-123/policy?storeId=store-7").await;
    assert_eq!((&policy["safetyStock"], &policy["lowStock"]), (&json!(3), &json!(5)));
}

#[tokio::test]
async fn record_of_document_3_is_created_read_and_adjusted_with_tags_and_keys() {
    let runner = Runner::ephemeral().await;
    let record = json!({ "sku": "SKU-123", "storeId": "store-7", "initialQuantity": 100 });
    let (status, created) = runner.post("/api/inventory", &record).await;
    assert_eq!((status, &created["data"]["version"]), (StatusCode::CREATED, &json!(1)));
    assert_eq!(runner.post("/api/inventory", &record).await.0, StatusCode::CONFLICT);

    let read = runner.request(Method::GET, RECORD).send().await.unwrap();
    assert_eq!((read.status(), header(&read, "etag").as_deref()), (StatusCode::OK, Some("\"1\"")));
    let known = runner.request(Method::GET, RECORD).header("if-none-match", "\"1\"").send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

    let headers = [("if-match", "\"1\""), ("idempotency-key", "adjust-1")];
    let adjusted = adjust(&runner, &headers, json!({ "delta": -10, "expectedVersion": 1 })).await;
    assert_eq!((adjusted.status(), header(&adjusted, "etag").as_deref()), (StatusCode::OK, Some("\"2\"")));
    let first: Value = adjusted.json().await.unwrap();
    assert_eq!((&first["newQuantity"], &first["newVersion"]), (&json!(90), &json!(2)));
    let again = adjust(&runner, &headers, json!({ "delta": -10, "expectedVersion": 1 })).await;
    assert_eq!(header(&again, "idempotency-replayed").as_deref(), Some("true"));
    assert_eq!(again.json::<Value>().await.unwrap(), first);

    let stale = adjust(&runner, &[], json!({ "delta": -10, "expectedVersion": 1 })).await;
    assert_eq!(stale.status(), StatusCode::CONFLICT);
    let short = adjust(&runner, &[], json!({ "delta": -91 })).await;
    assert_eq!(short.status(), StatusCode::UNPROCESSABLE_ENTITY);
}
