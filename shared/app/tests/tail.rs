//! Requests on a level whose tail is full, because whoever filled the page could not spill it, and on one whose tail moved
//! on after its pages were searched.
#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

use core::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenstock_app::testing::worlds::turns;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{Answer, Clock, Create, CreateResult, Settled, StockStore, apply_group, create, request};
use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, LocationId, OrganizationId, Outcome, PAGE_ENTRIES, Quantity,
    RECENT_ENTRIES_MAX, Rejection, Sku, Source, StockEvent, Timestamp,
};

fn ids() -> EventIdKey {
    EventIdKey::new(*b"0123456789abcdef")
}

struct Full {
    store: FaultyStore<MemoryStore>,
    clock: FixedClock,
    key: LevelKey,
}

impl Full {
    /// A level of as many entries as it holds, made while no page could be stored.
    async fn level() -> Self {
        let is_down = Arc::new(AtomicBool::new(true));
        let down = Arc::clone(&is_down);
        let plan = move |operation| match operation {
            "put_page" if down.load(Ordering::SeqCst) => Fault::NotDone,
            _ => Fault::None,
        };
        let full = Self {
            store: FaultyStore::new(MemoryStore::default(), plan),
            clock: FixedClock::at(Timestamp::EPOCH.plus_millis(1_800_000_000_000)),
            key: LevelKey {
                organization: OrganizationId::parse("us").unwrap(),
                sku: Sku::parse("SHIRT").unwrap(),
                location: LocationId::parse("main").unwrap(),
            },
        };
        let first = Create {
            key: full.key.clone(),
            quantity: Quantity::new(100).unwrap(),
            actor: ActorCode(0),
            operation: "create".to_owned(),
            time: full.clock.now(),
        };
        let created = create(&full.store, &full.clock, &ids(), &first).await.unwrap();
        assert!(matches!(created, CreateResult::Created { .. }));
        let undo = EventBody::Undo { reserve: ids().event_id("gone"), reserved_at: full.clock.now(), units: 1 };
        let undone = apply_group(&full.store, &full.clock, &full.key, &[full.event("undo", undo)]).await;
        assert_eq!(undone.outcomes, [Outcome::Applied]);
        for n in 2..RECENT_ENTRIES_MAX {
            assert!(matches!(full.take(&n.to_string(), 1).await.answer, Answer::Applied(_)), "request {n}");
        }
        assert_eq!(full.entries().await, RECENT_ENTRIES_MAX);
        is_down.store(false, Ordering::SeqCst);
        full
    }

    fn event(&self, name: &str, body: EventBody) -> StockEvent {
        StockEvent {
            id: ids().event_id(name),
            time: self.clock.now(),
            source: Source::api(),
            actor: ActorCode(0),
            body,
        }
    }

    async fn take(&self, name: &str, units: i64) -> Settled {
        let body = EventBody::Request { available: -units, reserved: 0, expected_version: None };
        request(&self.store, &self.clock, &self.key, &self.event(name, body)).await.unwrap()
    }

    async fn entries(&self) -> usize {
        self.store.load(&self.key).await.unwrap().unwrap().level.recent.len()
    }
}

#[tokio::test]
async fn request_that_meets_a_full_level_spills_it_and_goes_through() {
    let full = Full::level().await;
    full.clock.advance_ms(1);
    let settled = full.take("next", 1).await;
    assert!(matches!(settled.answer, Answer::Applied(_)), "{:?}", settled.answer);
    assert_eq!(full.entries().await, RECENT_ENTRIES_MAX - PAGE_ENTRIES + 1);
    // All but the creation and the undo took one.
    let taken = RECENT_ENTRIES_MAX - 2 + 1;
    assert_eq!(settled.level.available, 100 - i64::try_from(taken).unwrap());
    let pages = full.store.pages_since(&full.key, Timestamp::EPOCH).await.unwrap();
    assert_eq!(pages.iter().map(|page| page.entries.len()).collect::<Vec<_>>(), [PAGE_ENTRIES]);
}

#[tokio::test]
async fn repetition_on_a_full_level_is_answered_as_before_and_needs_no_room() {
    let full = Full::level().await;
    let again = full.take("3", 1).await;
    assert!(again.repeated && matches!(again.answer, Answer::Applied(_)), "{:?}", again.answer);
    assert_eq!(full.take("3", 2).await.answer, Answer::Rejected(Rejection::IdReused), "another content under its id");
    let late = full.take("gone", 1).await;
    assert_eq!(late.answer, Answer::Rejected(Rejection::Voided), "it was given up before it came");
    assert_eq!(full.entries().await, RECENT_ENTRIES_MAX, "nothing was moved for it");
}

/// A request in doubt is searched for in the pages before it is written. While it was, its twin was applied and moved into
/// a page that the search has not seen.
#[tokio::test]
async fn request_whose_twin_left_the_level_since_the_search_counts_once() {
    for meets_after in 0..40 {
        let full = Full::level().await;
        // Older than what the level spilled: only the pages can tell whether it was applied.
        let late = full.event("late", EventBody::Request { available: -1, reserved: 0, expected_version: None });
        full.clock.advance_ms(1);
        full.take("first to spill", 1).await;
        let mut slow = pin!(request(&full.store, &full.clock, &full.key, &late));
        let settled = turns(slow.as_mut(), meets_after);
        let twin = request(full.store.inner(), &full.clock, &full.key, &late).await.unwrap();
        assert!(matches!(twin.answer, Answer::Applied(_)));
        let others = RECENT_ENTRIES_MAX + PAGE_ENTRIES;
        for n in 0..others {
            full.clock.advance_ms(1);
            full.take(&format!("other {n}"), 1).await;
        }
        let settled = match settled {
            Some(settled) => settled,
            None => slow.await,
        };
        assert!(matches!(settled.unwrap().answer, Answer::Applied(_)), "met after {meets_after} turns");
        let taken = RECENT_ENTRIES_MAX - 2 + 1 + 1 + others;
        let available = full.store.load(&full.key).await.unwrap().unwrap().level.available;
        assert_eq!(available, 100 - i64::try_from(taken).unwrap(), "met after {meets_after} turns");
    }
}
