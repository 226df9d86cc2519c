//! From a marketplace's delivery to the level, through the queue; and the changes of warehouse databases.

use std::cell::Cell;

use evenstock_app::{Clock, QueueName};
use evenstock_runtime::SystemClock;
use futures::future::try_join_all;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::row::{Floor, floor};
use super::{Row, each};
use crate::Failure;
use crate::prices::Invoked;
use crate::product::{Product, SECRET};

/// Rounds of each kind: with a level's page of history after sixteen of its changes.
const ROUNDS: u64 = 16;

/// Where the times of the events begin, in milliseconds from now. Each event is a millisecond after the one before.
const BEGINS_MS: i64 = -3_600_000;

/// Makes events that are each newer than all before.
#[derive(Debug, Default)]
struct Events(Cell<i64>);

impl Events {
    fn next(&self) -> (i64, String) {
        let n = self.0.get() + 1;
        self.0.set(n);
        (n, SystemClock.now().plus_millis(BEGINS_MS + n).to_string())
    }
}

/// Deliveries of marketplace A, each newer than all before.
#[derive(Debug, Default)]
pub(crate) struct Webhooks(Events);

impl Webhooks {
    /// Delivers a count of a product.
    pub(crate) async fn send(&self, product: &Product, sku: &str) -> Result<(), Failure> {
        let (quantity, time) = self.0.next();
        let body = json!({ "product_code": sku, "available_stock": quantity, "timestamp": time }).to_string();
        let headers = [("x-marketplace-signature", &*sign(&body))];
        product.ask("WebhookFunction", "POST", "/webhooks/marketplace-a", &headers, Some(&body)).await.map(drop)
    }
}

/// How many deliveries come together, and of how many products.
struct Kind {
    name: &'static str,
    deliveries: u64,
    products: u64,
    floor: Floor,
}

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    let hooks = Webhooks::default();
    let mut rows = Vec::new();
    for kind in [
        Kind { name: "webhook to level, one alone", deliveries: 1, products: 1, floor: floor(400, 100) },
        Kind { name: "webhook to level, 10 of 10 products", deliveries: 10, products: 10, floor: floor(220, 100) },
        Kind { name: "webhook to level, 10 of one product", deliveries: 10, products: 1, floor: floor(130, 10) },
        Kind { name: "webhook to level, 100 of 100 products", deliveries: 100, products: 100, floor: floor(220, 100) },
        Kind { name: "webhook to level, 100 of one product", deliveries: 100, products: 1, floor: floor(125, 5) },
    ] {
        rows.push(webhooks(product, &hooks, &kind).await?);
    }
    rows.push(warehouse_changes(product, &hooks.0).await?);
    Ok(rows)
}

/// The hot one among them, whose cost is held to a target.
#[cfg(test)]
pub(super) async fn hot(product: &Product) -> Result<Row, Failure> {
    let kind = Kind { name: "hot", deliveries: 10, products: 1, floor: floor(130, 10) };
    webhooks(product, &Webhooks::default(), &kind).await
}

async fn webhooks(product: &Product, hooks: &Webhooks, kind: &Kind) -> Result<Row, Failure> {
    let Kind { name, deliveries, products, floor } = *kind;
    let send = async |_| {
        let skus: Vec<_> = (0..deliveries).map(|n| format!("hook-{deliveries}-{products}-{}", n % products)).collect();
        try_join_all(skus.iter().map(|sku| hooks.send(product, sku))).await?;
        product.deliver(QueueName::StockChanges, "StockWorkerFunction", usize::try_from(deliveries)?).await
    };
    // The levels are there before it counts.
    send(0).await?;
    let bill = each(product, ROUNDS, send).await?;
    let invoked = Invoked { functions: ROUNDS * (deliveries + 1), http: ROUNDS * deliveries };
    Ok(Row { name, count: ROUNDS * deliveries, bill, invoked, floor })
}

/// The changes of ten products in a warehouse's database, in one batch.
async fn warehouse_changes(product: &Product, events: &Events) -> Result<Row, Failure> {
    let set_up = json!({ "endpoint": product.outside.base, "conflictPolicy": "warehouse_wins" }).to_string();
    product.ask("SyncApiFunction", "PUT", "/warehouses/wh-events", &[], Some(&set_up)).await?;
    let mut before = 0;
    let mut sum = crate::meter::Bill::default();
    for round in 0..=ROUNDS {
        for n in 0..10 {
            let millis = SystemClock.now().plus_millis(BEGINS_MS).as_millis() + events.next().0;
            let row = |quantity: u64| json!({ "sku": format!("counted-{n}"), "warehouse_id": "wh-events", "quantity": quantity });
            let was = if round == 0 { json!(null) } else { row(before) };
            let op = if round == 0 { "c" } else { "u" };
            let body = json!({ "before": was, "after": row(round + 1), "op": op, "ts_ms": millis,
                "source": { "ts_ms": millis, "lsn": events.next().0 } });
            product.send(QueueName::WarehouseEvents, &body.to_string()).await?;
        }
        before = round + 1;
        let bill = each(product, 1, async |_| {
            product.deliver(QueueName::WarehouseEvents, "WarehouseEventsFunction", 10).await
        });
        let bill = bill.await?;
        if round > 0 {
            sum.add(bill);
        }
    }
    // Whatever is not applied goes to the dead letters, and costs nearly nothing.
    product.get("InventoryApiFunction", "/inventory/counted-9?storeId=wh-events").await?;
    Ok(Row {
        name: "warehouse change from its queue, 10 of 10 products",
        count: ROUNDS * 10,
        bill: sum,
        invoked: super::invoked(ROUNDS),
        floor: floor(120, 100),
    })
}

/// The hex HMAC-SHA256 of a body.
fn sign(body: &str) -> String {
    // HMAC takes keys of any length, so there always is one.
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).map(|mut mac| {
        mac.update(body.as_bytes());
        mac.finalize().into_bytes()
    });
    mac.map(hex::encode).unwrap_or_default()
}
