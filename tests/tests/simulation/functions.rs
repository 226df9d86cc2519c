//! The functions as the cloud runs them: some instances of each, warm between calls, every one with a clock of its own.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use evenstock_app::testing::worlds::{Random, SkewedClock};
use evenstock_app::testing::{MemoryBus, MemorySealer, MemoryStore};
use evenstock_app::{ApiKey, RecentPages, Scope, Subscriptions};
use evenstock_callback_worker::Callbacks;
use evenstock_change_publisher::Publisher;
use evenstock_domain::{BreakerConfig, EventIdKey, FeedLimits, OrganizationId, RetryPolicy, RetrySchedule};
use evenstock_inventory_api::Inventory;
use evenstock_orders_api::Orders;
use evenstock_runtime::Environment;
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_scheduler::Scheduler;
use evenstock_webhook::{Intake, Stores};
use sha2::{Digest, Sha256};

use crate::endpoint::{Endpoint, Marketplace};
use crate::nature::{Draw, Nature};
use crate::queue::SimQueues;
use crate::store::SimStore;

/// How far a process's clock may be off, in milliseconds, to either side.
const SKEW_MS: i64 = 2_000;

/// Instances of each function.
pub(crate) const INSTANCES: usize = 2;

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::parse("demo").unwrap()
}

pub(crate) fn ids() -> EventIdKey {
    EventIdKey::new(*b"simulation-simul")
}

pub(crate) type StockWorker = evenstock_stock_worker::Worker<SimStore, SkewedClock>;
pub(crate) type OrderWorker =
    evenstock_order_worker::Worker<SimStore, Marketplace, MemorySealer, SkewedClock, SimQueues>;
pub(crate) type CallbackWorker = Callbacks<SimStore, SimQueues, Endpoint, MemorySealer, SkewedClock>;
pub(crate) type ChangePublisher = Publisher<SimStore, SimQueues, SkewedClock, MemoryBus>;

/// What the functions reach.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) nature: Arc<Nature>,
    pub(crate) store: SimStore,
    pub(crate) queues: SimQueues,
    pub(crate) endpoint: Endpoint,
    pub(crate) marketplace: Marketplace,
    pub(crate) limits: FeedLimits,
    keys: Arc<MemoryStore>,
}

impl Outside {
    pub(crate) fn new(nature: &Arc<Nature>, marketplace: Marketplace, random: &mut Random) -> Self {
        let keys = MemoryStore::default();
        let scopes = vec![Scope::Read, Scope::Write];
        let key =
            ApiKey { id: "key".to_owned(), organization: organization(), scopes, operator: false, expires_at: None };
        keys.put_key(Sha256::digest("key").into(), key);
        // Small, so that pages fill and the ceiling is met.
        let limits = FeedLimits {
            page_changes: 1 + random.place(6),
            ceiling_step: 1 + random.below(30),
            ..FeedLimits::keeping_hours(168)
        };
        Self {
            nature: Arc::clone(nature),
            store: SimStore::new(nature),
            queues: SimQueues::new(nature),
            endpoint: Endpoint::new(nature),
            marketplace,
            limits,
            keys: Arc::new(keys),
        }
    }

