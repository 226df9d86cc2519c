//! What stands on our own queues and what callers carry back to us: messages, journal entries, cursors.

use evenstock_app::{CallbackJob, ListPosition, PollJob, PushJob, StockChange, StoreJob, WarehouseSyncJob};
use evenstock_domain::{
    EventIdKey, LocationId, OrganizationId, Sku, decode_change, decode_entry, encode_change, encode_entry,
};
use evenstock_runtime::http::CursorKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::hold;
use crate::hostile::worse;

#[test]
fn change_on_the_queue_is_an_event_or_names_what_is_wrong() {
    let change = |what| {
        json!({
            "eventId": "e-1", "organization": "demo", "sku": "SKU-1", "location": "main", "source": "etsy/store-1",
            "time": "2026-11-20T08:00:00.000Z", "jobId": "j-1", "change": what,
        })
    };
    let samples = ["countAvailable", "countOnHand", "merged", "delta", "forcedDelta"]
        .map(|kind| change(json!({ "type": kind, "quantity": 5, "sequence": 7, "delta": -3 })));
    hold(2048, &worse(samples.to_vec()), |body| {
        match StockChange::from_json(&body.text()).and_then(|change| change.to_event(&EventIdKey::new([0; 16]))) {
            Ok((key, _)) => prop_assert!(!key.sku.as_str().is_empty()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        Ok(())
    });
}

#[test]
fn job_on_a_queue_is_read_or_refused() {
    let push = json!({
        "organization": "demo", "levels": [{ "sku": "SKU-1", "location": "main" }], "tries": 1, "again": true,
        "reason": "r",
    });
    let poll = json!({ "jobId": "j-1", "organization": "demo", "requestedAt": "2026-11-20T08:00:00Z" });
    let event = json!({
        "job": "first", "organizationId": "demo", "endpointId": "ep-1", "eventId": "e", "event": "stock.changed",
        "time": 1, "storeId": "store-1", "body": "{}",
    });
    let replay = json!({ "job": "replay", "organizationId": "demo", "endpointId": "ep-1", "since": 5, "after": null });
    let samples = vec![push, poll, event, replay, json!({ "storeId": "store-1" })];
    hold(2048, &worse(samples), |body| {
        let text = body.text();
        if let Ok((job, keys)) = PushJob::from_json(&text) {
            prop_assert!(job.outgoing(0).is_ok());
            prop_assert!(keys.len() <= text.len());
        }
        if let Ok(job) = CallbackJob::from_json(&text) {
            prop_assert_eq!(CallbackJob::from_json(&job.to_json()).unwrap(), job);
        }
        if let Ok(store) = StoreJob::store_of(&text) {
            prop_assert!(!store.to_string().is_empty());
        }
        for again in [
            serde_json::from_str::<PollJob>(&text).map(|job| json!(job)),
            serde_json::from_str::<WarehouseSyncJob>(&text).map(|job| json!(job)),
        ]
        .into_iter()
        .flatten()
        {
            prop_assert!(again.is_object());
        }
        Ok(())
    });
}

#[test]
fn bytes_are_one_entry_or_none() {
    hold(4096, &vec(any::<u8>(), 0..80), |bytes| {
        if let Ok(entry) = decode_entry(&bytes) {
            prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
        }
        if let Ok(change) = decode_change(&bytes) {
            prop_assert_eq!(decode_change(&encode_change(&change)), Ok(change));
        }
        Ok(())
    });
}

#[test]
fn only_a_cursor_that_we_sealed_is_opened() {
    let key = CursorKey::new(*b"0123456789abcdef");
    let demo = OrganizationId::parse("demo").unwrap();
    let position = ListPosition { sku: Sku::parse("SKU-1").unwrap(), location: LocationId::parse("main").unwrap() };
    let sealed = key.seal(&demo, &position);
    hold(1024, &any::<String>(), |text| {
        prop_assert!(key.open(&demo, &text).is_err());
        Ok(())
    });
    hold(1024, &vec((any::<Index>(), "[A-Za-z0-9_=-]"), 1..4), |edits| {
        let mut text = sealed.clone();
        for (place, letter) in edits {
            let place = place.index(text.len());
            text.replace_range(place..=place, &letter);
        }
        prop_assert_eq!(key.open(&demo, &text).is_ok(), text == sealed);
        Ok(())
    });
}
