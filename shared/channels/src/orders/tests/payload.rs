//! The answer's body.

use evenstock_app::{ValidatedLine, ValidatedOrder, Validation};
use evenstock_domain::{LocationId, Quantity, Sku, Timestamp};
use rstest::rstest;

use super::super::payload::validation;

const ORDER: &str = r#""orderId":"o-1","amount":123.45,"currency":"EUR","importedAtUTC":"2026-11-20T08:00:00.000Z""#;

/// Reads an accepted order with these further fields.
fn accepted(more: &str) -> Result<ValidatedOrder, String> {
    let order = validation(format!("{{\"status\":true,{ORDER}{more}}}").as_bytes())?;
    match order {
        Validation::Accepted(order) => Ok(order),
        Validation::Refused => Err("refused".to_owned()),
    }
}

/// Reads an accepted order with a field of it replaced.
fn accepted_with(what: &str, instead: &str) -> Result<Validation, String> {
    assert!(ORDER.contains(what), "{what}");
    validation(format!("{{\"status\":true,{}}}", ORDER.replace(what, instead)).as_bytes())
}

#[test]
fn order_is_read_whole_and_the_amount_as_it_is_written() {
    let order = accepted(r#","cancelled":null,"lines":null,"further":{}"#).unwrap();
    assert_eq!((order.order_id.as_str(), order.amount.as_str(), order.currency.as_str()), ("o-1", "123.45", "EUR"));
    assert_eq!(order.imported_at, Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
    assert!(order.lines.is_empty() && !order.cancelled);
    for amount in ["120.50", "0.1", "7", "999999999999.99"] {
        let Ok(Validation::Accepted(order)) = accepted_with("123.45", amount) else { panic!("{amount}") };
        assert_eq!(order.amount.as_str(), amount);
    }
}

#[test]
fn lines_keep_their_order_and_may_name_a_location() {
    let lines = r#","cancelled":true,"lines":[{"sku":"b","quantity":2,"locationId":"main"},{"sku":"a","quantity":1}]"#;
    let order = accepted(lines).unwrap();
    let line = |sku, quantity, location: Option<&str>| ValidatedLine {
        sku: Sku::parse(sku).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        location: location.map(|location| LocationId::parse(location).unwrap()),
    };
    assert_eq!(order.lines, [line("b", 2, Some("main")), line("a", 1, None)]);
    assert!(order.cancelled);
}

#[test]
fn refusal_needs_nothing_else() {
    assert_eq!(validation(br#"{"status":false}"#), Ok(Validation::Refused));
    assert_eq!(validation(br#"{"status":false,"amount":"?"}"#), Ok(Validation::Refused));
}

#[rstest]
#[case::no_status("{}", "status: is required")]
#[case::text_status(r#"{"status":"true"}"#, "status: must be true or false")]
#[case::list("[]", "body: must be a JSON object")]
#[case::empty("", "body: is not valid JSON: EOF while parsing a value at line 1 column 0")]
#[case::nothing_but_status(
    r#"{"status":true}"#,
    "orderId: is required; amount: is required; currency: is required; importedAtUTC: is required"
)]
#[case::twice(r#"{"status":false,"status":true}"#, "status: must not appear more than once")]
fn what_is_no_answer_is_named(#[case] body: &str, #[case] why: &str) {
    assert_eq!(validation(body.as_bytes()), Err(why.to_owned()));
}

#[rstest]
#[case::id_number(r#""o-1""#, "1", "orderId: must be a string")]
#[case::id_empty(r#""o-1""#, r#""""#, "orderId: must not be empty")]
#[case::amount_text("123.45", r#""123.45""#, "amount: must be a plain decimal number of at most 15 digits")]
#[case::amount_exponent("123.45", "1e3", "amount: must be a plain decimal number of at most 15 digits")]
#[case::amount_null("123.45", "null", "amount: is required")]
#[case::currency(r#""EUR""#, r#""EURO""#, "currency: must be three letters")]
#[case::time("2026-11-20T08:00:00.000Z", "soon", "importedAtUTC: must be an RFC 3339 time between 1970 and 9999")]
fn wrong_field_is_named(#[case] what: &str, #[case] instead: &str, #[case] why: &str) {
    assert_eq!(accepted_with(what, instead), Err(why.to_owned()));
}

#[rstest]
#[case::no_list("7", "lines: must be a list")]
#[case::no_object("[7]", "lines: [0] must be a JSON object")]
#[case::none_sold(r#"[{"sku":"a","quantity":0}]"#, "lines: [0] quantity: must be at least 1")]
#[case::several(
    r#"[{"sku":"a","quantity":1},{"quantity":1.5},{"sku":"a","quantity":1,"locationId":" "}]"#,
    "lines: [1] sku: is required; quantity: must be an integer, without fraction or exponent; [2] locationId: must not begin or end with a space"
)]
fn order_with_a_wrong_line_is_not_taken(#[case] lines: &str, #[case] why: &str) {
    assert_eq!(accepted(&format!(",\"lines\":{lines}")), Err(why.to_owned()));
}

#[test]
fn more_lines_than_any_order_has_are_refused() {
    let lines = |count: usize| format!(",\"lines\":[{}]", vec![r#"{"sku":"a","quantity":1}"#; count].join(","));
    assert_eq!(accepted(&lines(500)).unwrap().lines.len(), 500);
    assert_eq!(accepted(&lines(501)), Err("lines: must hold at most 500".to_owned()));
}
