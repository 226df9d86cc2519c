//! A journal with a hole: nothing is decided on it, for nobody can tell any more what was applied before.
#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

use evenstock_app::testing::MemoryStore;
use evenstock_app::{Clock, Commit, StockStore, StoreError, apply_group};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, OrganizationId, Sku, Source, StockEvent, Timestamp,
};

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(1_800_000_000_000)
    }

    async fn back_off(&self, _: u32) {}
}

fn sale(name: &str, seconds_ago: i64) -> StockEvent {
    StockEvent {
        id: EventIdKey::new(*b"0123456789abcdef").event_id(name),
        time: StandingClock.now().plus_millis(-1000 * seconds_ago),
        source: Source::parse("till").unwrap(),
        actor: ActorCode(0),
        body: EventBody::Delta(Delta::new(-1).unwrap()),
    }
}

#[tokio::test]
async fn late_sale_is_not_decided_on_a_journal_that_lacks_a_page() {
    let store = MemoryStore::default();
    let key = LevelKey {
        organization: OrganizationId::parse("us").unwrap(),
        sku: Sku::parse("SHIRT").unwrap(),
        location: LocationId::parse("main").unwrap(),
    };
    let sales: Vec<_> = (0..17).map(|n| sale(&format!("s{n}"), 100)).collect();
    assert!(apply_group(&store, &StandingClock, &key, &sales).await.failure.is_none());
    let mut stored = store.load(&key).await.unwrap().unwrap();
    stored.level.drop_page();
    assert_eq!(store.commit(&key, Some(stored.rev), &stored.level).await.unwrap(), Commit::Committed);

    let late = apply_group(&store, &StandingClock, &key, &[sale("late", 100)]).await;
    assert!(late.outcomes.is_empty() && matches!(late.failure, Some(StoreError::Corrupt { .. })), "{late:?}");
    let fresh = apply_group(&store, &StandingClock, &key, &[sale("fresh", 1)]).await;
    assert!(fresh.failure.is_none(), "what needs no look back goes on: {fresh:?}");
    assert_eq!(store.load(&key).await.unwrap().unwrap().level.available, -18);
}
