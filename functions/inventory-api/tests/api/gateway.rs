//! Requests as the gateway hands them to Lambda.

use evenstock_runtime::http::restore_path;
use evenstock_runtime::testing::Reply;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{CONTRACT, Function, encoded};

async fn handled(function: &Function, event: &str) -> Reply {
    CONTRACT.ask(&function.router, restore_path(lambda_http::request::from_str(event).unwrap())).await
}

#[tokio::test]
async fn update_and_read_work_through_the_gateway() {
    let function = Function::new();
    let updated = handled(&function, include_str!("../../../../events/inventory-api-update.json")).await;
    assert_eq!((updated.status, &updated.body["newQuantity"]), (200, &json!(5)));
    let again = handled(&function, include_str!("../../../../events/inventory-api-update.json")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let read = handled(&function, include_str!("../../../../events/inventory-api.json")).await;
    assert_eq!((read.status, &read.body["available"]), (200, &json!(5)));
}

/// A read of a product at `store 1`, with the path as the gateway writes it.
async fn read(function: &Function, path: &str) -> Reply {
    let mut event: Value = serde_json::from_str(include_str!("../../../../events/inventory-api.json")).unwrap();
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["path"] = json!(path);
    event["rawQueryString"] = json!("storeId=store%201");
    handled(function, &event.to_string()).await
}

#[rstest]
#[case::space("a b")]
#[case::emoji("🦀")]
#[case::slash("a/b")]
#[case::backslash("a\\b")]
#[case::dots("..")]
#[case::dots_between("a/../b")]
#[case::hash("SKU #1")]
#[case::hash_at_the_end("SKU#")]
#[case::percent("50% off")]
#[case::percent_at_the_end("5%")]
#[case::question_mark("what?")]
#[case::plus("a+b")]
#[case::quotes("\"'`^{|}<>[]")]
#[tokio::test]
async fn odd_names_are_found_whether_the_gateway_decodes_paths_or_not(#[case] name: &str) {
    let function = Function::new();
    function.stock(name, "store 1", 7).await;
    function.stock("SKU", "store 1", 1).await;
    for path in [format!("/inventory/{name}"), format!("/inventory/{}", encoded(name))] {
        let reply = read(&function, &path).await;
        assert_eq!((reply.status, &reply.body["productId"]), (200, &json!(name)), "{path}");
    }
}

#[tokio::test]
async fn query_reaches_the_listing() {
    let function = Function::new();
    for n in 0..3 {
        function.stock(&format!("SKU-{n}"), "main", n).await;
    }
    let mut event: Value = serde_json::from_str(include_str!("../../../../events/inventory-api.json")).unwrap();
    event["rawPath"] = json!("/inventory");
    event["rawQueryString"] = json!("limit=2");
    let first = handled(&function, &event.to_string()).await;
    assert_eq!(first.body["items"].as_array().unwrap().len(), 2);
    event["rawQueryString"] = json!(format!("cursor={}&limit=2", first.body["nextCursor"].as_str().unwrap()));
    let second = handled(&function, &event.to_string()).await;
    assert_eq!((second.body["items"].as_array().unwrap().len(), &second.body["nextCursor"]), (1, &json!("")));
}
