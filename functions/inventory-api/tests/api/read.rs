//! Reading one product: at a location, summed up, and at each.

use rstest::rstest;
use serde_json::json;

use crate::{Function, encoded, update};

#[tokio::test]
async fn one_location_is_shown_as_it_stands() {
    let function = Function::new();
    function.stock("SKU-1", "main", 9).await;
    function.stock("SKU-1", "other", 100).await;
    function.inventory.clock.advance_ms(998);
    assert_eq!(function.post(&update(-2, Some(1), "k")).await.status, 200);
    let expected = json!({
        "productId": "SKU-1", "available": 7, "reserved": 0, "oversold": 0, "version": 2,
        "lastUpdated": "2026-11-20T08:00:01.000Z", "source": "api",
    });
    assert_eq!(function.get("/inventory/SKU-1?storeId=main").await.body, expected);
    let other = function.get("/inventory/SKU-1?storeId=other").await.body;
    assert_eq!((&other["available"], &other["source"]), (&json!(100), &json!("marketplace-a/default")));
}

#[tokio::test]
async fn without_a_location_the_sums_are_shown() {
    let function = Function::new();
    function.stock("SKU-1", "a", 9).await;
    function.stock("SKU-1", "b", 5).await;
    function.sell("SKU-1", "b", 2).await;
    let expected = json!({
        "productId": "SKU-1", "available": 12, "reserved": 0, "oversold": 0, "version": 3,
        "lastUpdated": "2026-11-20T08:00:00.003Z", "source": "etsy/store-9",
    });
    assert_eq!(function.get("/inventory/SKU-1").await.body, expected);
    let expected = json!({ "productId": "SKU-1", "totalAvailable": 12, "perStore": { "a": 9, "b": 3 } });
    assert_eq!(function.get("/inventory/global/SKU-1").await.body, expected);
}

#[tokio::test]
async fn oversold_location_has_none_available_and_takes_none_from_others() {
    let function = Function::new();
    function.stock("SKU-1", "a", 1).await;
    function.sell("SKU-1", "a", 4).await;
    let shown = function.get("/inventory/SKU-1?storeId=a").await.body;
    assert_eq!((&shown["available"], &shown["oversold"]), (&json!(0), &json!(3)));
    function.stock("SKU-1", "b", 5).await;
    let shown = function.get("/inventory/SKU-1").await.body;
    assert_eq!((&shown["available"], &shown["oversold"]), (&json!(5), &json!(3)));
    let expected = json!({ "productId": "SKU-1", "totalAvailable": 5, "perStore": { "a": 0, "b": 5 } });
    assert_eq!(function.get("/inventory/global/SKU-1").await.body, expected);
    assert_eq!(function.get("/inventory").await.body["items"][0]["available"], 0);
}

#[rstest]
#[case::product("/inventory/SKU-2")]
#[case::at_a_location("/inventory/SKU-2?storeId=main")]
#[case::location("/inventory/SKU-1?storeId=elsewhere")]
#[case::location_in_other_case("/inventory/SKU-1?storeId=Main")]
#[case::everywhere("/inventory/global/SKU-2")]
#[case::no_product("/inventory/")]
#[case::no_product_anywhere("/inventory/global/")]
#[case::path("/elsewhere")]
#[tokio::test]
async fn what_is_not_there_is_not_found(#[case] path: &str) {
    let function = Function::new();
    function.stock("SKU-1", "main", 9).await;
    assert_eq!(function.get(path).await.refusal(), (404, "not_found"));
}

#[rstest]
#[case::slash("a/b")]
#[case::slashes("/a//b/")]
#[case::escaped_slash("a%2Fb")]
#[case::percent("50% off")]
#[case::hash("SKU #1")]
#[case::question_mark("what?storeId=x")]
#[case::plus_and_ampersand("a+b&c=d;e")]
#[case::emoji("🦀🧦")]
#[case::quotes("\"'\\`")]
#[case::longest(&"x".repeat(128))]
#[case::like_another_route("global/SKU-1")]
#[case::like_an_endpoint("updates")]
#[tokio::test]
async fn odd_names_are_found_under_their_encoded_path(#[case] name: &str) {
    let function = Function::new();
    function.stock(name, name, 7).await;
    function.stock("SKU-1", "main", 1).await;
    // A name of plain letters that collides with a route is encoded as well.
    let path = if name == "updates" { "%75pdates".to_owned() } else { encoded(name) };
    for path in [format!("/inventory/{path}"), format!("/inventory/{path}?storeId={}", encoded(name))] {
        let reply = function.get(&path).await;
        assert_eq!((reply.status, &reply.body["productId"]), (200, &json!(name)), "{path}");
        assert_eq!(reply.body["available"], 7);
    }
    let reply = function.get(&format!("/inventory/global/{path}")).await;
    assert_eq!(reply.body, json!({ "productId": name, "totalAvailable": 7, "perStore": { name: 7 } }));
}

#[tokio::test]
async fn slash_may_also_come_as_it_is() {
    let function = Function::new();
    function.stock("a/b", "main", 7).await;
    for path in ["/inventory/a/b", "/inventory/global/a/b"] {
        assert_eq!(function.get(path).await.body["productId"], "a/b");
    }
}

#[rstest]
#[case::too_long(&format!("/inventory/{}", "x".repeat(129)), "productId")]
#[case::too_long_anywhere(&format!("/inventory/global/{}", "x".repeat(129)), "productId")]
#[case::outer_space("/inventory/%20a", "productId")]
#[case::control_character("/inventory/a%00b", "productId")]
#[case::no_location("/inventory/a?storeId=", "storeId")]
#[case::location_twice("/inventory/a?storeId=b&storeId=c", "query")]
#[tokio::test]
async fn impossible_name_is_refused(#[case] path: &str, #[case] field: &str) {
    let reply = Function::new().get(path).await;
    assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), vec![field]));
}

#[tokio::test]
async fn path_that_is_not_utf_8_is_refused() {
    let reply = Function::new().get("/inventory/%FF").await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
}
