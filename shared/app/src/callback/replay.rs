//! Beginning deliveries again that have failed, one or all of an endpoint.

use evenstock_domain::{DeliveryId, EndpointId, OrganizationId, Timestamp};

use crate::{CallbackJob, CallbackStore, Clock, Queue, QueueError, QueueName, StoreError};

/// Deliveries of one page. Each carries its body.
const PAGE: u32 = 20;

/// Tries at a delivery that others write too.
const TRIES_MAX: u32 = 5;

/// Why a replay broke off. What was not begun again can be replayed again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The deliveries cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The messages cannot be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What replaying one delivery comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It will be tried at once.
    Queued,
    /// It is still being tried.
    Pending,
    /// There is no such delivery, or its body is not kept.
    Unknown,
}

/// Where a replay of many stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Deliveries begun again.
    pub queued: usize,
    /// The last one that was looked at; `None` once all were.
    pub after: Option<DeliveryId>,
}

/// Begins one delivery again, whether it failed or arrived.
///
/// # Errors
/// [`ReplayError`].
pub async fn replay<S: CallbackStore, Q: Queue, C: Clock>(
    store: &S,
    queue: &Q,
    clock: &C,
    organization: &OrganizationId,
    id: &DeliveryId,
) -> Result<Replayed, ReplayError> {
    for attempt in 1..=TRIES_MAX {
        let (rev, delivery) = match store.load_delivery(organization, id).await? {
            Some(stored) => (Some(stored.rev), Some(stored.delivery)),
            None => {
                let arrival = store.find_arrival(organization, id).await?;
                (None, arrival.and_then(|arrival| arrival.into_delivery(organization.clone())))
            }
        };
        let Some(delivery) = delivery else {
            return Ok(Replayed::Unknown);
        };
        let Some(again) = delivery.replayed(clock.now()) else {
            return Ok(Replayed::Pending);
        };
        if store.save_delivery(rev, &again).await? {
            send(queue, organization, vec![id.clone()]).await?;
            return Ok(Replayed::Queued);
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(TRIES_MAX).into())
}

/// Begins the failed deliveries of an endpoint again, those of events from `since` on, behind `after`. Goes on until all
/// were looked at or `until` has come; a later call goes on from there.
///
/// # Errors
/// [`ReplayError`].
pub async fn replay_since<S: CallbackStore, Q: Queue, C: Clock>(
    deps: (&S, &Q, &C),
    whose: (&OrganizationId, &EndpointId),
    since: Timestamp,
    after: Option<DeliveryId>,
    until: Timestamp,
) -> Result<ReplayProgress, ReplayError> {
    let ((store, queue, clock), (organization, endpoint)) = (deps, whose);
    let mut progress = ReplayProgress { queued: 0, after };
    loop {
        let page = store.deliveries_since(organization, endpoint, since, progress.after.as_ref(), PAGE);
        let (page, more) = page.await?;
        let mut begun = Vec::new();
        for stored in &page {
            let failed = stored.delivery.state == evenstock_domain::DeliveryState::Failed;
            let again = stored.delivery.replayed(clock.now()).filter(|_| failed);
            // Whoever was faster has begun it again.
            if let Some(again) = again
                && store.save_delivery(Some(stored.rev), &again).await?
            {
                begun.push(again.id);
            }
        }
        progress.queued += begun.len();
        send(queue, organization, begun).await?;
        progress.after = page.last().map(|stored| stored.delivery.id.clone());
        if !more || progress.after.is_none() {
            return Ok(ReplayProgress { after: None, ..progress });
        }
        if clock.now() >= until {
            return Ok(progress);
        }
    }
}

async fn send<Q: Queue>(queue: &Q, organization: &OrganizationId, ids: Vec<DeliveryId>) -> Result<(), QueueError> {
    if ids.is_empty() {
        return Ok(());
    }
    let message = |id| CallbackJob::Again { organization: organization.clone(), id }.outgoing(0);
    queue.send(QueueName::Callbacks, ids.into_iter().map(message).collect()).await
}
