//! Listing everything, page by page.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};

use crate::Function;

/// 23 levels of 12 products.
async fn stocked() -> (Function, BTreeMap<(String, String), i64>) {
    let function = Function::new();
    let mut levels = BTreeMap::new();
    for n in 0..23 {
        let (sku, location) = (format!("SKU #{}", n / 2), format!("store/{n}"));
        function.stock(&sku, &location, n).await;
        levels.insert((sku, location), n);
    }
    (function, levels)
}

async fn page(function: &Function, cursor: &str, limit: u32) -> Value {
    let reply = function.get(&format!("/inventory?cursor={cursor}&limit={limit}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

#[rstest]
#[tokio::test]
async fn pages_give_everything_once(#[values(1, 5, 22, 23, 24, 500)] limit: u32) {
    let (function, expected) = stocked().await;
    let (mut seen, mut cursor, mut pages) = (BTreeMap::new(), String::new(), 0);
    loop {
        let page = page(&function, &cursor, limit).await;
        for item in page["items"].as_array().unwrap() {
            let name = (item["productId"].as_str().unwrap().to_owned(), item["storeId"].as_str().unwrap().to_owned());
            assert_eq!(seen.insert(name, item["available"].as_i64().unwrap()), None);
        }
        pages += 1;
        cursor = page["nextCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(pages, 23_u32.div_ceil(limit));
}

#[tokio::test]
async fn rows_show_the_level_and_an_empty_list_ends_at_once() {
    let function = Function::new();
    assert_eq!(function.get("/inventory").await.body, json!({ "items": [], "nextCursor": "" }));
    function.stock("SKU-1", "main", 7).await;
    let row = json!({
        "productId": "SKU-1", "storeId": "main", "available": 7, "reserved": 0, "version": 1,
        "lastUpdated": "2026-11-20T08:00:00.001Z",
    });
    assert_eq!(function.get("/inventory").await.body, json!({ "items": [row], "nextCursor": "" }));
}

#[tokio::test]
async fn page_holds_fifty_rows_unless_asked_otherwise() {
    let function = Function::new();
    for n in 0..51 {
        function.stock(&format!("SKU-{n}"), "main", n).await;
    }
    let reply = function.get("/inventory").await;
    assert_eq!(reply.body["items"].as_array().unwrap().len(), 50);
    assert_ne!(reply.body["nextCursor"], "");
}

#[rstest]
#[case::zero("0")]
#[case::too_many("501")]
#[case::word("abc")]
#[case::empty("")]
#[case::negative("-1")]
#[case::fraction("1.5")]
#[case::beyond_32_bits("4294967297")]
#[tokio::test]
async fn limit_out_of_range_is_refused(#[case] limit: &str) {
    let reply = Function::new().get(&format!("/inventory?limit={limit}")).await;
    let issue = ("limit", "must be a whole number from 1 to 500");
    assert_eq!((reply.refusal(), reply.issues()), ((400, "bad_request"), vec![issue]));
}

#[tokio::test]
async fn cursor_that_we_did_not_make_for_this_caller_is_refused() {
    let (function, _) = stocked().await;
    let cursor = page(&function, "", 5).await["nextCursor"].as_str().unwrap().to_owned();
    let refused = async |key: &str, cursor: &str| {
        let path = format!("/inventory?cursor={cursor}");
        let reply = function.asked("GET", &path, &[("x-api-key", key)], "").await;
        let issue = ("cursor", "is not a cursor of this listing");
        reply.status == 400 && reply.issues() == [issue] && reply.refusal() == (400, "bad_request")
    };
    let first = if cursor.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{first}{}", &cursor[1..]);
    for wrong in [tampered.as_str(), &cursor[1..], &cursor[..cursor.len() - 2], "x", "%F0%9F%A6%80", "SKU-1"] {
        assert!(refused("demo", wrong).await, "{wrong}");
    }
    assert!(refused("shop", &cursor).await, "another organization's");
    assert!(!refused("demo", &cursor).await);
}
