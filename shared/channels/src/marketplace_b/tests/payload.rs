//! What becomes of each row, good and bad.

use evenstock_app::{FeedRow, FeedRowIssue};
use evenstock_domain::{LocationId, Quantity, Sku};
use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::marketplace_b::payload::page;

/// An answer with these rows, each a piece of JSON.
fn answer(items: &[&str]) -> String {
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

fn good(sku: &str) -> String {
    format!(
        r#"{{"sku":"{sku}","qty":5,"location_id":"shop","last_modified":1700000000,"additional_info":{{"a":[1]}}}}"#
    )
}

fn good_row(sku: &str, location: &str) -> FeedRow {
    FeedRow {
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
        quantity: Quantity::new(5).unwrap(),
        last_modified: Timestamp::from_seconds(1_700_000_000).unwrap(),
    }
}

/// The issue of the only row.
fn issue_of(item: &str) -> FeedRowIssue {
    let mut rows = page(answer(&[item]).as_bytes()).unwrap().rows;
    assert_eq!(rows.len(), 1);
    rows.remove(0).unwrap_err()
}

#[tokio::test]
async fn bad_rows_are_kept_apart_and_the_others_stay_in_order() {
    let (first, last) = (good("A"), good("B"));
    let bad = r#"{"sku":"C","qty":-1,"last_modified":1700000001}"#;
    let poison = r#"{"sku":"\ud800","qty":1e999,"last_modified":1700000002}"#;
    let body = answer(&[&first, bad, "null", poison, &last]);
    let page = ask_one_answering(ResponseTemplate::new(200).set_body_string(body)).await.unwrap();

    let issue = |sku: Option<&str>, seconds: Option<i64>, issue: &str| {
        let last_modified = seconds.map(|seconds| Timestamp::from_seconds(seconds).unwrap());
        Err(FeedRowIssue { sku: sku.map(str::to_owned), last_modified, issue: issue.to_owned() })
    };
    assert_eq!(page.rows.len(), 5);
    assert_eq!(page.rows[0], Ok(good_row("A", "shop")));
    assert_eq!(page.rows[1], issue(Some("C"), Some(1_700_000_001), "qty: must not be negative"));
    assert_eq!(page.rows[2], issue(None, None, "item: must be a JSON object"));
    assert!(page.rows[3].as_ref().is_err_and(|issue| issue.sku.is_none() && issue.last_modified.is_some()));
    assert_eq!(page.rows[4], Ok(good_row("B", "shop")));
}

#[rstest]
#[case::absent("")]
#[case::null(r#""location_id":null,"#)]
fn row_without_a_location_is_at_the_default_one(#[case] location: &str) {
    let item = format!(r#"{{{location}"sku":"A","qty":5,"last_modified":1700000000}}"#);
    assert_eq!(page(answer(&[&item]).as_bytes()).unwrap().rows, [Ok(good_row("A", "default"))]);
}

#[rstest]
#[case::inner_spaces("blue shirt XL")]
#[case::emoji("👕-🟦")]
#[case::separators("/#%|")]
fn product_names_of_every_kind_pass_unchanged(#[case] sku: &str) {
    assert_eq!(page(answer(&[&good(sku)]).as_bytes()).unwrap().rows, [Ok(good_row(sku, "shop"))]);
}

#[rstest]
#[case::fraction("5.0", "qty: must be an integer, without fraction or exponent")]
#[case::text(r#""5""#, "qty: must be an integer")]
#[case::null("null", "qty: is required")]
#[case::too_many("2147483648", "qty: must be within ±2147483647")]
#[case::twice(r#"5,"qty":5"#, "qty: must not appear more than once")]
fn quantity_that_is_no_count_is_named(#[case] quantity: &str, #[case] expected: &str) {
    let issue = issue_of(&good("A").replace(r#""qty":5"#, &format!(r#""qty":{quantity}"#)));
    assert_eq!((issue.sku.as_deref(), issue.issue.as_str()), (Some("A"), expected));
    assert!(issue.last_modified.is_some(), "the cursor may pass the row");
}

#[rstest]
#[case::milliseconds("1700000000000", "last_modified: must be Unix seconds between 1970 and 9999")]
#[case::before_1970("-1", "last_modified: must be Unix seconds between 1970 and 9999")]
#[case::beyond_64_bits("99999999999999999999", "last_modified: must be Unix seconds between 1970 and 9999")]
#[case::fraction("1700000000.5", "last_modified: must be an integer, without fraction or exponent")]
#[case::text(r#""2026-11-20T08:00:00Z""#, "last_modified: must be an integer")]
#[case::null("null", "last_modified: is required")]
fn time_that_is_absurd_is_named(#[case] time: &str, #[case] expected: &str) {
    let issue = issue_of(&good("A").replace("1700000000", time));
    assert_eq!((issue.sku.as_deref(), issue.last_modified, issue.issue.as_str()), (Some("A"), None, expected));
}

#[test]
fn unusable_product_name_is_shown_up_to_a_bound() {
    let issue = issue_of(&good(&"é".repeat(300)));
    assert_eq!(issue.sku, Some("é".repeat(128)));
    assert_eq!(issue.issue, "sku: must be at most 128 bytes of UTF-8");
    assert_eq!(issue_of(&good("A").replace(r#""A""#, "12")).sku, None);
}

#[test]
fn all_wrong_fields_of_a_row_are_named_at_once() {
    let expected =
        "sku: is required; qty: must not be negative; location_id: must be a string; last_modified: is required";
    assert_eq!(issue_of(r#"{"qty":-1,"location_id":7}"#).issue, expected);
}

#[rstest]
#[case::empty("", "body: is not valid JSON: EOF while parsing a value at line 1 column 0")]
#[case::array("[]", "body: must be a JSON object")]
#[case::null("null", "body: must be a JSON object")]
#[case::without_items("{}", "items: is required")]
#[case::items_null(r#"{"items":null}"#, "items: is required")]
#[case::items_object(r#"{"items":{"sku":"secret"}}"#, "items: must be an array of at most 100000 rows")]
#[case::items_text(r#"{"items":"secret"}"#, "items: must be an array of at most 100000 rows")]
#[case::items_twice(r#"{"items":[],"items":[]}"#, "items: must not appear more than once")]
#[case::endless(&answer(&["0"; 100_001]), "items: must be an array of at most 100000 rows")]
#[case::cut_off(r#"{"items":[{"sku":"A""#, "body: is not valid JSON: EOF while parsing an object at line 1 column 20")]
fn answer_of_another_shape_is_malformed_and_not_quoted(#[case] body: &str, #[case] expected: &str) {
    match page(body.as_bytes()) {
        Err(FeedError::Malformed { reason }) => assert_eq!(reason, expected),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(body in vec(any::<u8>(), 0..300)) {
        prop_assert!(page(&body).is_err());
    }

    #[test]
    fn no_row_disturbs_its_neighbours(
        field in proptest::sample::select(&["sku", "qty", "location_id", "last_modified", "additional_info"][..]),
        value in prop_oneof![
            Just("null".to_owned()), Just("[[[{}]]]".to_owned()), Just("1e999".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()), any::<f64>().prop_filter_map("finite", |number| {
                number.is_finite().then(|| number.to_string())
            }),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ],
    ) {
        let odd = format!(r#"{{"sku":"A","qty":5,"last_modified":1,"{field}":{value}}}"#);
        let rows = page(answer(&[&good("A"), &odd, &good("B")]).as_bytes()).unwrap().rows;
        prop_assert_eq!(rows.len(), 3);
        prop_assert_eq!(rows.first(), Some(&Ok(good_row("A", "shop"))));
        prop_assert_eq!(rows.last(), Some(&Ok(good_row("B", "shop"))));
    }
}
