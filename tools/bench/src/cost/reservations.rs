//! Reservations of one line and of three.

use serde_json::{Value, json};

use super::row::floor;
use super::updates::{LOCATION, stocked};
use super::{Row, by_http, each};
use crate::Failure;
use crate::product::Product;

const FUNCTION: &str = "InventoryApiFunction";

/// Reservations of each kind: with their ends they write each level's history once.
const TIMES: u64 = 8;

fn id_of(answer: &Value) -> Result<String, Failure> {
    let id = answer.get("reservationId").and_then(Value::as_str);
    Ok(id.ok_or_else(|| format!("no reservation in {answer}"))?.to_owned())
}

async fn end(product: &Product, ids: &[String], n: u64, how: &str) -> Result<(), Failure> {
    let id = usize::try_from(n).ok().and_then(|n| ids.get(n)).ok_or("no such reservation")?;
    product.post(FUNCTION, &format!("/reservations/{id}/{how}"), &json!({})).await.map(drop)
}

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    let skus = ["reserved-1", "reserved-2", "reserved-3", "reserved-alone"];
    for sku in skus {
        stocked(product, sku).await?;
    }
    let mut rows = Vec::new();
    let mut row = |name, bill, least| {
        rows.push(Row { name, count: TIMES, bill, invoked: by_http(TIMES), floor: least });
    };

    let alone = std::cell::RefCell::new(Vec::new());
    let reserve = async |_| {
        let path = format!("/api/inventory/stores/{LOCATION}/inventory/reserved-alone/reserve");
        let answer = product.post(FUNCTION, &path, &json!({ "qty": 1 })).await?;
        alone.borrow_mut().push(id_of(&answer)?);
        Ok(())
    };
    let bill = each(product, TIMES, reserve).await?;
    // The reservation is put and enters the index of what is due; the level; the reservation is held.
    row("reserve one line", bill, floor(300, 400));
    let alone = alone.into_inner();
    let bill = each(product, TIMES, async |n| end(product, &alone, n, "release").await).await?;
    // Its state, which takes it out of the index; the level.
    row("release one line", bill, floor(300, 300));

    let lines: Vec<_> = skus.iter().take(3).map(|sku| json!({ "sku": sku, "storeId": LOCATION, "qty": 1 })).collect();
    let three = std::cell::RefCell::new(Vec::new());
    let reserve = async |n| {
        let body = json!({ "orderId": format!("order-{n}"), "lines": lines });
        let answer = product.post(FUNCTION, "/reservations", &body).await?;
        three.borrow_mut().push(id_of(&answer)?);
        Ok(())
    };
    let bill = each(product, TIMES, reserve).await?;
    row("reserve three lines", bill, floor(500, 600));
    let three = three.into_inner();
    let bill = each(product, TIMES, async |n| end(product, &three, n, "fulfil").await).await?;
    row("fulfil three lines", bill, floor(500, 500));
    Ok(rows)
}
