//! Copies of all levels.

use std::collections::{BTreeMap, BTreeSet};

use evenstock_app::StockStore;
use evenstock_domain::{Policy, StockLevel};
use serde_json::{Value, json};

use crate::{Function, key, seqs};

async fn put(function: &Function, sku: &str, location: &str, available: i64) {
    let level = StockLevel { available, policy: Policy::default(), ..StockLevel::new() };
    function.memory().commit(&key("demo", sku, location), None, &level).await.unwrap();
}

/// Every page: states and offsets.
async fn pages(function: &Function) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut path = "/replication/snapshot".to_owned();
    loop {
        let reply = function.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.text.len() < 3 * 1024 * 1024, "{} bytes", reply.text.len());
        let cursor = reply.body["nextCursor"].as_str().unwrap().to_owned();
        pages.push(reply.body);
        assert!(pages.len() < 100, "it ends");
        if cursor.is_empty() {
            return pages;
        }
        path = format!("/replication/snapshot?cursor={cursor}");
    }
}

#[tokio::test]
async fn product_is_told_with_its_locations_and_sums() {
    let function = Function::new();
    function.changed("SKU/1", "shop #7", 5).await;
    function.changed("SKU/1", "main", -2).await;
    let snapshot = function.get("/replication/snapshot").await.body;
    let location = |qty: i64, at: &str| json!({ "qty": qty, "reserved": 0, "version": 1, "updatedAt": at });
    let (first, second) = ("2026-11-20T08:00:00.001Z", "2026-11-20T08:00:00.002Z");
    let product = json!({
        "qty": 3, "version": 2, "updatedAt": second,
        "perStore": { "main": location(-2, second), "shop #7": location(5, first) },
    });
    // Both changes are younger than a minute by some clock.
    assert_eq!(snapshot, json!({ "state": { "SKU/1": product }, "lastOffset": 0, "nextCursor": "" }));
    function.replication.clock.advance_ms(61_000);
    assert_eq!(function.get("/replication/snapshot").await.body["lastOffset"], 0, "of a publisher that is behind");
    function.replication.clock.advance_ms(300_000);
    assert_eq!(function.get("/replication/snapshot").await.body["lastOffset"], 2);
}

#[tokio::test]
async fn hundred_thousand_levels_come_in_pages_that_split_no_product() {
    let function = Function::new();
    // The longest names, and up to seven locations each, so that pages end in the middle of products.
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let mut levels = 0;
    for n in 0.. {
        let sku = format!("{}{n:08}", "s".repeat(120));
        for place in 0..=n % 7 {
            put(&function, &sku, &format!("{}{place}", "l".repeat(127)), 1).await;
            levels += 1;
        }
        expected.insert(sku, n % 7 + 1);
        if levels >= 100_000 {
            break;
        }
    }
    let pages = pages(&function).await;
    assert!(pages.len() >= 50, "{}", pages.len());
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for page in &pages {
        for (sku, product) in page["state"].as_object().unwrap() {
            let locations = product["perStore"].as_object().unwrap().len();
            assert!(found.insert(sku.clone(), locations).is_none(), "{sku} is on two pages");
        }
    }
    assert!(found == expected);
}

#[tokio::test]
async fn copy_and_changes_behind_it_lose_nothing_that_happens_meanwhile() {
    let function = Function::new();
    for n in 0..2500 {
        put(&function, &format!("sku-{n:05}"), "main", 0).await;
    }
    function.changed("sku-00007", "main", 1).await;
    function.replication.clock.advance_ms(400_000);
    let first = function.get("/replication/snapshot").await.body;
    // On a page that was read already, on one that was not, and a level that is new.
    function.changed("sku-00003", "main", 3).await;
    function.changed("sku-02400", "main", 4).await;
    function.changed("sku-00000-new", "main", 5).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = function.get(&format!("/replication/snapshot?cursor={cursor}")).await.body;
    assert_eq!((&first["lastOffset"], &second["lastOffset"]), (&json!(1), &json!(1)), "the same on each page");
    let changes = function.get("/replication/changes?fromOffset=1").await;
    assert_eq!(seqs(&changes), [2, 3, 4]);
    let mut copy: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let states = [&first, &second].map(|page| page["state"].as_object().unwrap().clone());
    for (sku, product) in states.into_iter().flatten() {
        let level = &product["perStore"]["main"];
        copy.insert(sku, (level["version"].as_u64().unwrap(), level["qty"].as_i64().unwrap()));
    }
    for event in changes.body["events"].as_array().unwrap() {
        let state = (event["newVersion"].as_u64().unwrap(), event["newQuantity"].as_i64().unwrap());
        let known = copy.entry(event["productId"].as_str().unwrap().to_owned()).or_default();
        *known = (*known).max(state);
    }
    for (key, level) in function.memory().list(&key("demo", "x", "x").organization, None, 9999).await.unwrap().levels {
        assert_eq!(copy.remove(key.sku.as_str()), Some((level.version, level.available)), "{}", key.sku);
    }
    assert_eq!(copy.len(), 0);
}

/// Its change is in the feed, but the listing does not show it yet.
#[tokio::test]
async fn level_created_an_instant_before_the_copy_comes_with_its_change() {
    let function = Function::new();
    function.changed("new", "main", 1).await;
    let offset = function.get("/replication/snapshot").await.body["lastOffset"].as_u64().unwrap();
    assert_eq!(seqs(&function.get(&format!("/replication/changes?fromOffset={offset}")).await), [1]);
}

#[tokio::test]
async fn cursor_that_is_none_is_refused() {
    let function = Function::new();
    for n in 0..2001 {
        put(&function, &format!("{n:05}"), "main", 1).await;
    }
    let cursor = function.get("/replication/snapshot").await.body["nextCursor"].as_str().unwrap().to_owned();
    let path = format!("/replication/snapshot?cursor={cursor}");
    let left: BTreeSet<_> = function.get(&path).await.body["state"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["02000"]);
    for (key, path) in [("shop", path), ("demo", "/replication/snapshot?cursor=AAAA".to_owned())] {
        let reply = function.get_as(key, &path).await;
        assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), vec!["cursor"]));
    }
}
