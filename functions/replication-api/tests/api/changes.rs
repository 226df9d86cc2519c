//! Reading the feed.

use evenstock_app::testing::Fault;
use rstest::rstest;
use serde_json::json;

use crate::{Function, HOUR_MS, key, seqs};

#[tokio::test]
async fn changes_come_in_order_and_page_through() {
    let function = Function::new();
    for units in [5, -2, -4] {
        function.changed("SKU/1", "shop #7", units).await;
    }
    let reply = function.get("/replication/changes?fromOffset=0&limit=2").await;
    assert_eq!(seqs(&reply), [1, 2]);
    assert_eq!((&reply.body["nextOffset"], &reply.body["hasMore"]), (&json!(2), &json!(true)));
    let reply = function.get("/replication/changes?fromOffset=2").await;
    assert_eq!((&reply.body["nextOffset"], &reply.body["hasMore"]), (&json!(3), &json!(false)));
    let event = &reply.body["events"][0];
    let id = event["eventId"].as_str().unwrap();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let expected = json!({
        "seq": 3, "type": "StockDecreased", "productId": "SKU/1", "storeId": "shop #7", "delta": -4,
        "newQuantity": -1, "newReserved": 0, "newVersion": 3, "source": "etsy/store-9", "eventId": id,
        "ts": "2026-11-20T08:00:00.003Z",
    });
    assert_eq!(*event, expected);
    let reply = function.get("/replication/changes?fromOffset=3").await;
    assert_eq!(reply.body, json!({ "events": [], "nextOffset": 3, "hasMore": false }));
}

#[rstest]
#[case::none("", &["fromOffset"])]
#[case::negative("fromOffset=-1", &["fromOffset"])]
#[case::no_number("fromOffset=abc", &["fromOffset"])]
#[case::empty("fromOffset=", &["fromOffset"])]
#[case::beyond_numbers("fromOffset=18446744073709551616", &["fromOffset"])]
#[case::two_to_the_63("fromOffset=9223372036854775808", &["fromOffset"])]
#[case::ahead("fromOffset=2", &["fromOffset"])]
#[case::no_limit("fromOffset=0&limit=0", &["limit"])]
#[case::huge_limit("fromOffset=0&limit=1000000000", &["limit"])]
#[case::long("fromOffset=0&longPollSeconds=21", &["longPollSeconds"])]
#[case::half("fromOffset=0&longPollSeconds=0.5", &["longPollSeconds"])]
#[case::all("fromOffset=x&limit=1001&longPollSeconds=-1", &["fromOffset", "limit", "longPollSeconds"])]
#[tokio::test]
async fn wrong_parameters_are_all_named(#[case] query: &str, #[case] fields: &[&str]) {
    let function = Function::new();
    function.changed("a", "main", 1).await;
    let reply = function.get(&format!("/replication/changes?{query}")).await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
    assert_eq!(reply.fields(), fields);
}

#[tokio::test]
async fn organization_sees_only_its_own_and_writers_nothing() {
    let function = Function::new();
    function.changed("a", "main", 1).await;
    assert_eq!(seqs(&function.get_as("shop", "/replication/changes?fromOffset=0").await), [0_u64; 0]);
    let snapshot = function.get_as("shop", "/replication/snapshot").await;
    assert_eq!(snapshot.body, json!({ "state": {}, "lastOffset": 0, "nextCursor": "" }));
    for path in ["/replication/changes?fromOffset=0", "/replication/snapshot"] {
        assert_eq!(function.get_as("writer", path).await.refusal(), (403, "forbidden"));
        assert_eq!(function.get_as("nobody", path).await.refusal(), (401, "unauthorized"));
    }
}

#[tokio::test]
async fn offset_before_what_is_kept_is_gone_whether_pages_were_deleted_or_not() {
    for deleted in [false, true] {
        let function = Function::new();
        let clock = &function.replication.clock;
        function.changed("a", "main", 1).await;
        clock.advance_ms(100 * HOUR_MS);
        function.changed("a", "main", 1).await;
        clock.advance_ms(100 * HOUR_MS);
        if deleted {
            function.memory().delete_old_change_pages(evenstock_app::Clock::now(clock).plus_millis(30 * HOUR_MS));
        }
        assert_eq!(function.get("/replication/changes?fromOffset=0").await.refusal(), (410, "gone"));
        assert_eq!(seqs(&function.get("/replication/changes?fromOffset=1").await), [2]);
    }
}

#[tokio::test]
async fn tenant_idle_past_the_retention_never_skips_a_change_silently() {
    let function = Function::new();
    let clock = &function.replication.clock;
    function.changed("a", "main", 1).await;
    function.changed("a", "main", 1).await;
    clock.advance_ms(300 * HOUR_MS);
    function.memory().delete_old_change_pages(evenstock_app::Clock::now(clock));
    for offset in [0, 1, 2] {
        let reply = function.get(&format!("/replication/changes?fromOffset={offset}")).await;
        assert_eq!(reply.refusal(), (410, "gone"), "{offset}");
    }
    let snapshot = function.get("/replication/snapshot").await.body;
    let offset = snapshot["lastOffset"].as_u64().unwrap();
    let path = format!("/replication/changes?fromOffset={offset}");
    assert_eq!(seqs(&function.get(&path).await), [0_u64; 0]);
    function.changed("a", "main", 5).await;
    assert_eq!(seqs(&function.get(&path).await), [offset + 1], "active again");
    assert_eq!(function.get("/replication/changes?fromOffset=2").await.refusal(), (410, "gone"));
}

#[tokio::test]
async fn failing_store_is_unavailable_and_says_when_to_ask_again() {
    let function = Function::with_faults(|_| Fault::NotDone);
    for path in ["/replication/changes?fromOffset=0", "/replication/snapshot"] {
        assert_eq!(function.get(path).await.refusal(), (503, "unavailable"));
    }
}

/// The longest names, of characters that JSON escapes.
#[tokio::test]
async fn largest_answer_stays_far_below_what_lambda_takes() {
    let function = Function::new();
    let name = "\"".repeat(128);
    for n in 0..50 {
        let key = key("demo", &name, &format!("{}{n:03}", "\\".repeat(125)));
        for _ in 0..20 {
            function.change(&key, 1_000_000_000).await;
        }
        function.publish(&key).await;
    }
    // Levels keep four to nineteen entries of their own; ask for as many as were published.
    let reply = function.get("/replication/changes?fromOffset=0&limit=1000").await;
    let count = seqs(&reply).len();
    assert!(count > 150, "{count}");
    assert!(reply.text.len() / count * 1000 < 2 * 1024 * 1024, "{} bytes a change", reply.text.len() / count);
}
