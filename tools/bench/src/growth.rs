//! Whether operations cost the same however large the table is: measured while one table grows.

use std::collections::HashMap;
use std::time::Duration;

use dynoxide::ImportOptions;
use dynoxide::types::AttributeValue;
use evenstock_app::QueueName;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Failure;
use crate::cost::{LOCATION, Webhooks, adjust, decimal, each, markdown, stocked, update};
use crate::meter::Bill;
use crate::product::Product;

/// Levels that are written into the table's file at once.
const CHUNK: u64 = 20_000;

/// Operations of one kind at each size, each on a level of its own, spread over the table.
const TIMES: u64 = 8;

const INVENTORY: &str = "InventoryApiFunction";

/// What an operation cost at one size.
#[derive(Debug)]
struct Measured {
    name: &'static str,
    bill: Bill,
    /// The median of one operation.
    took: Duration,
}

/// Grows a table to each of `sizes` SKUs and writes the table of costs.
pub(crate) async fn table(sizes: &[u64]) -> Result<String, Failure> {
    let product = Product::start_with(Duration::ZERO).await?;
    stocked(&product, "seed").await?;
    let mut grown = 0;
    let mut measured = Vec::new();
    for size in sizes {
        grow(&product, grown, *size)?;
        grown = *size;
        measured.push(operations(&product, grown).await?);
    }
    Ok(format!("{}\n{}", head(sizes), markdown(&rows(&measured))))
}

fn head(sizes: &[u64]) -> String {
    let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
    let sizes = sizes.join(", ");
    format!(
        "one operation at {sizes} SKUs; one number where it is the same at each size; time as a ratio to the first\n"
    )
}

/// Writes levels straight into the table's file and its indexes, as copies of one that the product made: a million of
/// them through the product would take hours. What they cost is not measured.
fn grow(product: &Product, from: u64, to: u64) -> Result<(), Failure> {
    let table = &product.template.table.name;
    let key = json!({ "pk": { "S": "demo#S#seed" }, "sk": { "S": format!("L#{LOCATION}") } });
    let get = serde_json::from_value(json!({ "TableName": table, "Key": key }))?;
    let seed = product.dynamo.database().get_item(get)?.item.ok_or("the level to copy is not there")?;
    let mut begin = from;
    while begin < to {
        let end = to.min(begin + CHUNK);
        let copy = |n| -> HashMap<String, AttributeValue> {
            let mut item = seed.clone();
            item.insert("pk".to_owned(), AttributeValue::S(format!("demo#S#{}", sku(n))));
            item
        };
        let items = (begin..end).map(copy).collect();
        product.dynamo.database().import_items(table, items, ImportOptions::default())?;
        begin = end;
    }
    Ok(())
}

/// In any order but that of the numbers, as real names are.
fn sku(n: u64) -> String {
    format!("sku-{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

async fn operations(product: &Product, size: u64) -> Result<Vec<Measured>, Failure> {
    // Others at each size: what an operation does to a level must not be its second time.
    let one = |n: u64| sku((n * (size / TIMES).max(1) + size / 7 + 1) % size);
    let mut all = Vec::new();
    all.push(timed(product, "update", async |n| adjust(product, &one(n), None).await).await?);
    let keyed = async |n| update(product, &one(n), None, &format!("{size}/{n}")).await.map(drop);
    all.push(timed(product, "update under an idempotency key", keyed).await?);
    all.push(timed(product, "create a level", async |n| stocked(product, &format!("new-{size}-{n}")).await).await?);
    for (name, path) in [
        ("read at one place", "/inventory/{}?storeId=main"),
        ("read over all places", "/inventory/{}"),
        ("history", "/inventory/{}/history?storeId=main"),
        ("list of 50 levels", "/inventory?limit=50"),
    ] {
        let read = async |n| product.get(INVENTORY, &path.replace("{}", &one(n))).await.map(drop);
        all.push(timed(product, name, read).await?);
    }
    let webhooks = Webhooks::default();
    let deliver = async |n| {
        webhooks.send(product, &one(n)).await?;
        product.deliver(QueueName::StockChanges, "StockWorkerFunction", 1).await
    };
    all.push(timed(product, "webhook to level", deliver).await?);
    product.follow(100).await?;
    let publish = async |n| {
        adjust(product, &one(n), None).await?;
        product.follow(100).await
    };
    all.push(timed(product, "update and its publishing", publish).await?);
    let head = product.get("ReplicationApiFunction", "/replication/changes?fromOffset=0&limit=1").await?;
    let path = format!("/replication/changes?fromOffset={}&limit=10", head.get("nextOffset").unwrap_or(&Value::Null));
    let poll = async |_| product.get("ReplicationApiFunction", &path).await.map(drop);
    all.push(timed(product, "poll of the feed, 10 changes", poll).await?);
    Ok(all)
}

async fn timed(
    product: &Product,
    name: &'static str,
    operation: impl AsyncFn(u64) -> Result<(), Failure>,
) -> Result<Measured, Failure> {
    let took = std::cell::RefCell::new(Vec::new());
    let bill = each(product, TIMES, async |n| {
        let begun = Instant::now();
        operation(n).await?;
        took.borrow_mut().push(begun.elapsed());
        Ok(())
    });
    let bill = bill.await?;
    let mut took = took.into_inner();
    took.sort_unstable();
    Ok(Measured { name, bill, took: took.get(took.len() / 2).copied().unwrap_or_default() })
}

fn rows(measured: &[Vec<Measured>]) -> Vec<[String; 5]> {
    let mut rows = vec![["operation", "AWS calls", "WCU", "RCU", "time"].map(str::to_owned)];
    let Some(first) = measured.first() else {
        return rows;
    };
    for (place, smallest) in first.iter().enumerate() {
        let sizes: Vec<_> = measured.iter().filter_map(|size| size.get(place)).collect();
        let all = |read: fn(&Bill) -> u64| flat(sizes.iter().map(|one| decimal(read(&one.bill).div_ceil(TIMES), 2)));
        let ratio = |one: &&Measured| {
            let ratio = one.took.as_micros() * 100 / smallest.took.as_micros().max(1);
            decimal(u64::try_from(ratio).unwrap_or(u64::MAX), 2)
        };
        rows.push([
            smallest.name.to_owned(),
            all(|bill| bill.calls() * 100),
            all(|bill| bill.units.writes * 100),
            all(|bill| bill.units.read_halves * 50),
            sizes.iter().map(ratio).collect::<Vec<_>>().join(" / "),
        ]);
    }
    rows
}

/// One where all are the same.
fn flat(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<_> = all.collect();
    if all.windows(2).all(|pair| pair.first() == pair.last()) {
        all.truncate(1);
    }
    all.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_grow_is_one_number() {
        let shown = |all: &[&str]| flat(all.iter().map(ToString::to_string));
        assert_eq!(shown(&["1.00", "1.00", "1.00"]), "1.00");
        assert_eq!(shown(&["1.00", "1.00", "2.00"]), "1.00 / 1.00 / 2.00");
    }

    #[tokio::test]
    async fn operations_cost_the_same_in_a_table_ten_times_as_large() {
        let table = table(&[100, 1_000]).await.unwrap();
        // The feed's last two depend on how what came before was published, and not on the table.
        let lines: Vec<_> = table.lines().skip(4).collect();
        for line in &lines[..lines.len() - 2] {
            let [_, _, calls, writes, reads, ..] = line.split('|').collect::<Vec<_>>()[..] else {
                panic!("{table}");
            };
            assert!(![calls, writes, reads].concat().contains('/'), "{table}");
        }
    }
}
