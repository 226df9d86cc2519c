//! What runs by itself: polls, ticks, reconciliation.

use std::time::Duration;

use evenstock_app::{Clock, QueueName};
use evenstock_runtime::SystemClock;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::row::floor;
use super::{Row, each, invoked};
use crate::Failure;
use crate::product::Product;

/// Rows of a poll's one page.
const ROWS: u64 = 50;

/// Products in a warehouse.
const PRODUCTS: u64 = 100;

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    let mut rows = polls(product).await?;
    rows.push(idle(product).await?);
    rows.extend(reconciliation(product).await?);
    Ok(rows)
}

/// A tick that finds nothing to do.
pub(super) async fn idle(product: &Product) -> Result<Row, Failure> {
    let bill = each(product, 1, async |_| product.tick("SchedulerFunction").await.map(drop)).await?;
    let name = "tick of the scheduler, nothing due";
    Ok(Row { name, count: 1, bill, invoked: invoked(1), floor: floor(100, 0) })
}

async fn polls(product: &Product) -> Result<Vec<Row>, Failure> {
    let poll = async |changed: i64| {
        let now = SystemClock.now().as_millis() / 1000;
        let row = |n| json!({ "sku": format!("polled-{n}"), "qty": n, "last_modified": now - 60 + changed });
        product.outside.show_rows((0..ROWS).map(row).collect());
        each(product, 1, async |_| product.tick("PollerFunction").await.map(drop)).await
    };
    // The first has no cursor.
    poll(0).await?;
    sleep(Duration::from_millis(1_100)).await;
    let run = poll(1).await?;
    // Within its second.
    let idle = each(product, 1, async |_| product.tick("PollerFunction").await.map(drop)).await?;
    Ok(vec![
        Row {
            name: "poll of 50 rows, each on the queue",
            count: 1,
            bill: run,
            invoked: invoked(1),
            floor: floor(800, 200),
        },
        Row { name: "tick of a poll that is not due", count: 1, bill: idle, invoked: invoked(1), floor: floor(100, 0) },
    ])
}

async fn reconciliation(product: &Product) -> Result<Vec<Row>, Failure> {
    let set_up = json!({ "endpoint": product.outside.base, "conflictPolicy": "warehouse_wins" }).to_string();
    product.ask("SyncApiFunction", "PUT", "/warehouses/wh-1", &[], Some(&set_up)).await?;
    let reconcile = async |quantity: u64| {
        let now = SystemClock.now().to_string();
        let row = |n| json!({ "sku": format!("shelf-{n}"), "quantity": quantity, "version": 1, "updatedAt": now });
        product.outside.show_stock((0..PRODUCTS).map(row).collect());
        let job = product.post("SyncApiFunction", "/sync/warehouses/wh-1", &json!({})).await?;
        let deliver = async |_| product.deliver(QueueName::WarehouseSync, "WarehouseWorkerFunction", 1).await;
        let bill = each(product, 1, deliver).await?;
        let id = job.get("jobId").and_then(Value::as_str).ok_or("a reconciliation has no job")?;
        let status = product.get("SyncApiFunction", &format!("/sync/status/{id}")).await?;
        let completed = status.get("status").is_some_and(|status| status == "completed");
        if completed { Ok(bill) } else { Err(Failure::from(format!("the reconciliation did not complete: {status}"))) }
    };
    reconcile(5).await?;
    let drifted = reconcile(6).await?;
    let equal = reconcile(6).await?;
    let row = |name, bill, floor| Row { name, count: PRODUCTS, bill, invoked: invoked(1), floor };
    Ok(vec![
        row("reconcile a product that has drifted, 100 on a page", drifted, floor(200, 100)),
        row("reconcile a product that agrees, 100 on a page", equal, floor(100, 0)),
    ])
}
