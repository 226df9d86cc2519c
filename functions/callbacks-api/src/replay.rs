//! Test events, and deliveries begun again.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use evenstock_app::{
    Announcement, CallbackJob, CallbackStore, Clock, IdempotencyStore, Queue, QueueName, ReplayError, Replayed, replay,
    replay_since, send_test, try_again,
};
use evenstock_domain::{DeliveryId, Endpoint, EventType, Subscription, Timestamp};
use evenstock_runtime::http::{ApiError, BoundRequest, Caller, Fields, JsonBody, answered, header_key, read_path};
use serde_json::json;

use crate::endpoints::find;
use crate::wire::QueuedBody;
use crate::{Endpoints, Shared};

/// How long a request begins deliveries again, in milliseconds; the rest follows by itself.
const WORK_MS: i64 = 5_000;

/// An endpoint that is told nothing cannot be told again.
fn active(endpoint: Endpoint) -> Result<Endpoint, ApiError> {
    if endpoint.is_active() { Ok(endpoint) } else { Err(ApiError::conflict("the endpoint is disabled", None)) }
}

fn failed(error: ReplayError) -> ApiError {
    match error {
        ReplayError::Store(error) => error.into(),
        ReplayError::Queue(error) => error.into(),
    }
}

/// `POST /webhooks/{id}/test`: an event that says that it is a test.
pub(crate) async fn test<S, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: CallbackStore + IdempotencyStore,
    Q: Queue,
    C: Clock,
{
    let key = header_key(&headers)?;
    let endpoint = active(find(&endpoints, &caller.organization, &id).await?)?;
    let canonical = json!([format!("POST /webhooks/{}/test", endpoint.id)]);
    let (store, clock) = (&*endpoints.store, &endpoints.clock);
    let bound = BoundRequest::bind(store, clock, &caller.organization, key, &canonical).await?;
    let event = match endpoint.event {
        Subscription::Only(event) => event,
        Subscription::All => EventType::StockChanged,
    };
    try_again(store, clock, &caller.organization, &endpoint.id).await?;
    // The same test under the same key: its receiver can tell.
    let announcement = Announcement {
        event_id: format!("test-{}", bound.id()),
        event,
        time: bound.time,
        organization: caller.organization,
        store: None,
        data: json!({ "test": true }),
    };
    send_test(&endpoints.queue, &endpoint, &announcement).await?;
    Ok(answered(StatusCode::ACCEPTED, QueuedBody { queued: 1, more: false }, bound.known))
}

/// `POST /webhooks/{id}/replay`: everything that failed since a time, also while the endpoint was disabled.
pub(crate) async fn since<S, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(object): JsonBody,
) -> Result<Response, ApiError>
where
    S: CallbackStore + IdempotencyStore,
    Q: Queue,
    C: Clock,
{
    let key = header_key(&headers)?;
    let mut fields = Fields::of(&object);
    let since = fields.text("since", Timestamp::parse);
    let (since, ()) = fields.finish((since, Some(())))?;
    let endpoint = active(find(&endpoints, &caller.organization, &id).await?)?.id;
    let Endpoints { store, queue, clock, .. } = &*endpoints;
    let organization = caller.organization;
    let canonical = json!([format!("POST /webhooks/{endpoint}/replay"), since.as_millis()]);
    let bound = BoundRequest::bind(&**store, clock, &organization, key, &canonical).await?;
    if let Some(kept) = bound.answer::<QueuedBody>()? {
        return Ok(answered(StatusCode::ACCEPTED, kept, true));
    }
    try_again(&**store, clock, &organization, &endpoint).await?;
    let until = clock.now().plus_millis(WORK_MS);
    let whose = (&organization, &endpoint);
    let progress = replay_since((&**store, queue, clock), whose, since, None, until).await.map_err(failed)?;
    let body = QueuedBody { queued: progress.queued, more: progress.after.is_some() };
    if progress.after.is_some() {
        let job = CallbackJob::Replay { organization, endpoint, since, after: progress.after };
        queue.send(QueueName::Callbacks, vec![job.outgoing(0)]).await?;
    }
    Ok(answered(StatusCode::ACCEPTED, bound.keep(&**store, clock, body).await?, bound.known))
}

/// `POST /webhooks/deliveries/{id}/replay`: one delivery.
pub(crate) async fn one<S, Q, P, K, C>(
    State(endpoints): Shared<S, Q, P, K, C>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: CallbackStore + IdempotencyStore,
    Q: Queue,
    C: Clock,
{
    let key = header_key(&headers)?;
    let id = read_path("id", &id, DeliveryId::parse)?;
    active(find(&endpoints, &caller.organization, id.endpoint.as_str()).await?)?;
    let Endpoints { store, queue, clock, .. } = &*endpoints;
    let canonical = json!([format!("POST /webhooks/deliveries/{id}/replay")]);
    let bound = BoundRequest::bind(&**store, clock, &caller.organization, key, &canonical).await?;
    if let Some(kept) = bound.answer::<QueuedBody>()? {
        return Ok(answered(StatusCode::ACCEPTED, kept, true));
    }
    // Who asks for it knows that the receiver is well again, sooner than its breaker does.
    try_again(&**store, clock, &caller.organization, &id.endpoint).await?;
    let replayed = replay(&**store, queue, clock, &caller.organization, &id).await.map_err(failed)?;
    let body = match replayed {
        Replayed::Queued => QueuedBody { queued: 1, more: false },
        // It is on its way already, which was wanted.
        Replayed::Pending => QueuedBody { queued: 0, more: false },
        Replayed::Unknown => {
            return Err(ApiError::not_found("there is no such delivery, or its content was too long to be kept"));
        }
    };
    Ok(answered(StatusCode::ACCEPTED, bound.keep(&**store, clock, body).await?, bound.known))
}
