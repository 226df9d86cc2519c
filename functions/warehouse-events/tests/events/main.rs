//! Batches of change events, from the events that Lambda hands over to the levels, the conflicts and the dead letters.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

mod faults;
mod kafka;
mod queue;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemoryStore};
use evenstock_app::{
    Clock, Conflict, ConflictStore, KeyChange, QueueName, StockStore, WarehouseSettings, WarehouseStore,
};
use evenstock_domain::{ConflictPolicy, EventIdKey, LevelKey, LocationId, OrganizationId, Sku, Timestamp};
use evenstock_warehouse_events::WarehouseEvents;
use serde_json::{Value, json};

/// Half a minute after the times that [`change`] gives for 0.
const NOW: &str = "2026-11-20T08:00:30Z";

/// 2026-11-20T08:00:00Z.
const TIME: i64 = 1_795_161_600_000;

pub(crate) type Function = WarehouseEvents<FaultyStore<MemoryStore>, MemoryQueue, FixedClock>;

/// `wh-1` belongs to `demo` and decides by hand, `wh-2` to `other`, whose warehouses win.
pub(crate) async fn function(fault: impl FnMut(&'static str) -> Fault + Send + 'static) -> Function {
    let store = MemoryStore::default();
    let clock = FixedClock::at(Timestamp::parse(NOW).unwrap());
    for (id, owner, policy) in
        [("wh-1", "demo", ConflictPolicy::Manual), ("wh-2", "other", ConflictPolicy::WarehouseWins)]
    {
        let settings = WarehouseSettings {
            id: LocationId::parse(id).unwrap(),
            organization: OrganizationId::parse(owner).unwrap(),
            endpoint: "https://wh.example".to_owned(),
            api_key: KeyChange::Keep,
            policy,
            at: clock.now(),
        };
        store.set_up_warehouse(&settings).await.unwrap();
    }
    let ids = EventIdKey::new(*b"0123456789abcdef");
    WarehouseEvents { store: FaultyStore::new(store, fault), queue: MemoryQueue::default(), clock, ids }
}

/// A change of a row from `before` to `after` units.
pub(crate) fn change(sku: &str, warehouse: &str, millis: i64, before: Option<i64>, after: i64) -> Value {
    let row = |units: i64| json!({ "sku": sku, "warehouse_id": warehouse, "quantity": units });
    let op = if before.is_some() { "u" } else { "c" };
    let source = json!({ "ts_ms": TIME + millis, "lsn": 1000 + millis });
    json!({ "op": op, "before": before.map(row), "after": row(after), "source": source, "ts_ms": TIME + millis + 5 })
}

/// Kafka's event with these values in partition 0, `null` for a tombstone.
pub(crate) fn kafka(values: &[Value]) -> Value {
    let record = |(offset, value): (usize, &Value)| {
        let value = if value.is_null() { Value::Null } else { json!(STANDARD.encode(value.to_string())) };
        json!({
            "topic": "warehouse.public.stock", "partition": 0, "offset": offset, "timestamp": TIME,
            "timestampType": "CREATE_TIME", "key": null, "value": value, "headers": [{ "h": [1, 200, 255] }],
        })
    };
    let records: Vec<_> = values.iter().enumerate().map(record).collect();
    json!({ "eventSource": "aws:kafka", "records": { "warehouse.public.stock-0": records } })
}

pub(crate) async fn units(function: &Function, organization: &str, sku: &str, warehouse: &str) -> Option<(i64, u64)> {
    let key = LevelKey {
        organization: OrganizationId::parse(organization).unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(warehouse).unwrap(),
    };
    let level = function.store.inner().load(&key).await.unwrap()?.level;
    Some((level.available, level.version))
}

pub(crate) fn letters(function: &Function) -> Vec<Value> {
    let bodies = function.queue.bodies(QueueName::WarehouseEventsDlq);
    bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

pub(crate) async fn conflicts(function: &Function, organization: &str) -> Vec<Conflict> {
    let organization = OrganizationId::parse(organization).unwrap();
    function.store.inner().conflicts(&organization, None, None, 100).await.unwrap().conflicts
}
