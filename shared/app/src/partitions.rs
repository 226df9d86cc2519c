//! How far the partitions of Kafka's topics have been read: what tells an operator whether changes are stuck, without
//! asking the brokers.

use core::future::Future;

use evenstock_domain::Timestamp;

use crate::StoreError;

/// Where the reading of a partition stood at the end of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRead {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i64,
    /// The newest record, or the first one that could not be settled: from there the batch comes again.
    pub offset: i64,
    /// Whether everything up to it, itself included, is settled.
    pub settled: bool,
    /// When that record was written, by the broker or its producer; `None` when the broker does not say.
    pub written_at: Option<Timestamp>,
    /// When the batch ended.
    pub seen_at: Timestamp,
}

impl PartitionRead {
    /// How far behind its writers the reading is, in milliseconds: for a record that is settled how long it had waited, for
    /// one that is not how long it has been waiting.
    pub fn lag_ms(&self, now: Timestamp) -> Option<i64> {
        let until = if self.settled { self.seen_at } else { now };
        self.written_at.map(|written_at| until.millis_since(written_at).max(0))
    }
}

/// One item a partition.
pub trait PartitionStore: Send + Sync {
    /// Notes where a partition stands, unless a later batch was noted. A batch that is read again from an older offset is
    /// the later one.
    fn note_partition(&self, read: &PartitionRead) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All partitions that were read in the last month, by topic and number.
    fn partitions(&self) -> impl Future<Output = Result<Vec<PartitionRead>, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_of_a_record_that_waits_grows() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let settled = PartitionRead {
            topic: "t".to_owned(),
            partition: 0,
            offset: 7,
            settled: true,
            written_at: Some(at(1000)),
            seen_at: at(1400),
        };
        assert_eq!((settled.lag_ms(at(1500)), settled.lag_ms(at(9000))), (Some(400), Some(400)));
        let stuck = PartitionRead { settled: false, ..settled.clone() };
        assert_eq!((stuck.lag_ms(at(1500)), stuck.lag_ms(at(9000))), (Some(500), Some(8000)));
        assert_eq!(PartitionRead { written_at: None, ..settled.clone() }.lag_ms(at(9000)), None);
        assert_eq!(PartitionRead { written_at: Some(at(2000)), ..settled }.lag_ms(at(9000)), Some(0), "a clock leads");
    }
}
