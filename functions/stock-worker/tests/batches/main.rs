//! Batches of the stock queue, from the event that Lambda hands over to the levels and the records that come back.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

mod faults;
mod order;
mod records;

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{ChangeBody, StockChange, StockStore};
use evenstock_domain::{EventIdKey, LevelKey, LocationId, OrganizationId, Past, Sku, StockLevel, Timestamp};
use evenstock_stock_worker::{Worker, handle};
use serde_json::json;

const MARKETPLACE: &str = "marketplace-a/default";

/// Half a minute after the times that [`at`] gives for 0.
const NOW: &str = "2026-11-20T08:00:30Z";

fn worker<S>(store: S) -> Worker<S, FixedClock> {
    let clock = FixedClock::at(Timestamp::parse(NOW).unwrap());
    Worker { store, clock, ids: EventIdKey::new(*b"0123456789abcdef") }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::parse("2026-11-20T08:00:00Z").unwrap().plus_millis(millis)
}

fn key(sku: &str, location: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
    }
}

fn change(sku: &str, name: &str, source: &str, time: Timestamp, change: ChangeBody) -> StockChange {
    StockChange {
        event_id: name.to_owned(),
        organization: "demo".to_owned(),
        sku: sku.to_owned(),
        location: "main".to_owned(),
        source: source.to_owned(),
        time: time.to_string(),
        job_id: "job".to_owned(),
        change,
    }
}

/// A count of what can be sold of `SKU-1`.
fn count(millis: i64, quantity: i64) -> StockChange {
    let body = ChangeBody::CountAvailable { quantity, sequence: 0 };
    change("SKU-1", &format!("count@{millis}={quantity}"), MARKETPLACE, at(millis), body)
}

/// Units of `SKU-1` that left or came elsewhere.
fn delta(name: impl core::fmt::Display, millis: i64, delta: i64) -> StockChange {
    change("SKU-1", &format!("order/{name}"), "etsy/store-9", at(millis), ChangeBody::Delta { delta })
}

/// The event that SQS hands over; the record at place n is named `m<n>`.
fn event_of(changes: &[StockChange]) -> SqsEvent {
    let record = |(place, change): (usize, &StockChange)| {
        let body = change.to_json().unwrap();
        json!({ "messageId": format!("m{place}"), "body": body })
    };
    let records: Vec<_> = changes.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

/// Handles the changes as one batch; the places of those that come back.
async fn work<S: StockStore>(worker: &Worker<S, FixedClock>, changes: &[StockChange]) -> Vec<usize> {
    let response = handle(worker, event_of(changes)).await.unwrap();
    let failures = response.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier.strip_prefix('m').unwrap().parse().unwrap()).collect()
}

/// A level, once its journal was found to be whole and to sum up to it.
async fn level(store: &MemoryStore, key: &LevelKey) -> Option<StockLevel> {
    let level = store.load(key).await.unwrap()?.level;
    let past = Past::reaching(Timestamp::EPOCH, store.pages(key));
    assert!(past.adjoins(&level));
    let journal: Vec<_> = level.journal(&past).collect();
    assert_eq!(journal.len() as u64, level.version);
    assert_eq!(journal.iter().map(|placed| placed.entry.available).sum::<i64>(), level.available);
    Some(level)
}

async fn available(store: &MemoryStore) -> i64 {
    level(store, &key("SKU-1", "main")).await.unwrap().available
}
