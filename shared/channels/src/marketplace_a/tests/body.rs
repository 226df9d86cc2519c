//! Bodies that are wrong as a whole, or hold more than the known fields.

use rstest::rstest;

use super::*;

#[test]
fn all_wrong_fields_are_named_at_once() {
    let expected = vec![
        issue("product_code", "is required"),
        issue("available_stock", "must not be negative"),
        issue("timestamp", "must be a string"),
        issue("warehouse", "must not be empty"),
    ];
    assert_eq!(adapt(r#"{"available_stock":-1,"timestamp":7,"warehouse":""}"#), Err(expected));
    let required = ["product_code", "available_stock", "timestamp"].map(|field| issue(field, "is required"));
    assert_eq!(adapt("{}"), Err(required.to_vec()));
}

#[rstest]
#[case::object(r#"{"colour":"blue"}"#)]
#[case::number_beyond_every_float("1e999")]
#[case::half_of_a_surrogate_pair(r#""\ud800""#)]
fn metadata_and_unknown_fields_are_ignored(#[case] value: &str) {
    for field in ["metadata", "something_else"] {
        assert_eq!(one(with(field, value)).sku, "SKU-1");
    }
}

#[test]
fn deep_nesting_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(one(with("metadata", &deep)).sku, "SKU-1");
    assert_eq!(adapt(with("product_code", &deep)), Err(vec![issue("product_code", "must be a string")]));
}

#[test]
fn field_given_twice_is_named() {
    let twice = format!(r#"{},"available_stock":7}}"#, BODY.strip_suffix('}').unwrap());
    assert_eq!(adapt(twice), Err(vec![issue("available_stock", "must not appear more than once")]));
    let escaped = format!(r#"{},"available\u005fstock":7}}"#, BODY.strip_suffix('}').unwrap());
    assert_eq!(adapt(escaped), Err(vec![issue("available_stock", "must not appear more than once")]));
}

#[rstest]
#[case::array("[]", "must be a JSON object")]
#[case::array_of_deliveries(&format!("[{BODY}]"), "must be a JSON object")]
#[case::string(r#""secret""#, "must be a JSON object")]
#[case::null("null", "must be a JSON object")]
#[case::number("7", "must be a JSON object")]
#[case::nothing("", "is not valid JSON: EOF while parsing a value at line 1 column 0")]
#[case::form("product_code=SKU-1", "is not valid JSON: expected value at line 1 column 1")]
#[case::cut_off(r#"{"product_code":"SK"#, "is not valid JSON: EOF while parsing a string at line 1 column 19")]
#[case::two_bodies("{}{}", "is not valid JSON: trailing characters at line 1 column 3")]
#[case::deep_array(&"[".repeat(100_000), "must be a JSON object")]
fn body_that_is_no_object_is_named_without_quoting_it(#[case] body: &str, #[case] why: &str) {
    assert_eq!(adapt(body), Err(vec![issue("body", why)]));
}

#[test]
fn body_that_is_not_utf_8_is_named() {
    let mut body = BODY.as_bytes().to_vec();
    body[18] = 0xff;
    assert_eq!(adapt(body), Err(vec![issue("body", "must be UTF-8")]));
}
