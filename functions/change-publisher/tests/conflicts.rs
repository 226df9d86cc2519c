//! Conflicts in the table's stream: what somebody decided reaches the level, also when whoever decided died before.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use aws_lambda_events::event::dynamodb::Event;
use evenstock_app::testing::{FixedClock, MemoryBus, MemoryQueue, MemoryStore};
use evenstock_app::{
    Clock, CountDeps, QueueName, RecentPages, StockStore, Subscriptions, WarehouseCount, apply_counts,
};
use evenstock_change_publisher::{Publisher, handle_records};
use evenstock_domain::{
    ConflictPolicy, EventIdKey, FeedLimits, LevelKey, LocationId, OrganizationId, Quantity, Sku, StockLevel, Timestamp,
};
use evenstock_store::conflict_change;
use rstest::rstest;
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000_000;

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("org").unwrap(),
        sku: Sku::parse("sku").unwrap(),
        location: LocationId::parse("wh-1").unwrap(),
    }
}

/// The warehouse said 10, then changed 6 to 5; `resolution` is what somebody decided.
fn image(resolution: Option<(&str, Option<i64>)>) -> Value {
    let time = (NOW - 1000).to_string();
    let mut image = json!({
        "pk": { "S": "org#X" }, "sk": { "S": "X#01699999999000-00" }, "s": { "S": "sku" }, "l": { "S": "wh-1" },
        "wq": { "N": "5" }, "wb": { "N": "6" }, "wt": { "N": time }, "wn": { "N": "7" }, "cq": { "N": "10" },
        "cv": { "N": "1" }, "ct": { "N": time }, "cd": { "S": "before_differs" }, "po": { "S": "manual" },
        "fa": { "N": NOW.to_string() },
    });
    if let (Some((choice, units)), Some(fields)) = (resolution, image.as_object_mut()) {
        fields.insert("rc".to_owned(), json!({ "S": choice }));
        fields.insert("ra".to_owned(), json!({ "N": (NOW + 1).to_string() }));
        fields.insert("rb".to_owned(), json!({ "S": "k1" }));
        fields.insert("ac".to_owned(), json!({ "N": "7" }));
        if let Some(units) = units {
            fields.insert("rq".to_owned(), json!({ "N": units.to_string() }));
        }
    }
    image
}

fn event(old: &Value, new: &Value) -> Event {
    let record = json!({
        "awsRegion": "eu-central-1", "eventID": "1", "eventName": "MODIFY", "eventSource": "aws:dynamodb",
        "eventVersion": "1.1", "eventSourceARN": "arn",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000, "OldImage": old, "NewImage": new,
            "Keys": { "pk": { "S": "org#X" }, "sk": { "S": "X#01699999999000-00" } },
            "SequenceNumber": "1", "SizeBytes": 1, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    });
    serde_json::from_value(json!({ "Records": [record] })).unwrap()
}

async fn publisher() -> Publisher<MemoryStore, MemoryQueue, FixedClock, MemoryBus> {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(Timestamp::from_millis(NOW).unwrap()));
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let count = WarehouseCount {
        sku: key().sku,
        warehouse: key().location,
        quantity: Quantity::new(10).unwrap(),
        before: None,
        time: clock.now().plus_millis(-2000),
        position: Some(1),
    };
    let deps = CountDeps { store: &store, clock: &clock, ids: &ids };
    assert!(apply_counts(deps, &key(), ConflictPolicy::Manual, &[count]).await.failure.is_none());
    let (queue, limits) = (MemoryQueue::default(), FeedLimits::keeping_hours(168));
    Publisher {
        store,
        queue,
        clock,
        ids,
        limits,
        recent: RecentPages::default(),
        subscriptions: Subscriptions::default(),
        bus: None,
        central: None,
    }
}

async fn level(publisher: &Publisher<MemoryStore, MemoryQueue, FixedClock, MemoryBus>) -> StockLevel {
    publisher.store.load(&key()).await.unwrap().unwrap().level
}

#[rstest]
#[case::warehouse(("warehouse", None), 5, 2)]
#[case::central(("central", None), 10, 1)]
#[case::quantity(("quantity", Some(8)), 8, 2)]
#[tokio::test]
async fn decision_reaches_its_level_once(
    #[case] resolution: (&str, Option<i64>),
    #[case] units: i64,
    #[case] version: u64,
) {
    let publisher = publisher().await;
    let (open, settled) = (image(None), image(Some(resolution)));
    assert_eq!(handle_records(&publisher, event(&json!({}), &open)).await.batch_item_failures.len(), 0);
    assert_eq!(level(&publisher).await.available, 10, "nothing before somebody decides");
    for _ in 0..2 {
        assert_eq!(handle_records(&publisher, event(&open, &settled)).await.batch_item_failures.len(), 0);
        let level = level(&publisher).await;
        assert_eq!((level.available, level.version), (units, version));
        assert_eq!(level.counted.unwrap().quantity, 5, "the warehouse's next change begins with its own number");
    }
}

#[tokio::test]
async fn conflict_that_cannot_be_read_goes_to_the_dead_letters() {
    let mut broken = image(None);
    broken.as_object_mut().unwrap().remove("po");
    let publisher = publisher().await;
    assert_eq!(handle_records(&publisher, event(&json!({}), &broken)).await.batch_item_failures.len(), 0);
    assert_eq!(publisher.queue.bodies(QueueName::StreamDlq).len(), 1);
}

#[test]
fn conflict_is_announced_under_one_name() {
    let shown = |image: Value| {
        let item: serde_dynamo::Item = serde_json::from_value(image).unwrap();
        conflict_change(Some(&item)).unwrap().unwrap().announcement()
    };
    let (found, settled) = (shown(image(None)), shown(image(Some(("central", None)))));
    assert_eq!((&found.event_id, found.event.as_str()), (&settled.event_id, "sync.conflict"));
    assert_eq!(found.event_id, "conflict-01699999999000-00");
    assert_eq!(found.data.get("warehouseId"), Some(&json!("wh-1")));
}
