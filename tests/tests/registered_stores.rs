//! What registered stores deliver, from the signed request to the stock, in the running product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, delivery, sign};

/// Registers a store that signs as this test does.
async fn register(runner: &Runner, marketplace: &str) -> Value {
    let store = json!({
        "organizationId": "demo", "marketplace": marketplace, "externalStoreId": "ext", "storeName": "Store",
        "accessToken": "token", "currency": "USD", "webhookSecret": "secret",
    });
    let (status, registered) = runner.post("/stores/register", &store).await;
    assert_eq!(status, StatusCode::OK, "{registered}");
    registered
}

async fn deliver(runner: &Runner, marketplace: &str, store: &Value, body: &str, signature: String) -> StatusCode {
    let path = format!("/ingest/{marketplace}/{}", store["storeId"].as_str().unwrap());
    let request = runner.request(Method::POST, &path).header("x-marketplace-signature", signature);
    request.body(body.to_owned()).send().await.unwrap().status()
}

#[tokio::test]
async fn count_of_a_registered_store_becomes_stock() {
    let runner = Runner::ephemeral().await;
    let store = register(&runner, "marketplace-a").await;
    let body = delivery("COUNTED", 7, 0);
    assert_eq!(deliver(&runner, "marketplace-a", &store, &body, sign("other")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(deliver(&runner, "etsy", &store, &body, sign(&body)).await, StatusCode::NOT_FOUND);
    assert_eq!(deliver(&runner, "marketplace-a", &store, &body, sign(&body)).await, StatusCode::ACCEPTED);
    let level = runner.eventually("/inventory/COUNTED?storeId=main", |level| level["available"] == 7).await;
    assert_eq!(level["source"], format!("marketplace-a/{}", store["storeId"].as_str().unwrap()));
}

#[tokio::test]
async fn notice_of_an_order_is_asked_about_and_takes_its_units_once() {
    let runner = Runner::ephemeral().await;
    let store = register(&runner, "etsy").await;
    let notice = json!({ "receipt": "order-L-101" }).to_string();
    for _ in 0..2 {
        assert_eq!(deliver(&runner, "etsy", &store, &notice, sign(&notice)).await, StatusCode::ACCEPTED);
    }
    runner.call_scheduler().await;
    let orders = format!("/orders?syncToken={}", store["syncToken"].as_str().unwrap());
    let seen = runner.eventually(&orders, |orders| orders["items"][0]["stock"] == "short").await;
    assert_eq!((&seen["items"][0]["status"], &seen["items"][0]["attempt"]), (&json!("success"), &json!(1)));
    let cancelled = json!({ "receipt": "order-L-101", "cancelled": true }).to_string();
    for _ in 0..2 {
        assert_eq!(deliver(&runner, "etsy", &store, &cancelled, sign(&cancelled)).await, StatusCode::ACCEPTED);
    }
    let settled = |level: &Value| level["oversold"] == 0 && level["version"] == 2;
    let level = runner.eventually("/inventory/SKU-1?storeId=default", settled).await;
    assert_eq!(level["available"], 0, "taken once and given back once");
}
