//! What follows from a record once its changes stand in the feed. Every step may be repeated: a batch comes again
//! after a crash, and then also what was done before it.

use evenstock_app::{
    Announcement, Clock, Conflict, Consequences, CountDeps, Outgoing, Queue, QueueName, ReservationDeps, StockStore,
    StoreError, announce_change, announce_reservation, complete, follow_conflict, receipt_consequences,
};
use evenstock_domain::{FeedEvent, OrganizationId, Quantity, Receipt, Reservation};
use tracing::debug;

use crate::Publisher;

/// What a change that has its number in the feed is announced as.
pub(crate) fn after_change(
    organization: &OrganizationId,
    event: &FeedEvent,
    low_stock: Option<Quantity>,
) -> Vec<Announcement> {
    let FeedEvent { seq, change } = event;
    debug!(organization.id = %organization, sku.id = %change.sku, location.id = %change.location, seq, "change published");
    announce_change(organization, event, low_stock)
}

/// Completes on its levels what a reservation's change of state began, and says what it is announced as.
pub(crate) async fn after_reservation<S: StockStore, Q, C: Clock, B>(
    publisher: &Publisher<S, Q, C, B>,
    reservation: &Reservation,
) -> Result<Option<Announcement>, StoreError> {
    let Publisher { store, clock, ids, .. } = publisher;
    complete(ReservationDeps { store, clock, ids }, reservation).await?;
    let (id, state) = (&reservation.id, reservation.state.as_str());
    debug!(reservation.id = %id, state, "reservation {id} is {state}");
    Ok(announce_reservation(reservation))
}

/// Moves stock by what became of an order, and says what it is announced as.
pub(crate) async fn after_receipt<S, Q: Queue, C, B>(
    publisher: &Publisher<S, Q, C, B>,
    old: Option<&Receipt>,
    new: &Receipt,
) -> Result<Vec<Announcement>, StoreError> {
    let Consequences { changes, announcements } = receipt_consequences(old, new);
    let mut messages = Vec::with_capacity(changes.len());
    for change in &changes {
        let body = change.to_json().map_err(|error| StoreError::Refused(Box::new(error)))?;
        messages.push(Outgoing::now(body, new.organization.clone()));
    }
    if !messages.is_empty() {
        let sent = publisher.queue.send(QueueName::StockChanges, messages).await;
        sent.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        debug!(store.id = %new.store, lines = changes.len(), "lines of an order of {} queued", new.store);
    }
    Ok(announcements)
}

/// Makes the level follow a conflict that somebody settled, and says what a new one is announced as. What a policy
/// decided was applied before its change was acknowledged.
pub(crate) async fn after_conflict<S: StockStore, Q, C: Clock, B>(
    publisher: &Publisher<S, Q, C, B>,
    conflict: &Conflict,
    found: bool,
) -> Result<Option<Announcement>, StoreError> {
    let Publisher { store, clock, ids, .. } = publisher;
    if conflict.resolution.as_ref().is_some_and(|resolution| resolution.by.is_some()) {
        follow_conflict(CountDeps { store, clock, ids }, conflict).await?;
    }
    let (id, status) = (&conflict.id, conflict.status());
    debug!(conflict.id = id, status, found, "conflict {id} is {status}");
    Ok(found.then(|| conflict.announcement()))
}
