//! Updates of one level, each by a request of its own or a hundred in one.

use serde_json::{Value, json};

use super::row::floor;
use super::{Row, TIMES, by_http, each};
use crate::Failure;
use crate::product::Product;

const FUNCTION: &str = "InventoryApiFunction";

/// Where all stock lies.
pub(crate) const LOCATION: &str = "main";

/// Updates of one request.
const LIST: u64 = 100;

/// Makes a level with plenty in it.
pub(crate) async fn stocked(product: &Product, sku: &str) -> Result<(), Failure> {
    let body = json!({ "sku": sku, "storeId": LOCATION, "initialQuantity": 1_000_000 });
    product.post(FUNCTION, "/api/inventory", &body).await.map(drop)
}

/// An update that nobody repeats under a key; `version` is the one it expects.
pub(crate) async fn adjust(product: &Product, sku: &str, version: Option<u64>) -> Result<(), Failure> {
    let path = format!("/api/inventory/stores/{LOCATION}/inventory/{sku}/adjust");
    let body = match version {
        Some(version) => json!({ "delta": -1, "expectedVersion": version }),
        None => json!({ "delta": -1 }),
    };
    product.post(FUNCTION, &path, &body).await.map(drop)
}

/// An update under an idempotency key.
pub(crate) async fn update(product: &Product, sku: &str, version: Option<u64>, key: &str) -> Result<Value, Failure> {
    let body = json!({
        "storeId": LOCATION, "productId": sku, "delta": -1, "version": version, "idempotencyKey": key,
    });
    product.post(FUNCTION, "/inventory/updates", &body).await
}

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    let mut rows = single(product).await?;
    rows.push(listed(product).await?);
    Ok(rows)
}

/// Updates by a request each.
pub(super) async fn single(product: &Product) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut row = |name, count, bill, floor| {
        rows.push(Row { name, count, bill, invoked: by_http(count), floor });
    };

    let bill = each(product, TIMES, async |n| stocked(product, &format!("created-{n}")).await).await?;
    row("create a level", TIMES, bill, floor(100, 200));

    stocked(product, "blind").await?;
    let bill = each(product, TIMES, async |_| adjust(product, "blind", None).await).await?;
    row("update", TIMES, bill, floor(100, 100));

    stocked(product, "versioned").await?;
    let bill = each(product, TIMES, async |n| adjust(product, "versioned", Some(n + 1)).await).await?;
    row("update that names a version", TIMES, bill, floor(100, 100));

    stocked(product, "keyed").await?;
    let bill = each(product, TIMES, async |n| update(product, "keyed", None, &format!("k{n}")).await.map(drop)).await?;
    row("update under an idempotency key", TIMES, bill, floor(200, 200));

    let repeats = async |_| update(product, "keyed", None, &format!("k{}", TIMES - 1)).await.map(drop);
    let bill = each(product, TIMES, repeats).await?;
    row("the same again", TIMES, bill, floor(200, 200));
    Ok(rows)
}

async fn listed(product: &Product) -> Result<Row, Failure> {
    let skus: Vec<_> = (0..LIST).map(|n| format!("listed-{n}")).collect();
    for sku in &skus {
        stocked(product, sku).await?;
    }
    let list = async |round| {
        let one =
            |sku| json!({ "productId": sku, "delta": -1, "version": null, "idempotencyKey": format!("{sku}/{round}") });
        let body = json!({ "storeId": LOCATION, "updates": skus.iter().map(one).collect::<Vec<_>>() });
        let answer = product.post(FUNCTION, "/inventory/updates", &body).await?;
        let failed = answer.pointer("/summary/failed").and_then(Value::as_u64);
        if failed == Some(0) { Ok(()) } else { Err(format!("updates of a list failed: {answer}").into()) }
    };
    // Sixteen rounds, so that each level writes one page of history.
    let bill = each(product, 16, list).await?;
    Ok(Row {
        name: "one of a list of 100 updates with keys",
        count: 16 * LIST,
        bill,
        invoked: by_http(16),
        floor: floor(200, 200),
    })
}
