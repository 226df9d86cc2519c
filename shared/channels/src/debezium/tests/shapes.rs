//! What each shape means.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Envelope, TIME, adapt, counts, envelope, issues, row, shown, source};

const LSN: Option<u64> = Some(24_023_128);

#[rstest]
#[case::insert("c", Value::Null, row("SKU-1", 5), (5, None))]
#[case::snapshot("r", Value::Null, row("SKU-1", 5), (5, None))]
#[case::update("u", row("SKU-1", 6), row("SKU-1", 5), (5, Some(6)))]
#[case::update_without_the_old_row("u", Value::Null, row("SKU-1", 5), (5, None))]
#[case::update_with_the_old_key_only("u", json!({ "id": 7 }), row("SKU-1", 5), (5, None))]
#[case::delete("d", row("SKU-1", 6), Value::Null, (0, Some(6)))]
fn operation_gives_one_count(
    #[case] op: &str,
    #[case] before: Value,
    #[case] after: Value,
    #[case] (units, known): (i64, Option<i64>),
) {
    let envelope = envelope(op, before, after);
    let wrapped = json!({ "schema": { "type": "struct" }, "payload": envelope });
    for envelope in [envelope, wrapped] {
        let counts = counts(&envelope);
        assert_eq!(shown(&counts), [("SKU-1", units, known, 0, LSN)]);
        assert_eq!(counts[0].warehouse.as_str(), "wh-1");
    }
}

#[test]
fn row_that_moves_is_a_deletion_and_an_insertion() {
    let mut elsewhere = row("SKU-1", 5);
    elsewhere["warehouse_id"] = json!("wh-2");
    let moved = counts(&envelope("u", row("SKU-1", 6), elsewhere));
    assert_eq!(shown(&moved), [("SKU-1", 0, Some(6), 0, LSN), ("SKU-1", 5, None, 0, LSN)]);
    assert_eq!(moved[0].warehouse.as_str(), "wh-1");
    assert_eq!(moved[1].warehouse.as_str(), "wh-2");
    let renamed = counts(&envelope("u", row("SKU-1", 6), row("SKU-2", 6)));
    assert_eq!(shown(&renamed), [("SKU-1", 0, Some(6), 0, LSN), ("SKU-2", 6, None, 0, LSN)]);
}

#[rstest]
#[case::empty("")]
#[case::null(" null\n")]
#[case::wrapped(r#"{"schema": null, "payload": null}"#)]
fn tombstone_says_nothing(#[case] text: &str) {
    assert_eq!(adapt(text.as_bytes()), Ok(Envelope::Tombstone));
}

#[rstest]
#[case::number(json!(12), 12)]
#[case::text(json!("12"), 12)]
#[case::decimal_as_text(json!("12.00"), 12)]
#[case::decimal_as_double(json!(12.0), 12)]
#[case::zero(json!("0.0"), 0)]
fn quantity_is_read_however_the_column_writes_it(#[case] written: Value, #[case] units: i64) {
    let mut after = row("SKU-1", 0);
    after["quantity"] = written;
    assert_eq!(shown(&counts(&envelope("c", Value::Null, after)))[0].1, units);
}

#[rstest]
#[case::fraction(json!("12.5"))]
#[case::bytes(json!("BLA="))]
#[case::exponent(json!("1e3"))]
#[case::flag(json!(true))]
#[case::scaled(json!({ "scale": 0, "value": "DA==" }))]
#[case::empty(json!(""))]
#[case::point(json!("."))]
#[case::sign(json!("-"))]
fn what_is_no_whole_number_is_named(#[case] written: Value) {
    let mut after = row("SKU-1", 0);
    after["quantity"] = written;
    let expected = "after.quantity: must be a whole number (decimals as text, decimal.handling.mode=string)";
    assert_eq!(issues(&envelope("c", Value::Null, after).to_string()), [expected]);
}

