//! A record as Kafka or the queue hands it over. Must not know what it says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dead_letter;

/// Where a record stands in Kafka; empty for one that came by the queue alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partition: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<i64>,
}

/// A record, with what is known of earlier tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) origin: Origin,
    /// When it was written, by the broker or its producer.
    pub(crate) written_at: Option<Timestamp>,
    /// The change; empty for a tombstone.
    pub(crate) value: Vec<u8>,
    /// Times that it was a dead letter before.
    pub(crate) deaths: u32,
    /// When it died first.
    pub(crate) first_at: Option<Timestamp>,
    /// Why its value is not what it was, if it is not.
    pub(crate) broken: Option<&'static str>,
}

impl Record {
    pub(crate) const fn new(origin: Origin, value: Vec<u8>) -> Self {
        Self { origin, written_at: None, value, deaths: 0, first_at: None, broken: None }
    }

    /// A message of the queue: a change, or a dead letter that somebody sent back.
    pub(crate) fn from_message(body: &str) -> Self {
        dead_letter::read(body).unwrap_or_else(|| Self::new(Origin::default(), body.as_bytes().to_vec()))
    }
}

/// Reads Kafka's event, managed (`aws:kafka`) or not (`SelfManagedKafka`): records by topic and partition, in the order
/// of their offsets.
///
/// Only what is needed is read. The type of `aws_lambda_events` would refuse a whole batch for a header of one record, and
/// such a batch would come again for ever.
pub(crate) fn from_kafka(event: &Value) -> Result<Vec<Record>, String> {
    let source = event.get("eventSource").and_then(Value::as_str).unwrap_or_default();
    if !matches!(source, "aws:kafka" | "SelfManagedKafka") {
        return Err(format!("its source is {source:?}"));
    }
    let Some(partitions) = event.get("records").and_then(Value::as_object) else {
        return Err("it has no records".to_owned());
    };
    let lists = partitions.values().filter_map(Value::as_array);
    Ok(lists.flatten().map(from_kafka_record).collect())
}

fn from_kafka_record(record: &Value) -> Record {
    let number = |name| record.get(name).and_then(Value::as_i64);
    let origin = Origin {
        topic: record.get("topic").and_then(Value::as_str).map(str::to_owned),
        partition: number("partition"),
        offset: number("offset"),
    };
    let written_at = number("timestamp").and_then(|millis| Timestamp::from_millis(millis).ok());
    let read = match record.get("value") {
        None | Some(Value::Null) => Record::new(origin, Vec::new()),
        Some(Value::String(text)) => match STANDARD.decode(text) {
            Ok(value) => Record::new(origin, value),
            Err(_) => Record { broken: Some("value: must be base64"), ..Record::new(origin, text.as_bytes().to_vec()) },
        },
        Some(other) => Record {
            broken: Some("value: must be a base64 string"),
            ..Record::new(origin, other.to_string().into_bytes())
        },
    };
    Record { written_at, ..read }
}
