//! SQS batches: each record succeeds or fails on its own, and only failed ones come back.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use evenstock_telemetry::{Origins, TraceContext};
use tracing::error;

use crate::metrics::{Counter, count};

/// How often a message is received before it goes to the dead letters: `maxReceiveCount` of every queue in the template.
pub const RECEIVES_MAX: u32 = 5;

/// Reasons that are kept for whoever drives the queue in this same process, at most.
const REASONS_MAX: usize = 10_000;

/// Why messages failed last, until somebody asks. Empty unless somebody does.
static REASONS: Mutex<Option<BTreeMap<String, String>>> = Mutex::new(None);

/// Keeps reasons from now on: for the local runner, which puts them beside their messages.
pub fn keep_reasons() {
    REASONS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// Why a message failed last, once.
pub fn take_reason(message_id: &str) -> Option<String> {
    REASONS.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(message_id)
}

fn keep_reason(message_id: String, reason: String) {
    let mut reasons = REASONS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reasons) = reasons.as_mut().filter(|reasons| reasons.len() < REASONS_MAX) {
        reasons.insert(message_id, reason);
    }
}

/// A record without a message id. A partial answer could not name it, so the whole batch must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an SQS record has no message id")]
pub struct MissingMessageId;

/// A batch in work: bodies to read, failures to report.
#[derive(Debug)]
pub struct Batch {
    records: Vec<(String, String)>,
    /// Whether a record is received for the last time.
    last: Vec<bool>,
    failed: Vec<bool>,
    origins: Origins,
}

impl Batch {
    /// Takes an event apart. A record without a body has an empty one, which no reader accepts: it fails, it is not
    /// skipped.
    ///
    /// # Errors
    /// [`MissingMessageId`] when a record has none.
    pub fn new(event: SqsEvent) -> Result<Self, MissingMessageId> {
        let last = event.records.iter().map(|record| {
            let count = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
            count.unwrap_or(1) >= RECEIVES_MAX
        });
        let last = last.collect();
        let origins = event.records.iter().map(|record| {
            let text = |name| record.message_attributes.get(name).and_then(|value| value.string_value.as_deref());
            TraceContext::parse(text("traceparent")?, text("tracestate"))
        });
        let origins = origins.collect();
        let records: Vec<_> = event
            .records
            .into_iter()
            .map(|record| match record.message_id {
                Some(id) if !id.is_empty() => Ok((id, record.body.unwrap_or_default())),
                _ => Err(MissingMessageId),
            })
            .collect::<Result<_, _>>()?;
        let failed = vec![false; records.len()];
        Ok(Self { records, last, failed, origins })
    }

    /// Where in traces the records come from, by their places.
    pub fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// Message ids and bodies, in order.
    pub fn records(&self) -> impl Iterator<Item = (&str, &str)> {
        self.records.iter().map(|(id, body)| (id.as_str(), body.as_str()))
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Marks the record at this place as failed: it will be delivered again, and in the end go to the dead letters.
    pub fn fail(&mut self, place: usize) {
        if let Some(failed) = self.failed.get_mut(place) {
            *failed = true;
        }
    }

    /// The same, with the reason: the log tells it with the message's id when the message is given up.
    pub fn fail_because(&mut self, place: usize, reason: impl Into<String>) {
        self.fail(place);
        let id = self.records.get(place).map(|(id, _)| id.clone());
        if let Some(id) = id {
            let reason = reason.into();
            if self.last.get(place) == Some(&true) {
                error!(
                    message.id = id,
                    attempts = RECEIVES_MAX,
                    reason,
                    "message {id} goes to the dead letters: {reason}"
                );
            }
            keep_reason(id, reason);
        }
    }

    /// The answer that SQS expects: the failed records, and only those. Needs `ReportBatchItemFailures`.
    pub fn into_response(self) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        let dead = self.failed.iter().zip(&self.last).filter(|(failed, last)| **failed && **last).count();
        count(Counter::DlqEvents, u64::try_from(dead).unwrap_or_default());
        for ((id, _), _) in self.records.into_iter().zip(self.failed).filter(|(_, failed)| *failed) {
            response.add_failure(id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> SqsEvent {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_failed_records_come_back() {
        let mut batch =
            Batch::new(event(r#"{"Records":[{"messageId":"a","body":"1"},{"messageId":"b"},{"messageId":"c"}]}"#))
                .unwrap();
        assert_eq!(batch.records().collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "")]);
        batch.fail(1);
        batch.fail(99);
        let failed: Vec<_> = batch.into_response().batch_item_failures.into_iter().map(|f| f.item_identifier).collect();
        assert_eq!(failed, ["b"]);
    }

    #[test]
    fn records_know_where_they_come_from() {
        let header = |n: u8| TraceContext::new([n; 16], [n; 8], true).traceparent();
        let record = |n: u8| {
            serde_json::json!({
                "messageId": "a",
                "messageAttributes": { "traceparent": { "stringValue": header(n), "dataType": "String" } },
            })
        };
        let wrong = serde_json::json!({
            "messageId": "a",
            "messageAttributes": { "traceparent": { "stringValue": "hello", "dataType": "String" } },
        });
        let records = serde_json::json!({ "Records": [record(1), wrong, { "messageId": "a" }, record(2)] });
        let origins = Batch::new(event(&records.to_string())).unwrap().origins();
        let seen: Vec<_> = (0..4).map(|place| origins.of(place).map(|origin| origin.traceparent())).collect();
        assert_eq!(seen, [Some(header(1)), None, None, Some(header(2))]);
    }

    #[test]
    fn reason_is_kept_under_its_message_for_who_asks() {
        let mut batch = Batch::new(event(r#"{"Records":[{"messageId":"why","body":"1"}]}"#)).unwrap();
        batch.fail_because(0, "nobody asks yet");
        assert_eq!(take_reason("why"), None);
        keep_reasons();
        batch.fail_because(0, "it is not JSON");
        assert_eq!(take_reason("why").as_deref(), Some("it is not JSON"));
        assert_eq!(take_reason("why"), None, "it is given once");
    }

    #[test]
    fn record_without_an_id_fails_the_batch() {
        assert_eq!(Batch::new(event(r#"{"Records":[{"body":"1"}]}"#)).unwrap_err(), MissingMessageId);
        assert_eq!(Batch::new(event(r#"{"Records":[{"messageId":"","body":"1"}]}"#)).unwrap_err(), MissingMessageId);
    }
}
