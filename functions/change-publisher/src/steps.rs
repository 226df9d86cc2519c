//! What follows from a record once its changes stand in the feed. Every step may be repeated: a batch comes again
//! after a crash, and then also what was done before it.

use evenstock_app::{
    Announcement, Clock, Consequences, Outgoing, Queue, QueueName, ReservationDeps, StockStore, StoreError, complete,
    receipt_consequences,
};
use evenstock_domain::{FeedEvent, OrganizationId, Receipt, Reservation};
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

/// Moves stock by what became of an order, and tells of it.
pub(crate) async fn after_receipt<S, Q: Queue, C>(
    publisher: &Publisher<S, Q, C>,
    old: Option<&Receipt>,
    new: &Receipt,
) -> Result<(), StoreError> {
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
    announce(announcements);
    Ok(())
}

/// Tells subscribers. Nobody can subscribe yet, so it is only noted.
pub(crate) fn announce(announcements: Vec<Announcement>) {
    for Announcement { event_id, event, organization, .. } in announcements {
        debug!(event.id = event_id, organization.id = %organization, "{} of {organization}", event.as_str());
    }
}
