//! Callbacks: passing a change on to an endpoint, and the calls that arrive or do not.

use evenstock_app::QueueName;
use serde_json::json;

use super::row::floor;
use super::updates::LOCATION;
use super::{Row, each, invoked};
use crate::Failure;
use crate::product::Product;

const INVENTORY: &str = "InventoryApiFunction";
const WORKER: &str = "CallbackWorkerFunction";

/// Callbacks in one batch, as the template has it.
const BATCH: usize = 10;

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    product.follow(100).await?;
    for (organization, path) in [("calls", "takes"), ("misses", "refuses")] {
        let body = json!({
            "organizationId": organization, "event": "stock.changed", "targetUrl": format!("{}/{path}", product.outside.base),
        });
        product.post("CallbacksApiFunction", "/webhooks/register", &body).await?;
        for n in 0..BATCH {
            let body = json!({ "sku": format!("called-{n}"), "storeId": LOCATION, "initialQuantity": 1000 });
            post_as(product, organization, "/api/inventory", &body.to_string()).await?;
        }
        product.follow(100).await?;
        // The worker's first batch opens what it keeps afterwards.
        product.deliver(QueueName::Callbacks, WORKER, BATCH).await?;
    }
    let mut rows = Vec::new();
    let (batch, per_batch) = (u64::try_from(BATCH)?, BATCH);
    change(product, "calls", BATCH).await?;
    let bill = each(product, 1, async |_| product.follow(100).await).await?;
    rows.push(Row {
        name: "publish a change that an endpoint wants, 10 in a batch",
        count: batch,
        bill,
        invoked: invoked(1),
        floor: floor(30, 10),
    });
    for (name, organization, count, first, least) in [
        ("callback that arrives, 10 in a batch", "calls", per_batch, false, floor(20, 0)),
        ("callback that arrives, alone", "calls", 1, true, floor(200, 0)),
        ("callback that fails at first, 10 in a batch", "misses", per_batch, true, floor(120, 200)),
    ] {
        if first {
            change(product, organization, count).await?;
            product.follow(100).await?;
        }
        let bill = each(product, 1, async |_| product.deliver(QueueName::Callbacks, WORKER, count).await).await?;
        rows.push(Row { name, count: u64::try_from(count)?, bill, invoked: invoked(1), floor: least });
    }
    Ok(rows)
}

/// Changes so many products of an organization.
async fn change(product: &Product, organization: &str, products: usize) -> Result<(), Failure> {
    for n in 0..products {
        let path = format!("/api/inventory/stores/{LOCATION}/inventory/called-{n}/adjust");
        post_as(product, organization, &path, &json!({ "delta": -1 }).to_string()).await?;
    }
    Ok(())
}

async fn post_as(product: &Product, organization: &str, path: &str, body: &str) -> Result<(), Failure> {
    product.ask(INVENTORY, "POST", path, &[("x-organization-id", organization)], Some(body)).await.map(drop)
}
