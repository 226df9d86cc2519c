//! Records that cannot be followed, and never will be as they stand: they go whole to the stream's dead letters.

use aws_lambda_events::event::dynamodb::EventRecord;
use evenstock_app::{Outgoing, Queue, QueueError, QueueName};
use evenstock_domain::OrganizationId;
use serde_json::json;

/// Whom a record concerns, when its key does not say.
const NOBODY: &str = "unknown";

/// Sends a record with the reason to the dead letters.
///
/// # Errors
/// [`QueueError`] when the queue does not take it; the record must come again then.
pub(crate) async fn bury<Q: Queue>(queue: &Q, record: &EventRecord, reason: &str) -> Result<(), QueueError> {
    let letter = json!({
        "reason": reason,
        "sequenceNumber": record.change.sequence_number,
        "record": record,
    });
    let Some(organization) = organization_of(record) else {
        return Err(QueueError("the record's tenant cannot be named".into()));
    };
    queue.send(QueueName::StreamDlq, vec![Outgoing::now(letter.to_string(), organization)]).await
}

/// The first part of its key, as far as there is one: it only makes the queue fair.
fn organization_of(record: &EventRecord) -> Option<OrganizationId> {
    let pk = match record.change.keys.get("pk") {
        Some(serde_dynamo::AttributeValue::S(pk)) => pk.split('#').next().unwrap_or_default(),
        _ => NOBODY,
    };
    OrganizationId::parse(pk).or_else(|_| OrganizationId::parse(NOBODY)).ok()
}
