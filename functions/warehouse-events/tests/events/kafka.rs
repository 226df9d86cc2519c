//! Kafka's records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenstock_app::testing::Fault;
use evenstock_app::{Clock, PartitionStore};
use evenstock_warehouse_events::handle;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{change, conflicts, function, kafka, letters, units};

#[rstest]
#[case::managed(include_str!("../../../../events/warehouse-events.json"))]
#[case::self_managed(include_str!("../../../../events/warehouse-events-self-managed.json"))]
#[tokio::test]
async fn event_of_either_kind_of_cluster_becomes_stock(#[case] event: &str) {
    let function = function(|_| Fault::None).await;
    let event: Value = serde_json::from_str(event).unwrap();
    for _ in 0..2 {
        assert_eq!(handle(&function, event.clone()).await.unwrap(), json!({}));
        assert_eq!(units(&function, "demo", "SKU-1", "wh-1").await, Some((11, 2)));
        assert_eq!(units(&function, "demo", "SKU-2", "wh-1").await, Some((0, 2)), "a deletion keeps the version");
    }
    assert_eq!((letters(&function), conflicts(&function, "demo").await), (vec![], vec![]));
}

#[tokio::test]
async fn replayed_offsets_change_nothing() {
    let function = function(|_| Fault::None).await;
    let changes: Vec<_> = (1..=40).map(|n| change("A", "wh-1", n, (n > 1).then_some(n - 1), n)).collect();
    handle(&function, kafka(&changes)).await.unwrap();
    for start in [0, 10, 39] {
        handle(&function, kafka(&changes[start..])).await.unwrap();
        assert_eq!(units(&function, "demo", "A", "wh-1").await, Some((40, 40)));
    }
    assert_eq!((letters(&function), conflicts(&function, "demo").await), (vec![], vec![]));
}

#[tokio::test]
async fn batch_is_applied_around_its_poison_and_each_letter_says_why() {
    let function = function(|_| Fault::None).await;
    let mut ahead = change("A", "wh-1", 0, None, 9);
    ahead["source"]["ts_ms"] = json!(crate::TIME + 600_000);
    let records = [
        change("A", "wh-1", 1, None, 5),
        json!({ "op": "c", "after": { "sku": "A", "warehouse_id": "wh-1", "quantity": -1 }, "ts_ms": crate::TIME }),
        Value::Null,
        change("B", "nowhere", 2, None, 5),
        ahead,
        json!("no object"),
        change("B", "wh-2", 3, None, 7),
    ];
    assert_eq!(handle(&function, kafka(&records)).await.unwrap(), json!({}));
    assert_eq!(units(&function, "demo", "A", "wh-1").await, Some((5, 1)));
    assert_eq!(units(&function, "other", "B", "wh-2").await, Some((7, 1)), "each for its own organization");
    let letters = letters(&function);
    let told: Vec<_> = letters
        .iter()
        .map(|letter| {
            (letter["deadLetter"]["offset"].as_i64().unwrap(), letter["deadLetter"]["reason"].as_str().unwrap())
        })
        .collect();
    let expected = [
        (1, "after.quantity: must not be negative"),
        (3, "warehouse nowhere is not known"),
        (4, "its time is more than two minutes ahead"),
        (5, "body: must be a JSON object"),
    ];
    assert_eq!(told, expected);
    let first = &letters[0]["deadLetter"];
    assert_eq!(
        (&first["topic"], &first["partition"], &first["attempts"]),
        (&json!("warehouse.public.stock"), &json!(0), &json!(1))
    );
    assert_eq!(
        (&first["firstAt"], &first["lastAt"]),
        (&json!("2026-11-20T08:00:30.000Z"), &json!("2026-11-20T08:00:30.000Z"))
    );
    assert_eq!(letters[0]["record"], json!(records[1].to_string()));
}

