//! Order, redelivery and the checkpoint, on real files.

use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::dynamo::open_beside;
use crate::template::Template;

const TABLE: &str = "StockTable";

struct Bench {
    _directory: TempDir,
    path: PathBuf,
    dynamo: LocalDynamo,
    reader: StreamReader,
    /// What the handler was given: the sort keys of each batch.
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dynamo.sqlite");
        let dynamo = LocalDynamo::start(Some(&path), &Template::built_in().unwrap().table).await.unwrap();
        let reader = reader(&dynamo);
        Self { _directory: directory, path, dynamo, reader, seen: Arc::default() }
    }

    async fn reopened(self) -> Self {
        self.dynamo.stop().await.unwrap();
        drop(self.reader);
        let dynamo = LocalDynamo::start(Some(&self.path), &Template::built_in().unwrap().table).await.unwrap();
        let reader = reader(&dynamo);
        Self { dynamo, reader, ..self }
    }

    fn put(&self, sk: &str) {
        put(&self.dynamo, sk);
    }

    async fn deliver(&mut self, answer: fn(&Event) -> Result<Vec<String>, String>) -> Delivery {
        let seen = Arc::clone(&self.seen);
        let handler = |event: Event| {
            let answer = answer(&event);
            seen.lock().unwrap().push(sort_keys(&event));
            async move { answer }
        };
        self.reader.deliver(&handler).await.unwrap()
    }

    fn seen(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn stored(&self) -> usize {
        let connection = open_beside(&self.path).unwrap();
        connection.query_row("SELECT COUNT(*) FROM _stream_records", [], |row| row.get(0)).unwrap()
    }
}

