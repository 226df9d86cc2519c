//! Which levels the central system is told of: those of one organization that changed, in as few messages as will do.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use evenstock_app::testing::{FixedClock, MemoryBus, MemoryQueue, MemoryStore};
use evenstock_app::{PushJob, QueueName, RecentPages, Subscriptions};
use evenstock_change_publisher::{Publisher, central_organization, handle};
use evenstock_domain::{EventIdKey, FeedLimits, OrganizationId, Timestamp};
use evenstock_runtime::Environment;
use rstest::rstest;
use serde_json::{Value, json};

type TestPublisher = Publisher<MemoryStore, MemoryQueue, FixedClock, MemoryBus>;

fn publisher(central: Option<&str>) -> TestPublisher {
    Publisher {
        store: MemoryStore::default(),
        queue: MemoryQueue::default(),
        clock: FixedClock::at(Timestamp::from_millis(1_795_161_640_000).unwrap()),
        ids: EventIdKey::new(*b"0123456789abcdef"),
        limits: FeedLimits::keeping_hours(168),
        recent: RecentPages::default(),
        subscriptions: Subscriptions::default(),
        bus: None,
        central: central.map(|name| OrganizationId::parse(name).unwrap()),
    }
}

/// Changes of two levels of `demo`, and a write that changed nothing but the `rev` of one.
fn sample() -> Value {
    serde_json::from_str(include_str!("../../../events/change-publisher.json")).unwrap()
}

/// A conflict with the central system, or a warehouse, that was decided.
fn decided(reason: &str) -> Value {
    let image = |resolved: bool| {
        let mut image = json!({
            "pk": { "S": "demo#X" }, "sk": { "S": "X#01699999999000-00" }, "s": { "S": "SKU" }, "l": { "S": "main" },
            "wq": { "N": "5" }, "wb": { "N": "6" }, "wt": { "N": "1" }, "wn": { "N": "7" }, "cq": { "N": "10" },
            "cv": { "N": "1" }, "ct": { "N": "1" }, "cd": { "S": reason }, "po": { "S": "manual" }, "fa": { "N": "2" },
        });
        if let Some(fields) = image.as_object_mut().filter(|_| resolved) {
            fields.insert("rc".to_owned(), json!({ "S": "central" }));
            fields.insert("ra".to_owned(), json!({ "N": "3" }));
            fields.insert("ac".to_owned(), json!({ "N": "7" }));
        }
        image
    };
    let record = json!({
        "awsRegion": "eu-central-1", "eventID": "1", "eventName": "MODIFY", "eventSource": "aws:dynamodb",
        "eventVersion": "1.1", "eventSourceARN": "arn",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000, "OldImage": image(false), "NewImage": image(true),
            "Keys": { "pk": { "S": "demo#X" }, "sk": { "S": "X#01699999999000-00" } },
            "SequenceNumber": "1", "SizeBytes": 1, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    });
    json!({ "Records": [record] })
}

/// Names of the levels that messages were sent for, message by message.
async fn pushed(publisher: &TestPublisher, event: Value) -> Vec<Vec<String>> {
    let answer = handle(publisher, event).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let bodies = publisher.queue.bodies(QueueName::StockPushes);
    let names =
        |body: &String| PushJob::from_json(body).unwrap().1.into_iter().map(|key| key.sku.to_string()).collect();
    bodies.iter().map(names).collect()
}

#[tokio::test]
async fn changed_levels_of_a_batch_are_named_in_one_message() {
    let messages = pushed(&publisher(Some("demo")), sample()).await;
    assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
}

#[rstest]
#[case::no_central_system(None)]
#[case::another_organization(Some("other"))]
#[tokio::test]
async fn nobody_is_told_without_a_central_system_for_the_organization(#[case] central: Option<&str>) {
    assert!(pushed(&publisher(central), sample()).await.is_empty());
    assert!(pushed(&publisher(central), decided("central_differs")).await.is_empty());
}

#[rstest]
#[case("central_differs", 1)]
#[case("central_refuses", 1)]
#[case("before_differs", 0)]
#[tokio::test]
async fn decided_conflict_with_the_central_system_wakes_its_level(#[case] reason: &str, #[case] messages: usize) {
    assert_eq!(pushed(&publisher(Some("demo")), decided(reason)).await.len(), messages);
}

#[tokio::test]
async fn batch_comes_again_when_the_queue_takes_nothing() {
    let publisher = publisher(Some("demo"));
    publisher.queue.set_down(true);
    let first = sample()["Records"][0]["dynamodb"]["SequenceNumber"].clone();
    let answer = handle(&publisher, sample()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": first }] }));
}

#[test]
fn organization_is_the_default_one_unless_another_is_named() {
    let named = |pairs: &[(&str, &str)]| {
        let environment: Environment = pairs.iter().copied().collect();
        central_organization(&environment).unwrap().map(|name| name.to_string())
    };
    let url = ("CENTRAL_INVENTORY_URL", "https://central.example");
    assert_eq!(named(&[]), None);
    assert_eq!(named(&[url]).as_deref(), Some("demo"));
    assert_eq!(named(&[url, ("DEFAULT_ORGANIZATION", "us")]).as_deref(), Some("us"));
    assert_eq!(named(&[url, ("CENTRAL_INVENTORY_ORGANIZATION", "them")]).as_deref(), Some("them"));
}
