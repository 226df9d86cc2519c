//! What a delivery may say, and how large it may be.

use evenstock_app::{ChangeBody, Clock};
use evenstock_runtime::SystemClock;
use rstest::rstest;
use serde_json::{Value, json};

use crate::registered::Shop;
use crate::{BODY, CONTRACT, Function, body_with};

/// The largest body that is read, in bytes.
const LIMIT: usize = 256 * 1024;

fn in_millis(millis: i64) -> String {
    SystemClock.now().plus_millis(millis).to_string()
}

#[rstest]
#[case::not_json("not json", &["body"])]
#[case::empty("", &["body"])]
#[case::list(&format!("[{BODY}]"), &["body"])]
#[case::nothing_in_it("{}", &["product_code", "available_stock", "timestamp"])]
#[case::everything_wrong(
    r#"{"product_code":7,"available_stock":-1,"timestamp":"soon","warehouse":" main"}"#,
    &["product_code", "available_stock", "timestamp", "warehouse"]
)]
#[tokio::test]
async fn every_wrong_field_is_named_at_once(#[case] body: &str, #[case] fields: &[&str]) {
    let function = Function::new();
    let reply = function.deliver_signed(body).await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
    assert_eq!(reply.fields(), fields);
    assert_eq!(function.queued(), []);
}

#[rstest]
#[case::negative("available_stock", json!(-1), "must not be negative")]
#[case::too_much("available_stock", json!(2_147_483_648_i64), "must be within ±2147483647")]
#[case::fraction("available_stock", json!(1.5), "must be an integer, without fraction or exponent")]
#[case::text("available_stock", json!("7"), "must be an integer")]
#[case::beyond_9999("timestamp", json!("10000-01-01T00:00:00Z"), "must be an RFC 3339 time between 1970 and 9999")]
#[case::year_9999("timestamp", json!("9999-12-30T00:00:00Z"), "must not be more than two minutes ahead")]
#[case::year_1969("timestamp", json!("1969-12-31T23:59:59Z"), "must be an RFC 3339 time between 1970 and 9999")]
#[case::no_date("timestamp", json!("yesterday"), "must be an RFC 3339 time between 1970 and 9999")]
#[case::unix_time("timestamp", json!(1_795_161_600), "must be a string")]
#[case::three_minutes_ahead("timestamp", json!(in_millis(180_000)), "must not be more than two minutes ahead")]
#[case::three_hundred_characters("product_code", json!("x".repeat(300)), "must be at most 128 bytes of UTF-8")]
#[case::long_in_bytes_only("product_code", json!("🦀".repeat(33)), "must be at most 128 bytes of UTF-8")]
#[case::control_character("product_code", json!("a\nb"), "must not contain control characters")]
#[case::outer_space("warehouse", json!("main "), "must not begin or end with a space")]
#[tokio::test]
async fn wrong_value_is_named_with_its_reason(#[case] field: &str, #[case] value: Value, #[case] why: &str) {
    let function = Function::new();
    let reply = function.deliver_signed(body_with(field, value)).await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
    assert_eq!(reply.issues(), [(field, why)]);
    assert_eq!(function.queued(), []);
}

#[tokio::test]
async fn time_within_two_minutes_ahead_is_taken() {
    let function = Function::new();
    for time in [in_millis(110_000), "2026-11-20T09:00:00.123456+01:00".to_owned(), "1970-01-01T00:00:00Z".to_owned()] {
        assert_eq!(function.deliver_signed(body_with("timestamp", time)).await.status, 202);
    }
    assert_eq!(function.queued()[1].time, "2026-11-20T08:00:00.123Z");
}

#[rstest]
#[case::inner_spaces("Blue shirt, size M")]
#[case::emoji("🦀🧦")]
#[case::separators("a#S#b/c|d%23\\e\"f'")]
#[case::longest(&"x".repeat(128))]
#[tokio::test]
async fn odd_product_names_arrive_as_they_were_sent(#[case] sku: &str) {
    let function = Function::new();
    let reply = function.deliver_signed(body_with("product_code", sku)).await;
    assert_eq!((reply.status, &reply.body["data"]["productId"]), (202, &json!(sku)));
    assert_eq!(function.queued()[0].sku, sku);
}

#[tokio::test]
async fn delivery_without_a_warehouse_is_about_the_default_location() {
    let function = Function::new();
    let body =
        r#"{"product_code":"SKU-1","available_stock":0,"timestamp":"2026-11-20T08:00:00Z","metadata":{"a":[1]}}"#;
    assert_eq!(function.deliver_signed(body).await.status, 202);
    let queued = function.queued();
    assert_eq!(queued[0].location, "default");
    assert_eq!(queued[0].change, ChangeBody::CountAvailable { quantity: 0, sequence: 0 });
}

#[tokio::test]
async fn body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
    let function = Function::new();
    let around = body_with("metadata", "").len();
    let largest = body_with("metadata", "x".repeat(LIMIT - around));
    assert_eq!(largest.len(), LIMIT);
    assert_eq!(function.deliver_signed(&largest).await.status, 202);
    let too_large = body_with("metadata", "x".repeat(LIMIT - around + 1));
    assert_eq!(function.deliver_signed(&too_large).await.refusal(), (413, "too_large"));
    assert_eq!(function.queued().len(), 1);
}

#[tokio::test]
async fn every_field_that_is_described_is_read_and_named_when_it_is_wrong() {
    let mut tried = 0;
    for (_, path, operation) in CONTRACT.operations() {
        for example in CONTRACT.example_bodies(operation) {
            let shop = Shop::new();
            let channel = if example.get("receipt").is_some() { "etsy" } else { "marketplace-a" };
            let store = shop.registers(channel, "secret").await;
            let path = path.replace("{channel}", channel).replace("{storeId}", &store);
            let deliver = async |body: &Value| {
                let body = body.to_string();
                shop.deliver(&path, &body, "secret").await
            };
            for broken in CONTRACT.broken_bodies(operation, &example) {
                // What the marketplace adds is not read, so it cannot be wrong.
                if broken.field == "metadata" {
                    continue;
                }
                let reply = deliver(&broken.body).await;
                let wrong = vec![broken.field.as_str()];
                assert_eq!((reply.refusal().0, reply.fields()), (400, wrong), "{path} {}", broken.body);
                tried += 1;
            }
            assert_eq!(deliver(&example).await.status, 202, "{path}");
        }
    }
    assert_eq!(tried, 2 * 7 + 3);
}
