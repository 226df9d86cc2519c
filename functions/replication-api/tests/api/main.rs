//! The replication endpoints, from the request through every layer to the store and back.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

mod changes;
mod gateway;
mod poll;
mod snapshot;

use core::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{ApiKey, Candidate, FeedDeps, RecentPages, Scope, StockStore, apply_group, publish};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, FeedLimits, LevelKey, LocationId, OrganizationId, Past, Sku, Source,
    StockEvent, Timestamp, changes_since,
};
use evenstock_replication_api::{Replication, Watch, openapi, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use sha2::{Digest, Sha256};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

/// The function with a store in memory. `demo` and `shop` are keys of two organizations; `writer` may not read.
struct Function {
    replication: Arc<Replication<FaultyStore<MemoryStore>, FixedClock>>,
    router: Router,
    /// How often a feed's end was read.
    looks: Arc<AtomicUsize>,
}

impl Function {
    fn new() -> Self {
        Self::with_faults(|_| Fault::None)
    }

    fn with_faults(mut plan: impl FnMut(&'static str) -> Fault + Send + 'static) -> Self {
        let keys = Arc::new(MemoryStore::default());
        for (text, organization, scope) in
            [("demo", "demo", Scope::Read), ("shop", "shop", Scope::Read), ("writer", "demo", Scope::Write)]
        {
            let organization = OrganizationId::parse(organization).unwrap();
            let key =
                ApiKey { id: text.to_owned(), organization, scopes: vec![scope], operator: false, expires_at: None };
            keys.put_key(Sha256::digest(text.as_bytes()).into(), key);
        }
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let plan = move |operation| {
            if operation == "feed_tail" {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            plan(operation)
        };
        let replication = Arc::new(Replication {
            store: Arc::new(FaultyStore::new(MemoryStore::default(), plan)),
            clock: FixedClock::at(Timestamp::parse("2026-11-20T08:00:00.000Z").unwrap()),
            cursors: CursorKey::new(*b"0123456789abcdef"),
            watch: Watch::default(),
        });
        let access = AccessControl::new(keys, RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
        Self { router: router(Arc::clone(&replication), &access), replication, looks }
    }

    fn memory(&self) -> &MemoryStore {
        self.replication.store.inner()
    }

    async fn get(&self, path: &str) -> Reply {
        self.get_as("demo", path).await
    }

    async fn get_as(&self, key: &str, path: &str) -> Reply {
        let request = Request::builder().uri(path).header("x-api-key", key);
        CONTRACT.ask(&self.router, request.body(Body::empty()).unwrap()).await
    }

    /// Changes a level as the worker does, without publishing it.
    async fn change(&self, key: &LevelKey, units: i64) {
        let clock = &self.replication.clock;
        clock.advance_ms(1);
        let time = evenstock_app::Clock::now(clock);
        let event = StockEvent {
            id: EventIdKey::new(*b"0123456789abcdef").event_id(&time.to_string()),
            time,
            source: Source::parse("etsy/store-9").unwrap(),
            actor: ActorCode::default(),
            body: EventBody::Delta(Delta::new(units).unwrap()),
        };
        assert!(apply_group(self.memory(), clock, key, &[event]).await.failure.is_none());
    }

    /// Publishes a level's changes of the last day, as the stream brings them.
    async fn publish(&self, key: &LevelKey) {
        let clock = &self.replication.clock;
        let level = self.memory().load(key).await.unwrap().unwrap().level;
        let changes = changes_since((&key.sku, &key.location), 0, &level, &Past::none());
        let day_ago = evenstock_app::Clock::now(clock).plus_millis(-24 * HOUR_MS);
        let brought = changes.into_iter().filter(|change| change.at > day_ago);
        let candidates: Vec<_> = brought.map(|change| Candidate { recorded_at: change.at, change }).collect();
        let (limits, recent) = (FeedLimits::keeping_hours(168), RecentPages::default());
        let deps = FeedDeps { store: self.memory(), clock, limits: &limits, recent: &recent };
        publish(deps, &key.organization, &candidates).await.unwrap();
    }

    async fn changed(&self, sku: &str, location: &str, units: i64) {
        let key = key("demo", sku, location);
        self.change(&key, units).await;
        self.publish(&key).await;
    }
}

fn key(organization: &str, sku: &str, location: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse(organization).unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
    }
}

fn seqs(reply: &Reply) -> Vec<u64> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}
