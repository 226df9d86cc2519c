//! Stream records of reservations, as the trigger delivers them.

use evenstock_app::QueueName;
use evenstock_app::request;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryBus, MemoryQueue, MemoryStore};
use evenstock_domain::{
    ActorCode, LevelKey, Line, LocationId, OrganizationId, Policy, Reservation, ReservationId, Sku, StockLevel,
    Timestamp,
};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("org").unwrap(),
        sku: Sku::parse("sku").unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

type TestPublisher = Publisher<FaultyStore<MemoryStore>, MemoryQueue, FixedClock, MemoryBus>;

/// Ten units, of which reservation `r` reserved four.
async fn world(fault: Fault) -> TestPublisher {
    let memory = MemoryStore::default();
    let clock = FixedClock::at(Timestamp::from_millis(NOW).unwrap());
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let level = StockLevel { available: 10, policy: Policy::default(), ..StockLevel::new() };
    memory.commit(&key(), None, &level).await.unwrap();
    let LevelKey { organization, sku, location } = key();
    let id = ReservationId::parse("r").unwrap();
    let lines = vec![Line { sku, location, units: 4 }];
    let made = Reservation::begin(organization, id, None, lines, clock.now(), 60, ActorCode(1));
    let (level, event) = made.reserves(&ids, None).remove(0);
    request(&memory, &clock, &level, &event).await.unwrap();
    Publisher {
        store: FaultyStore::new(memory, move |_| fault),
        queue: MemoryQueue::default(),
        clock,
        ids,
        limits: FeedLimits::keeping_hours(168),
        recent: RecentPages::default(),
        subscriptions: Subscriptions::default(),
        bus: None,
        central: None,
    }
}

fn image(state: &str, settled: bool) -> Value {
    let mut image = json!({
        "pk": { "S": "org#R#r" }, "sk": { "S": "R" }, "rv": { "N": "3" }, "st": { "S": state }, "at": { "N": "0" },
        "ln": { "L": [{ "M": { "s": { "S": "sku" }, "l": { "S": "main" }, "n": { "N": "4" } } }] },
        "ca": { "N": NOW.to_string() }, "ea": { "N": (NOW + 60_000).to_string() },
        "ha": { "N": (NOW + 1).to_string() }, "ac": { "N": "1" },
    });
    if settled && let Some(fields) = image.as_object_mut() {
        fields.insert("sa".to_owned(), json!({ "N": (NOW + 2).to_string() }));
    }
    image
}

