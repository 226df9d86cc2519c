//! Messages of `store-sync`, as the trigger delivers them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test reports by panicking")]

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::testing::contract::{policy, registered};
use evenstock_app::testing::{FixedClock, MemoryQueue, MemorySealer, MemoryStore, ScriptedMarketplace};
use evenstock_app::{MarketplaceStores, note_receipt};
use evenstock_domain::{ReceiptId, ReceiptState, Timestamp};
use evenstock_order_worker::{Worker, handle};
use evenstock_runtime::{keep_reasons, take_reason};
use serde_json::json;

type TestWorker = Worker<MemoryStore, ScriptedMarketplace, MemorySealer, FixedClock, MemoryQueue>;

fn worker() -> TestWorker {
    Worker {
        store: MemoryStore::default(),
        marketplace: ScriptedMarketplace::default(),
        sealer: MemorySealer::default(),
        clock: FixedClock::at(Timestamp::from_millis(1_700_000_000_000).unwrap()),
        queue: MemoryQueue::default(),
        policy: policy(),
        lease_ms: 900_000,
    }
}

fn event(bodies: &[String]) -> SqsEvent {
    let record = |(place, body): (usize, &String)| json!({ "messageId": format!("m{place}"), "body": body });
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

#[tokio::test]
async fn job_asks_about_the_receipts_that_are_due() {
    let worker = worker();
    let of = registered(&worker.store, &worker.sealer, &worker.clock).await;
    note_receipt(&worker.store, &worker.clock, &of, &ReceiptId::parse("r").unwrap()).await.unwrap();
    let job = json!({ "storeId": of.store.id.as_str() }).to_string();
    let answer = handle(&worker, event(&[job])).await.unwrap();
    assert_eq!(answer.batch_item_failures.len(), 0);
    assert_eq!(worker.marketplace.asked(), ["r"]);
    assert_eq!(worker.store.receipts()[0].state(), ReceiptState::Failed);
    assert_eq!(worker.store.load_store(&of.store.id).await.unwrap().unwrap().store.sync.lease, None);
}

#[tokio::test]
async fn message_that_is_no_job_or_names_no_store_comes_back() {
    let worker = worker();
    let sample: SqsEvent = serde_json::from_str(include_str!("../../../events/order-worker.json")).unwrap();
    assert_eq!(handle(&worker, sample).await.unwrap().batch_item_failures.len(), 1, "the store of the sample");
    let bodies = ["", "{}", r#"{"storeId":""}"#, r#"{"storeId":"unknown"}"#].map(str::to_owned);
    let failed = handle(&worker, event(&bodies)).await.unwrap().batch_item_failures;
    let ids: Vec<_> = failed.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(ids, ["m0", "m1", "m2", "m3"]);
}

#[tokio::test]
async fn message_that_comes_back_says_why() {
    keep_reasons();
    let mut event = event(&[r#"{"storeId":"unknown"}"#.to_owned()]);
    event.records[0].message_id = Some("why".to_owned());
    handle(&worker(), event).await.unwrap();
    assert_eq!(take_reason("why").as_deref(), Some("there is no store unknown"));
}

#[tokio::test]
async fn sealer_that_is_down_fails_the_job_and_frees_the_store() {
    let worker = worker();
    let of = registered(&worker.store, &worker.sealer, &worker.clock).await;
    note_receipt(&worker.store, &worker.clock, &of, &ReceiptId::parse("r").unwrap()).await.unwrap();
    worker.sealer.set_down(true);
    let job = json!({ "storeId": of.store.id.as_str() }).to_string();
    assert_eq!(handle(&worker, event(std::slice::from_ref(&job))).await.unwrap().batch_item_failures.len(), 1);
    assert_eq!(worker.store.load_store(&of.store.id).await.unwrap().unwrap().store.sync.lease, None);
    worker.sealer.set_down(false);
    assert_eq!(handle(&worker, event(&[job])).await.unwrap().batch_item_failures.len(), 0);
    assert_eq!(worker.marketplace.asked(), ["r"]);
}
