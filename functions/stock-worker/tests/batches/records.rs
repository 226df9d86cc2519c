//! Which records come back: those that cannot be read or applied, and only those.

use aws_lambda_events::event::sqs::SqsEvent;
use evenstock_app::testing::MemoryStore;
use evenstock_app::{ChangeBody, StockChange};
use evenstock_runtime::MissingMessageId;
use evenstock_stock_worker::handle;
use rstest::rstest;

use crate::{available, count, delta, key, level, work, worker};

fn sample() -> SqsEvent {
    serde_json::from_str(include_str!("../../../../events/stock-worker.json")).unwrap()
}

/// Unreadable, without a body, and ahead of the clock.
const POISON: [&str; 3] = [
    "2e1424d4-f796-459a-8184-9c92662be005",
    "2e1424d4-f796-459a-8184-9c92662be006",
    "2e1424d4-f796-459a-8184-9c92662be007",
];

#[tokio::test]
async fn mixed_batch_settles_each_record_on_its_own() {
    let worker = worker(MemoryStore::default());
    for _delivery in 0..2 {
        let response = handle(&worker, sample()).await.unwrap();
        let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| &failure.item_identifier).collect();
        assert_eq!(failed, POISON);
        let expected = [
            (key("SKU-1", "main"), 5, 2),
            (key("SKU-1", "store-7"), 4, 1),
            (key("SKU-2", "main"), 5, 1),
            (key("Blue shirt #2 / M 🧦", "default"), 3, 1),
        ];
        for (key, available, version) in expected {
            let level = level(&worker.store, &key).await.unwrap();
            assert_eq!((level.available, level.version), (available, version), "{key:?}");
        }
        assert_eq!(worker.store.writes(), 4, "one write a level, and none for a repetition");
    }
}

#[tokio::test]
async fn delta_ahead_of_the_clock_is_applied_once_its_time_has_come() {
    let worker = worker(MemoryStore::default());
    handle(&worker, sample()).await.unwrap();
    worker.clock.advance_ms(10 * 60 * 1000);
    let response = handle(&worker, sample()).await.unwrap();
    assert_eq!(response.batch_item_failures.len(), 2);
    assert_eq!(level(&worker.store, &key("SKU-2", "main")).await.unwrap().available, 4);
}

#[rstest]
#[case::none(r#"{"Records":[{"messageId":"a","body":"{}"},{"body":"{}"}]}"#)]
#[case::empty(r#"{"Records":[{"messageId":"","body":"{}"}]}"#)]
#[tokio::test]
async fn record_that_cannot_be_named_fails_the_whole_batch(#[case] event: &str) {
    let worker = worker(MemoryStore::default());
    let event = serde_json::from_str(event).unwrap();
    assert_eq!(handle(&worker, event).await.unwrap_err(), MissingMessageId);
    assert_eq!(worker.store.writes(), 0);
}

#[tokio::test]
async fn batch_without_records_is_done() {
    assert_eq!(work(&worker(MemoryStore::default()), &[]).await, [0; 0]);
}

fn with(edit: impl FnOnce(&mut StockChange)) -> StockChange {
    let mut change = count(0, 7);
    edit(&mut change);
    change
}

#[rstest]
#[case::no_event_id(with(|change| change.event_id.clear()))]
#[case::organization(with(|change| change.organization = " ".to_owned()))]
#[case::sku(with(|change| change.sku = "x".repeat(129)))]
#[case::location(with(|change| change.location.clear()))]
#[case::source(with(|change| change.source = "a\nb".to_owned()))]
#[case::time(with(|change| change.time = "1795161600".to_owned()))]
#[case::negative_count(with(|change| change.change = ChangeBody::CountAvailable { quantity: -1, sequence: 0 }))]
#[case::delta_of_nothing(with(|change| change.change = ChangeBody::Delta { delta: 0 }))]
#[case::delta_out_of_range(with(|change| change.change = ChangeBody::Delta { delta: i64::MIN }))]
#[tokio::test]
async fn record_with_an_impossible_field_comes_back_alone(#[case] poison: StockChange) {
    let worker = worker(MemoryStore::default());
    assert_eq!(work(&worker, &[delta("a", 0, 3), poison, delta("b", 0, 4)]).await, [1]);
    assert_eq!(available(&worker.store).await, 7);
}

#[tokio::test]
async fn count_ahead_of_the_clock_and_reused_id_come_back() {
    let worker = worker(MemoryStore::default());
    let reused = delta("a", 1000, 4);
    assert_eq!(work(&worker, &[delta("a", 1000, 3), count(200_000, 9), reused]).await, [1, 2]);
    assert_eq!(available(&worker.store).await, 3);
}

#[tokio::test]
async fn facts_too_old_to_be_recognized_come_back() {
    let worker = worker(MemoryStore::default());
    let fifteen_days = 15 * 24 * 60 * 60 * 1000;
    assert_eq!(work(&worker, &[delta("old", 29_000 - fifteen_days, -1), delta("recent", 0, 2)]).await, [0]);
    assert_eq!(available(&worker.store).await, 2);
}

#[tokio::test]
async fn old_fact_that_an_operator_lets_in_counts_once() {
    let worker = worker(MemoryStore::default());
    let old = delta("old", -20 * 24 * 60 * 60 * 1000, -1);
    assert_eq!(work(&worker, &[delta("stock", 0, 5), old.clone()]).await, [1]);
    let forced = old.clone().forced().unwrap();
    assert_eq!((&forced.event_id, &forced.time), (&old.event_id, &old.time), "it stays the same event");
    assert_eq!(work(&worker, &[forced.clone(), old, forced.forced().unwrap()]).await, [0; 0]);
    assert_eq!(available(&worker.store).await, 4);
    assert_eq!(count(0, 1).forced(), None, "age keeps no count out");
}

#[tokio::test]
async fn facts_that_change_nothing_are_done() {
    let worker = worker(MemoryStore::default());
    let changes = [count(10_000, 7), count(9_000, 99), delta("contained", 10_000, -1), count(10_000, 7)];
    assert_eq!(work(&worker, &changes).await, [0; 0]);
    let level = level(&worker.store, &key("SKU-1", "main")).await.unwrap();
    assert_eq!((level.available, level.version), (7, 1));
}

#[tokio::test]
async fn facts_oversell_rather_than_get_lost() {
    let worker = worker(MemoryStore::default());
    assert_eq!(work(&worker, &[count(0, 1), delta("a", 1000, -3)]).await, [0; 0]);
    assert_eq!(available(&worker.store).await, -2);
}