    fn access(&self) -> AccessControl {
        AccessControl::new(Arc::clone(&self.keys), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX))
    }

    fn clock(&self, random: &mut Random) -> SkewedClock {
        self.nature.clock(random.between(-SKEW_MS, SKEW_MS))
    }

    pub(crate) fn policy() -> evenstock_app::OrderPolicy {
        let retry = RetryPolicy { base_ms: 300_000, max_ms: 3_600_000, calls_max: 100 };
        let breaker = BreakerConfig { threshold: 3, cooldown_ms: 900_000, probe_ms: 60_000 };
        evenstock_app::OrderPolicy { retry, breaker, claim_ms: 60_000 }
    }

    pub(crate) fn inventory(&self, random: &mut Random) -> Router {
        let store = Arc::new(self.store.clone());
        let (clock, cursors) = (self.clock(random), CursorKey::new(*b"0123456789abcdef"));
        evenstock_inventory_api::router(Arc::new(Inventory { store, clock, ids: ids(), cursors }), &self.access())
    }

    fn orders(&self, random: &mut Random) -> Router {
        let orders = Orders {
            store: Arc::new(self.store.clone()),
            marketplace: self.marketplace.clone(),
            sealer: MemorySealer::default(),
            clock: self.clock(random),
            policy: Self::policy(),
            cursors: CursorKey::new(*b"0123456789abcdef"),
            base_urls: Arc::new(|_| Ok(())),
        };
        evenstock_orders_api::router(Arc::new(orders), &self.access())
    }

    fn webhook(&self, random: &mut Random) -> Router {
        let environment: Environment = [("MARKETPLACE_A_SECRET", "secret")].into_iter().collect();
        let configured = evenstock_webhook::connections(&environment).unwrap();
        let table = Arc::new(self.store.clone());
        let stores = Stores::new(configured, table, MemorySealer::default(), self.clock(random));
        evenstock_webhook::router(Arc::new(Intake { queue: self.queues.clone(), stores }))
    }

    fn publisher(&self, random: &mut Random) -> ChangePublisher {
        Publisher {
            store: self.store.clone(),
            queue: self.queues.clone(),
            clock: self.clock(random),
            ids: ids(),
            limits: self.limits,
            recent: RecentPages::default(),
            subscriptions: Subscriptions::default(),
            bus: None,
            central: None,
        }
    }

    fn callbacks(&self, random: &mut Random) -> CallbackWorker {
        Callbacks {
            store: self.store.clone(),
            queue: self.queues.clone(),
            sender: self.endpoint.clone(),
            sealer: MemorySealer::default(),
            clock: self.clock(random),
            schedule: RetrySchedule::parse("5s,30s,1m,2m,5m,5m,5m,5m,5m,5m").unwrap(),
        }
    }

    fn order_worker(&self, random: &mut Random) -> OrderWorker {
        OrderWorker {
            store: self.store.clone(),
            marketplace: self.marketplace.clone(),
            sealer: MemorySealer::default(),
            clock: self.clock(random),
            queue: self.queues.clone(),
            policy: Self::policy(),
            lease_ms: 120_000,
        }
    }
}

/// One warm instance of every function.
pub(crate) struct Instance {
    pub(crate) inventory: Router,
    pub(crate) orders: Router,
    pub(crate) webhook: Router,
    pub(crate) stock_worker: Arc<StockWorker>,
    pub(crate) publisher: Arc<ChangePublisher>,
    pub(crate) callbacks: Arc<CallbackWorker>,
    pub(crate) order_worker: Arc<OrderWorker>,
    pub(crate) scheduler: Arc<Scheduler<SimStore, SimQueues, SkewedClock>>,
}

impl Instance {
    pub(crate) fn new(outside: &Outside, random: &mut Random) -> Self {
        let (store, queue) = (outside.store.clone(), outside.queues.clone());
        Self {
            inventory: outside.inventory(random),
            orders: outside.orders(random),
            webhook: outside.webhook(random),
            stock_worker: Arc::new(StockWorker { store: store.clone(), clock: outside.clock(random), ids: ids() }),
            publisher: Arc::new(outside.publisher(random)),
            callbacks: Arc::new(outside.callbacks(random)),
            order_worker: Arc::new(outside.order_worker(random)),
            scheduler: Arc::new(Scheduler { store, queue, clock: outside.clock(random), ids: ids() }),
        }
    }

    /// A publisher that knows nothing, in place of one that died.
    pub(crate) fn renew_publisher(&mut self, outside: &Outside, random: &mut Random) {
        self.publisher = Arc::new(outside.publisher(random));
    }
}
