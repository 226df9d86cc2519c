//! Where a poll reads on, and how it gets through everything that changed.

use std::collections::BTreeSet;

use evenstock_app::testing::ScriptedFeed;
use evenstock_app::{
    Clock, FeedError, FeedPage, Outgoing, PollError, PollOutcome, PollTrigger, Poller, Queue, QueueDepth, QueueError,
    QueueName, poll,
};
use evenstock_domain::Timestamp;

use crate::{Marketplace, World, at, bad_row, page, plan, row, unavailable};

#[tokio::test]
async fn first_poll_reads_from_the_beginning_of_time() {
    let world = World::new();
    let feed = ScriptedFeed::default();
    world.poll_now(&feed).await;
    assert_eq!(feed.asked(), [(Timestamp::EPOCH, 100)]);
}

#[tokio::test]
async fn cursor_stays_five_seconds_behind_the_newest_row_and_knows_no_clock() {
    let world = World::new();
    let feed = ScriptedFeed::default().then(page([row("a", at(10), 1), row("b", at(30), 1), row("c", at(20), 1)]));
    world.poll_now(&feed).await;
    assert_eq!(world.cursor().await, at(25));
    world.clock.advance_ms(86_400_000);
    assert_eq!(world.cursor().await, at(25), "an empty answer does not move it");
    world.poll_now(&ScriptedFeed::default().then(page([row("a", at(3), 1)]))).await;
    assert_eq!(world.cursor().await, at(25), "and nothing moves it back");
}

#[tokio::test]
async fn cursor_passes_rows_that_cannot_be_used() {
    let world = World::new();
    let rows = vec![Ok(row("a", at(10), 1)), Err(bad_row(Some(at(20)))), Err(bad_row(None))];
    world.poll_now(&ScriptedFeed::default().then(Ok(FeedPage { rows }))).await;
    assert_eq!(world.cursor().await, at(15));
}

#[tokio::test]
async fn row_that_claims_to_be_ahead_of_our_clock_is_skipped_and_moves_nothing() {
    let world = World::new();
    let ahead = world.clock.now().plus_millis(120_001);
    let rows = vec![Ok(row("a", ahead, 1)), Err(bad_row(Some(ahead))), Err(bad_row(Some(Timestamp::MAX)))];
    let report = world.poll_now(&ScriptedFeed::default().then(Ok(FeedPage { rows }))).await;
    assert_eq!((report.queued, report.skipped), (0, 3));
    assert_eq!(world.cursor().await, Timestamp::EPOCH);

    let mixed = page([row("a", at(10), 1), row("b", ahead, 1)]);
    let report = world.poll_now(&ScriptedFeed::default().then(mixed)).await;
    assert_eq!((report.queued, report.skipped), (1, 1));
    assert_eq!(world.cursor().await, at(5));

    world.clock.advance_ms(1);
    let report = world.poll_now(&ScriptedFeed::default().then(page([row("b", ahead, 1)]))).await;
    assert_eq!((report.queued, report.skipped), (1, 0), "its time has come");
}

#[tokio::test]
async fn cursor_never_passes_our_clock() {
    let world = World::new();
    let leading = world.clock.now().plus_millis(60_000);
    assert_eq!(world.poll_now(&ScriptedFeed::default().then(page([row("a", leading, 1)]))).await.queued, 1);
    assert_eq!(world.cursor().await, world.clock.now().plus_millis(-5_000), "rows to come lie behind neither clock");
}

#[tokio::test]
async fn next_page_begins_at_the_newest_row_of_the_one_before() {
    let world = World::new();
    let feed = Marketplace::new((0..250).map(|n| row(&format!("SKU-{n}"), at(n), n)).collect());
    let report = world.poll_now(&feed).await;
    assert!(matches!(report.outcome, PollOutcome::Completed));
    assert_eq!(feed.asked(), [(Timestamp::EPOCH, 100), (at(99), 100), (at(198), 100)]);
    assert_eq!((report.queued, world.queued().len()), (250, 250), "rows on two pages are sent once");
    assert_eq!(world.cursor().await, at(244));
}

#[tokio::test]
async fn second_with_more_rows_than_a_page_is_asked_for_with_larger_ones() {
    let world = World::new();
    let before = (0..40).map(|n| row(&format!("before-{n}"), at(n), 1));
    let crowd = (0..350).map(|n| row(&format!("crowd-{n}"), at(50), 1));
    let after = (0..120).map(|n| row(&format!("after-{n}"), at(60 + n), 1));
    let feed = Marketplace::new(before.chain(crowd).chain(after).collect());
    let report = world.poll_now(&feed).await;
    assert!(matches!(report.outcome, PollOutcome::Completed));
    let asked = [(Timestamp::EPOCH, 100), (at(50), 100), (at(50), 200), (at(50), 400), (at(109), 100)];
    assert_eq!(feed.asked(), asked, "and with the usual ones again behind it");
    let skus: BTreeSet<_> = world.queued().into_iter().map(|change| change.sku).collect();
    assert_eq!((report.queued, skus.len()), (510, 510));
}

