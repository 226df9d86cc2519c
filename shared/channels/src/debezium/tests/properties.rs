//! Laws that hold for any JSON.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Envelope, TIME, adapt, counts, envelope, row};

/// Any JSON, with the names that matter more often than chance would have them.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "before",
            "after",
            "op",
            "ts_ms",
            "source",
            "lsn",
            "pos",
            "file",
            "scn",
            "sku",
            "warehouse_id",
            "quantity",
            "updated_at",
            "payload",
            "schema",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["c", "u", "d", "r", "SKU-1", "12.0", "-", "bin.9"]).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_json_is_counted_or_refused_with_a_reason(json in any_json()) {
        match adapt(json.to_string().as_bytes()) {
            Ok(Envelope::Counts(counts)) => prop_assert!((1..=2).contains(&counts.len())),
            Ok(Envelope::Tombstone) => prop_assert!(json.is_null() || json.get("payload").is_some_and(Value::is_null)),
            Err(invalid) => prop_assert!(!invalid.issues.is_empty()),
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(invalid) = adapt(&bytes) {
            prop_assert!(!invalid.issues.is_empty());
        }
    }

    #[test]
    fn what_the_warehouse_says_is_what_is_counted(
        sku in "[a-zA-Z0-9/# ]{0,20}[a-z]", units in 0..=2_147_483_647_i64, before in 0..=2_147_483_647_i64,
        lead in 0..1_000_000_i64, extra in any_json(),
    ) {
        let sku = sku.trim().to_owned();
        let mut changed = envelope("u", row(&sku, before), row(&sku, units));
        changed["source"]["ts_ms"] = json!(TIME + lead);
        changed["transaction"] = extra;
        let counts = counts(&changed);
        prop_assert_eq!(counts.len(), 1);
        prop_assert_eq!((counts[0].sku.as_str(), counts[0].quantity.get()), (sku.as_str(), units));
        prop_assert_eq!((counts[0].before, counts[0].time.as_millis()), (Some(before), TIME + lead));
    }

    #[test]
    fn change_has_the_same_name_in_every_delivery(units in 0..100_i64, lsn in any::<u32>()) {
        let mut change = envelope("c", Value::Null, row("a", units));
        change["source"]["lsn"] = json!(lsn);
        let mut again = json!({ "schema": {}, "payload": change.clone() });
        again["payload"]["ts_ms"] = json!(TIME + 60_000);
        let name = counts(&change)[0].name();
        prop_assert_eq!(counts(&again)[0].name(), name);
    }
}
