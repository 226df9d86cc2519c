//! Envelopes as connectors write them, and everything else.

mod properties;
mod shapes;

use evenstock_app::WarehouseCount;
use serde_json::{Value, json};

use super::{Envelope, adapt};

/// 2026-11-20T08:00:00Z.
const TIME: i64 = 1_795_161_600_000;

fn row(sku: &str, units: i64) -> Value {
    json!({ "id": 7, "sku": sku, "warehouse_id": "wh-1", "quantity": units, "updated_at": TIME * 1000, "shelf": "A3" })
}

fn source() -> Value {
    json!({ "connector": "postgresql", "ts_ms": TIME, "lsn": 24_023_128, "snapshot": "false" })
}

fn envelope(op: &str, before: Value, after: Value) -> Value {
    json!({ "before": before, "after": after, "op": op, "ts_ms": TIME + 500, "source": source() })
}

fn counts(envelope: &Value) -> Vec<WarehouseCount> {
    match adapt(envelope.to_string().as_bytes()) {
        Ok(Envelope::Counts(counts)) => counts,
        other => panic!("{other:?}"),
    }
}

fn issues(text: &str) -> Vec<String> {
    adapt(text.as_bytes()).unwrap_err().issues.iter().map(ToString::to_string).collect()
}

/// SKU, units, units before, time after [`TIME`], position.
type Shown<'a> = (&'a str, i64, Option<i64>, i64, Option<u64>);

fn shown(counts: &[WarehouseCount]) -> Vec<Shown<'_>> {
    let after = |count: &WarehouseCount| count.time.as_millis() - TIME;
    counts.iter().map(|c| (c.sku.as_str(), c.quantity.get(), c.before, after(c), c.position)).collect()
}