fn reader(dynamo: &LocalDynamo) -> StreamReader {
    let levels = Pattern::parse(r#"{"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"L#"}]}}}}"#).unwrap();
    StreamReader::open(dynamo, TABLE, 4, vec![levels]).unwrap()
}

fn put(dynamo: &LocalDynamo, sk: &str) {
    let item = json!({"pk": {"S": "p"}, "sk": {"S": sk}, "b": {"B": "AQI="}, "n": {"N": "7"}});
    let request = json!({"TableName": TABLE, "Item": item});
    dynamo.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn sort_keys(event: &Event) -> Vec<String> {
    let keys = event.records.iter().map(|record| record.change.keys.get("sk").cloned().unwrap());
    keys.map(|sk| serde_dynamo::from_attribute_value(sk).unwrap()).collect()
}

fn all_done(_: &Event) -> Result<Vec<String>, String> {
    Ok(Vec::new())
}

fn down(_: &Event) -> Result<Vec<String>, String> {
    Err("down".to_owned())
}

#[tokio::test]
async fn records_come_in_order_in_batches_and_once() {
    let mut bench = Bench::new().await;
    for sk in ["L#1", "L#2", "L#1", "L#3", "L#4", "L#5"] {
        bench.put(sk);
    }
    assert_eq!(bench.deliver(all_done).await, Delivery::Done);
    assert_eq!(bench.deliver(all_done).await, Delivery::Done);
    assert_eq!(bench.deliver(all_done).await, Delivery::Idle);
    assert_eq!(bench.seen(), [vec!["L#1", "L#2", "L#1", "L#3"], vec!["L#4", "L#5"]]);
}

#[tokio::test]
async fn record_carries_what_a_function_gets_from_aws() {
    let mut bench = Bench::new().await;
    bench.put("L#1");
    bench.put("L#1");
    let handler = |event: Event| async move {
        let [first, second] = event.records.as_slice() else { panic!("{event:?}") };
        assert_eq!((first.event_name.as_str(), second.event_name.as_str()), ("INSERT", "MODIFY"));
        assert!(first.change.old_image.is_empty() && !second.change.old_image.is_empty());
        let binary: serde_dynamo::AttributeValue = second.change.new_image.get("b").cloned().unwrap();
        assert_eq!(binary, serde_dynamo::AttributeValue::B(vec![1, 2]));
        assert!(first.change.approximate_creation_date_time.timestamp() > 1_700_000_000);
        assert!(second.change.sequence_number > first.change.sequence_number);
        assert!(second.event_source_arn.as_deref().unwrap().contains(TABLE));
        Ok::<_, String>(Vec::new())
    };
    assert_eq!(bench.reader.deliver(&handler).await.unwrap(), Delivery::Done);
}

#[tokio::test]
async fn records_that_do_not_match_are_passed_over() {
    let mut bench = Bench::new().await;
    for sk in ["J#1", "I", "L#1", "B", "P", "J#2"] {
        bench.put(sk);
    }
    assert_eq!(bench.deliver(all_done).await, Delivery::Done);
    assert_eq!(bench.deliver(down).await, Delivery::Done, "nobody was asked");
    assert_eq!(bench.deliver(all_done).await, Delivery::Idle);
    assert_eq!(bench.seen(), [["L#1"]]);
    assert_eq!(bench.stored(), 1);
}

#[tokio::test]
async fn failed_batch_comes_again_in_halves() {
    let mut bench = Bench::new().await;
    for sk in ["L#1", "L#2", "L#3", "L#4"] {
        bench.put(sk);
    }
    for answer in [down, down, down, all_done, all_done] {
        bench.deliver(answer).await;
    }
    let expected =
        [vec!["L#1", "L#2", "L#3", "L#4"], vec!["L#1", "L#2"], vec!["L#1"], vec!["L#1"], vec!["L#2", "L#3", "L#4"]];
    assert_eq!(bench.seen(), expected);
    assert_eq!(bench.deliver(all_done).await, Delivery::Idle);
}

#[tokio::test]
async fn stream_goes_on_from_the_first_failed_record() {
    let mut bench = Bench::new().await;
    for sk in ["J#0", "L#1", "L#2", "L#3"] {
        bench.put(sk);
    }
    let last_two_reversed = |event: &Event| {
        let numbers = event.records.iter().rev().take(2).map(|record| record.change.sequence_number.clone().unwrap());
        Ok(numbers.collect())
    };
    assert_eq!(bench.deliver(last_two_reversed).await, Delivery::Failed);
    assert_eq!(bench.deliver(|_| Ok(vec!["unknown".to_owned()])).await, Delivery::Failed);
    assert_eq!(bench.deliver(all_done).await, Delivery::Done);
    assert_eq!(bench.seen(), [vec!["L#1", "L#2", "L#3"], vec!["L#2", "L#3"], vec!["L#2", "L#3"]]);
}

#[tokio::test]
async fn checkpoint_outlives_a_restart() {
    let mut bench = Bench::new().await;
    for sk in ["L#1", "L#2", "L#3", "L#4", "L#5"] {
        bench.put(sk);
    }
    bench.deliver(all_done).await;
    bench.deliver(down).await;
    let mut bench = bench.reopened().await;
    bench.put("L#6");
    bench.deliver(all_done).await;
    assert_eq!(bench.seen(), [vec!["L#1", "L#2", "L#3", "L#4"], vec!["L#5"], vec!["L#5", "L#6"]]);
}

#[tokio::test]
async fn delivered_records_are_trimmed_and_do_not_come_again() {
    let mut bench = Bench::new().await;
    for sk in ["L#1", "L#2", "L#3"] {
        bench.put(sk);
    }
    bench.deliver(all_done).await;
    assert_eq!(bench.stored(), 1, "the last one holds the place");
    let mut bench = bench.reopened().await;
    assert_eq!(bench.deliver(all_done).await, Delivery::Idle);
    bench.put("L#4");
    bench.deliver(all_done).await;
    assert_eq!(bench.seen(), [vec!["L#1", "L#2", "L#3"], vec!["L#4"]]);
}

#[tokio::test]
async fn record_after_the_clock_was_set_back_is_not_lost() {
    let mut bench = Bench::new().await;
    bench.put("L#1");
    let ahead = "UPDATE _stream_records SET sequence_number = CAST(sequence_number + 3600000000 AS TEXT)";
    open_beside(&bench.path).unwrap().execute_batch(ahead).unwrap();
    bench.deliver(all_done).await;
    bench.put("L#2");
    bench.deliver(all_done).await;
    assert_eq!(bench.seen(), [["L#1"], ["L#2"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_reader_wakes_soon_keeps_up_with_writers_and_stops() {
    let Bench { _directory, dynamo, reader, .. } = Bench::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let to = Arc::clone(&seen);
    let handler = move |event: Event| {
        to.lock().unwrap().extend(sort_keys(&event));
        async { Ok::<_, String>(Vec::new()) }
    };
    let running = tokio::spawn(reader.run(handler, async { stopped.await.unwrap_or_default() }));
    let mut expected = Vec::new();
    for number in 0..200 {
        expected.push(format!("L#{number}"));
        put(&dynamo, &format!("L#{number}"));
        tokio::task::yield_now().await;
    }
    let all = async {
        while seen.lock().unwrap().len() < expected.len() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), all).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), expected);
    drop(stop);
    running.await.unwrap();
}
