//! One call of a batch: sign, send, and write down what came of it.

use evenstock_domain::{DeliveryState, Endpoint, Timestamp, Tried};
use tracing::{info, instrument, warn};

use super::deliver::{DeliverDeps, Work, save};
use super::registry::secret_context;
use crate::{
    Arrival, Call, CallbackJob, CallbackSender, CallbackStore, Clock, Queue, QueueName, SealError, Sealed, Sealer,
    SecretText, with_causes,
};

/// What came of a call.
pub(super) enum Outcome {
    /// There was no time left to make it.
    TooLate,
    /// The endpoint's secrets cannot be opened now.
    Sealed { reason: String },
    /// It arrived. Carries what is to be logged of it, if it is not stored.
    Arrived { arrival: Option<Arrival>, duration_ms: u32 },
    /// It did not, and what follows is stored: another try, or that it was the last one.
    Missed { tried: Tried, last: bool },
    /// It was made, and what came of it cannot be stored: it will be made again.
    Unrecorded { reason: String },
}

/// Makes a call, unless it is later than `until`.
#[instrument(
    name = "DeliverCallback", skip_all,
    fields(otel.kind = "client", event.id = work.delivery.event_id, delivery.id = %work.delivery.id, endpoint.id = %endpoint.id)
)]
pub(super) async fn call<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    endpoint: &Endpoint,
    work: Work,
    until: Timestamp,
) -> (Work, Outcome)
where
    S: CallbackStore,
    Q: Queue,
    P: CallbackSender,
    K: Sealer,
    C: Clock,
{
    let sent_at = deps.clock.now();
    if sent_at >= until {
        return (work, Outcome::TooLate);
    }
    let secrets = match open(deps, endpoint, &work, sent_at).await {
        Ok(secrets) => secrets,
        Err(error) => {
            let reason = with_causes(&error);
            warn!(endpoint.id = %endpoint.id, error = reason, "secrets of {} cannot be opened", endpoint.id);
            return (work, Outcome::Sealed { reason });
        }
    };
    let delivery = &work.delivery;
    let (event_id, body) = (delivery.event_id.as_str(), delivery.body.as_str());
    let tried = deps.sender.send(Call { target: &endpoint.target, event_id, sent_at, body, secrets: &secrets }).await;
    let outcome = record(deps, endpoint, &work, tried).await;
    (work, outcome)
}

async fn open<S, Q, P, K: Sealer, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    endpoint: &Endpoint,
    work: &Work,
    now: Timestamp,
) -> Result<Vec<SecretText>, SealError> {
    let context = secret_context(&work.delivery.organization, &endpoint.id);
    let mut secrets = Vec::new();
    for sealed in endpoint.secrets.signing(now) {
        secrets.push(deps.sealer.open(&context, &Sealed::from_stored(sealed)).await?);
    }
    Ok(secrets)
}

async fn record<S, Q, P, K, C>(
    deps: DeliverDeps<'_, S, Q, P, K, C>,
    endpoint: &Endpoint,
    work: &Work,
    tried: Tried,
) -> Outcome
where
    S: CallbackStore,
    Q: Queue,
    C: Clock,
{
    let now = deps.clock.now();
    let schedule = endpoint.schedule.as_ref().unwrap_or(deps.schedule);
    let next = work.delivery.tried(&tried, schedule, now);
    let arrived = next.state == DeliveryState::Succeeded;
    let store_id = next.store.as_ref().map(|store| store.as_str()).unwrap_or_default();
    info!(
        event = next.event.as_str(), deliveryId = %next.id, organizationId = %next.organization, storeId = store_id,
        attempt = next.tries, endpointCount = 1, successCount = u8::from(arrived), failCount = u8::from(!arrived),
        nextRetryAt = next.next_attempt_at.map(tracing::field::display), state = next.state.as_str(),
        status = tried.attempt.status_code, error = tried.attempt.error, durationMs = tried.attempt.duration_ms,
        "callback_delivery"
    );
    let duration_ms = tried.attempt.duration_ms;
    if arrived && work.rev.is_none() {
        let (id, event_id, event, store, body) = (next.id, next.event_id, next.event, next.store, Some(next.body));
        let arrival = Arrival { id, event_id, event, store, body, attempt: tried.attempt };
        return Outcome::Arrived { arrival: Some(arrival), duration_ms };
    }
    if let Err(reason) = save(deps, work.rev, &next).await {
        return Outcome::Unrecorded { reason };
    }
    if arrived {
        return Outcome::Arrived { arrival: None, duration_ms };
    }
    if let Some(delay_seconds) = next.message_delay_seconds(now) {
        let job = CallbackJob::Again { organization: next.organization.clone(), id: next.id.clone() };
        if let Err(error) = deps.queue.send(QueueName::Callbacks, vec![job.outgoing(delay_seconds)]).await {
            // It is stored with a due time: the scheduler brings it back.
            warn!(delivery.id = %next.id, error = with_causes(&error), "delivery {} is tried again later than planned", next.id);
        }
    }
    Outcome::Missed { tried, last: next.state == DeliveryState::Failed }
}