fn record(number: u32, old: &Value, new: &Value) -> Value {
    let keys = json!({ "pk": { "S": "org#R#r" }, "sk": { "S": "R" } });
    json!({
        "awsRegion": "eu-central-1", "eventID": number.to_string(), "eventName": "MODIFY", "eventSource": "aws:dynamodb",
        "eventVersion": "1.1", "eventSourceARN": "arn",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000, "Keys": keys, "OldImage": old, "NewImage": new,
            "SequenceNumber": number.to_string(), "SizeBytes": 1, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}

async fn followed(publisher: &TestPublisher, records: &[Value]) -> Vec<String> {
    let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let failures = handle_records(publisher, event).await.batch_item_failures;
    failures.into_iter().filter_map(|failure| failure.item_identifier).collect()
}

async fn units(publisher: &TestPublisher) -> (i64, i64) {
    let level = publisher.store.inner().load(&key()).await.unwrap().unwrap().level;
    (level.available, level.reserved)
}

#[tokio::test]
async fn end_of_a_reservation_reaches_its_levels_once() {
    for (state, expected) in [("released", (10, 0)), ("expired", (10, 0)), ("fulfilled", (6, 0))] {
        let publisher = world(Fault::None).await;
        let ends = [
            record(1, &image("pending", false), &image("held", false)),
            record(2, &image("held", false), &image(state, true)),
        ];
        assert_eq!(followed(&publisher, &ends[..1]).await, Vec::<String>::new());
        assert_eq!(units(&publisher).await, (6, 4), "nothing before the end");
        for _ in 0..2 {
            assert_eq!(followed(&publisher, &ends).await, Vec::<String>::new());
            assert_eq!(units(&publisher).await, expected, "{state}");
        }
    }
}

#[tokio::test]
async fn failing_store_fails_from_that_record_on() {
    let (held, released) = (image("held", false), image("released", true));
    let publisher = world(Fault::NotDone).await;
    assert_eq!(followed(&publisher, &[record(7, &held, &released), record(8, &held, &released)]).await, ["7"]);
    assert_eq!(units(&publisher).await, (6, 4));
    assert_eq!(publisher.queue.bodies(QueueName::StreamDlq), Vec::<String>::new());
}

#[tokio::test]
async fn unreadable_record_goes_whole_to_the_dead_letters_and_the_rest_goes_on() {
    let (held, unreadable, released) = (image("held", false), image("released", false), image("released", true));
    let publisher = world(Fault::None).await;
    let poison = record(7, &held, &unreadable);
    assert_eq!(followed(&publisher, &[poison.clone(), record(8, &held, &released)]).await, Vec::<String>::new());
    assert_eq!(units(&publisher).await, (10, 0));
    let letters = publisher.queue.bodies(QueueName::StreamDlq);
    assert_eq!(letters.len(), 1);
    let letter: Value = serde_json::from_str(&letters[0]).unwrap();
    assert_eq!(letter["sequenceNumber"], "7");
    assert!(letter["reason"].as_str().unwrap().contains("cannot be read"), "{letter}");
    for image in ["Keys", "OldImage", "NewImage"] {
        assert_eq!(letter["record"]["dynamodb"][image], poison["dynamodb"][image], "{image}");
    }
}

#[tokio::test]
async fn unreadable_record_that_no_message_can_hold_leaves_its_images_behind() {
    let publisher = world(Fault::None).await;
    let mut unreadable = image("released", false);
    unreadable["xx"] = json!({ "S": "x".repeat(300 * 1024) });
    let poison = record(7, &image("held", false), &unreadable);
    assert_eq!(followed(&publisher, std::slice::from_ref(&poison)).await, Vec::<String>::new());
    let letters = publisher.queue.bodies(QueueName::StreamDlq);
    let letter: Value = serde_json::from_str(&letters[0]).unwrap();
    assert_eq!((letters.len(), &letter["cut"], &letter["sequenceNumber"]), (1, &json!(true), &json!("7")));
    assert_eq!(letter["record"], json!({ "dynamodb": { "Keys": poison["dynamodb"]["Keys"] } }));
}

#[tokio::test]
async fn unreadable_record_comes_again_when_the_dead_letters_take_nothing() {
    let publisher = world(Fault::None).await;
    publisher.queue.set_down(true);
    let (held, unreadable, released) = (image("held", false), image("released", false), image("released", true));
    let batch = [record(7, &held, &released), record(8, &held, &unreadable)];
    assert_eq!(followed(&publisher, &batch).await, ["8"]);
    assert_eq!(units(&publisher).await, (10, 0), "what stood before it is done");
}

#[tokio::test]
async fn endpoints_that_cannot_be_read_hold_up_nobody_and_the_events_are_dead_letters() {
    let (held, expired) = (image("held", false), image("expired", true));
    let publisher = world(Fault::None).await;
    let memory = publisher.store.into_inner();
    let plan = |operation| if operation == "load_registry" { Fault::Corrupt } else { Fault::None };
    let publisher = Publisher { store: FaultyStore::new(memory, plan), ..publisher };
    assert_eq!(followed(&publisher, &[record(7, &held, &expired)]).await, Vec::<String>::new());
    assert_eq!(units(&publisher).await, (10, 0));
    let letters = publisher.queue.bodies(QueueName::StreamDlq);
    assert_eq!(letters.len(), 1);
    let letter: Value = serde_json::from_str(&letters[0]).unwrap();
    assert!(letter["reason"].as_str().unwrap().contains("cannot be read"), "{letter}");
    let body: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["event"], &body["eventId"]), (&json!("reservation.expired"), &letter["eventId"]));
}
