//! Records that cannot be followed, and never will be as they stand: they go whole to the stream's dead letters.

use aws_lambda_events::event::dynamodb::EventRecord;
use evenstock_app::{Outgoing, Queue, QueueError, QueueName};
use evenstock_domain::OrganizationId;
use serde_json::{Value, json};

/// The longest letter, in bytes: what a queue takes in one batch, and some room.
const LETTER_BYTES_MAX: usize = 240 * 1024;

/// Whom a record concerns, when its key does not say.
const NOBODY: &str = "unknown";

/// Sends a record with the reason to the dead letters; without its images, which the table has too, where a message cannot
/// hold them: a letter that is refused would hold up the stream.
///
/// # Errors
/// [`QueueError`] when the queue does not take it; the record must come again then.
pub(crate) async fn bury<Q: Queue>(queue: &Q, record: &EventRecord, reason: &str) -> Result<(), QueueError> {
    let sequence_number = &record.change.sequence_number;
    let letter = |record: Value, cut: bool| {
        json!({ "reason": reason, "sequenceNumber": sequence_number, "record": record, "cut": cut }).to_string()
    };
    let mut body = letter(json!(record), false);
    if body.len() > LETTER_BYTES_MAX {
        body = letter(json!({ "dynamodb": { "Keys": record.change.keys } }), true);
    }
    let Some(organization) = organization_of(record) else {
        return Err(QueueError("the record's tenant cannot be named".into()));
    };
    queue.send(QueueName::StreamDlq, vec![Outgoing::now(body, organization)]).await
}

/// The first part of its key, as far as there is one: it only makes the queue fair.
fn organization_of(record: &EventRecord) -> Option<OrganizationId> {
    let pk = match record.change.keys.get("pk") {
        Some(serde_dynamo::AttributeValue::S(pk)) => pk.split('#').next().unwrap_or_default(),
        _ => NOBODY,
    };
    OrganizationId::parse(pk).or_else(|_| OrganizationId::parse(NOBODY)).ok()
}
