//! Publishing: from the table's stream into the change feed.

use super::row::floor;
use super::updates::{adjust, stocked};
use super::{Row, each, invoked};
use crate::Failure;
use crate::product::Product;

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    let skus: Vec<_> = (0..100).map(|n| format!("published-{n}")).collect();
    for sku in &skus {
        stocked(product, sku).await?;
    }
    product.follow(100).await?;
    let mut rows = Vec::new();
    for (name, changes, batch, least) in [
        ("publish a change, alone in its batch", 8_usize, 1_usize, floor(200, 100)),
        ("publish a change, 10 in a batch", 40, 10, floor(20, 10)),
        ("publish a change, 100 in a batch", 100, 100, floor(2, 5)),
    ] {
        for sku in skus.iter().take(changes) {
            adjust(product, sku, None).await?;
        }
        let bill = each(product, 1, async |_| product.follow(batch).await).await?;
        let (count, batches) = (u64::try_from(changes)?, u64::try_from(changes.div_ceil(batch))?);
        let trips = bill.chain.map(|chain| chain.most / batches);
        let chain = trips.map(|trips| crate::meter::Chain { least: trips, most: trips });
        let bill = crate::meter::Bill { chain, ..bill };
        rows.push(Row { name, count, bill, invoked: invoked(batches), floor: least });
    }
    Ok(rows)
}
