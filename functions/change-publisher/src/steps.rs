//! What follows from a record once its changes stand in the feed. Every step may be repeated: a batch comes again
//! after a crash, and then also what was done before it.

use evenstock_app::{Clock, Conflict, CountDeps, ReservationDeps, StockStore, StoreError, complete, follow_conflict};
use evenstock_domain::{FeedEvent, OrganizationId, Reservation};
use tracing::debug;

use crate::Publisher;

/// Follows a change that has its number in the feed.
pub(crate) async fn after_change<S, Q, C>(
    _publisher: &Publisher<S, Q, C>,
    organization: &OrganizationId,
    event: &FeedEvent,
) -> Result<(), StoreError> {
    let FeedEvent { seq, change } = event;
    debug!(organization.id = %organization, sku.id = %change.sku, location.id = %change.location, seq, "change published");
    Ok(())
}

/// Completes on its levels what a reservation's change of state began.
pub(crate) async fn after_reservation<S: StockStore, Q, C: Clock>(
    publisher: &Publisher<S, Q, C>,
    reservation: &Reservation,
) -> Result<(), StoreError> {
    let Publisher { store, clock, ids, .. } = publisher;
    complete(ReservationDeps { store, clock, ids }, reservation).await?;
    let (id, state) = (&reservation.id, reservation.state.as_str());
    debug!(reservation.id = %id, state, "reservation {id} is {state}");
    Ok(())
}

/// Makes the level follow a conflict that somebody settled. What a policy decided was applied before its change was
/// acknowledged.
pub(crate) async fn after_conflict<S: StockStore, Q, C: Clock>(
    publisher: &Publisher<S, Q, C>,
    conflict: &Conflict,
    found: bool,
) -> Result<(), StoreError> {
    let Publisher { store, clock, ids, .. } = publisher;
    if conflict.resolution.as_ref().is_some_and(|resolution| resolution.by.is_some()) {
        follow_conflict(CountDeps { store, clock, ids }, conflict).await?;
    }
    let (id, status) = (&conflict.id, conflict.status());
    debug!(conflict.id = id, status, found, "conflict {id} is {status}");
    Ok(())
}
