//! The same records as messages of a queue.

use evenstock_app::testing::Fault;
use evenstock_runtime::{keep_reasons, take_reason};
use evenstock_warehouse_events::handle;
use serde_json::{Value, json};

use crate::{Function, change, conflicts, function, letters, units};

async fn work(function: &Function, bodies: &[String]) -> Vec<Value> {
    let record = |(place, body): (usize, &String)| json!({ "messageId": format!("m{place}"), "body": body });
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    let answer = handle(function, json!({ "Records": records })).await.unwrap();
    answer["batchItemFailures"].as_array().unwrap().iter().map(|one| one["itemIdentifier"].clone()).collect()
}

#[tokio::test]
async fn messages_in_any_order_of_one_batch_make_no_conflict() {
    let function = function(|_| Fault::None).await;
    let mut bodies: Vec<_> = (1..=9).map(|n| change("A", "wh-1", n, (n > 1).then_some(n - 1), n).to_string()).collect();
    bodies.reverse();
    assert_eq!(work(&function, &bodies).await, [Value::Null; 0]);
    assert_eq!(units(&function, "demo", "A", "wh-1").await, Some((9, 9)));
    assert_eq!(conflicts(&function, "demo").await, []);
}

#[tokio::test]
async fn dead_letter_that_is_sent_back_is_applied_once_its_cause_is_gone() {
    let function = function(|_| Fault::None).await;
    let body = change("A", "wh-3", 1, None, 5).to_string();
    assert_eq!(work(&function, &[body]).await, [Value::Null; 0], "acknowledged: we buried it ourselves");
    let letter = letters(&function)[0].to_string();
    function.clock.advance_ms(60_000);
    work(&function, std::slice::from_ref(&letter)).await;
    let again = &letters(&function)[1]["deadLetter"];
    assert_eq!((&again["attempts"], &again["firstAt"]), (&json!(2), &json!("2026-11-20T08:00:30.000Z")));
    assert_eq!(again["lastAt"], "2026-11-20T08:01:30.000Z");

    let settings = evenstock_app::WarehouseSettings {
        id: evenstock_domain::LocationId::parse("wh-3").unwrap(),
        organization: evenstock_domain::OrganizationId::parse("demo").unwrap(),
        endpoint: "https://wh.example".to_owned(),
        api_key: evenstock_app::KeyChange::Keep,
        policy: evenstock_domain::ConflictPolicy::Manual,
        at: evenstock_domain::Timestamp::EPOCH,
    };
    evenstock_app::WarehouseStore::set_up_warehouse(function.store.inner(), &settings).await.unwrap();
    work(&function, &[letter]).await;
    assert_eq!(units(&function, "demo", "A", "wh-3").await, Some((5, 1)));
    assert_eq!(letters(&function).len(), 2);
}

#[tokio::test]
async fn tombstone_and_empty_message_are_done() {
    let function = function(|_| Fault::None).await;
    assert_eq!(work(&function, &["null".to_owned(), String::new()]).await, [Value::Null; 0]);
    assert_eq!(letters(&function), [Value::Null; 0]);
}

#[tokio::test]
async fn message_that_comes_back_says_why() {
    keep_reasons();
    let failing = function(|operation| if operation == "load_warehouse" { Fault::NotDone } else { Fault::None }).await;
    failing.queue.set_down(true);
    let change = change("A", "wh-1", 1, None, 5).to_string();
    let records = json!([{ "messageId": "later", "body": change }, { "messageId": "poison", "body": "{}" }]);
    handle(&failing, json!({ "Records": records })).await.unwrap();
    assert!(!take_reason("later").unwrap().is_empty());
    let reason = take_reason("poison").unwrap();
    assert!(
        reason.contains("it cannot be sent to the dead letters") && reason.ends_with("the queue is down"),
        "{reason}"
    );
}

#[tokio::test]
async fn message_that_cannot_be_buried_comes_back_alone() {
    let function = function(|_| Fault::None).await;
    function.queue.set_down(true);
    let bodies = [change("A", "wh-1", 1, None, 5).to_string(), "{}".to_owned()];
    assert_eq!(work(&function, &bodies).await, ["m1"]);
    assert_eq!(units(&function, "demo", "A", "wh-1").await, Some((5, 1)));
}
