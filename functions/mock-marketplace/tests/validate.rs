//! Questions about receipts, from the request to the answer.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::testing::FixedClock;
use evenstock_domain::Timestamp;
use evenstock_mock_marketplace::{Accounts, Mock, openapi, router};
use evenstock_runtime::Environment;
use evenstock_runtime::testing::{Contract, Reply};
use rstest::rstest;
use serde_json::{Value, json};

const NOW: &str = "2026-11-20T08:00:00.000Z";

fn mock_with(environment: &Environment) -> Router {
    let accounts = Accounts::from_environment(environment).unwrap();
    router(Arc::new(Mock { accounts, clock: FixedClock::at(Timestamp::parse(NOW).unwrap()) }))
}

fn mock() -> Router {
    mock_with(&Environment::default())
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

async fn asked(mock: &Router, marketplace: &str, authorization: Option<&str>, body: impl Into<Body>) -> Reply {
    let mut request = Request::post(format!("/mock/{marketplace}/validate")).header("content-type", "application/json");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    Contract::of(&openapi()).ask(mock, request.body(body.into()).unwrap()).await
}

/// Asks Etsy with its credentials.
async fn etsy(body: &Value) -> Reply {
    asked(&mock(), "etsy", Some(&basic("etsy_user:etsy_pass")), body.to_string()).await
}

#[tokio::test]
async fn order_has_the_documented_fields_and_no_others() {
    let reply = etsy(&json!({ "receipt": "test1", "currency": "EUR" })).await;
    assert_eq!(reply.status, 200);
    let names: Vec<_> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["status", "orderId", "amount", "currency", "importedAtUTC"]);
    let order = &reply.body;
    assert_eq!(
        (&order["status"], &order["currency"], &order["importedAtUTC"]),
        (&json!(true), &json!("EUR"), &json!(NOW))
    );
    assert!(order["amount"].is_f64() && order["orderId"].as_str().unwrap().starts_with("etsy-"));
    assert_eq!(etsy(&json!({ "receipt": "test1", "currency": "EUR" })).await.body, reply.body, "the same every time");
    assert_eq!(etsy(&json!({ "receipt": "test1" })).await.body["currency"], "USD");
}

#[rstest]
#[case::even_digit("test2")]
#[case::no_digit("receipt")]
#[tokio::test]
async fn receipt_that_is_no_order_is_refused(#[case] receipt: &str) {
    let reply = etsy(&json!({ "receipt": receipt })).await;
    assert_eq!((reply.status, reply.body), (200, json!({ "status": false })));
}

#[rstest]
#[case::documented("test24")]
#[case::also_with_an_odd_digit("RL15")]
#[case::zeros("x00")]
#[tokio::test]
async fn rate_limit_is_told_as_documented(#[case] receipt: &str) {
    let reply = etsy(&json!({ "receipt": receipt })).await;
    assert_eq!((reply.status, &reply.body), (429, &json!({ "error": "rate_limited" })));
    assert_eq!(reply.header("retry-after"), None, "how long is the caller's own rule");
}

#[tokio::test]
async fn receipt_tells_lines_and_cancellation_by_its_name() {
    let order = etsy(&json!({ "receipt": "order-L2-X-101" })).await.body;
    let lines = json!([
        { "sku": "SKU-1", "quantity": 1 },
        { "sku": "SKU-2", "quantity": 2, "locationId": "main" },
    ]);
    assert_eq!((&order["lines"], &order["cancelled"]), (&lines, &json!(true)));
    let refused = etsy(&json!({ "receipt": "order-L2-X-102" })).await;
    assert_eq!(refused.body, json!({ "status": false }));
}

#[rstest]
#[case::missing(None)]
#[case::wrong_password(Some(basic("etsy_user:shopify_pass")))]
#[case::of_another_marketplace(Some(basic("amazon_user:amazon_pass")))]
#[case::empty(Some(basic("")))]
#[case::other_scheme(Some("Bearer etsy_user:etsy_pass".to_owned()))]
#[case::not_base64(Some("Basic etsy_user:etsy_pass".to_owned()))]
#[case::without_scheme(Some("ZXRzeV91c2VyOmV0c3lfcGFzcw==".to_owned()))]
#[tokio::test]
async fn wrong_credentials_are_asked_for_again(#[case] authorization: Option<String>) {
    // The body comes second: who may not ask learns nothing from it.
    let reply = asked(&mock(), "etsy", authorization.as_deref(), "{").await;
    assert_eq!(reply.refusal(), (401, "unauthorized"));
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"mock\""));
}

#[tokio::test]
async fn credentials_come_from_the_environment() {
    let environment: Environment = [("MOCK_SHOPIFY_USER", "ann"), ("MOCK_SHOPIFY_PASS", "a:b")].into_iter().collect();
    let mock = mock_with(&environment);
    let status = async |marketplace, credentials: &str| {
        asked(&mock, marketplace, Some(&basic(credentials)), json!({ "receipt": "x1" }).to_string()).await.status
    };
    assert_eq!(status("shopify", "ann:a:b").await, 200);
    assert_eq!(status("shopify", "shopify_user:shopify_pass").await, 401);
    assert_eq!(status("amazon", "amazon_user:amazon_pass").await, 200);
    assert!(!format!("{:?}", Accounts::from_environment(&environment).unwrap()).contains("ann"));
}

#[rstest]
#[case::ebay("ebay")]
#[case::upper_case("Etsy")]
#[tokio::test]
async fn unknown_marketplace_is_not_found(#[case] marketplace: &str) {
    let reply = asked(&mock(), marketplace, Some(&basic("etsy_user:etsy_pass")), "{}").await;
    assert_eq!(reply.refusal(), (404, "not_found"));
}

#[rstest]
#[case::missing(json!({}), &[("receipt", "is required")])]
#[case::number(json!({ "receipt": 7 }), &[("receipt", "must be text")])]
#[case::empty(json!({ "receipt": "" }), &[("receipt", "must not be empty")])]
#[case::both(
    json!({ "receipt": null, "currency": "EURO" }),
    &[("receipt", "is required"), ("currency", "must be three letters")]
)]
#[case::currency_number(json!({ "receipt": "x1", "currency": 978 }), &[("currency", "must be text")])]
#[tokio::test]
async fn every_wrong_field_is_named(#[case] body: Value, #[case] issues: &[(&str, &str)]) {
    let reply = etsy(&body).await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
    assert_eq!(reply.issues(), issues);
}

#[rstest]
#[case::no_json("<html>", (400, "bad_request"))]
#[case::list("[]", (400, "bad_request"))]
#[case::too_large(&"x".repeat(16 * 1024 + 1), (413, "too_large"))]
#[tokio::test]
async fn body_that_is_no_object_is_refused(#[case] body: &str, #[case] expected: (u16, &str)) {
    let reply = asked(&mock(), "etsy", Some(&basic("etsy_user:etsy_pass")), body.to_owned()).await;
    assert_eq!(reply.refusal(), expected);
}

#[tokio::test]
async fn question_through_the_gateway_is_answered() {
    let event = include_str!("../../../events/mock-marketplace.json");
    let request = lambda_http::request::from_str(event).unwrap();
    let reply = Contract::of(&openapi()).ask(&mock(), request).await;
    assert_eq!((reply.status, &reply.body["status"], &reply.body["currency"]), (200, &json!(true), &json!("EUR")));
}
