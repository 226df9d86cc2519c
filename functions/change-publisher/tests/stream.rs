//! Batches of the table's stream.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

use aws_lambda_events::event::dynamodb::Event;
use evenstock_app::testing::{FixedClock, MemoryBus, MemoryQueue, MemoryStore};
use evenstock_app::{Behind, BusOutlet, QueueName, RecentPages, Subscriptions, changes_behind, register_endpoint};
use evenstock_change_publisher::{Followed, Publisher, bus_outlet, follow, handle};
use evenstock_domain::{
    Endpoint, EndpointId, EventIdKey, FeedEvent, FeedLimits, OrganizationId, Secrets, Subscription, Timestamp,
};
use evenstock_runtime::Environment;
use evenstock_store::LevelItem;
use rstest::rstest;
use serde_json::{Value, json};

/// A level's first change, two changes in one write, another level's first change, and a write of `rev` alone.
fn sample() -> Value {
    serde_json::from_str(include_str!("../../../events/change-publisher.json")).unwrap()
}

type TestPublisher = Publisher<MemoryStore, MemoryQueue, FixedClock, MemoryBus>;

/// When the records of the sample reach us.
fn now() -> Timestamp {
    Timestamp::from_millis(1_795_161_640_000).unwrap()
}

fn publisher() -> TestPublisher {
    Publisher {
        store: MemoryStore::default(),
        queue: MemoryQueue::default(),
        clock: FixedClock::at(now()),
        ids: EventIdKey::new(*b"0123456789abcdef"),
        limits: FeedLimits::keeping_hours(168),
        recent: RecentPages::default(),
        subscriptions: Subscriptions::default(),
        bus: None,
        central: None,
    }
}

/// The feed of the sample's organization.
fn feed(publisher: &TestPublisher) -> Vec<FeedEvent> {
    let demo = OrganizationId::parse("demo").unwrap();
    match done(changes_behind(&publisher.store, &demo, 0, 1000, now())).unwrap() {
        Behind::Events { events, .. } => events,
        other => unreachable!("{other:?}"),
    }
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
    done(handle(&publisher(), event.clone())).unwrap()
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
    assert_eq!(followed(&sample()), Followed { records: 4, changes: 4, buried: 0, failed: None });
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
    assert_eq!(followed(&event), Followed { records: 4, changes: 2, buried: 0, failed: None });
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
fn unreadable_record_is_buried_and_the_rest_is_followed(
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
    let publisher = publisher();
    let followed = done(follow(&publisher, serde_json::from_value(event.clone()).unwrap()));
    assert_eq!(followed, Followed { records: 4, changes: 2, buried: 1, failed: None });
    let letters = publisher.queue.bodies(QueueName::StreamDlq);
    let letter: Value = serde_json::from_str(&letters[0]).unwrap();
    assert_eq!((letters.len(), letter["sequenceNumber"].as_str().unwrap()), (1, &*sequence_number(&event, 1)));
    for image in ["Keys", "OldImage", "NewImage"] {
        let (told, brought) = (&letter["record"]["dynamodb"][image], &event["Records"][1]["dynamodb"][image]);
        assert_eq!(told, brought, "the record lies there whole");
    }
    assert_eq!(feed(&publisher).len(), 2);
    assert_eq!(answered(&event), json!({ "batchItemFailures": [] }));
}

#[test]
fn record_comes_again_when_nobody_takes_the_dead_letter() {
    let mut event = sample();
    event["Records"][1]["dynamodb"]["NewImage"] = json!({ "pk": { "S": "demo" } });
    let publisher = publisher();
    publisher.queue.set_down(true);
    let answer = done(handle(&publisher, event.clone())).unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": sequence_number(&event, 1) }] }));
    publisher.queue.set_down(false);
    event["Records"].as_array_mut().unwrap().remove(0);
    assert_eq!(done(handle(&publisher, event)).unwrap(), json!({ "batchItemFailures": [] }));
    let seqs: Vec<_> = feed(&publisher).iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [1, 2], "the change behind it stood in the feed already");
}

#[test]
fn changes_stand_in_the_feed_in_order_and_once() {
    let publisher = publisher();
    for _ in 0..3 {
        done(handle(&publisher, sample())).unwrap();
    }
    let feed = feed(&publisher);
    let told: Vec<_> = feed
        .iter()
        .map(|FeedEvent { seq, change }| (*seq, change.sku.as_str(), change.version, change.delta, change.quantity))
        .collect();
    assert_eq!(told[..3], [(1, "SKU-1", 1, 7, 7), (2, "SKU-1", 2, -2, 5), (3, "SKU-1", 3, -1, 4)]);
    assert_eq!(told.len(), 4);
    assert_eq!(feed[2].change.source.as_str(), "etsy/store-9");
}

#[test]
fn entries_that_an_image_lacks_are_not_passed_over() {
    let mut event = sample();
    event["Records"][1]["dynamodb"].as_object_mut().unwrap().remove("OldImage");
    event["Records"][1]["dynamodb"]["NewImage"]["vs"] = json!({ "N": "19" });
    event["Records"][1]["dynamodb"]["NewImage"]["pg"] = json!({ "N": "1" });
    assert_eq!(followed(&event).buried, 1);
}

#[test]
fn tick_of_the_schedule_goes_on_with_the_repair_and_other_events_are_refused() {
    let publisher = publisher();
    let tick = json!({ "source": "aws.events", "detail-type": "Scheduled Event" });
    assert_eq!(
        done(handle(&publisher, tick)).unwrap(),
        json!({ "levels": 0, "offered": 0, "unreadable": 0, "finished": true })
    );
    assert!(done(handle(&publisher, json!({ "Records": 7 }))).is_err());
    assert!(done(handle(&publisher, json!({}))).is_err());
}

