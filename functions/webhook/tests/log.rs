//! The log of one delivery, from the request to the level: its lines are found by their ids, and none tells a secret.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use evenstock_app::QueueName;
use evenstock_app::testing::{MemoryQueue, MemorySealer, MemoryStore};
use evenstock_domain::EventIdKey;
use evenstock_runtime::testing::{CapturedLog, ask};
use evenstock_runtime::{Environment, SystemClock};
use evenstock_stock_worker::{Worker, handle};
use evenstock_webhook::{Intake, Stores, connections, router};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const BODY: &str =
    r#"{"product_code":"SKU-1","available_stock":7351,"timestamp":"2026-11-20T08:00:00Z","warehouse":"main"}"#;

/// A field of a line, or of a span around it.
fn field<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    let spans = line["spans"].as_array().into_iter().flatten();
    spans.chain([line]).find_map(|part| part[name].as_str())
}

#[tokio::test]
async fn lines_of_a_delivery_are_joined_by_their_ids_and_tell_no_secret() {
    let log = CapturedLog::at("info,evenstock_stock_worker=debug");
    let environment: Environment = [("MARKETPLACE_A_SECRET", "hunter2")].into_iter().collect();
    let stores = Stores::new(
        connections(&environment).unwrap(),
        Arc::<MemoryStore>::default(),
        MemorySealer::default(),
        SystemClock,
    );
    let intake = Arc::new(Intake { queue: MemoryQueue::default(), stores });
    let mac = Hmac::<Sha256>::new_from_slice(b"hunter2").unwrap().chain_update(BODY);
    let signature = hex::encode(mac.finalize().into_bytes());
    let request = Request::post("/webhooks/marketplace-a")
        .header("x-marketplace-signature", &signature)
        .header("x-request-id", "request-1")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let reply = ask(&router(Arc::clone(&intake)), request.body(Body::from(BODY)).unwrap()).await;
    assert_eq!(reply.status, 202);

    let message = &intake.queue.sent(QueueName::StockChanges)[0];
    let traceparent = message.trace.as_ref().unwrap().traceparent();
    let attributes = json!({ "traceparent": { "stringValue": traceparent, "dataType": "String" } });
    let record = json!({ "messageId": "m1", "body": message.body, "messageAttributes": attributes });
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let worker = Worker { store: MemoryStore::default(), clock: SystemClock, ids };
    let event = serde_json::from_value(json!({ "Records": [record] })).unwrap();
    assert!(handle(&worker, event).await.unwrap().batch_item_failures.is_empty());

    let lines = log.lines();
    let queued = lines.iter().find(|line| field(line, "request.id") == Some("request-1")).unwrap();
    let event_id = field(queued, "event.id").unwrap();
    let settled: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "event settled" && field(line, "event.id") == Some(event_id))
        .collect();
    assert_eq!(settled.len(), 1, "{lines:?}");
    for line in [queued, settled[0]] {
        assert_eq!(field(line, "sku.id"), Some("SKU-1"), "{line}");
        assert_eq!(field(line, "trace_id"), Some(TRACE), "{line}");
        assert_eq!(field(line, "job.id"), reply.body["data"]["jobId"].as_str(), "{line}");
    }
    assert_eq!(field(queued, "store.id"), Some("default"));
    assert_eq!(field(settled[0], "location.id"), Some("main"));
    for private in ["hunter2", signature.as_str(), "available_stock", "7351"] {
        assert!(!log.text().contains(private), "{private} is in {}", log.text());
    }
}
