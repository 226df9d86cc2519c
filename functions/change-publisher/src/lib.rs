//! Follows the table's stream: completes what a reservation's change of state began, and counts the changes of levels;
//! the change feed will be written here.
//!
//! A record that cannot be read fails, so that the trigger narrows it down and hands it to the stream's dead letters.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use evenstock_app::{Clock, ReservationDeps, StockStore, StoreError, complete};
use evenstock_domain::EventIdKey;
use evenstock_store::{level_change, reservation_change};
use tracing::{debug, error, info};

/// What the function needs.
#[derive(Debug)]
pub struct Publisher<S, C> {
    /// Levels.
    pub store: S,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
}

/// Handles a batch of stream records; the answer names the first one that failed, from which on the stream goes on.
pub async fn handle<S: StockStore, C: Clock>(publisher: &Publisher<S, C>, event: Event) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    let (mut changes, mut records) = (0_u64, 0_u64);
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        match follow(publisher, record).await {
            Ok(gained) => {
                records += 1;
                changes += gained;
            }
            Err(error) => {
                error!(sequence_number, %error, "stream record {sequence_number} cannot be followed");
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = Some(sequence_number);
                response.batch_item_failures.push(failure);
                break;
            }
        }
    }
    info!(records, changes, "stream batch followed");
    response
}

/// Follows a record; how many changes of its level it tells of.
async fn follow<S: StockStore, C: Clock>(publisher: &Publisher<S, C>, record: EventRecord) -> Result<u64, StoreError> {
    let image = |item: serde_dynamo::Item| (!item.is_empty()).then_some(item);
    let (old, new) = (image(record.change.old_image), image(record.change.new_image));
    match (reservation_change(old.as_ref())?, reservation_change(new.as_ref())?) {
        (None, None) => {}
        // Its end was followed when it came to it.
        (Some(old), Some(new)) if old == new => return Ok(0),
        (_, Some(reservation)) => {
            let Publisher { store, clock, ids } = publisher;
            complete(ReservationDeps { store, clock, ids }, &reservation).await?;
            let (id, state) = (&reservation.id, reservation.state.as_str());
            debug!(reservation.id = %id, state, "reservation {id} is {state}");
            return Ok(0);
        }
        (Some(_), None) => return Ok(0),
    }
    let Some((key, gained)) = level_change(old, new)? else {
        return Ok(0);
    };
    debug!(sku.id = %key.sku, location.id = %key.location, gained, "level of {} changed", key.sku);
    Ok(gained)
}

#[cfg(test)]
mod tests;
