//! Follows the table's stream: completes what a reservation's change of state began, and counts the changes of levels;
//! the change feed will be written here.
//!
//! A record that cannot be read fails, so that the trigger narrows it down and hands it to the stream's dead letters.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use evenstock_app::{Clock, ReservationDeps, StockStore, StoreError, complete, with_causes};
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

/// How far a batch was followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// Records that were followed.
    pub records: u64,
    /// Changes of levels that they tell of.
    pub changes: u64,
    /// The sequence number of the first record that could not be followed. Nothing behind it was looked at.
    pub failed: Option<String>,
}

/// Handles a batch of stream records; the answer names the first one that failed, from which on the stream goes on.
pub async fn handle<S: StockStore, C: Clock>(publisher: &Publisher<S, C>, event: Event) -> DynamoDbEventResponse {
    let Followed { records, changes, failed } = follow(publisher, event).await;
    info!(records, changes, "stream batch followed");
    let mut response = DynamoDbEventResponse::default();
    if failed.is_some() {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = failed;
        response.batch_item_failures.push(failure);
    }
    response
}

/// Follows a batch up to the first record that fails.
pub async fn follow<S: StockStore, C: Clock>(publisher: &Publisher<S, C>, event: Event) -> Followed {
    let mut followed = Followed::default();
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        match follow_one(publisher, record).await {
            Ok(gained) => {
                followed.records += 1;
                followed.changes += gained;
            }
            Err(error) => {
                let error = with_causes(&error);
                error!(sequence_number, error, "stream record {sequence_number} cannot be followed");
                return Followed { failed: Some(sequence_number), ..followed };
            }
        }
    }
    followed
}

/// Follows a record; how many changes of its level it tells of.
async fn follow_one<S: StockStore, C: Clock>(
    publisher: &Publisher<S, C>,
    record: EventRecord,
) -> Result<u64, StoreError> {
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