#[tokio::test]
async fn contradiction_is_kept_and_decided_by_the_warehouses_policy() {
    let function = function(|_| Fault::None).await;
    for (organization, warehouse, expected) in [("demo", "wh-1", 10), ("other", "wh-2", 4)] {
        let changes = [change("A", warehouse, 1, None, 10), change("A", warehouse, 2, Some(5), 4)];
        for _ in 0..2 {
            handle(&function, kafka(&changes)).await.unwrap();
        }
        assert_eq!(units(&function, organization, "A", warehouse).await.unwrap().0, expected);
        let [conflict] = conflicts(&function, organization).await.try_into().unwrap();
        assert_eq!((conflict.central.quantity, conflict.count.quantity.get()), (10, 4));
        assert_eq!(conflict.status(), if expected == 10 { "open" } else { "resolved" });
    }
}

#[tokio::test]
async fn row_that_moves_to_an_unknown_warehouse_leaves_the_old_one_and_is_told_of() {
    let function = function(|_| Fault::None).await;
    let mut moved = change("A", "wh-1", 2, Some(5), 5);
    moved["after"]["warehouse_id"] = json!("nowhere");
    handle(&function, kafka(&[change("A", "wh-1", 1, None, 5), moved])).await.unwrap();
    assert_eq!(units(&function, "demo", "A", "wh-1").await, Some((0, 2)));
    assert_eq!(letters(&function).len(), 1);
}

#[rstest]
#[case::neither(json!({ "eventSource": "aws:s3", "records": {} }))]
#[case::nothing(json!({}))]
#[case::no_records(json!({ "eventSource": "aws:kafka" }))]
#[tokio::test]
async fn other_events_are_refused(#[case] event: Value) {
    assert!(handle(&function(|_| Fault::None).await, event).await.is_err());
}

#[tokio::test]
async fn value_that_is_no_base64_is_a_dead_letter() {
    let function = function(|_| Fault::None).await;
    let mut event = kafka(&[change("A", "wh-1", 1, None, 5)]);
    event["records"]["warehouse.public.stock-0"][0]["value"] = json!("%%%");
    handle(&function, event).await.unwrap();
    assert_eq!(letters(&function)[0]["deadLetter"]["reason"], "value: must be base64");
}

#[tokio::test]
async fn position_of_each_partition_is_noted_and_a_batch_that_fails_shows_its_first_record() {
    let broken = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&broken);
    // Only levels fail: what is noted of a partition is written all the same.
    let function =
        function(
            move |call| if call == "load" && shared.load(Ordering::Relaxed) { Fault::NotDone } else { Fault::None },
        )
        .await;
    let mut event = kafka(&[change("A", "wh-1", 1, None, 5), json!("no object")]);
    let first = event["records"]["warehouse.public.stock-0"].take();
    let mut second = first[0].clone();
    second["partition"] = json!(1);
    second["offset"] = json!(70);
    event["records"] = json!({ "warehouse.public.stock-0": first, "warehouse.public.stock-1": [second] });
    handle(&function, event.clone()).await.unwrap();
    let noted = async || {
        let reads = function.store.partitions().await.unwrap().into_iter();
        reads.map(|read| (read.partition, read.offset, read.settled)).collect::<Vec<_>>()
    };
    assert_eq!(noted().await, [(0, 1, true), (1, 70, true)], "a dead letter is settled too");
    broken.store(true, Ordering::Relaxed);
    assert!(handle(&function, event.clone()).await.is_err());
    assert_eq!(noted().await, [(0, 0, false), (1, 70, false)]);
    broken.store(false, Ordering::Relaxed);
    handle(&function, event).await.unwrap();
    assert_eq!(noted().await, [(0, 1, true), (1, 70, true)]);
    let [read, _] = function.store.partitions().await.unwrap().try_into().unwrap();
    assert_eq!(read.lag_ms(function.clock.now()), read.written_at.map(|at| function.clock.now().millis_since(at)));
}
