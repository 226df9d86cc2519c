//! A thousand events to a receiver that fails three times in ten: all arrive, each with a valid signature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Receiver, Runner, change, command};

const EVENTS: usize = 1_000;

#[tokio::test]
async fn thousand_events_reach_a_receiver_that_often_fails() {
    // So many tries that a receiver which fails three times in ten never outlasts them.
    let mut with_short_waits = command();
    with_short_waits.arg("--ephemeral").env("CALLBACK_RETRY_SCHEDULE", ["1s"; 20].join(","));
    let runner = Runner::start(with_short_waits).await;
    let receiver = Receiver::start(&["--fail-rate", "0.3"]).await;
    let endpoint = json!({ "organizationId": "demo", "event": "stock.changed", "targetUrl": receiver.url() });
    let (status, registered) = runner.post("/webhooks/register", &endpoint).await;
    assert_eq!(status, StatusCode::OK, "{registered}");
    let secret = registered["secret"].as_str().unwrap();
    let receiver = receiver.restarted(&["--fail-rate", "0.3", "--secret", secret]).await;

    for batch in 0..EVENTS / 100 {
        let row = |n: usize| {
            let sku = format!("SKU-{}", n % 7);
            let mut row = change(&sku, 1, None, &format!("event-{batch}-{n}"));
            row.as_object_mut().unwrap().remove("storeId");
            row
        };
        let updates = json!({ "storeId": "main", "updates": (0..100).map(row).collect::<Vec<_>>() });
        let (status, answer) = runner.post("/inventory/updates", &updates).await;
        assert_eq!((status, &answer["summary"]["succeeded"]), (StatusCode::OK, &json!(100)), "{answer}");
    }

    let mut seen = BTreeSet::new();
    let mut failed = 0;
    while seen.len() < EVENTS {
        let delivery = receiver.next().await;
        assert_eq!(delivery["verified"], true, "{delivery}");
        if delivery["answered"] != 200 {
            failed += 1;
            continue;
        }
        let body = &delivery["body"];
        assert_eq!((&body["event"], &body["organizationId"]), (&json!("stock.changed"), &json!("demo")));
        assert_eq!(body["eventId"], delivery["webhookId"], "the id is the same in the header");
        let change = body["data"]["seq"].as_u64().expect("stock events carry their place in the feed");
        seen.insert((body["eventId"].as_str().unwrap().to_owned(), change));
    }
    let numbers: BTreeSet<u64> = seen.iter().map(|(_, seq)| *seq).collect();
    assert_eq!(numbers.len(), EVENTS, "one event a change");
    assert!(failed > 0, "the receiver did fail");
    let open = |list: &Value| list["items"].as_array().is_some_and(Vec::is_empty);
    let id = registered["id"].as_str().unwrap();
    runner.eventually(&format!("/webhooks/{id}/deliveries?status=pending"), open).await;
}
