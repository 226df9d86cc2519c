//! Idempotency keys: one effect and one answer, however often the request is sent.

use evenstock_app::testing::Fault;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{Function, UPDATES, update, with};

const DEMO: (&str, &str) = ("x-api-key", "demo");

#[tokio::test]
async fn repetition_gets_the_first_answer_long_after() {
    let function = Function::new();
    let first = function.post(&update(50, Some(0), "first")).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None));
    for n in 0..40 {
        function.inventory.clock.advance_ms(1000);
        assert_eq!(function.post(&update(-1, None, &n.to_string())).await.status, 200);
    }
    for _ in 0..2 {
        let again = function.post(&update(50, Some(0), "first")).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(function.get("/inventory/SKU-1").await.body["available"], 10);
}

#[tokio::test]
async fn key_is_bound_to_what_is_asked_not_to_how_it_is_written() {
    let function = Function::new();
    assert_eq!(function.post(&update(5, None, "k")).await.status, 200);
    let rewritten = r#"  { "version" : null, "idempotencyKey":"\u006b", "note":1,
        "delta":5, "productId":"SKU\u002d1", "storeId":"main" } "#;
    let again = function.asked("POST", UPDATES, &[DEMO], rewritten).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
}

#[rstest]
#[case::delta("delta", json!(6))]
#[case::version("version", json!(0))]
#[case::product("productId", json!("SKU-2"))]
#[case::location("storeId", json!("other"))]
#[tokio::test]
async fn another_request_under_the_key_is_refused(#[case] field: &str, #[case] value: Value) {
    let function = Function::new();
    assert_eq!(function.post(&update(5, None, "k")).await.status, 200);
    let other = function.post(&with(update(5, None, "k"), field, Some(value))).await;
    assert_eq!(other.refusal(), (422, "unprocessable"));
    assert_eq!(other.body["message"], "the idempotency key was used for another request");
    assert_eq!(function.get("/inventory").await.body["items"][0]["available"], 5);
}

#[tokio::test]
async fn organizations_do_not_share_keys() {
    let function = Function::new();
    let asked = async |headers: &[(&'static str, &str)], delta| {
        function.asked("POST", UPDATES, headers, update(delta, Some(0), "k")).await
    };
    let operator = [DEMO, ("x-organization-id", "third")];
    let callers: [(&[_], i64); 3] = [(&[DEMO], 5), (&[("x-api-key", "shop")], 6), (&operator, 7)];
    for (headers, delta) in callers {
        let reply = asked(headers, delta).await;
        assert_eq!((reply.status, &reply.body["newQuantity"]), (200, &json!(delta)));
        assert_eq!(reply.header("idempotency-replayed"), None);
    }
}

#[tokio::test]
async fn refusal_is_decided_afresh() {
    let function = Function::new();
    assert_eq!(function.post(&update(-5, None, "k")).await.status, 422);
    function.stock("SKU-1", "main", 9).await;
    let reply = function.post(&update(-5, None, "k")).await;
    assert_eq!((reply.status, &reply.body["newQuantity"]), (200, &json!(4)));
    assert_eq!(reply.header("idempotency-replayed"), None, "this is the first time that it had an effect");
    let reply = function.post(&update(-5, None, "k")).await;
    assert_eq!((reply.status, reply.header("idempotency-replayed")), (200, Some("true")));
}

#[tokio::test]
async fn key_is_forgotten_after_thirty_days_and_not_after_one() {
    let function = Function::new();
    let day = 24 * 60 * 60 * 1000;
    assert_eq!(function.post(&update(5, None, "k")).await.body["newQuantity"], 5);
    function.inventory.clock.advance_ms(29 * day);
    assert_eq!(function.post(&update(5, None, "k")).await.body["newQuantity"], 5);
    function.inventory.clock.advance_ms(day);
    assert_eq!(function.post(&update(5, None, "k")).await.body["newQuantity"], 10);
}

#[tokio::test]
async fn header_is_as_good_as_the_field() {
    let function = Function::new();
    let asked = async |header: &str, body: Value| {
        function.asked("POST", UPDATES, &[DEMO, ("idempotency-key", header)], body).await
    };
    let without = with(update(5, None, ""), "idempotencyKey", None);
    assert_eq!(asked("k", without.clone()).await.body["newQuantity"], 5);
    let null = with(without.clone(), "idempotencyKey", Some(Value::Null));
    for body in [without.clone(), null, update(5, None, "k")] {
        assert_eq!(asked("k", body).await.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(function.post(&update(5, None, "k")).await.header("idempotency-replayed"), Some("true"));
    let different = asked("k", update(5, None, "l")).await;
    let issue = ("idempotencyKey", "differs from the Idempotency-Key header");
    assert_eq!((different.refusal(), different.issues()), ((400, "bad_request"), vec![issue]));
    let neither = function.post(&without).await;
    assert_eq!((neither.refusal(), neither.issues()), ((400, "bad_request"), vec![("idempotencyKey", "is required")]));
}

#[rstest]
#[case::empty("", "must be 1 to 255 characters")]
#[case::too_long(&"x".repeat(256), "must be 1 to 255 characters")]
#[case::not_ascii("é", "must be printable")]
#[tokio::test]
async fn unusable_header_is_refused(#[case] header: &str, #[case] why: &str) {
    let headers = [DEMO, ("idempotency-key", header)];
    let reply = Function::new().asked("POST", UPDATES, &headers, update(5, None, "k")).await;
    assert_eq!((reply.refusal(), reply.issues()), ((400, "bad_request"), vec![("Idempotency-Key", why)]));
}

#[rstest]
#[case::longest(&"🦀".repeat(255), 200)]
#[case::separators("a#I#b/c%23", 200)]
#[case::too_long(&"x".repeat(256), 400)]
#[tokio::test]
async fn keys_may_hold_anything_up_to_255_characters(#[case] key: &str, #[case] status: u16) {
    assert_eq!(Function::new().post(&update(5, None, key)).await.status, status);
}

#[rstest]
#[tokio::test]
async fn write_of_unknown_outcome_has_one_effect(
    #[values("claim", "append", "commit", "load", "put_page", "drop_page")] operation: &'static str,
    #[values(Fault::NotDone, Fault::UnknownNotDone, Fault::UnknownDone)] fault: Fault,
) {
    let mut healthy = false;
    let function = Function::with_faults(move |called| {
        healthy ^= called == operation;
        if called == operation && healthy { fault } else { Fault::None }
    });
    for n in 0..40 {
        let reply = function.post(&update(1, Some(n), &n.to_string())).await;
        assert_eq!((reply.status, &reply.body["newVersion"]), (200, &json!(n + 1)));
    }
    assert_eq!(function.post(&update(1, Some(0), "0")).await.body["newVersion"], 1);
    assert_eq!(function.get("/inventory/SKU-1").await.body["available"], 40);
}
