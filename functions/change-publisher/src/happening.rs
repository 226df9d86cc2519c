//! What a stream record tells of.

use aws_lambda_events::event::dynamodb::EventRecord;
use evenstock_app::{Candidate, Conflict, StoreError};
use evenstock_domain::{OrganizationId, Reservation, Timestamp};
use evenstock_store::{conflict_change, level_change, reservation_change};

/// What a record tells of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Happening {
    /// A level gained versions, oldest first.
    Changed(OrganizationId, Vec<Candidate>),
    /// A reservation came to another state.
    Moved(Box<Reservation>),
    /// A conflict was found (`true`), or settled.
    Disputed(Box<Conflict>, bool),
    /// Nothing that anybody follows.
    Nothing,
}

/// Reads a record.
///
/// # Errors
/// [`StoreError::Corrupt`] when an image cannot be read.
pub(crate) fn read(record: &EventRecord) -> Result<Happening, StoreError> {
    let image = |item: &serde_dynamo::Item| (!item.is_empty()).then(|| item.clone());
    let (old, new) = (image(&record.change.old_image), image(&record.change.new_image));
    match (reservation_change(old.as_ref())?, reservation_change(new.as_ref())?) {
        (None, None) => {}
        // Its end was followed when it came to it.
        (Some(old), Some(new)) if old == new => return Ok(Happening::Nothing),
        (_, Some(reservation)) => return Ok(Happening::Moved(Box::new(reservation))),
        (Some(_), None) => return Ok(Happening::Nothing),
    }
    match (conflict_change(old.as_ref())?, conflict_change(new.as_ref())?) {
        (None, None) => {}
        (old, Some(conflict)) => return Ok(Happening::Disputed(Box::new(conflict), old.is_none())),
        (Some(_), None) => return Ok(Happening::Nothing),
    }
    let Some((key, changes)) = level_change(old, new)? else {
        return Ok(Happening::Nothing);
    };
    // Whole seconds in AWS; a record without a time counts as older than every page.
    let millis = record.change.approximate_creation_date_time.timestamp_millis();
    let recorded_at = Timestamp::EPOCH.plus_millis(millis);
    let candidates = changes.into_iter().map(|change| Candidate { change, recorded_at }).collect();
    Ok(Happening::Changed(key.organization, candidates))
}
