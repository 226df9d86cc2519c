//! One update: what it changes, and what is wrong with it.

use evenstock_domain::Quantity;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{Function, NOW, UPDATES, update, with};

#[tokio::test]
async fn update_names_the_version_that_it_was_made_on() {
    let function = Function::new();
    let applied = |quantity: i64, version: u64| {
        json!({
            "productId": "SKU-1", "storeId": "main", "newQuantity": quantity, "newVersion": version,
            "applied": true, "lastUpdated": NOW,
        })
    };
    for (delta, version, quantity) in [(50, Some(0), 50), (-3, Some(1), 47), (-7, None, 40), (1, Some(3), 41)] {
        let reply = function.post(&update(delta, version, &quantity.to_string())).await;
        let expected = applied(quantity, reply.body["newVersion"].as_u64().unwrap());
        assert_eq!((reply.status, &reply.body), (200, &expected));
        assert_eq!(reply.header("idempotency-replayed"), None);
    }
    assert_eq!(function.get("/inventory/SKU-1").await.body["version"], 4);
}

#[rstest]
#[case::stale(1)]
#[case::not_there_yet(0)]
#[case::of_the_future(3)]
#[case::of_the_far_future(i64::MAX as u64)]
#[tokio::test]
async fn other_version_than_the_current_one_conflicts_and_tells_it(#[case] version: u64) {
    let function = Function::new();
    function.stock("SKU-1", "main", 9).await;
    assert_eq!(function.post(&update(1, Some(1), "first")).await.status, 200);
    let reply = function.post(&update(-100, Some(version), "second")).await;
    assert_eq!(reply.refusal(), (409, "conflict"));
    assert_eq!(reply.body["current"], json!({ "available": 10, "version": 2 }));
}

#[rstest]
#[case::with_the_version(Some(1))]
#[case::without(None)]
#[tokio::test]
async fn taking_more_than_there_is_is_refused_and_tells_what_there_is(#[case] version: Option<u64>) {
    let function = Function::new();
    function.stock("SKU-1", "main", 9).await;
    let reply = function.post(&update(-10, version, "k")).await;
    assert_eq!(reply.refusal(), (422, "unprocessable"));
    assert_eq!(reply.body["current"], json!({ "available": 9, "version": 1 }));
    assert_eq!(function.post(&update(-9, version, "l")).await.body["newQuantity"], 0);
}

#[tokio::test]
async fn product_that_is_not_there_has_version_zero_and_nothing_to_take() {
    let function = Function::new();
    let nothing = json!({ "available": 0, "version": 0 });
    for (delta, version, expected) in [(1, Some(1), 409), (-1, Some(0), 422), (-1, None, 422)] {
        let reply = function.post(&update(delta, version, "k1")).await;
        assert!([409, 422].contains(&reply.status));
        // Each under its own key: another request under one key is a mistake of its own.
        let reply = function.post(&update(delta, version, &format!("k{delta}{version:?}"))).await;
        assert_eq!((reply.status, &reply.body["current"]), (expected, &nothing));
    }
    assert_eq!(function.get("/inventory/SKU-1").await.status, 404, "a refusal creates nothing");
    assert_eq!(function.post(&update(1, None, "k")).await.body["newVersion"], 1);
}

#[tokio::test]
async fn oversold_level_is_shown_as_empty() {
    let function = Function::new();
    function.stock("SKU-1", "main", 1).await;
    function.sell("SKU-1", "main", 4).await;
    let reply = function.post(&update(-1, None, "k")).await;
    assert_eq!((reply.status, &reply.body["current"]), (422, &json!({ "available": 0, "version": 2 })));
    let reply = function.post(&update(2, Some(2), "l")).await;
    assert_eq!((reply.status, &reply.body["newQuantity"]), (200, &json!(0)), "one is still missing");
    assert_eq!(function.get("/inventory/SKU-1").await.body["oversold"], 1);
}

