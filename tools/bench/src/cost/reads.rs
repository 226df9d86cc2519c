//! Reads of levels, their history, the books of a place, and the feed.

use serde_json::{Value, json};

use super::row::floor;
use super::updates::{LOCATION, adjust, stocked};
use super::{Row, by_http, each};
use crate::Failure;
use crate::product::Product;

const INVENTORY: &str = "InventoryApiFunction";
const REPLICATION: &str = "ReplicationApiFunction";

/// Reads of each kind.
const TIMES: u64 = 8;

/// Products of one bulk synchronization.
const PRODUCTS: u64 = 100;

/// The rows of this part.
pub(super) async fn rows(product: &Product) -> Result<Vec<Row>, Failure> {
    stocked(product, "read").await?;
    for _ in 0..40 {
        adjust(product, "read", None).await?;
    }
    // First, so that there is something to list.
    let mut rows = bulk(product).await?;
    for (name, path, least) in [
        ("read at one place", "/inventory/read?storeId=main", floor(100, 0)),
        ("read over all places", "/inventory/read", floor(100, 0)),
        ("read with an entity tag", "/api/inventory/stores/main/inventory/read", floor(100, 0)),
        ("list of 50 levels", "/inventory?limit=50", floor(200, 0)),
        ("history, 40 entries", "/inventory/read/history?storeId=main&limit=40", floor(200, 0)),
    ] {
        let bill = each(product, TIMES, async |_| product.get(INVENTORY, path).await.map(drop)).await?;
        rows.push(Row { name, count: TIMES, bill, invoked: by_http(TIMES), floor: least });
    }
    rows.push(unknown_key(product).await?);
    rows.extend(feed(product).await?);
    Ok(rows)
}

/// A read by keys that the instance has not seen: each is looked up, and its use is noted.
async fn unknown_key(product: &Product) -> Result<Row, Failure> {
    let mut keys = Vec::new();
    for n in 0..TIMES {
        let body = json!({ "organizationId": "demo", "name": format!("key {n}"), "scopes": ["read"] });
        let made = product.post("AdminApiFunction", "/admin/keys", &body).await?;
        let key = made.get("key").and_then(Value::as_str).ok_or_else(|| format!("no key in {made}"))?;
        keys.push(format!("Bearer {key}"));
    }
    let read = async |n| {
        let key = usize::try_from(n).ok().and_then(|n| keys.get(n)).ok_or("no such key")?;
        product.ask(INVENTORY, "GET", "/inventory/read?storeId=main", &[("authorization", key)], None).await.map(drop)
    };
    let bill = each(product, TIMES, read).await?;
    Ok(Row {
        name: "read by a key that is new to the instance",
        count: TIMES,
        bill,
        invoked: by_http(TIMES),
        floor: floor(200, 0),
    })
}

async fn bulk(product: &Product) -> Result<Vec<Row>, Failure> {
    let sync = async |quantity: u64, version: u64| {
        let one = |n| json!({ "id": format!("bulk-{n}"), "qty": quantity, "version": version });
        let products: Vec<_> = (0..PRODUCTS).map(one).collect();
        let body = json!({ "storeId": LOCATION, "mode": "merge", "products": products });
        product.post(INVENTORY, "/inventory/sync", &body).await
    };
    let mut rows = Vec::new();
    for (name, quantity, version, expected, least) in [
        ("bulk sync: a product that is new", 10, 0, "created", floor(100, 200)),
        ("bulk sync: a product with another quantity", 20, 1, "updated", floor(200, 100)),
        ("bulk sync: a product that is as it should be", 20, 2, "skipped", floor(100, 0)),
    ] {
        let once = async |_| {
            let answer = sync(quantity, version).await?;
            let done = answer.get(expected).and_then(Value::as_u64) == Some(PRODUCTS);
            if done { Ok(()) } else { Err(format!("{name}: {answer}").into()) }
        };
        let bill = each(product, 1, once).await?;
        rows.push(Row { name, count: PRODUCTS, bill, invoked: by_http(1), floor: least });
    }
    Ok(rows)
}

/// Polls of the feed: one that finds nothing, one that finds a hundred changes.
async fn feed(product: &Product) -> Result<Vec<Row>, Failure> {
    product.follow(100).await?;
    let read = async |offset: u64, limit: u64| {
        product.get(REPLICATION, &format!("/replication/changes?fromOffset={offset}&limit={limit}")).await
    };
    let mut head = 0;
    loop {
        let page = read(head, 1000).await?;
        head = page.get("nextOffset").and_then(Value::as_u64).ok_or("the feed has no end")?;
        if page.get("hasMore") != Some(&Value::Bool(true)) {
            break;
        }
    }
    let mut rows = Vec::new();
    for (name, offset, found) in
        [("poll of the feed, nothing new", head, 0), ("poll of the feed, 100 changes", head.saturating_sub(100), 100)]
    {
        let poll = async |_| {
            let events = read(offset, 100).await?.get("events").and_then(Value::as_array).map_or(0, Vec::len);
            if events == found { Ok(()) } else { Err(format!("{name}: {events} changes").into()) }
        };
        let bill = each(product, TIMES, poll).await?;
        rows.push(Row { name, count: TIMES, bill, invoked: by_http(TIMES), floor: floor(100, 0) });
    }
    Ok(rows)
}
