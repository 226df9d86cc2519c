//! Images of the table's stream: of the samples of the function that follows it, made worse.

use evenstock_store::{
    conflict_change, level_change, oversold_change, receipt_change, reservation_change, store_change,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::hold;
use crate::hostile::worse;

/// Every image in the sample event.
fn images() -> Vec<Value> {
    let event: Value = serde_json::from_str(include_str!("../../../events/change-publisher.json")).unwrap();
    let records = event["Records"].as_array().unwrap();
    let image = |record: &Value, name: &str| record["dynamodb"].get(name).cloned();
    records.iter().flat_map(|record| [image(record, "OldImage"), image(record, "NewImage")]).flatten().collect()
}

fn item(json: &str) -> Option<serde_dynamo::Item> {
    serde_json::from_str(json).ok()
}

#[test]
fn every_image_of_the_sample_is_an_item() {
    assert!(images().len() > 3);
    assert!(images().iter().all(|image| item(&image.to_string()).is_some()));
}

#[test]
fn image_of_anything_is_read_or_corrupt() {
    let image = || worse(images());
    hold(2048, &(image(), image()), |(old, new)| {
        let (old, new) = (item(&old.text()), item(&new.text()));
        if let Ok(Some(found)) = level_change(old.clone(), new.clone()) {
            // What a level gained is at most what it can hold.
            prop_assert!(found.changes.len() <= evenstock_domain::RECENT_ENTRIES_MAX);
        }
        let (old, new) = (old.as_ref(), new.as_ref());
        let errors = [
            receipt_change(new).err(),
            store_change(new).err(),
            oversold_change(old, new).err(),
            reservation_change(new).err(),
            conflict_change(new).err(),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(!error.to_string().is_empty());
        }
        Ok(())
    });
}
