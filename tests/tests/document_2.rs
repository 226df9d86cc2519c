//! The examples and the manual tests of document 2, as they are written there (plus the key header), against the running
//! product: the mock marketplace, stores, imports, the scheduler, callbacks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Receiver, Runner, command};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn register(runner: &Runner, organization: &str, base_url: Option<String>) -> Value {
    let store = json!({
        "organizationId": organization, "marketplace": "etsy", "externalStoreId": "ext1", "storeName": "Store",
        "accessToken": "tok", "currency": "USD", "baseUrl": base_url,
    });
    let (status, registered) = runner.post("/stores/register", &store).await;
    assert_eq!(status, StatusCode::OK, "{registered}");
    registered
}

async fn import(runner: &Runner, token: &str, receipt: &str) -> Value {
    let (status, answer) = runner.post("/orders/import", &json!({ "syncToken": token, "receipt": receipt })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

fn token(registered: &Value) -> &str {
    registered["syncToken"].as_str().unwrap()
}

async fn validate(runner: &Runner, body: Value, password: &str) -> (StatusCode, Value) {
    let request = runner.request(Method::POST, "/mock/etsy/validate").basic_auth("etsy_user", Some(password));
    let answer = request.json(&body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn mock_marketplace_follows_its_rules() {
    let runner = Runner::ephemeral().await;
    let (status, order) = validate(&runner, json!({ "receipt": "test1", "currency": "EUR" }), "etsy_pass").await;
    assert_eq!((status, &order["status"], &order["currency"]), (StatusCode::OK, &json!(true), &json!("EUR")));
    let refused = validate(&runner, json!({ "receipt": "test2" }), "etsy_pass").await;
    assert_eq!(refused, (StatusCode::OK, json!({ "status": false })));
    let limited = validate(&runner, json!({ "receipt": "test24" }), "etsy_pass").await;
    assert_eq!(limited, (StatusCode::TOO_MANY_REQUESTS, json!({ "error": "rate_limited" })));
    assert_eq!(validate(&runner, json!({ "receipt": "test1" }), "wrong").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn store_is_registered_once_and_receipts_are_imported_once() {
    let runner = Runner::ephemeral().await;
    let first = register(&runner, "org-123", None).await;
    assert_eq!(register(&runner, "org-123", None).await, first, "the same triple keeps its ids");
    let token = token(&first);

    let order = import(&runner, token, "receipt-123").await;
    assert_eq!((&order["success"], &order["currency"]), (&json!(true), &json!("USD")));
    assert!(order["orderId"].is_string() && order["amount"].is_number() && order["importedAt"].is_string(), "{order}");
    assert_eq!(import(&runner, token, "receipt-123").await, order, "the stored result");
    let refused = import(&runner, token, "receipt-128").await;
    assert_eq!(refused, json!({ "success": false, "error": "invalid_receipt" }));

    let (_, status) = runner.get(&format!("/stores/sync-status?syncToken={token}")).await;
    assert_eq!((&status["importedOrders"], &status["syncStatus"]), (&json!(1), &json!("partial")));
}

#[tokio::test]
async fn thirty_two_imports_at_once_ask_the_marketplace_once() {
    let marketplace = MockServer::start().await;
    let order = json!({
        "status": true, "orderId": "o-1", "amount": 12.5, "currency": "USD", "importedAtUTC": "2026-01-01T12:00:00.000Z",
    });
    let slow = ResponseTemplate::new(200).set_body_json(order).set_delay(std::time::Duration::from_millis(300));
    Mock::given(method("POST")).respond_with(slow).mount(&marketplace).await;
    let runner = Runner::ephemeral().await;
    let registered = register(&runner, "org-123", Some(marketplace.uri())).await;
    let answers = join_all((0..32).map(|_| import(&runner, token(&registered), "receipt-1"))).await;
    let different: BTreeSet<String> = answers.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), 1, "{different:?}");
    assert_eq!(answers[0]["orderId"], "o-1");
    assert_eq!(marketplace.received_requests().await.unwrap().len(), 1);
}

/// The manual test "Task 4": `scheduler --once` stands for its scripts, the short base for its SQL, the list of orders
/// for its table.
#[tokio::test]
async fn manual_test_task_4() {
    let mut with_short_waits = command();
    with_short_waits.arg("--ephemeral").env("RECEIPT_RETRY_BASE_SECONDS", "1");
    let runner = Runner::start(with_short_waits).await;
    let registered = register(&runner, "org1", None).await;
    let token = token(&registered);
    let limited = import(&runner, token, "RL15").await;
    assert_eq!(limited, json!({ "success": false, "error": "rate_limited" }));

    let orders = format!("/orders?syncToken={token}");
    let mut enqueued = 0;
    let mut seen = Value::Null;
    for _ in 0..100 {
        let report = runner.call_scheduler().await;
        assert!(report["scannedStores"].is_u64(), "{report}");
        enqueued += report["enqueuedJobs"].as_u64().unwrap();
        (_, seen) = runner.get(&orders).await;
        if seen["items"][0]["attempt"].as_u64().unwrap() >= 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let order = &seen["items"][0];
    assert!(enqueued >= 1, "the scheduler queued the store");
    assert!(order["attempt"].as_u64().unwrap() >= 2, "the worker asked again: {seen}");
    assert_eq!((&order["receipt"], &order["status"]), (&json!("RL15"), &json!("rate_limited")));
    assert!(order["nextRetryAt"].is_string(), "{order}");
    let synced = |status: &Value| status["lastSyncAt"].is_string() && status["rateLimitedCount"] == 1;
    runner.eventually(&format!("/stores/sync-status?syncToken={token}"), synced).await;
}

/// Registers an endpoint; its id and its secret.
async fn callback(runner: &Runner, event: &str, receiver: &Receiver) -> (String, String) {
    let endpoint = json!({ "organizationId": "org-manual", "event": event, "targetUrl": receiver.url() });
    let (status, registered) = runner.post("/webhooks/register", &endpoint).await;
    assert_eq!(status, StatusCode::OK, "{registered}");
    assert_eq!((&registered["event"], &registered["isActive"]), (&json!(event), &json!(true)));
    let text = |name: &str| registered[name].as_str().unwrap().to_owned();
    assert!(text("secret").starts_with("whsec_"));
    (text("id"), text("secret"))
}

/// The manual test "Task 5": a sync ends, the receiver is told; while it fails there are three tries and then `failed`;
/// a replay succeeds once it is well again.
#[tokio::test]
async fn manual_test_task_5() {
    let mut with_short_waits = command();
    with_short_waits
        .arg("--ephemeral")
        .env("RECEIPT_RETRY_BASE_SECONDS", "1")
        .env("CALLBACK_RETRY_SCHEDULE", "1s,1s")
        .env("SYNC_SCHEDULER_INTERVAL_SECONDS", "1");
    let runner = Runner::start(with_short_waits).await;
    let well = Receiver::start(&[]).await;
    let failing = Receiver::start(&["--fail"]).await;
    let (well_id, well_secret) = callback(&runner, "sync.completed", &well).await;
    let (failing_id, failing_secret) = callback(&runner, "sync.completed", &failing).await;
    let well = well.restarted(&["--secret", &well_secret]).await;
    let registered = register(&runner, "org-manual", None).await;
    import(&runner, token(&registered), "RL15").await;

    let some = |list: &Value| list["items"].as_array().is_some_and(|items| !items.is_empty());
    let operator = "organizationId=org-manual";
    let succeeded = format!("/webhooks/{well_id}/deliveries?status=succeeded&{operator}");
    let succeeded = runner.eventually_as("org-manual", &succeeded, some).await;
    // Further syncs would fail at the other endpoint too, and one that only fails is spared before a delivery is given up.
    let stop = runner.request(Method::POST, "/api/sync/stop").header("x-organization-id", "org-manual");
    assert_eq!(stop.send().await.unwrap().status(), StatusCode::OK);
    let delivered = well.next().await;
    assert_eq!(delivered["verified"], true, "{delivered}");
    let payload = &delivered["body"];
    assert_eq!((&payload["event"], &payload["organizationId"]), (&json!("sync.completed"), &json!("org-manual")));
    assert!(payload["eventId"].is_string() && payload["timestamp"].is_string(), "{payload}");
    assert_eq!(payload["storeId"], registered["storeId"]);
    assert!(payload["data"].is_object());
    assert_eq!(succeeded["items"][0]["attempts"][0]["statusCode"], 200);

    let failed = format!("/webhooks/{failing_id}/deliveries?status=failed&{operator}");
    let failed = runner.eventually_as("org-manual", &failed, some).await;
    let delivery = failed["items"].as_array().unwrap().last().unwrap();
    let statuses: Vec<_> = delivery["attempts"].as_array().unwrap().iter().map(|a| a["statusCode"].clone()).collect();
    assert_eq!(statuses, [500, 500, 500]);

    let mended = failing.restarted(&["--secret", &failing_secret]).await;
    let id = delivery["id"].as_str().unwrap();
    let replay = runner.request(Method::POST, &format!("/webhooks/deliveries/{id}/replay"));
    let replay = replay.header("x-organization-id", "org-manual").send().await.unwrap();
    assert_eq!(replay.status(), StatusCode::ACCEPTED);
    let wanted = |list: &Value| {
        list["items"].as_array().is_some_and(|items| items.iter().any(|item| item["id"] == delivery["id"]))
    };
    let succeeded = format!("/webhooks/{failing_id}/deliveries?status=succeeded&{operator}");
    runner.eventually_as("org-manual", &succeeded, wanted).await;
    loop {
        let received = mended.next().await;
        assert_eq!(received["verified"], true, "{received}");
        if received["body"]["eventId"] == delivery["eventId"] {
            break;
        }
    }
}
