//! What registered stores deliver, from the signed request to the stock, in the running product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, delivery, sign, sign_with};

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
    assert_eq!(deliver(&runner, "etsy", &store, &notice, sign(&notice)).await, StatusCode::ACCEPTED);
    assert_eq!(runner.call_scheduler().await["enqueuedJobs"], 0, "a notice of a known order wakes nobody");
    let cancelled = json!({ "receipt": "order-L-101", "cancelled": true }).to_string();
    for _ in 0..2 {
        assert_eq!(deliver(&runner, "etsy", &store, &cancelled, sign(&cancelled)).await, StatusCode::ACCEPTED);
    }
    let settled = |level: &Value| level["oversold"] == 0 && level["version"] == 2;
    let level = runner.eventually("/inventory/SKU-1?storeId=default", settled).await;
    assert_eq!(level["available"], 0, "taken once and given back once");
}

#[tokio::test]
async fn both_secrets_of_a_store_prove_while_one_replaces_the_other() {
    let runner = Runner::ephemeral().await;
    let register = async |secret: &str| {
        let store = json!({
            "organizationId": "demo", "marketplace": "marketplace-a", "externalStoreId": "ext", "storeName": "Store",
            "accessToken": "token", "currency": "USD", "webhookSecret": secret, "defaultLocationId": "shelf",
        });
        let (status, registered) = runner.post("/stores/register", &store).await;
        assert_eq!(status, StatusCode::OK, "{registered}");
        registered
    };
    let deliver = async |store: &Value, body: Value, secret: &str| {
        let body = body.to_string();
        let signature = sign_with(secret, &body);
        deliver(&runner, "marketplace-a", store, &body, signature).await
    };
    let store = register("first").await;
    let count = |units: i64, second: i64| json!({ "product_code": "SHIRT", "available_stock": units, "timestamp": format!("2026-01-01T08:00:{second:02}Z") });
    assert_eq!(deliver(&store, count(9, 1), "secret").await, StatusCode::UNAUTHORIZED);
    assert_eq!(deliver(&store, count(7, 1), "first").await, StatusCode::ACCEPTED);
    let level = "/inventory/SHIRT?storeId=shelf";
    runner
        .eventually(level, |body| {
            body["available"] == 7 && body["source"] == format!("marketplace-a/{}", store["storeId"].as_str().unwrap())
        })
        .await;
    assert_eq!(register("second").await, store);
    // A store is read anew for a signature that does not fit, at most once a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(deliver(&store, count(6, 2), "first").await, StatusCode::ACCEPTED);
    assert_eq!(deliver(&store, count(5, 3), "second").await, StatusCode::ACCEPTED);
    runner.eventually(level, |body| body["available"] == 5).await;
}