#[rstest]
#[case::log_sequence_number(json!({ "ts_ms": TIME, "lsn": "9007199254740993" }), Some(9_007_199_254_740_993))]
#[case::binary_log(json!({ "ts_ms": TIME, "file": "mysql-bin.000003", "pos": 154 }), Some((3 << 40) | 154))]
#[case::system_change_number(json!({ "ts_ms": TIME, "scn": "2868546" }), Some(2_868_546))]
#[case::none(json!({ "ts_ms": TIME, "lsn": null }), None)]
fn position_is_the_logs(#[case] source: Value, #[case] position: Option<u64>) {
    let mut envelope = envelope("c", Value::Null, row("SKU-1", 5));
    envelope["source"] = source;
    assert_eq!(counts(&envelope)[0].position, position);
}

#[rstest]
#[case::source(json!({ "ts_ms": TIME + 1 }), json!(TIME + 2), json!(TIME * 1000), 1)]
#[case::connector(json!({}), json!(TIME + 2), json!(TIME * 1000), 2)]
#[case::micros(json!({}), Value::Null, json!((TIME + 3) * 1000), 3)]
#[case::nanos(json!({}), Value::Null, json!((TIME + 4) * 1_000_000), 4)]
#[case::millis(json!({}), Value::Null, json!(TIME + 5), 5)]
#[case::zoned(Value::Null, Value::Null, json!("2026-11-20T08:00:00.006Z"), 6)]
fn time_is_the_first_of_three(#[case] source: Value, #[case] sent: Value, #[case] column: Value, #[case] after: i64) {
    let mut row = row("SKU-1", 5);
    row["updated_at"] = column;
    let envelope = json!({ "op": "c", "after": row, "source": source, "ts_ms": sent });
    assert_eq!(shown(&counts(&envelope))[0].3, after);
}

#[test]
fn everything_wrong_is_named_at_once() {
    let after = json!({ "sku": " padded", "quantity": -1 });
    let envelope =
        json!({ "op": "c", "after": after, "source": { "ts_ms": 1_795_161_600, "lsn": "x" }, "ts_ms": TIME });
    let found = issues(&envelope.to_string());
    assert_eq!(
        found,
        [
            "source.ts_ms: must be milliseconds of a time after the year 2000",
            "source.lsn: must be a whole number (decimals as text, decimal.handling.mode=string)",
            "after.sku: must not begin or end with a space",
            "after.warehouse_id: is required",
            "after.quantity: must not be negative",
        ]
    );
}

#[rstest]
#[case::no_time(json!({ "op": "c", "after": { "sku": "a", "warehouse_id": "w", "quantity": 1 } }), "source.ts_ms: is required, or ts_ms")]
#[case::truncation(json!({ "op": "t", "source": source() }), "op: must be c, u, d or r")]
#[case::no_operation(json!({ "after": row("a", 1), "source": source() }), "op: is required")]
#[case::insert_of_nothing(json!({ "op": "c", "source": source() }), "after: is required")]
#[case::delete_of_nothing(json!({ "op": "d", "after": row("a", 1), "source": source() }), "before: is required")]
#[case::delete_of_a_key(json!({ "op": "d", "before": { "id": 7 }, "source": source() }), "before.sku: is required")]
#[case::row_of_another_shape(json!({ "op": "c", "after": [1], "source": source() }), "after: must be a JSON object")]
#[case::source_of_another_shape(json!({ "op": "c", "after": row("a", 1), "source": "pg", "ts_ms": TIME }), "source: must be a JSON object")]
#[case::no_object(json!([1]), "body: must be a JSON object")]
#[case::numbered(json!({ "op": "c", "after": { "sku": 4, "warehouse_id": 12, "quantity": 1 }, "source": source() }), "after.sku: must be a string")]
fn what_cannot_be_applied_is_named(#[case] envelope: Value, #[case] issue: &str) {
    let found = issues(&envelope.to_string());
    assert!(found.contains(&issue.to_owned()), "{found:?}");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_eq!(adapt(b"\xff").unwrap_err().issues[0].field, "body");
}
