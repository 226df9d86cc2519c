//! Signatures of every kind, and what marketplaces and warehouses push.

use evenstock_channels::{Delivery, Envelope, ReceivedHeaders, Secret, SigningKey, adapt_warehouse_change, inbound};
use evenstock_domain::{EventIdKey, LocationId, OrganizationId, StoreId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::hold;
use crate::hostile::worse;

/// Those that push; the first tells of stock, the others of orders.
const KINDS: [&str; 4] = ["marketplace-a", "etsy", "shopify", "amazon"];

#[test]
fn no_header_proves_a_body_that_nobody_signed() {
    let signature = prop_oneof![vec(any::<u8>(), 0..200), "[0-9a-fA-F]{60,68}".prop_map(String::into_bytes)];
    hold(512, &(vec(any::<u8>(), 0..300), signature), |(body, signature)| {
        for kind in KINDS {
            if let Some(channel) = inbound(kind) {
                prop_assert!(channel.verify(&body, Some(&signature), &[Secret::new("s").unwrap()]).is_err());
                prop_assert!(channel.verify(&body, Some(&signature), &[]).is_err());
            }
        }
        Ok(())
    });
}

#[test]
fn no_header_proves_a_callback_that_nobody_signed() {
    let header = || prop_oneof![any::<Option<String>>(), "v1,[A-Za-z0-9+/]{43}=( v1,.{0,9})?".prop_map(Some)];
    let timestamp =
        prop_oneof![any::<String>(), any::<i64>().prop_map(|time| time.to_string()), Just("100".to_owned())];
    let key = SigningKey::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3").unwrap();
    let now = Timestamp::from_millis(100_000).unwrap();
    hold(512, &(any::<String>(), timestamp, header(), vec(any::<u8>(), 0..100)), |(id, timestamp, signature, body)| {
        let headers = ReceivedHeaders { id: Some(&id), timestamp: Some(&timestamp), signature: signature.as_deref() };
        prop_assert!(key.verify(headers, &body, now).is_err());
        Ok(())
    });
    hold(512, &any::<String>(), |text| {
        if let Ok(key) = SigningKey::parse(&text) {
            prop_assert!(key.sign("id", 1, b"body").starts_with("v1,"));
        }
        Ok(())
    });
}

#[test]
fn delivery_is_read_or_refused_by_the_names_of_its_fields() {
    let stock = json!({
        "product_code": "SKU-1", "available_stock": 42, "timestamp": "2026-11-20T08:00:00.000Z", "warehouse": "main",
        "additional_info": { "a": [1, null] },
    });
    let order = json!({ "receiptId": "r-1", "orderId": "o-1", "receipt": "r-1", "event": "order.created" });
    let organization = OrganizationId::parse("demo").unwrap();
    let (store, place) = (StoreId::parse("store-1").unwrap(), LocationId::parse("main").unwrap());
    let received_at = Timestamp::parse("2026-11-20T08:00:01Z").unwrap();
    hold(1024, &worse(vec![stock, order]), |body| {
        for channel in KINDS.into_iter().filter_map(inbound) {
            let delivery = Delivery {
                body: &body.0,
                organization: &organization,
                store: &store,
                default_location: &place,
                job_id: "j",
                received_at,
            };
            match channel.adapt(&delivery) {
                Ok(changes) => {
                    for change in changes {
                        prop_assert!(change.to_event(&EventIdKey::new([0; 16])).is_ok());
                    }
                }
                Err(invalid) => prop_assert!(!invalid.issues.is_empty()),
            }
            if let Err(invalid) = channel.notices(&delivery) {
                prop_assert!(!invalid.issues.is_empty());
            }
        }
        Ok(())
    });
}

#[test]
fn change_of_a_warehouse_is_counted_or_refused_by_the_names_of_its_fields() {
    let row = |units| json!({ "id": 7, "sku": "SKU-1", "warehouse_id": "wh-1", "quantity": units, "updated_at": 1_795_161_600_000_000_i64 });
    let envelope = json!({
        "before": row(4), "after": row(5), "op": "u", "ts_ms": 1_795_161_600_500_i64,
        "source": { "connector": "postgresql", "ts_ms": 1_795_161_600_000_i64, "lsn": 24_023_128, "snapshot": "false" },
    });
    let wrapped = json!({ "schema": { "type": "struct" }, "payload": envelope });
    hold(2048, &worse(vec![envelope, wrapped]), |body| {
        match adapt_warehouse_change(&body.0) {
            Ok(Envelope::Counts(counts)) => prop_assert!((1..=2).contains(&counts.len())),
            Ok(Envelope::Tombstone) => {}
            Err(invalid) => prop_assert!(!invalid.issues.is_empty()),
        }
        Ok(())
    });
}
