//! What one call of publishing is offered more than once: batches of the stream overlap.

use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{Candidate, FeedDeps, FeedStore, RecentPages, publish};
use evenstock_domain::{Change, ChangeType, EventId, FeedLimits, LocationId, OrganizationId, Sku, Source, Timestamp};

#[tokio::test]
async fn change_that_is_offered_twice_at_once_has_one_number() {
    let now = Timestamp::EPOCH.plus_millis(1_800_000_000_000);
    let change = |version| Change {
        sku: Sku::parse("SHIRT").unwrap(),
        location: LocationId::parse("main").unwrap(),
        version,
        kind: ChangeType::StockDecreased,
        delta: -1,
        quantity: 7,
        reserved: 0,
        source: Source::api(),
        event_id: EventId([7; 8]),
        at: now,
    };
    let offered: Vec<_> =
        [1, 2, 1, 2].map(|version| Candidate { change: change(version), recorded_at: now }).into_iter().collect();
    let (store, clock, recent) = (MemoryStore::default(), FixedClock::at(now), RecentPages::default());
    let limits = FeedLimits::keeping_hours(168);
    let deps = FeedDeps { store: &store, clock: &clock, limits: &limits, recent: &recent };
    let us = OrganizationId::parse("us").unwrap();
    assert_eq!(publish(deps, &us, &offered).await.unwrap(), [1, 2, 1, 2]);
    let tail = store.feed_tail(&us, 10).await.unwrap();
    assert_eq!(tail.pages.iter().map(|page| page.changes.len()).collect::<Vec<_>>(), [2]);
}
