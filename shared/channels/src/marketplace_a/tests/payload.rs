//! What becomes of each field, good and bad.

use evenstock_app::ChangeBody;
use evenstock_domain::EventIdKey;
use rstest::rstest;

use super::*;

#[test]
fn delivery_becomes_a_count_of_what_can_be_sold() {
    let change = one(BODY);
    // SHA-256 of `shop`, a zero byte and the body, computed elsewhere.
    let digest = "e1fd7c1b5d96d09996a0c515045ca8b35a0347a66005a2317942a05267401e5f";
    let expected = StockChange {
        event_id: format!("marketplace-a/shop/{digest}"),
        organization: "demo".to_owned(),
        sku: "SKU-1".to_owned(),
        location: "main".to_owned(),
        source: "marketplace-a/shop".to_owned(),
        time: "2026-11-20T08:00:00.000Z".to_owned(),
        job_id: "job-1".to_owned(),
        change: ChangeBody::CountAvailable { quantity: 7, sequence: 0 },
    };
    assert_eq!(change, expected);
    assert!(change.to_event(&EventIdKey::new([0; 16])).is_ok());
}

#[test]
fn same_body_is_the_same_event_and_any_other_is_not() {
    assert_eq!(one(BODY).event_id, one(BODY).event_id);
    assert_ne!(one(BODY).event_id, one(format!("{BODY} ")).event_id);
    assert_ne!(one(BODY).event_id, adapt_for("shop-2", BODY).unwrap()[0].event_id);
}

#[rstest]
#[case::null("null")]
#[case::named_so(r#""default""#)]
fn missing_warehouse_is_the_default_one(#[case] warehouse: &str) {
    assert_eq!(one(with("warehouse", warehouse)).location, "default");
    assert_eq!(one(BODY.replace(r#","warehouse":"main""#, "")).location, "default");
}

#[rstest]
#[case::inner_spaces("blue shirt XL")]
#[case::emoji("👕-🟦")]
#[case::separators("/#%|:@?&=+;,\\\"'")]
#[case::longest(&"x".repeat(128))]
fn product_codes_of_every_kind_pass_unchanged(#[case] code: &str) {
    let json = serde_json::to_string(code).unwrap();
    assert_eq!(one(with("product_code", &json)).sku, code);
    assert_eq!(one(with("warehouse", &json)).location, code);
}

#[rstest]
#[case::zero("0", 0)]
#[case::negative_zero("-0", 0)]
#[case::greatest("2147483647", 2_147_483_647)]
fn stock_within_the_range_passes(#[case] stock: &str, #[case] expected: i64) {
    let change = one(with("available_stock", stock)).change;
    assert_eq!(change, ChangeBody::CountAvailable { quantity: expected, sequence: 0 });
}

#[rstest]
#[case::whole_with_fraction("1.0", "must be an integer, without fraction or exponent")]
#[case::exponent("1e3", "must be an integer, without fraction or exponent")]
#[case::beyond_every_float("1e999", "must be an integer, without fraction or exponent")]
#[case::text(r#""7""#, "must be an integer")]
#[case::boolean("true", "must be an integer")]
#[case::array("[7]", "must be an integer")]
#[case::object(r#"{"e":7}"#, "must be an integer")]
#[case::null("null", "is required")]
#[case::negative("-1", "must not be negative")]
#[case::far_below("-99999999999999999999999", "must not be negative")]
#[case::one_too_many("2147483648", "must be within ±2147483647")]
#[case::beyond_64_bits("99999999999999999999999", "must be within ±2147483647")]
fn stock_that_is_no_count_is_named(#[case] stock: &str, #[case] why: &str) {
    assert_eq!(adapt(with("available_stock", stock)), Err(vec![issue("available_stock", why)]));
}

#[rstest]
#[case::empty(r#""""#, "must not be empty")]
#[case::null("null", "is required")]
#[case::number("7", "must be a string")]
#[case::array("[]", "must be a string")]
#[case::too_long(&format!("\"{}\"", "x".repeat(300)), "must be at most 128 bytes of UTF-8")]
#[case::outer_space(r#"" SKU""#, "must not begin or end with a space")]
#[case::control_character(r#""a\u0000b""#, "must not contain control characters")]
fn product_code_that_is_no_name_is_named(#[case] code: &str, #[case] why: &str) {
    assert_eq!(adapt(with("product_code", code)), Err(vec![issue("product_code", why)]));
}

#[rstest]
#[case::empty(r#""""#, "must not be empty")]
#[case::number("7", "must be a string")]
fn warehouse_that_is_no_name_is_named(#[case] warehouse: &str, #[case] why: &str) {
    assert_eq!(adapt(with("warehouse", warehouse)), Err(vec![issue("warehouse", why)]));
}

#[rstest]
#[case::two_minutes_ahead("2026-11-20T08:02:00Z", "2026-11-20T08:02:00.000Z")]
#[case::other_offset("2026-11-20T09:00:00.1239+01:00", "2026-11-20T08:00:00.123Z")]
#[case::long_ago("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z")]
fn time_is_kept_in_utc_with_milliseconds(#[case] timestamp: &str, #[case] expected: &str) {
    assert_eq!(one(with("timestamp", &format!("\"{timestamp}\""))).time, expected);
}

#[rstest]
#[case::more_than_two_minutes_ahead(r#""2026-11-20T08:02:00.001Z""#, "must not be more than two minutes ahead")]
#[case::before_1970(r#""1969-12-31T23:59:59Z""#, "must be an RFC 3339 time between 1970 and 9999")]
#[case::year_10000(r#""10000-01-01T00:00:00Z""#, "must be an RFC 3339 time between 1970 and 9999")]
#[case::without_offset(r#""2026-11-20T08:00:00""#, "must be an RFC 3339 time between 1970 and 9999")]
#[case::no_such_day(r#""2026-02-30T08:00:00Z""#, "must be an RFC 3339 time between 1970 and 9999")]
#[case::words(r#""yesterday""#, "must be an RFC 3339 time between 1970 and 9999")]
#[case::number("1795161600", "must be a string")]
#[case::null("null", "is required")]
fn time_that_is_absurd_is_named(#[case] timestamp: &str, #[case] why: &str) {
    assert_eq!(adapt(with("timestamp", timestamp)), Err(vec![issue("timestamp", why)]));
}

#[test]
fn store_whose_name_leaves_no_room_for_a_source_is_refused_before_the_queue() {
    let issues = adapt_for(&"s".repeat(128), BODY).unwrap_err();
    assert_eq!(issues, [issue("storeId", "must be at most 128 bytes of UTF-8")]);
}