#[tokio::test]
async fn quantity_never_leaves_its_range() {
    let function = Function::new();
    function.stock("SKU-1", "main", Quantity::MAX).await;
    let reply = function.post(&update(1, None, "k")).await;
    assert_eq!(reply.refusal(), (422, "unprocessable"));
    assert_eq!(reply.body["message"], "refused: it would take the quantity out of range");
    assert_eq!(function.post(&update(-Quantity::MAX, None, "l")).await.body["newQuantity"], 0);
}

#[rstest]
#[case::zero(Some(json!(0)), "must be non-zero")]
#[case::missing(None, "is required")]
#[case::null(Some(Value::Null), "is required")]
#[case::fraction(Some(json!(1.5)), "must be a whole number within ±2147483647")]
#[case::whole_float(Some(json!(1.0)), "must be a whole number within ±2147483647")]
#[case::text(Some(json!("5")), "must be a whole number")]
#[case::too_large(Some(json!(2_147_483_648_i64)), "must be within ±2147483647")]
#[case::too_small(Some(json!(-2_147_483_648_i64)), "must be within ±2147483647")]
#[tokio::test]
async fn wrong_delta_is_named_beside_every_other_wrong_field(#[case] delta: Option<Value>, #[case] why: &str) {
    let function = Function::new();
    let alone = function.post(&with(update(1, None, "k"), "delta", delta.clone())).await;
    assert_eq!((alone.refusal(), alone.issues()), ((400, "bad_request"), vec![("delta", why)]));
    let body = json!({ "storeId": " main", "productId": 7, "version": -1, "idempotencyKey": "" });
    let all = function.post(&with(body, "delta", delta)).await;
    let expected = [
        ("storeId", "must not begin or end with a space"),
        ("productId", "must be text"),
        ("delta", why),
        ("version", "must not be negative"),
        ("idempotencyKey", "must be 1 to 255 characters"),
    ];
    assert_eq!((all.refusal(), all.issues()), ((400, "bad_request"), expected.to_vec()));
    assert_eq!(function.inventory.store.inner().writes(), 0);
}

#[rstest]
#[case::missing(None, "is required")]
#[case::text(Some(json!("1")), "must be a whole number")]
#[case::fraction(Some(json!(0.5)), "must be a whole number within ±2147483647")]
#[tokio::test]
async fn version_must_be_named_or_left_open_on_purpose(#[case] version: Option<Value>, #[case] why: &str) {
    let function = Function::new();
    let reply = function.post(&with(update(1, None, "k"), "version", version)).await;
    assert_eq!((reply.refusal(), reply.issues()), ((400, "bad_request"), vec![("version", why)]));
    assert_eq!(function.post(&update(1, None, "k")).await.status, 200, "null leaves it open");
}

#[rstest]
#[case::empty("")]
#[case::not_json("{")]
#[case::list("[]")]
#[case::text("\"x\"")]
#[case::not_utf_8_escape("{\"productId\":\"\\ud800\"}")]
#[case::deep(&"[".repeat(1000))]
#[tokio::test]
async fn body_that_is_no_object_is_named(#[case] body: &str) {
    let reply = Function::new().asked("POST", UPDATES, &[("x-api-key", "demo")], body).await;
    assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), vec!["body"]));
}

#[tokio::test]
async fn body_beyond_the_limit_is_too_large() {
    let function = Function::new();
    let around = with(update(1, None, "k"), "note", Some(json!(""))).to_string().len();
    let body = |bytes: usize| with(update(1, None, "k"), "note", Some(json!("x".repeat(bytes - around))));
    assert_eq!(function.post(&body(256 * 1024)).await.status, 200);
    assert_eq!(function.post(&body(256 * 1024 + 1)).await.refusal(), (413, "too_large"));
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let body = with(update(1, None, "k"), "colour", Some(json!({ "of": ["no", "interest"] })));
    assert_eq!(Function::new().post(&body).await.status, 200);
}

#[rstest]
#[case::put("PUT")]
#[case::delete("DELETE")]
#[tokio::test]
async fn updates_are_posted(#[case] method: &str) {
    let reply = Function::new().asked(method, UPDATES, &[("x-api-key", "demo")], update(1, None, "k")).await;
    assert_eq!((reply.refusal(), reply.header("allow")), ((405, "bad_request"), Some("GET,HEAD,POST")));
}
