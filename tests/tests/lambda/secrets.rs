//! Secrets on their way through several programs: one process seals under a new data key, another unwraps that key to
//! open. Each step is a process of its own, and KMS denies whom its role does not allow.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::request::{batch, request};
use crate::stack::Stack;

fn signature(secret: &str, body: &Value) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.to_string().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn token_and_secret_of_a_store_are_opened_where_they_are_needed() {
    let stack = Stack::start().await;
    let store = json!({
        "organizationId": "demo", "marketplace": "etsy", "externalStoreId": "ext", "storeName": "Store",
        "accessToken": "token", "currency": "USD", "webhookSecret": "secret", "baseUrl": "https://marketplace.invalid",
    });
    let register = request("POST", "/stores/register", &[("idempotency-key", "once")], Some(&store));
    let registered = stack.ask("OrdersApiFunction", &register, 200).await;
    assert_eq!(stack.ask("OrdersApiFunction", &register, 200).await, registered, "the same token, opened");

    let notice = json!({ "receipt": "order-L-101" });
    let path = format!("/ingest/etsy/{}", registered["storeId"].as_str().unwrap());
    let signed = signature("secret", &notice);
    let delivery = request("POST", &path, &[("x-marketplace-signature", &signed)], Some(&notice));
    stack.ask("WebhookFunction", &delivery, 202).await;

    stack.ask("SyncApiFunction", &request("POST", "/sync/trigger", &[], Some(&json!({}))), 202).await;
    assert_eq!(stack.cloud.sent().get("StoreSyncQueue"), Some(&1), "the store is due");
    let job = batch(&json!({ "storeId": registered["storeId"] }));
    assert_eq!(stack.invoke("OrderWorkerFunction", &job).await, json!({ "batchItemFailures": [] }));
    let orders = request("GET", &format!("/orders?syncToken={}", registered["syncToken"].as_str().unwrap()), &[], None);
    let receipts = stack.ask("OrdersApiFunction", &orders, 200).await;
    assert_eq!(receipts["items"][0]["error"], "marketplace_unavailable", "it was asked: {receipts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_of_an_endpoint_signs_what_is_sent_there() {
    let stack = Stack::start().await;
    let gone = axum::Router::new().fallback(async || axum::http::StatusCode::GONE);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, gone).await.unwrap() });
    let endpoint = json!({ "organizationId": "demo", "event": "stock.low", "targetUrl": url });
    let register = request("POST", "/webhooks/register", &[("idempotency-key", "once")], Some(&endpoint));
    let registered = stack.ask("CallbacksApiFunction", &register, 200).await;
    let secret = &stack.ask("CallbacksApiFunction", &register, 200).await["secret"];
    assert_eq!((secret, secret.is_string()), (&registered["secret"], true), "a repeat shows the same secret");

    // There is nothing to send again yet, and it looks.
    let since = json!({ "job": "replay", "organizationId": "demo", "endpointId": registered["id"], "since": 0 });
    assert_eq!(stack.invoke("CallbackWorkerFunction", &batch(&since)).await, json!({ "batchItemFailures": [] }));

    let body = json!({ "eventId": "e-1", "event": "stock.low", "organizationId": "demo", "data": {} }).to_string();
    let first = batch(&json!({
        "job": "first", "organizationId": "demo", "endpointId": registered["id"], "eventId": "e-1", "event": "stock.low",
        "time": 1_795_161_610_000_i64, "body": body,
    }));
    assert_eq!(stack.invoke("CallbackWorkerFunction", &first).await, json!({ "batchItemFailures": [] }));
    let path = format!("/webhooks/{}", registered["id"].as_str().unwrap());
    let seen = stack.ask("CallbacksApiFunction", &request("GET", &path, &[], None), 200).await;
    assert_eq!(seen["isActive"], false, "it answered 410: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_shows_a_key_is_sealed_for_its_repeat() {
    let stack = Stack::start().await;
    let key = json!({ "organizationId": "demo", "name": "till 7", "scopes": ["read"] });
    let create = request("POST", "/admin/keys", &[("idempotency-key", "once")], Some(&key));
    let created = stack.ask("AdminApiFunction", &create, 201).await;
    assert_eq!(stack.ask("AdminApiFunction", &create, 201).await, created);
    stack.ask("AdminApiFunction", &request("GET", "/admin/audit", &[], None), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_a_warehouse_is_opened_to_read_its_stock() {
    let stack = Stack::start().await;
    let settings = json!({
        "endpoint": "https://warehouse.invalid/wms", "apiKey": "wms-key", "conflictPolicy": "warehouse_wins",
    });
    let set_up = request("PUT", "/warehouses/wh-1", &[], Some(&settings));
    for _ in 0..2 {
        stack.ask("SyncApiFunction", &set_up, 200).await;
    }
    let reconcile = request("POST", "/sync/warehouses/wh-1", &[("idempotency-key", "once")], Some(&json!({})));
    let job = stack.ask("SyncApiFunction", &reconcile, 202).await;
    let slice = batch(&json!({ "jobId": job["jobId"], "organization": "demo", "warehouse": "wh-1" }));
    assert_eq!(stack.invoke("WarehouseWorkerFunction", &slice).await, json!({ "batchItemFailures": [] }));
}
