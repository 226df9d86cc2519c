//! The inventory endpoints, from the request through every layer to the store and back.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

mod access;
mod batch;
mod faults;
mod gateway;
mod list;
mod race;
mod read;
mod replay;
mod update;

use core::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{ApiKey, Scope, apply_group};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, LocationId, Means, OrganizationId, Quantity, Sku, Source,
    StockEvent, Timestamp,
};
use evenstock_inventory_api::{Inventory, openapi, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const UPDATES: &str = "/inventory/updates";

/// What the clock shows at first.
const NOW: &str = "2026-11-20T08:00:00.000Z";

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

/// The function with a store in memory. `demo` is an operator's key, `reader` and `writer` have one scope each, `shop`
/// belongs to another organization, and the time of `expired` is over.
struct Function {
    inventory: Arc<Inventory<FaultyStore<MemoryStore>, FixedClock>>,
    keys: Arc<MemoryStore>,
    router: Router,
}

impl Function {
    fn new() -> Self {
        Self::with_faults(|_| Fault::None)
    }

    fn with_faults(plan: impl FnMut(&'static str) -> Fault + Send + 'static) -> Self {
        Self::with(plan, RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX))
    }

    fn with(plan: impl FnMut(&'static str) -> Fault + Send + 'static, rates: RateLimits) -> Self {
        let keys = Arc::new(MemoryStore::default());
        let all = [Scope::Read, Scope::Write, Scope::Admin];
        put_key(&keys, "demo", "demo", &all, true, None);
        put_key(&keys, "reader", "demo", &[Scope::Read], false, None);
        put_key(&keys, "writer", "demo", &[Scope::Write], false, None);
        put_key(&keys, "shop", "shop", &all, false, None);
        put_key(&keys, "expired", "demo", &all, true, Some(Timestamp::EPOCH.plus_millis(1)));
        let inventory = Arc::new(Inventory {
            store: Arc::new(FaultyStore::new(MemoryStore::default(), plan)),
            clock: FixedClock::at(Timestamp::parse(NOW).unwrap()),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            cursors: CursorKey::new(*b"0123456789abcdef"),
        });
        let access = AccessControl::new(Arc::clone(&keys), rates);
        Self { router: router(Arc::clone(&inventory), &access), inventory, keys }
    }

    async fn asked(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: impl ToString) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        CONTRACT.ask(&self.router, request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.asked("GET", path, &[("x-api-key", "demo")], "").await
    }

    async fn post(&self, body: &Value) -> Reply {
        self.asked("POST", UPDATES, &[("x-api-key", "demo")], body).await
    }

    /// Sets a level as its marketplace would.
    async fn stock(&self, sku: &str, location: &str, units: i64) {
        let quantity = Quantity::new(units).unwrap();
        let body = EventBody::Count { quantity, means: Means::Available, sequence: 0 };
        self.happen(sku, location, "marketplace-a/default", body).await;
    }

    /// Sells units elsewhere, whether they are there or not.
    async fn sell(&self, sku: &str, location: &str, units: i64) {
        self.happen(sku, location, "etsy/store-9", EventBody::Delta(Delta::new(-units).unwrap())).await;
    }

    async fn happen(&self, sku: &str, location: &str, source: &str, body: EventBody) {
        // Each fact has its own time, the clock's, so that none is part of the count before it.
        let Inventory { store, clock, ids, .. } = &*self.inventory;
        clock.advance_ms(1);
        let time = evenstock_app::Clock::now(clock);
        let id = ids.event_id(&time.to_string());
        let event = StockEvent { id, time, source: Source::parse(source).unwrap(), actor: ActorCode::default(), body };
        assert!(apply_group(store.inner(), clock, &key(sku, location), &[event]).await.failure.is_none());
    }
}

fn put_key(
    keys: &MemoryStore,
    text: &str,
    organization: &str,
    scopes: &[Scope],
    operator: bool,
    expires_at: Option<Timestamp>,
) {
    let organization = OrganizationId::parse(organization).unwrap();
    let key = ApiKey { id: text.to_owned(), organization, scopes: scopes.to_vec(), operator, expires_at };
    keys.put_key(Sha256::digest(text.as_bytes()).into(), key);
}

fn key(sku: &str, location: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
    }
}

/// An update of `SKU-1` at `main`.
fn update(delta: i64, version: Option<u64>, idempotency_key: &str) -> Value {
    json!({
        "storeId": "main", "productId": "SKU-1", "delta": delta, "version": version, "idempotencyKey": idempotency_key,
    })
}

/// A body with one field replaced, or removed when the value is `None`.
fn with(mut body: Value, field: &str, value: Option<Value>) -> Value {
    let object = body.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(field.to_owned(), value),
        None => object.remove(field),
    };
    body
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
