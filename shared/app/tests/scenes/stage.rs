//! What the scenes share: a store in memory that gives others a turn around each call, a clock that stands still, and the
//! making and reading of levels.

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{Clock, StockStore, UpdateDeps, apply_group};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Quantity, Sku, Source,
    StockEvent, StockLevel, Timestamp,
};

pub(crate) struct Stage {
    pub(crate) store: FaultyStore<MemoryStore>,
    pub(crate) clock: FixedClock,
    pub(crate) ids: EventIdKey,
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::parse("us").unwrap()
}

pub(crate) fn key(sku: &str, location: &str) -> LevelKey {
    LevelKey {
        organization: organization(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
    }
}

/// `available` as a marketplace states it.
pub(crate) fn available(units: i64) -> EventBody {
    EventBody::Count { quantity: Quantity::new(units).unwrap(), means: Means::Available, sequence: 0 }
}

pub(crate) fn delta(units: i64) -> EventBody {
    EventBody::Delta(Delta::new(units).unwrap())
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| Fault::None)
    }

    /// A stage whose store's calls have these fates.
    pub(crate) fn with(plan: impl FnMut(&'static str) -> Fault + Send + 'static) -> Self {
        Self {
            store: FaultyStore::new(MemoryStore::default(), plan),
            clock: FixedClock::at(Timestamp::EPOCH.plus_millis(1_800_000_000_000)),
            ids: EventIdKey::new(*b"0123456789abcdef"),
        }
    }

    pub(crate) const fn updates(&self) -> UpdateDeps<'_, FaultyStore<MemoryStore>, FixedClock> {
        UpdateDeps { store: &self.store, clock: &self.clock, ids: &self.ids }
    }

    /// What a source says, as of now.
    pub(crate) fn event(&self, name: &str, source: &str, body: EventBody) -> StockEvent {
        let (id, source) = (self.ids.event_id(name), Source::parse(source).unwrap());
        StockEvent { id, time: self.clock.now(), source, actor: ActorCode(0), body }
    }

    /// Events that are applied at once, while everybody else stands still.
    pub(crate) async fn apply(&self, key: &LevelKey, events: &[StockEvent]) {
        let applied = apply_group(self.store.inner(), &self.clock, key, events).await;
        assert!(applied.failure.is_none() && applied.outcomes.len() == events.len(), "{applied:?}");
    }

    pub(crate) async fn level(&self, key: &LevelKey) -> Option<StockLevel> {
        self.store.inner().load(key).await.unwrap().map(|stored| stored.level)
    }
}
