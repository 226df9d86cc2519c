//! What becomes of a row: a message, and a quantity at its level.

use evenstock_app::testing::{MemoryStore, ScriptedFeed};
use evenstock_app::{ChangeBody, FeedPage, PollOutcome, PollTrigger, StockChange, StockStore, apply_group};
use evenstock_domain::EventIdKey;
use rstest::rstest;

use crate::{World, at, bad_row, page, row};

#[tokio::test]
async fn good_rows_are_queued_and_bad_ones_are_counted() {
    let world = World::new();
    let rows =
        vec![Err(bad_row(None)), Ok(row("SKU #1 🧦", at(10), 7)), Err(bad_row(Some(at(11)))), Ok(row("b", at(12), 0))];
    let feed = ScriptedFeed::default().then(Ok(FeedPage { rows }));
    let report = world.poll_as("job-1", &feed, PollTrigger::Manual).await.unwrap();
    assert!(matches!(report.outcome, PollOutcome::Completed));
    assert_eq!((report.queued, report.skipped), (2, 2));
    let queued = world.queued();
    assert_eq!(queued.len(), 2);
    let expected = StockChange {
        event_id: "marketplace-b/default@1793491210000=7".to_owned(),
        organization: "demo".to_owned(),
        sku: "SKU #1 🧦".to_owned(),
        location: "main".to_owned(),
        source: "marketplace-b/default".to_owned(),
        time: "2026-11-01T00:00:10.000Z".to_owned(),
        job_id: "job-1".to_owned(),
        change: ChangeBody::CountAvailable { quantity: 7, sequence: (1 << 20) | 2 },
    };
    assert_eq!(queued.first(), Some(&expected));
}

#[tokio::test]
async fn row_met_twice_in_one_run_is_sent_once() {
    let world = World::new();
    let twice = page([row("a", at(10), 7), row("a", at(10), 7), row("a", at(10), 8), row("a", at(11), 7)]);
    assert_eq!(world.poll_now(&ScriptedFeed::default().then(twice)).await.queued, 3);
}

/// The level after these messages, one by one.
async fn applied(world: &World, messages: &[StockChange]) -> i64 {
    let store = MemoryStore::default();
    let ids = EventIdKey::new(*b"0123456789abcdef");
    for message in messages {
        let (key, event) = message.to_event(&ids).unwrap();
        assert!(apply_group(&store, &world.clock, &key, &[event]).await.failure.is_none());
    }
    let (key, _) = messages.first().unwrap().to_event(&ids).unwrap();
    store.load(&key).await.unwrap().unwrap().level.available
}

#[rstest]
#[tokio::test]
async fn later_reading_of_one_second_wins_in_whatever_order_it_arrives(#[values(true, false)] one_run: bool) {
    let world = World::new();
    let (earlier, later) = (row("a", at(10), 5), row("a", at(10), 7));
    if one_run {
        world.poll_now(&ScriptedFeed::default().then(page([earlier, later]))).await;
    } else {
        world.poll_now(&ScriptedFeed::default().then(page([earlier]))).await;
        world.poll_now(&ScriptedFeed::default().then(page([row("b", at(9), 1), later]))).await;
    }
    let mut messages: Vec<_> = world.queued().into_iter().filter(|message| message.sku == "a").collect();
    assert_eq!(messages.len(), 2);
    assert_eq!(applied(&world, &messages).await, 7);
    messages.reverse();
    assert_eq!(applied(&world, &messages).await, 7);
    messages.extend(messages.clone());
    assert_eq!(applied(&world, &messages).await, 7);
}

#[tokio::test]
async fn row_read_again_by_the_next_run_is_the_same_event() {
    let world = World::new();
    for _run in 0..2 {
        world.poll_now(&ScriptedFeed::default().then(page([row("a", at(10), 5)]))).await;
    }
    let queued = world.queued();
    let names: Vec<_> = queued.iter().map(|change| &change.event_id).collect();
    assert_eq!(names, ["marketplace-b/default@1793491210000=5"; 2]);
    let sequences: Vec<_> = queued.iter().map(|change| change.change).collect();
    let of_run = |run: u64| ChangeBody::CountAvailable { quantity: 5, sequence: (run << 20) | 1 };
    assert_eq!(sequences, [of_run(1), of_run(2)]);
}
