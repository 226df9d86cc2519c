//! Health and the description of all endpoints for everybody, and polls on request for admins.

mod document;
mod openapi;
mod warehouse_openapi;
mod warehouses;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use evenstock_app::{Clock, IdempotencyStore, Outgoing, PollJob, Queue, QueueName, Scope, StoreProbe, with_causes};
use evenstock_domain::OrganizationId;
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::{AccessControl, ApiError, BoundRequest, Caller, answered, header_key, require, shell};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

pub use document::DOCUMENT;
pub use openapi::openapi;
pub use warehouses::{Warehouses, warehouse_routes};

/// The largest body that is read, in bytes. None says anything yet.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Operations<S, Q> {
    /// The store, to see whether it answers, and for idempotency records.
    pub store: Arc<S>,
    /// The queues.
    pub queue: Q,
    /// The organization whose marketplace can be polled; `None` when none is configured.
    pub polled: Option<OrganizationId>,
}

/// The function as an HTTP service.
pub fn router<S, Q>(operations: Arc<Operations<S, Q>>, access: &AccessControl) -> Router
where
    S: StoreProbe + IdempotencyStore + 'static,
    Q: Queue + 'static,
{
    shell(routes(operations, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S, Q>(operations: Arc<Operations<S, Q>>, access: &AccessControl) -> Router
where
    S: StoreProbe + IdempotencyStore + 'static,
    Q: Queue + 'static,
{
    let open = Router::new()
        .route("/health", get(health::<S, Q>))
        .route("/openapi.json", get(document::show))
        .with_state(Arc::clone(&operations));
    let admin = Router::new()
        .route("/trigger-poll", post(trigger_poll::<S, Q>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(operations);
    open.merge(require(admin, access, Scope::Admin))
}

async fn health<S: StoreProbe, Q: Queue>(State(operations): State<Arc<Operations<S, Q>>>) -> Response {
    let store = operations.store.ping().await.map_err(|error| ("store", with_causes(&error)));
    let queue = operations.queue.depth(QueueName::StockChanges).await.map_err(|error| ("queue", with_causes(&error)));
    match (store, queue) {
        (Ok(()), Ok(depth)) => {
            let queue = QueueBody { waiting: depth.waiting, in_flight: depth.in_flight, dead: depth.dead };
            let data = Health { status: "healthy", timestamp: SystemClock.now().to_string(), queue };
            Json(HealthBody { success: true, data }).into_response()
        }
        (Err((part, reason)), _) | (_, Err((part, reason))) => {
            tracing::error!(part, reason, "health check: the {part} does not answer");
            let body = UnhealthyBody { success: false, error: format!("the {part} does not answer") };
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], Json(body)).into_response()
        }
    }
}

async fn trigger_poll<S: IdempotencyStore, Q: Queue>(
    State(operations): State<Arc<Operations<S, Q>>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|_| ApiError::too_large())?;
    let key = header_key(&headers)?;
    if operations.polled.as_ref() != Some(&caller.organization) {
        return Err(ApiError::not_configured("no marketplace is configured that can be polled"));
    }
    let Operations { store, queue, .. } = &*operations;
    // Nothing is read from the body, but a key stands for the whole request.
    let sent = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    let canonical = json!(["POST /trigger-poll", sent]);
    let operation = BoundRequest::bind(&**store, &SystemClock, &caller.organization, key, &canonical).await?;
    if let Some(job) = operation.answer::<PollJobBody>()? {
        return Ok(answered(StatusCode::ACCEPTED, PollQueuedBody::new(job), true));
    }
    // The same id for every repetition: a crash before the answer is kept costs a second poll of one job, no other job.
    let job_id = operation.id();
    let organization = caller.organization;
    let (name, requested_at) = (organization.to_string(), operation.time.to_string());
    let job = PollJob { job_id: job_id.clone(), organization: name, requested_at };
    let message = serde_json::to_string(&job).map_err(ApiError::internal)?;
    queue.send(QueueName::PollJobs, vec![Outgoing::now(message, organization)]).await?;
    let job = operation.keep(&**store, &SystemClock, PollJobBody { job_id }).await?;
    Ok(answered(StatusCode::ACCEPTED, PollQueuedBody::new(job), false))
}

/// The parts that answer, and what waits for them.
#[derive(Debug, Serialize, ToSchema)]
struct HealthBody {
    success: bool,
    data: Health,
}

/// How we are.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    status: &'static str,
    timestamp: String,
    queue: QueueBody,
}

/// Stock changes on their way: estimates.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueBody {
    waiting: u64,
    in_flight: u64,
    /// Given up; somebody must look.
    dead: u64,
}

/// A part that does not answer.
#[derive(Debug, Serialize, ToSchema)]
struct UnhealthyBody {
    success: bool,
    error: String,
}

/// A poll that is on the queue.
#[derive(Debug, Serialize, ToSchema)]
struct PollQueuedBody {
    success: bool,
    message: &'static str,
    data: PollJobBody,
}

/// The job that polls.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PollJobBody {
    job_id: String,
}

impl PollQueuedBody {
    const fn new(data: PollJobBody) -> Self {
        Self { success: true, message: "poll queued", data }
    }
}
