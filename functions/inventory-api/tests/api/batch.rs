//! A list of updates: each on its own, answered in order.

use serde_json::{Value, json};

use crate::{Function, NOW, UPDATES};

fn item(product: &str, delta: i64, version: Option<u64>, key: &str) -> Value {
    json!({ "productId": product, "delta": delta, "version": version, "idempotencyKey": key })
}

fn refused(product: impl Into<Value>, kind: &str, why: &str) -> Value {
    json!({ "productId": product.into(), "applied": false, "errorType": kind, "errorMessage": why })
}

fn list(updates: impl Into<Value>) -> Value {
    json!({ "storeId": "main", "updates": updates.into() })
}

#[tokio::test]
async fn each_update_stands_on_its_own_and_results_keep_the_order() {
    let function = Function::new();
    function.stock("Z", "main", 9).await;
    function.stock("A", "main", 1).await;
    let updates = vec![
        item("Z", -2, Some(1), "z"),
        item("A", -2, None, "a"),
        item("M", 5, Some(0), "m"),
        item("A", 1, Some(7), "b"),
        json!({ "productId": "Q", "delta": 0, "idempotencyKey": "q" }),
        json!("not an object"),
        json!({ "productId": ["odd"] }),
        item("Z", 3, None, "z"),
    ];
    let reply = function.post(&list(updates)).await;
    let at = evenstock_app::Clock::now(&function.inventory.clock).to_string();
    let applied = |product: &str, quantity: i64, version: u64| {
        json!({
            "productId": product, "storeId": "main", "newQuantity": quantity, "newVersion": version,
            "applied": true, "lastUpdated": at,
        })
    };
    let odd = "productId must be text; delta is required; version is required; idempotencyKey is required";
    let expected = json!([
        applied("Z", 7, 2),
        refused("A", "unprocessable", "not enough stock"),
        applied("M", 5, 1),
        refused("A", "conflict", "the level has another version"),
        refused("Q", "bad_request", "delta must be non-zero; version is required"),
        refused(Value::Null, "bad_request", "update must be a JSON object"),
        refused(json!(["odd"]), "bad_request", odd),
        refused("Z", "unprocessable", "the idempotency key was used for another request"),
    ]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body["results"], expected);
    assert_eq!(reply.body["summary"], json!({ "total": 8, "succeeded": 2, "failed": 6 }));
}

#[tokio::test]
async fn updates_of_one_product_are_applied_in_order() {
    let function = Function::new();
    let updates: Vec<_> = (0..100).map(|n| item("SKU-1", 1, Some(n), &n.to_string())).collect();
    let reply = function.post(&list(updates)).await;
    assert_eq!(reply.body["summary"], json!({ "total": 100, "succeeded": 100, "failed": 0 }));
    let versions: Vec<_> = reply.body["results"].as_array().unwrap().iter().map(|one| &one["newVersion"]).collect();
    assert!(versions.iter().zip(1..).all(|(version, n)| **version == json!(n)), "{versions:?}");
    assert_eq!(function.get("/inventory/SKU-1").await.body["available"], 100);
}

#[tokio::test]
async fn repeated_list_has_one_effect_and_the_same_results() {
    let function = Function::new();
    let updates = || list(vec![item("A", 5, Some(0), "a"), item("B", 6, None, "b"), item("A", 5, Some(0), "a")]);
    let first = function.post(&updates()).await;
    assert_eq!(first.body["summary"]["succeeded"], 3, "a repetition inside the list is one too");
    let again = function.post(&updates()).await;
    assert_eq!(again.body, first.body);
    assert_eq!(function.get("/inventory/A").await.body["available"], 5);
}

#[tokio::test]
async fn location_of_the_list_is_that_of_every_update() {
    let function = Function::new();
    let mut odd = item("A", 5, Some(0), "a");
    odd["storeId"] = json!("elsewhere");
    function.post(&list(vec![odd])).await;
    assert_eq!(function.get("/inventory/A?storeId=main").await.body["available"], 5);
}

#[tokio::test]
async fn lists_hold_one_to_a_hundred_updates() {
    let function = Function::new();
    let updates = |count: u64| (0..count).map(|n| item(&format!("P{n}"), 1, None, &n.to_string())).collect::<Vec<_>>();
    assert_eq!(function.post(&list(updates(100))).await.body["summary"]["succeeded"], 100);
    for wrong in [updates(101), updates(0)] {
        let reply = function.post(&list(wrong)).await;
        let issue = ("updates", "must hold 1 to 100 updates");
        assert_eq!((reply.refusal(), reply.issues()), ((400, "bad_request"), vec![issue]));
    }
    for (wrong, why) in [(json!({}), "must be a list"), (Value::Null, "is required"), (json!(7), "must be a list")] {
        let reply = function.post(&list(wrong)).await;
        assert_eq!((reply.refusal(), reply.issues()), ((400, "bad_request"), vec![("updates", why)]));
    }
}

#[tokio::test]
async fn header_cannot_name_a_whole_list() {
    let function = Function::new();
    let headers = [("x-api-key", "demo"), ("idempotency-key", "k")];
    let body = json!({ "storeId": "", "updates": [] });
    let reply = function.asked("POST", UPDATES, &headers, body).await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
    assert_eq!(reply.fields(), ["storeId", "updates", "Idempotency-Key"]);
    assert_eq!(function.inventory.store.inner().writes(), 0);
}

#[tokio::test]
async fn time_of_an_applied_update_is_told() {
    let reply = Function::new().post(&list(vec![item("A", 5, Some(0), "a")])).await;
    assert_eq!(reply.body["results"][0]["lastUpdated"], NOW);
}
