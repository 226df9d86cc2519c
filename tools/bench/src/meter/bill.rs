//! What a span of work came to.

use std::collections::BTreeMap;

use super::{Call, Service, Units};

/// Calls that nobody waits for: the event source deletes messages when the function is done with them.
const BEHIND: &str = "DeleteMessageBatch";

/// Bytes that one request to a queue is billed for.
const QUEUE_BYTES: u64 = 64 * 1024;

/// The fewest and the most round trips, one after the other, of the operations of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// The sum of some operations' calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bill {
    pub(crate) dynamo_calls: u64,
    pub(crate) sqs_calls: u64,
    /// What SQS bills: a call for each 64 KB.
    pub(crate) queue_requests: u64,
    pub(crate) units: Units,
    pub(crate) bytes: u64,
    pub(crate) refused: u64,
    /// `None` before the first operation.
    pub(crate) chain: Option<Chain>,
    /// How often each operation of AWS was called.
    pub(crate) operations: BTreeMap<String, u64>,
    /// Calls about which the model and the emulator agree, and those about which they do not.
    pub(crate) agreed: u64,
    pub(crate) disagreed: Vec<String>,
}

impl Bill {
    /// The bill of one operation.
    pub(crate) fn of(calls: &[Call]) -> Self {
        let trips = longest_chain(calls);
        let mut bill = Self { chain: Some(Chain { least: trips, most: trips }), ..Self::default() };
        for call in calls {
            match call.service {
                Service::DynamoDb => bill.dynamo_calls += 1,
                Service::Sqs => {
                    bill.sqs_calls += 1;
                    bill.queue_requests += call.bytes.div_ceil(QUEUE_BYTES).max(1);
                }
            }
            bill.units.writes += call.units.writes;
            bill.units.read_halves += call.units.read_halves;
            bill.bytes += call.bytes;
            bill.refused += u64::from(call.refused);
            *bill.operations.entry(call.operation.clone()).or_default() += 1;
            match call.emulator {
                Some(stated) if stated == call.units => bill.agreed += 1,
                Some(stated) => {
                    bill.disagreed.push(format!("{}: {:?}, and the emulator {stated:?}", call.operation, call.units));
                }
                None => {}
            }
        }
        bill
    }

    /// Adds another operation's.
    pub(crate) fn add(&mut self, other: Self) {
        self.dynamo_calls += other.dynamo_calls;
        self.sqs_calls += other.sqs_calls;
        self.queue_requests += other.queue_requests;
        self.units.writes += other.units.writes;
        self.units.read_halves += other.units.read_halves;
        self.bytes += other.bytes;
        self.refused += other.refused;
        self.chain = match (self.chain, other.chain) {
            (Some(one), Some(two)) => Some(Chain { least: one.least.min(two.least), most: one.most.max(two.most) }),
            (one, two) => one.or(two),
        };
        for (operation, count) in other.operations {
            *self.operations.entry(operation).or_default() += count;
        }
        self.agreed += other.agreed;
        self.disagreed.extend(other.disagreed);
    }

    pub(crate) const fn calls(&self) -> u64 {
        self.dynamo_calls + self.sqs_calls
    }
}

/// The most calls of which each began when the one before had ended: what must be waited for, one after the other.
fn longest_chain(calls: &[Call]) -> u64 {
    let mut awaited: Vec<_> = calls.iter().filter(|call| call.operation != BEHIND).collect();
    awaited.sort_by_key(|call| call.ended);
    let (mut trips, mut ended) = (0, None);
    for call in awaited {
        if ended.is_none_or(|ended| call.begun >= ended) {
            trips += 1;
            ended = Some(call.ended);
        }
    }
    trips
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    fn call(operation: &str, zero: Instant, begun: u64, ended: u64) -> Call {
        Call {
            service: Service::DynamoDb,
            operation: operation.to_owned(),
            begun: zero + Duration::from_millis(begun),
            ended: zero + Duration::from_millis(ended),
            units: Units::writes(1),
            emulator: None,
            bytes: 10,
            refused: false,
        }
    }

    #[test]
    fn calls_at_the_same_time_are_one_round_trip() {
        let zero = Instant::now();
        let calls = |spans: &[(u64, u64)]| {
            let calls: Vec<_> = spans.iter().map(|(begun, ended)| call("GetItem", zero, *begun, *ended)).collect();
            longest_chain(&calls)
        };
        assert_eq!(calls(&[]), 0);
        assert_eq!(calls(&[(0, 5), (1, 6), (2, 4)]), 1);
        assert_eq!(calls(&[(0, 5), (5, 9), (10, 12)]), 3);
        assert_eq!(calls(&[(0, 20), (0, 5), (6, 10)]), 2, "a long call beside two short ones");
    }

    #[test]
    fn deleting_messages_is_not_waited_for_but_counted() {
        let zero = Instant::now();
        let bill = Bill::of(&[call("UpdateItem", zero, 0, 5), call(BEHIND, zero, 6, 9)]);
        assert_eq!((bill.calls(), bill.chain), (2, Some(Chain { least: 1, most: 1 })));
    }

    #[test]
    fn bills_add_up_and_keep_the_extremes() {
        let zero = Instant::now();
        let one = Bill::of(&[call("UpdateItem", zero, 0, 5)]);
        let mut sum = one.clone();
        sum.add(Bill::of(&[call("UpdateItem", zero, 0, 5), call("PutItem", zero, 5, 9)]));
        assert_eq!((sum.calls(), sum.units.writes, sum.bytes), (3, 3, 30));
        assert_eq!(sum.chain, Some(Chain { least: 1, most: 2 }));
        assert_eq!(sum.operations.get("UpdateItem"), Some(&2));
        let mut none = Bill::default();
        none.add(one.clone());
        assert_eq!(none, one);
    }
}
