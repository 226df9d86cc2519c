//! Changes of a warehouse through a Kafka broker: written to a topic as Debezium does, read by a consumer group, handed to
//! the function in Lambda's event, and read again from older offsets after a crash and after a rewind.
//!
//! The broker is the one that librdkafka brings along for tests; `docs/decisions/0019-kafka-in-tests.md` says why. It is
//! built with the feature `kafka`: `.ci/run kafka`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod broker;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::{Broker, PARTITIONS, Poller, TOPIC};
use evenstock_app::{Clock, ConflictStore, KeyChange, PartitionStore, StockStore, WarehouseSettings, WarehouseStore};
use evenstock_domain::{ConflictPolicy, EventIdKey, LevelKey, LocationId, OrganizationId, Sku};
use evenstock_local::dynamo::LocalDynamo;
use evenstock_local::queue::LocalQueues;
use evenstock_local::template::Template;
use evenstock_runtime::SystemClock;
use evenstock_store::{AwsSettings, DynamoStore, dynamodb_client};
use evenstock_warehouse_events::{WarehouseEvents, handle};
use serde_json::{Value, json};

/// Rows of the warehouse's table, one a product.
const ROWS: usize = 6;

/// Changes of each row.
const CHANGES: i64 = 10;

/// Records of a batch.
const BATCH: usize = 8;

/// A record that can never be applied.
const POISON: &str = "this is no change";

type Function = WarehouseEvents<DynamoStore, LocalQueues, SystemClock>;

fn organization() -> OrganizationId {
    OrganizationId::parse("demo").unwrap()
}

fn warehouse() -> LocationId {
    LocationId::parse("wh-1").unwrap()
}

/// The function on an embedded table, where warehouse `wh-1` decides by hand what contradicts us.
async fn function() -> (Function, LocalDynamo) {
    let template = Template::built_in().unwrap();
    let dynamo = LocalDynamo::start(None, &template.table).await.unwrap();
    let client = dynamodb_client(&AwsSettings {
        region: "local".to_owned(),
        endpoint_url: Some(dynamo.endpoint().to_owned()),
        access_key_id: "local".to_owned(),
        secret_access_key: "local".to_owned(),
        session_token: None,
    });
    let store = DynamoStore::new(client, template.table.name, 400);
    let queue = LocalQueues::open(None, template.queues, || SystemClock.now().as_millis()).unwrap();
    let settings = WarehouseSettings {
        id: warehouse(),
        organization: organization(),
        endpoint: "https://wh.example".to_owned(),
        api_key: KeyChange::Keep,
        policy: ConflictPolicy::Manual,
        at: SystemClock.now(),
    };
    store.set_up_warehouse(&settings).await.unwrap();
    let ids = EventIdKey::new(*b"0123456789abcdef");
    (WarehouseEvents { store, queue, clock: SystemClock, ids }, dynamo)
}

/// Everything that the warehouse writes: its rows by turns, then the deletion of row 0 with its tombstone, and a record
/// that is no change. How many records there are.
fn write(broker: &Broker) -> usize {
    let begun = SystemClock.now().as_millis() - 60_000;
    let row = |row: usize, units: i64| json!({ "id": row, "sku": format!("SKU-{row}"), "warehouse_id": "wh-1", "quantity": units });
    let envelope = |op: &str, before: Value, after: Value, lsn: i64| {
        let source = json!({ "connector": "postgresql", "ts_ms": begun + lsn, "lsn": lsn });
        json!({ "before": before, "after": after, "op": op, "source": source, "ts_ms": begun + lsn + 5 }).to_string()
    };
    let mut lsn = 0;
    for change in 1..=CHANGES {
        for id in 0..ROWS {
            lsn += 1;
            let before = if change == 1 { Value::Null } else { row(id, 100 - change + 1) };
            let op = if change == 1 { "c" } else { "u" };
            broker.produce(id, Some(&envelope(op, before, row(id, 100 - change), lsn)));
        }
    }
    broker.produce(0, Some(&envelope("d", row(0, 100 - CHANGES), Value::Null, lsn + 1)));
    broker.produce(0, None);
    broker.produce(1, Some(POISON));
    broker.flush();
    ROWS * usize::try_from(CHANGES).unwrap() + 3
}

