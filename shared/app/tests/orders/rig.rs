//! A store, its marketplace and its levels.

use std::collections::BTreeMap;
use std::sync::Mutex;

use evenstock_app::testing::contract::{policy, registered};
use evenstock_app::testing::{
    Fault, FaultyStore, FixedClock, MemoryQueue, MemorySealer, MemoryStore, ScriptedMarketplace,
};
use evenstock_app::{
    Amount, Imported, MarketplaceAccount, MarketplaceError, OrderDeps, OrderMarketplace, ReceiptStore, StockStore,
    StoredStore, SyncLimits, ValidatedLine, ValidatedOrder, Validation, apply_group, import_order,
    receipt_consequences,
};
use evenstock_domain::{EventIdKey, LevelKey, LocationId, Quantity, Receipt, ReceiptId, Sku, Timestamp};

pub(crate) const LIMITS: SyncLimits = SyncLimits { page: 10, slice_ms: 45_000, lease_ms: 900_000 };

pub(crate) fn start() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).unwrap()
}

pub(crate) fn id(name: &str) -> ReceiptId {
    ReceiptId::parse(name).unwrap()
}

/// Everything around one store.
pub(crate) struct Rig<S, M> {
    pub(crate) store: S,
    pub(crate) marketplace: M,
    pub(crate) sealer: MemorySealer,
    pub(crate) clock: FixedClock,
    pub(crate) queue: MemoryQueue,
    pub(crate) of: StoredStore,
}

impl Rig<MemoryStore, ScriptedMarketplace> {
    pub(crate) async fn with(answers: Vec<Result<Validation, MarketplaceError>>) -> Self {
        let script = answers.into_iter().fold(ScriptedMarketplace::default(), ScriptedMarketplace::then);
        rig(MemoryStore::default(), script).await
    }
}

pub(crate) async fn rig<M>(store: MemoryStore, marketplace: M) -> Rig<MemoryStore, M> {
    let (sealer, clock) = (MemorySealer::default(), FixedClock::at(start()));
    let of = registered(&store, &sealer, &clock).await;
    Rig { store, marketplace, sealer, clock, queue: MemoryQueue::default(), of }
}

impl<S, M> Rig<S, M> {
    pub(crate) fn deps(&self) -> OrderDeps<'_, S, M, MemorySealer, FixedClock> {
        let Self { store, marketplace, sealer, clock, .. } = self;
        OrderDeps { store, marketplace, sealer, clock, policy: policy() }
    }
}

impl<M> Rig<MemoryStore, M> {
    /// Gives others a turn before and after each call of the store, so that a process can be stopped at each.
    pub(crate) fn yielding(self) -> Rig<FaultyStore<MemoryStore>, M> {
        let Self { store, marketplace, sealer, clock, queue, of } = self;
        Rig { store: FaultyStore::new(store, |_| Fault::None), marketplace, sealer, clock, queue, of }
    }
}

impl<M> Rig<FaultyStore<MemoryStore>, M> {
    pub(crate) fn at_rest(self) -> Rig<MemoryStore, M> {
        let Self { store, marketplace, sealer, clock, queue, of } = self;
        Rig { store: store.into_inner(), marketplace, sealer, clock, queue, of }
    }
}

impl<M: OrderMarketplace> Rig<MemoryStore, M> {
    pub(crate) async fn import(&self, name: &str, token: &str) -> Receipt {
        match import_order(self.deps(), &self.of, &id(name), token).await.unwrap() {
            Imported::Answered(receipt) => *receipt,
            Imported::Busy => panic!("nobody else asks about {name}"),
        }
    }

    pub(crate) async fn receipt(&self, name: &str) -> Receipt {
        self.store.load_receipt(&self.of.store.id, &id(name)).await.unwrap().unwrap().receipt
    }

    /// What all receipts did to the level, by what follows from each; delivered twice.
    pub(crate) async fn available(&self) -> i64 {
        let ids = EventIdKey::new(*b"0123456789abcdef");
        for _ in 0..2 {
            for receipt in self.store.receipts() {
                // The record of the import, then the record of the cancellation.
                let before = Receipt { cancelled_at: None, ..receipt.clone() };
                let first = if receipt.returned().is_some() { &before } else { &receipt };
                let mut changes = receipt_consequences(None, first).changes;
                changes.extend(receipt_consequences(Some(first), &receipt).changes);
                for change in changes {
                    let (key, event) = change.to_event(&ids).unwrap();
                    assert!(apply_group(&self.store, &self.clock, &key, &[event]).await.failure.is_none());
                }
            }
        }
        let key = LevelKey {
            organization: self.of.store.organization.clone(),
            sku: Sku::parse("sku").unwrap(),
            location: LocationId::parse("main").unwrap(),
        };
        self.store.load(&key).await.unwrap().map_or(0, |stored| stored.level.available)
    }
}

/// Gives every question another order id, so that it shows which answer was believed.
#[derive(Debug, Default)]
pub(crate) struct CountingMarketplace {
    asked: Mutex<BTreeMap<String, u32>>,
}

impl CountingMarketplace {
    pub(crate) fn asked(&self) -> BTreeMap<String, u32> {
        self.asked.lock().unwrap().clone()
    }
}

impl OrderMarketplace for CountingMarketplace {
    async fn validate(&self, _account: &MarketplaceAccount, receipt: &str) -> Result<Validation, MarketplaceError> {
        let call = {
            let mut asked = self.asked.lock().unwrap();
            let calls = asked.entry(receipt.to_owned()).or_default();
            *calls += 1;
            *calls
        };
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        if receipt.ends_with('l') && call == 1 {
            return Err(MarketplaceError::RateLimited { retry_after_seconds: None });
        }
        Ok(order(&format!("order-{call}"), "USD", 1, false))
    }
}

pub(crate) fn order(order_id: &str, currency: &str, units: i64, cancelled: bool) -> Validation {
    let sku = Sku::parse("sku").unwrap();
    Validation::Accepted(ValidatedOrder {
        order_id: order_id.to_owned(),
        amount: Amount::parse("10.50").unwrap(),
        currency: currency.to_owned(),
        imported_at: start(),
        lines: vec![ValidatedLine { sku, quantity: Quantity::new(units).unwrap(), location: None }],
        cancelled,
    })
}
