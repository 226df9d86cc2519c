//! Follows the table's stream. For now it counts the changes of each batch; the change feed will be written here.
//!
//! A record that cannot be read fails, so that the trigger narrows it down and hands it to the stream's dead letters.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use evenstock_store::level_change;
use tracing::{debug, error, info};

/// How far a batch was followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// Records that were read.
    pub records: u64,
    /// Changes of levels that they tell of.
    pub changes: u64,
    /// The sequence number of the first record that could not be read. Nothing behind it was looked at.
    pub failed: Option<String>,
}

/// Handles a batch of stream records; the answer names the first one that failed, from which on the stream goes on.
pub fn handle(event: Event) -> DynamoDbEventResponse {
    let Followed { records, changes, failed } = follow(event);
    info!(records, changes, "stream batch followed");
    let mut response = DynamoDbEventResponse::default();
    if failed.is_some() {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = failed;
        response.batch_item_failures.push(failure);
    }
    response
}

/// Follows a batch up to the first record that cannot be read.
pub fn follow(event: Event) -> Followed {
    let mut followed = Followed::default();
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        match count(record) {
            Ok(gained) => {
                followed.records += 1;
                followed.changes += gained;
            }
            Err(error) => {
                error!(sequence_number, %error, "stream record {sequence_number} cannot be read");
                return Followed { failed: Some(sequence_number), ..followed };
            }
        }
    }
    followed
}

/// How many changes of its level a record tells of.
fn count(record: EventRecord) -> Result<u64, evenstock_app::StoreError> {
    let image = |item: serde_dynamo::Item| (!item.is_empty()).then_some(item);
    let Some((key, gained)) = level_change(image(record.change.old_image), image(record.change.new_image))? else {
        return Ok(0);
    };
    debug!(sku.id = %key.sku, location.id = %key.location, gained, "level of {} changed", key.sku);
    Ok(gained)
}