/// Hands batches over until so many records are committed; the records.
async fn drain(function: &Function, poller: &Poller, records: usize) -> Vec<Value> {
    let mut read = Vec::new();
    while read.len() < records {
        let batch = poller.batch((records - read.len()).min(BATCH));
        assert_eq!(handle(function, batch.event.clone()).await.unwrap(), json!({}));
        poller.commit(&batch);
        read.extend(batch.records());
    }
    read
}

/// Units and version of each row's level.
async fn levels(function: &Function) -> Vec<(i64, u64)> {
    let mut levels = Vec::new();
    for id in 0..ROWS {
        let sku = Sku::parse(&format!("SKU-{id}")).unwrap();
        let key = LevelKey { organization: organization(), sku, location: warehouse() };
        let level = function.store.load(&key).await.unwrap().unwrap().level;
        levels.push((level.available, level.version));
    }
    levels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_becomes_stock_once_across_a_crash_and_a_rewind() {
    let broker = Broker::start();
    let records = write(&broker);
    let (function, _dynamo) = function().await;

    // Killed between the work and the commit: what it did is durable, and the group does not know.
    let killed = broker.join();
    drain(&function, &killed, 3 * BATCH).await;
    let in_vain = killed.batch(BATCH);
    handle(&function, in_vain.event.clone()).await.unwrap();
    drop(killed);

    let next = broker.join();
    let read = drain(&function, &next, records - 3 * BATCH).await;
    let in_vain = in_vain.records();
    assert!(in_vain.iter().all(|record| read.contains(record)), "the group goes on from what was committed");
    drop(next);

    let changes = u64::try_from(CHANGES).unwrap();
    let mut expected = vec![(100 - CHANGES, changes); ROWS];
    expected[0] = (0, changes + 1);
    assert_eq!(levels(&function).await, expected);
    let dead = async || function.queue.dead_letters("WarehouseEventsDlq", 10).await.unwrap().len();
    // Its letter is written as often as it is read: what cannot be read cannot be recognized either.
    let is_poison = |record: &&Value| record["value"] == STANDARD.encode(POISON);
    let letters = 1 + in_vain.iter().filter(is_poison).count();
    assert_eq!(dead().await, letters, "the record that is no change");
    let last = |partition: i64| {
        let rows = ROWS as i64 / i64::from(PARTITIONS) * CHANGES;
        rows + [2, 1][usize::try_from(partition).unwrap()] - 1
    };
    for read in function.store.partitions().await.unwrap() {
        assert_eq!((read.topic.as_str(), read.offset, read.settled), (TOPIC, last(read.partition), true));
        let lag_ms = read.lag_ms(SystemClock.now()).unwrap();
        assert!(lag_ms < 120_000, "written and read within this test: {lag_ms} ms");
    }

    // Everything once more, as after `--reset-offsets --to-earliest`.
    broker.rewind();
    let rewound = broker.join();
    let first = rewound.batch(BATCH);
    handle(&function, first.event.clone()).await.unwrap();
    rewound.commit(&first);
    let at: Vec<_> = function.store.partitions().await.unwrap().into_iter().map(|read| read.offset).collect();
    assert!(at.iter().zip(0..).any(|(offset, partition)| *offset < last(partition)), "a rewind shows: {at:?}");
    drain(&function, &rewound, records - BATCH).await;
    assert_eq!(levels(&function).await, expected);
    assert_eq!(dead().await, letters + 1);
    let conflicts = function.store.conflicts(&organization(), None, None, 10).await.unwrap();
    assert_eq!(conflicts.conflicts, [], "nothing old contradicts anything");
}