#[tokio::test]
async fn newest_second_that_just_fills_a_page_is_the_end() {
    let world = World::new();
    let feed = Marketplace::new((0..100).map(|n| row(&format!("SKU-{n}"), at(50), 1)).collect());
    let report = world.poll_now(&feed).await;
    assert!(matches!(report.outcome, PollOutcome::Completed));
    assert_eq!(feed.asked(), [(Timestamp::EPOCH, 100), (at(50), 100), (at(50), 200), (at(51), 100)]);
    assert_eq!(report.queued, 100);
}

#[tokio::test]
async fn marketplace_that_cuts_its_pages_off_is_found_out() {
    let world = World::new();
    let crowd = (0..150).map(|n| row(&format!("crowd-{n}"), at(50), 1));
    let rows = crowd.chain([row("after", at(60), 1)]).collect();
    let feed = Marketplace { page_max: 100, ..Marketplace::new(rows) };
    let report = world.poll_now(&feed).await;
    assert!(matches!(report.outcome, PollOutcome::Failed(FeedError::Malformed { .. })));
    assert_eq!(world.cursor().await, at(45), "it stays before the second that was not read to its end");
}

#[tokio::test]
async fn second_with_more_rows_than_can_be_asked_for_fails_rather_than_losing_some() {
    let world = World::new();
    let feed = Marketplace::new((0..12_801).map(|n| row(&format!("SKU-{n}"), at(10), 1)).collect());
    for failures in 1..=3 {
        let report = world.poll_now(&feed).await;
        assert!(matches!(report.outcome, PollOutcome::Failed(FeedError::Malformed { .. })), "{failures}");
    }
    assert_eq!(feed.asked().iter().map(|(_, limit)| *limit).max(), Some(12_800));
    let asked = feed.asked().len();
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::BreakerOpen { .. }));
    assert_eq!(feed.asked().len(), asked);
}

#[tokio::test]
async fn backlog_of_more_than_fifty_pages_is_finished_by_the_next_runs() {
    let world = World::new();
    let feed = Marketplace::new((0..11_000).map(|n| row(&format!("SKU-{n}"), at(n), 1)).collect());
    let first = world.poll_now(&feed).await;
    assert!(matches!(first.outcome, PollOutcome::Unfinished));
    assert_eq!(feed.asked().len(), 50);
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Unfinished));
    assert!(matches!(world.poll_now(&feed).await.outcome, PollOutcome::Completed));
    let skus: BTreeSet<_> = world.queued().into_iter().map(|change| change.sku).collect();
    assert_eq!(skus.len(), 11_000);
}

#[tokio::test]
async fn page_behind_a_failed_one_is_read_by_the_next_poll() {
    let world = World::new();
    let rows = |range: core::ops::Range<i64>| page(range.map(|n| row(&format!("SKU-{n}"), at(n), 1)));
    let report = world.poll_now(&ScriptedFeed::default().then(rows(0..100)).then(unavailable())).await;
    assert!(matches!(report.outcome, PollOutcome::Failed(FeedError::Unavailable { .. })));
    assert_eq!(report.queued, 100, "what came before is queued");
    assert_eq!(world.cursor().await, at(94));
}

#[tokio::test]
async fn nothing_is_lost_while_the_queue_is_down() {
    let world = World::new();
    let feed = Marketplace::new(vec![row("a", at(10), 1), row("b", at(20), 2)]);
    world.queue.set_down(true);
    for trigger in [PollTrigger::Schedule, PollTrigger::Manual] {
        assert!(matches!(world.poll(&feed, trigger).await, Err(PollError::Queue(_))));
    }
    world.queue.set_down(false);
    assert_eq!(world.poll_now(&feed).await.queued, 2);
    assert_eq!(feed.asked(), [(Timestamp::EPOCH, 100); 3], "the cursor did not move");
    assert_eq!(world.queued().len(), 2);
}

/// A queue that takes the first list and no other.
struct OneShot<'a>(&'a evenstock_app::testing::MemoryQueue);

impl Queue for OneShot<'_> {
    async fn send(&self, queue: QueueName, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let sent = self.0.send(queue, messages).await;
        self.0.set_down(true);
        sent
    }

    async fn depth(&self, queue: QueueName) -> Result<QueueDepth, QueueError> {
        self.0.depth(queue).await
    }
}

#[tokio::test]
async fn queue_that_fails_on_the_way_keeps_the_cursor_behind_what_it_took() {
    let world = World::new();
    let feed = Marketplace::new((0..150).map(|n| row(&format!("SKU-{n}"), at(n), 1)).collect());
    let World { store, queue, clock, .. } = &world;
    let poller = Poller { store, queue: &OneShot(queue), feed: &feed, clock };
    let polled = poll(&poller, &plan(), PollTrigger::Manual, "job").await;
    assert!(matches!(polled, Err(PollError::Queue(_))));
    world.queue.set_down(false);
    world.poll_now(&feed).await;
    assert_eq!(feed.asked()[2], (at(94), 100));
    let skus: BTreeSet<_> = world.queued().into_iter().map(|change| change.sku).collect();
    assert_eq!(skus.len(), 150);
}
