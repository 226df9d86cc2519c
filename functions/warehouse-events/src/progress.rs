//! How far Kafka's partitions have been read, noted once a batch and partition: one small write, where a batch may hold
//! hundreds of records.
//!
//! Brokers know how many records wait; they are asked by other means. What we know by ourselves is how old the record is
//! that we are at.

use std::collections::BTreeMap;

use evenstock_app::{PartitionRead, PartitionStore, with_causes};
use evenstock_domain::Timestamp;
use evenstock_runtime::metrics::write_measure;
use tracing::warn;

use crate::record::Record;

/// Notes where each partition of a batch stands. A note that fails is not missed: the next batch brings another, and the
/// records themselves are settled or come again whatever is known of them.
pub(crate) async fn note<S: PartitionStore>(
    store: &S,
    now: Timestamp,
    records: &[Record],
    settled: &[Result<(), String>],
) {
    for read in partitions(records, settled, now) {
        if let Some(lag_ms) = read.lag_ms(now) {
            write_measure(
                "kafkaLagMs",
                "Milliseconds",
                lag_ms,
                ("partition", &format!("{}-{}", read.topic, read.partition)),
            );
        }
        if let Err(error) = store.note_partition(&read).await {
            warn!(
                kafka.topic = read.topic,
                kafka.partition = read.partition,
                kafka.offset = read.offset,
                error = with_causes(&error),
                "how far {}-{} has been read is not noted",
                read.topic,
                read.partition
            );
        }
    }
}

/// Of each partition the newest record, or the first that is not settled. Records come in the order of their offsets.
fn partitions(records: &[Record], settled: &[Result<(), String>], now: Timestamp) -> Vec<PartitionRead> {
    let mut reads: BTreeMap<(&str, i64), PartitionRead> = BTreeMap::new();
    for (record, settled) in records.iter().zip(settled) {
        let (Some(topic), Some(partition), Some(offset)) =
            (record.origin.topic.as_deref(), record.origin.partition, record.origin.offset)
        else {
            continue;
        };
        if reads.get(&(topic, partition)).is_some_and(|known| !known.settled) {
            continue;
        }
        let read = PartitionRead {
            topic: topic.to_owned(),
            partition,
            offset,
            settled: settled.is_ok(),
            written_at: record.written_at,
            seen_at: now,
        };
        reads.insert((topic, partition), read);
    }
    reads.into_values().collect()
}
