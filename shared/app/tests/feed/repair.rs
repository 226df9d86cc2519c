//! The nightly repair of feeds whose publishers left changes out: what it does where it breaks off, where something cannot
//! be read, and where the clocks differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    Candidate, Clock, FeedDeps, FeedStore, RecentPages, RepairLimits, RepairReport, StockStore, StoreError,
    apply_group, publish, repair,
};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, FeedLimits, LevelKey, LocationId, OrganizationId, Past, Sku, Source,
    StockEvent, Timestamp, changes_since,
};

const MINUTE_MS: i64 = 60_000;

struct Night {
    store: FaultyStore<MemoryStore>,
    clock: FixedClock,
    /// Pages of one change.
    limits: FeedLimits,
}

fn key(organization: &str, sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse(organization).unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

impl Night {
    /// `fault` befalls the first calls of this operation.
    fn with(operation: &'static str, fault: Fault, calls: u32) -> Self {
        let left = Arc::new(AtomicU32::new(calls));
        let plan = move |called| {
            let strikes = called == operation
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if strikes { fault } else { Fault::None }
        };
        Self {
            store: FaultyStore::new(MemoryStore::default(), plan),
            clock: FixedClock::at(Timestamp::from_millis(1_700_000_000_000).unwrap()),
            limits: FeedLimits { page_changes: 1, ..FeedLimits::keeping_hours(72) },
        }
    }

    /// A change of a level, of which nobody tells the feed.
    async fn change(&self, key: &LevelKey) {
        let event = StockEvent {
            id: EventIdKey::new(*b"0123456789abcdef").event_id(key.sku.as_str()),
            time: self.clock.now(),
            source: Source::api(),
            actor: ActorCode(0),
            body: EventBody::Delta(Delta::new(5).unwrap()),
        };
        apply_group(self.store.inner(), &self.clock, key, &[event]).await;
    }

    async fn repair(&self) -> Result<RepairReport, StoreError> {
        let recent = RecentPages::default();
        let deps = FeedDeps { store: &self.store, clock: &self.clock, limits: &self.limits, recent: &recent };
        repair(deps, RepairLimits { until: self.clock.now().plus_millis(60 * MINUTE_MS) }).await
    }

    /// Tells the feed of a level's change, as the stream does, by its clock.
    async fn publish(&self, key: &LevelKey) {
        let level = self.store.inner().load(key).await.unwrap().unwrap().level;
        let change = changes_since((&key.sku, &key.location), 0, &level, &Past::none()).pop().unwrap();
        let recent = RecentPages::default();
        let deps = FeedDeps { store: self.store.inner(), clock: &self.clock, limits: &self.limits, recent: &recent };
        publish(deps, &key.organization, &[Candidate { recorded_at: self.clock.now(), change }]).await.unwrap();
    }

    /// How often the feed tells of each product.
    async fn told(&self, organization: &str) -> Vec<String> {
        let organization = OrganizationId::parse(organization).unwrap();
        let pages = self.store.inner().feed_forward(&organization, 0, 1_000).await.unwrap();
        let numbered = pages.iter().flat_map(|page| page.numbered().map(|(_, change)| change.sku.to_string()));
        numbered.collect()
    }
}

#[tokio::test]
async fn change_that_could_not_be_put_is_put_by_the_next_run() {
    let night = Night::with("put_change_page", Fault::NotDone, 1_000);
    night.change(&key("us", "CAP")).await;
    night.clock.advance_ms(60 * MINUTE_MS);
    assert!(night.repair().await.is_err());
    assert_eq!(night.told("us").await, Vec::<String>::new());
    let mended = Night { store: FaultyStore::new(night.store.into_inner(), |_| Fault::None), ..night };
    let report = mended.repair().await.unwrap();
    assert_eq!((report.offered, report.finished), (1, true));
    assert_eq!(mended.told("us").await, ["CAP"]);
}

#[tokio::test]
async fn unreadable_feed_is_told_and_keeps_no_other_from_being_repaired() {
    let night = Night::with("feed_tail", Fault::Corrupt, 1);
    night.change(&key("first", "CAP")).await;
    night.change(&key("second", "CAP")).await;
    night.clock.advance_ms(60 * MINUTE_MS);
    let report = night.repair().await.unwrap();
    assert_eq!((report.unreadable, report.offered, report.finished), (1, 1, true));
    assert_eq!(night.told("second").await, ["CAP"]);
}

/// Changes are written by a clock that leads, and published by one that is right.
#[tokio::test]
async fn change_of_a_clock_that_leads_is_found_where_it_stands() {
    let night = Night::with("", Fault::None, 0);
    let skus = ["CAP", "SHIRT", "SOCKS", "TIE"];
    night.clock.advance_ms(7 * MINUTE_MS);
    for sku in skus {
        night.change(&key("us", sku)).await;
    }
    night.clock.advance_ms(-7 * MINUTE_MS);
    for sku in skus {
        night.publish(&key("us", sku)).await;
    }
    night.clock.advance_ms(60 * MINUTE_MS);
    assert_eq!(night.repair().await.unwrap().offered, 4);
    assert_eq!(night.told("us").await, skus, "each once");
}
