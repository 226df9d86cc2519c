//! The nightly repair where it breaks off, meets clocks that differ, or cannot read something. Knows nothing of the stream,
//! whose losses it mends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    Clock, FeedDeps, FeedStore, RecentPages, RepairLimits, RepairReport, StoreError, apply_group, repair,
};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, FEED_CLOCK_MARGIN_MS, FeedLimits, LevelKey, LocationId, OrganizationId,
    Outcome, Sku, Source, StockEvent, Timestamp,
};

use crate::offers::{offered, publish_to, us};

/// Long enough for a change to be left to the repair, and not yet forgotten by it.
const HOUR_MS: i64 = 60 * 60 * 1000;

fn started() -> Timestamp {
    Timestamp::EPOCH.plus_millis(1_800_000_000_000)
}

/// One sale of a product, that no stream told of.
async fn sell(store: &MemoryStore, clock: &FixedClock, organization: &OrganizationId, sku: &str) {
    let key = LevelKey {
        organization: organization.clone(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    };
    let sale = StockEvent {
        id: EventIdKey::new(*b"0123456789abcdef").event_id("sale"),
        time: clock.now(),
        source: Source::parse("till").unwrap(),
        actor: ActorCode(0),
        body: EventBody::Delta(Delta::new(-1).unwrap()),
    };
    assert_eq!(apply_group(store, clock, &key, &[sale]).await.outcomes, [Outcome::Applied]);
}

async fn run(store: &FaultyStore<MemoryStore>, clock: &FixedClock) -> Result<RepairReport, StoreError> {
    let (limits, recent) = (FeedLimits::keeping_hours(168), RecentPages::default());
    let deps = FeedDeps { store, clock, limits: &limits, recent: &recent };
    repair(deps, RepairLimits { until: Timestamp::MAX }).await
}

/// The products of the pages of a feed, oldest first.
async fn products(store: &MemoryStore, organization: &OrganizationId) -> Vec<String> {
    let pages = store.feed_forward(organization, 0, 100).await.unwrap();
    pages.iter().flat_map(|page| &page.changes).map(|change| change.sku.to_string()).collect()
}

#[tokio::test]
async fn changes_that_could_not_be_offered_are_offered_by_the_next_run() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let plan = move |operation| match operation {
        "put_change_page" if down.load(Ordering::SeqCst) => Fault::NotDone,
        _ => Fault::None,
    };
    let (store, clock) = (FaultyStore::new(MemoryStore::default(), plan), FixedClock::at(started()));
    sell(store.inner(), &clock, &us(), "SHIRT").await;
    clock.advance_ms(HOUR_MS);
    assert!(run(&store, &clock).await.unwrap_err().is_passing());
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(run(&store, &clock).await.unwrap().offered, 1);
    assert_eq!(products(store.inner(), &us()).await, ["SHIRT"]);
}

/// A writer's clock was ahead of the publisher's by more than either may differ from the stream's.
#[tokio::test]
async fn change_that_was_put_long_before_its_writer_says_it_was_made_is_not_put_again() {
    let (store, clock) = (FaultyStore::new(MemoryStore::default(), |_| Fault::None), FixedClock::at(started()));
    let publisher = FixedClock::at(started().plus_millis(-FEED_CLOCK_MARGIN_MS - FEED_CLOCK_MARGIN_MS / 2));
    sell(store.inner(), &clock, &us(), "SHIRT").await;
    // More pages than the first look reads.
    for sku in ["SHIRT", "SOCKS", "SHOES", "SCARF"] {
        let candidates = [offered(sku, 1, publisher.now())];
        publish_to(store.inner(), &publisher, &candidates).await.unwrap();
    }
    clock.advance_ms(HOUR_MS);
    let report = run(&store, &clock).await.unwrap();
    assert_eq!((report.offered, report.finished), (1, true));
    assert_eq!(products(store.inner(), &us()).await, ["SHIRT", "SOCKS", "SHOES", "SCARF"]);
}

#[tokio::test]
async fn feed_that_cannot_be_read_keeps_no_other_from_being_repaired() {
    let mut looks = 0;
    let plan = move |operation| {
        looks += u32::from(operation == "feed_tail");
        if operation == "feed_tail" && looks == 1 { Fault::Corrupt } else { Fault::None }
    };
    let (store, clock) = (FaultyStore::new(MemoryStore::default(), plan), FixedClock::at(started()));
    let first = OrganizationId::parse("a").unwrap();
    sell(store.inner(), &clock, &first, "SHIRT").await;
    sell(store.inner(), &clock, &us(), "SHIRT").await;
    clock.advance_ms(HOUR_MS);
    let report = run(&store, &clock).await.unwrap();
    assert_eq!(report, RepairReport { levels: 2, offered: 1, unreadable: 1, finished: true });
    assert_eq!(products(store.inner(), &first).await, [""; 0]);
    assert_eq!(products(store.inner(), &us()).await, ["SHIRT"]);
}
