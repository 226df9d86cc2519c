//! Batches of the table's stream.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

use aws_lambda_events::event::dynamodb::Event;
use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_change_publisher::{Followed, Publisher, follow, handle};
use evenstock_domain::{EventIdKey, Timestamp};
use evenstock_store::LevelItem;
use rstest::rstest;
use serde_json::{Value, json};

/// A level's first change, two changes in one write, another level's first change, and a write of `rev` alone.
fn sample() -> Value {
    serde_json::from_str(include_str!("../../../events/change-publisher.json")).unwrap()
}

/// None of these records makes the function write.
fn publisher() -> Publisher<MemoryStore, FixedClock> {
    let clock = FixedClock::at(Timestamp::EPOCH);
    Publisher { store: MemoryStore::default(), clock, ids: EventIdKey::new(*b"0123456789abcdef") }
}

fn done<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn followed(event: &Value) -> Followed {
    done(follow(&publisher(), serde_json::from_value(event.clone()).unwrap()))
}

fn sequence_number(event: &Value, place: usize) -> String {
    event["Records"][place]["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

/// The answer as the stream's trigger reads it.
fn answered(event: &Value) -> Value {
    let event: Event = serde_json::from_value(event.clone()).unwrap();
    serde_json::to_value(done(handle(&publisher(), event))).unwrap()
}

#[test]
fn sample_holds_levels_as_they_are_stored() {
    let event: Event = serde_json::from_value(sample()).unwrap();
    for record in event.records {
        for image in [record.change.old_image, record.change.new_image].into_iter().filter(|image| !image.is_empty()) {
            let item: LevelItem = serde_dynamo::from_item(image).unwrap();
            assert_eq!(item.key().unwrap().organization.as_str(), "demo");
            assert!(item.into_stored().is_ok());
        }
    }
}

#[test]
fn changes_are_the_versions_gained() {
    assert_eq!(followed(&sample()), Followed { records: 4, changes: 4, failed: None });
    let of_record = |place: usize| followed(&json!({ "Records": [sample()["Records"][place]] })).changes;
    assert_eq!([0, 1, 2, 3].map(of_record), [1, 2, 1, 0]);
    assert_eq!(answered(&sample()), json!({ "batchItemFailures": [] }));
}

#[test]
fn removed_level_is_no_change() {
    let mut event = sample();
    let record = &mut event["Records"][1];
    record["eventName"] = json!("REMOVE");
    record["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    assert_eq!(followed(&event), Followed { records: 4, changes: 2, failed: None });
}

#[test]
fn level_that_went_back_is_no_negative_change() {
    let mut event = sample();
    let record = &mut event["Records"][1]["dynamodb"];
    let old = record["OldImage"].take();
    record["OldImage"] = record["NewImage"].take();
    record["NewImage"] = old;
    assert_eq!(followed(&event).changes, 2);
}

#[test]
fn batch_without_records_is_followed() {
    assert_eq!(followed(&json!({ "Records": [] })), Followed::default());
}

#[rstest]
#[case::version_missing("NewImage", "vs", Value::Null)]
#[case::version_of_another_kind("NewImage", "vs", json!({ "S": "three" }))]
#[case::old_version_missing("OldImage", "vs", Value::Null)]
#[case::entries_of_another_kind("NewImage", "re", json!({ "S": "" }))]
#[case::key_of_another_item("NewImage", "sk", json!({ "S": "J#main#01795161632500#0000000000000001" }))]
#[case::key_of_no_item("NewImage", "pk", json!({ "S": "demo" }))]
fn unreadable_record_is_named_and_nothing_behind_it_is_looked_at(
    #[case] image: &str,
    #[case] attribute: &str,
    #[case] value: Value,
) {
    let mut event = sample();
    let item = event["Records"][1]["dynamodb"][image].as_object_mut().unwrap();
    match value {
        Value::Null => item.remove(attribute),
        value => item.insert(attribute.to_owned(), value),
    };
    event["Records"][2]["dynamodb"]["NewImage"] = json!({ "pk": { "S": "unreadable too" } });
    let number = sequence_number(&event, 1);
    assert_eq!(followed(&event), Followed { records: 1, changes: 1, failed: Some(number.clone()) });
    assert_eq!(answered(&event), json!({ "batchItemFailures": [{ "itemIdentifier": number }] }));
}
