//! Who may ask, for whom, and how often.

use core::num::NonZeroU32;

use evenstock_app::testing::Fault;
use evenstock_app::{Clock, Scope};
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::RateLimits;
use rstest::rstest;
use serde_json::Value;

use crate::{Function, UPDATES, put_key, update};

const PATH: &str = "/inventory/SKU-1";

#[rstest]
#[case::own_header(&[("x-api-key", "demo")])]
#[case::bearer(&[("authorization", "Bearer demo")])]
#[tokio::test]
async fn key_is_taken_from_either_header(#[case] headers: &[(&'static str, &str)]) {
    let function = Function::new();
    function.stock("SKU-1", "main", 5).await;
    assert_eq!(function.asked("GET", PATH, headers, "").await.status, 200);
}

#[tokio::test]
async fn missing_wrong_and_expired_keys_are_told_the_same() {
    let function = Function::new();
    let mut bodies = Vec::new();
    for headers in
        [&[][..], &[("x-api-key", "nobody")], &[("x-api-key", "expired")], &[("authorization", "Basic demo")]]
    {
        for (method, path) in [("GET", PATH), ("GET", "/inventory"), ("POST", UPDATES)] {
            let mut reply = function.asked(method, path, headers, update(1, Some(0), "k")).await;
            assert_eq!(reply.refusal(), (401, "unauthorized"));
            assert!(reply.header("x-ratelimit-limit").is_none());
            reply.body["requestId"] = Value::Null;
            bodies.push(reply.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(function.inventory.store.inner().writes(), 0);
}

#[tokio::test]
async fn key_works_until_it_expires() {
    let function = Function::new();
    let in_an_hour = SystemClock.now().plus_millis(3_600_000);
    put_key(&function.keys, "temporary", "demo", &[Scope::Read], false, Some(in_an_hour));
    let reply = function.asked("GET", "/inventory", &[("x-api-key", "temporary")], "").await;
    assert_eq!(reply.status, 200);
}

#[rstest]
#[case::writer_reads("GET", PATH, "writer", "this needs a key with the scope read")]
#[case::writer_lists("GET", "/inventory", "writer", "this needs a key with the scope read")]
#[case::reader_writes("POST", UPDATES, "reader", "this needs a key with the scope write")]
#[tokio::test]
async fn key_without_the_scope_is_forbidden(
    #[case] method: &str,
    #[case] path: &str,
    #[case] key: &str,
    #[case] message: &str,
) {
    let function = Function::new();
    let reply = function.asked(method, path, &[("x-api-key", key)], update(1, Some(0), "k")).await;
    assert_eq!((reply.refusal(), &reply.body["message"]), ((403, "forbidden"), &Value::from(message)));
    assert_eq!(function.inventory.store.inner().writes(), 0);
}

#[tokio::test]
async fn operator_acts_for_any_organization_and_others_for_their_own() {
    let function = Function::new();
    let asked = async |method: &str, path: &str, key: &str, organization: &str| {
        let headers = [("x-api-key", key), ("x-organization-id", organization)];
        function.asked(method, path, &headers, update(5, Some(0), "k")).await
    };
    assert_eq!(asked("POST", UPDATES, "demo", "shop").await.status, 200);
    assert_eq!(asked("GET", PATH, "demo", "shop").await.body["available"], 5);
    assert_eq!(asked("GET", PATH, "demo", "demo").await.refusal(), (404, "not_found"));
    assert_eq!(asked("GET", PATH, "shop", "shop").await.body["available"], 5, "naming one's own is allowed");
    for (method, path) in [("GET", PATH), ("POST", UPDATES)] {
        assert_eq!(asked(method, path, "shop", "demo").await.refusal(), (403, "forbidden"));
    }
    for organization in [" demo", "", &"x".repeat(129), "démo"] {
        let reply = asked("GET", PATH, "demo", organization).await;
        assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), vec!["X-Organization-Id"]));
    }
}

#[tokio::test]
async fn stock_of_another_organization_does_not_exist() {
    let function = Function::new();
    function.stock("SKU-1", "main", 5).await;
    for path in [PATH, "/inventory/SKU-1?storeId=main", "/inventory/global/SKU-1"] {
        assert_eq!(function.get(path).await.status, 200);
        assert_eq!(function.asked("GET", path, &[("x-api-key", "shop")], "").await.refusal(), (404, "not_found"));
    }
    let listed = function.asked("GET", "/inventory", &[("x-api-key", "shop")], "").await;
    assert_eq!(listed.body["items"], Value::Array(vec![]));
}

#[tokio::test]
async fn keyed_answers_tell_the_rate_and_too_many_are_refused() {
    let limit = |number| NonZeroU32::new(number).unwrap();
    let function = Function::with(|_| Fault::None, RateLimits::new(limit(1), limit(3)));
    let first = function.get("/inventory").await;
    let rate = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(|name| first.header(name));
    assert_eq!(rate, [Some("3"), Some("2"), Some("1")]);
    let missing = function.get(PATH).await;
    assert_eq!((missing.status, missing.header("x-ratelimit-remaining")), (404, Some("1")), "errors count too");
    // A slow machine may win back a request on the way, never more than one a second.
    let mut refused = function.get("/inventory").await;
    for _ in 0..50 {
        if refused.status == 429 {
            break;
        }
        refused = function.get("/inventory").await;
    }
    assert_eq!(refused.refusal(), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!((refused.header("x-ratelimit-remaining"), refused.header("x-ratelimit-reset")), (Some("0"), Some("1")));
    let other = function.asked("GET", "/inventory", &[("x-api-key", "shop")], "").await;
    assert_eq!(other.status, 200, "each key has its own rate");
}