/// An endpoint of the sample's organization that wants everything.
async fn register(publisher: &TestPublisher) {
    let endpoint = Endpoint {
        id: EndpointId::parse("endpoint").unwrap(),
        event: Subscription::All,
        target: "https://example.com/".to_owned(),
        disabled: None,
        schedule: None,
        secrets: Secrets::new("sealed".to_owned(), now()),
        created_at: now(),
    };
    let demo = OrganizationId::parse("demo").unwrap();
    register_endpoint(&publisher.store, &publisher.clock, &demo, endpoint).await.unwrap();
}

#[test]
fn changes_are_announced_to_whoever_wants_them_and_again_with_the_same_ids() {
    let publisher = publisher();
    done(register(&publisher));
    let event: Event = serde_json::from_value(sample()).unwrap();
    let first = done(follow(&publisher, event.clone()));
    let bodies = publisher.queue.bodies(QueueName::Callbacks);
    let changed = bodies.iter().filter(|body| body.contains("stock.changed")).count();
    assert_eq!((first.changes, changed), (4, 4));
    let delivered: Value = serde_json::from_str(&bodies[0]).unwrap();
    let body: Value = serde_json::from_str(delivered["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["data"]["seq"], &body["organizationId"]), (&json!(1), &json!("demo")));
    // A crash between feed and callbacks: the batch comes again.
    done(follow(&publisher, event));
    let again = publisher.queue.bodies(QueueName::Callbacks);
    assert_eq!(again[bodies.len()..], bodies, "the same deliveries, byte for byte");
}

#[test]
fn announcements_that_cannot_be_passed_on_bring_the_batch_back() {
    let publisher = publisher();
    done(register(&publisher));
    publisher.queue.set_down(true);
    let event: Event = serde_json::from_value(sample()).unwrap();
    let failed = done(follow(&publisher, event.clone())).failed;
    assert_eq!(failed, Some(sequence_number(&sample(), 0)));
    publisher.queue.set_down(false);
    assert_eq!(done(follow(&publisher, event)).failed, None);
    assert!(publisher.queue.bodies(QueueName::Callbacks).len() >= 4);
}

#[test]
fn organization_without_endpoints_gets_no_messages() {
    let publisher = publisher();
    done(follow(&publisher, serde_json::from_value(sample()).unwrap()));
    assert!(publisher.queue.bodies(QueueName::Callbacks).is_empty());
    assert_eq!(publisher.store.registry_reads(), 1);
}

/// A publisher with an endpoint that wants everything and a bus that takes these events.
fn with_bus(events: &str) -> TestPublisher {
    let bus = Some(BusOutlet { bus: MemoryBus::default(), events: events.parse().unwrap() });
    let publisher = Publisher { bus, ..publisher() };
    done(register(&publisher));
    publisher
}

fn on_the_bus(publisher: &TestPublisher) -> Vec<evenstock_app::FrozenEvent> {
    publisher.bus.as_ref().unwrap().bus.events()
}

#[test]
fn bus_is_told_the_chosen_events_with_the_bodies_of_callbacks() {
    let publisher = with_bus("stock.changed");
    done(follow(&publisher, serde_json::from_value(sample()).unwrap()));
    let callbacks = publisher.queue.bodies(QueueName::Callbacks);
    let bodies = callbacks.iter().map(|message| serde_json::from_str::<Value>(message).unwrap());
    let changed = bodies.filter(|message| message["event"] == "stock.changed");
    let changed: Vec<_> = changed.map(|message| message["body"].as_str().unwrap().to_owned()).collect();
    let told: Vec<_> = on_the_bus(&publisher).into_iter().map(|event| event.body).collect();
    assert_eq!((told.len(), told), (4, changed));
}

#[test]
fn bus_that_takes_nothing_brings_the_batch_back_before_any_callback_is_sent() {
    let publisher = with_bus("*");
    publisher.bus.as_ref().unwrap().bus.set_down(true);
    let event: Event = serde_json::from_value(sample()).unwrap();
    for _ in 0..3 {
        let failed = done(follow(&publisher, event.clone())).failed;
        assert_eq!(failed, Some(sequence_number(&sample(), 0)));
    }
    assert_eq!(publisher.queue.bodies(QueueName::Callbacks).len(), 0, "or they would be sent with every try");
    publisher.bus.as_ref().unwrap().bus.set_down(false);
    assert_eq!(done(follow(&publisher, event.clone())).failed, None);
    let (told, called) = (on_the_bus(&publisher), publisher.queue.bodies(QueueName::Callbacks));
    assert_eq!(told.len(), called.len());
    done(follow(&publisher, event));
    assert_eq!(on_the_bus(&publisher)[told.len()..], told, "repeated under the same ids");
}

#[test]
fn bus_is_opened_only_if_something_goes_there() {
    let environment = |events: &str| [("BUS_EVENTS", events)].into_iter().collect::<Environment>();
    let opened = bus_outlet(&environment("stock.low"), || Ok(MemoryBus::default())).unwrap().unwrap();
    assert_eq!(opened.events, "stock.low".parse().unwrap());
    for nothing in [Environment::default(), environment("")] {
        assert!(bus_outlet::<MemoryBus>(&nothing, || unreachable!("nobody needs it")).unwrap().is_none());
    }
    let error = bus_outlet(&environment("stock.lost"), || Ok(MemoryBus::default())).unwrap_err();
    assert!(error.to_string().starts_with("environment variable BUS_EVENTS must be names of events"));
}
