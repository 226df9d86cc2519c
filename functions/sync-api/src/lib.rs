//! Health for everybody, and polls on request for admins.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use evenstock_app::{Clock, Outgoing, PollJob, Queue, QueueName, Scope, StoreProbe, with_causes};
use evenstock_domain::OrganizationId;
use evenstock_runtime::http::{AccessControl, ApiError, Caller, require, shell};
use evenstock_runtime::{SystemClock, new_id};
use serde_json::json;

/// What the handlers share.
#[derive(Debug)]
pub struct Operations<S, Q> {
    /// The store, to see whether it answers.
    pub store: Arc<S>,
    /// The queues.
    pub queue: Q,
    /// The organization whose marketplace can be polled; `None` when none is configured.
    pub polled: Option<OrganizationId>,
}

/// The function as an HTTP service.
pub fn router<S, Q>(operations: Arc<Operations<S, Q>>, access: &AccessControl) -> Router
where
    S: StoreProbe + 'static,
    Q: Queue + 'static,
{
    shell(routes(operations, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S, Q>(operations: Arc<Operations<S, Q>>, access: &AccessControl) -> Router
where
    S: StoreProbe + 'static,
    Q: Queue + 'static,
{
    let open = Router::new().route("/health", get(health::<S, Q>)).with_state(Arc::clone(&operations));
    let admin = Router::new().route("/trigger-poll", post(trigger_poll::<S, Q>)).with_state(operations);
    open.merge(require(admin, access, Scope::Admin))
}

async fn health<S: StoreProbe, Q: Queue>(State(operations): State<Arc<Operations<S, Q>>>) -> Response {
    let store = operations.store.ping().await.map_err(|error| ("store", with_causes(&error)));
    let queue = operations.queue.depth(QueueName::StockChanges).await.map_err(|error| ("queue", with_causes(&error)));
    match (store, queue) {
        (Ok(()), Ok(depth)) => {
            let queue = json!({ "waiting": depth.waiting, "inFlight": depth.in_flight, "dead": depth.dead });
            let timestamp = SystemClock.now().to_string();
            let data = json!({ "status": "healthy", "timestamp": timestamp, "queue": queue });
            Json(json!({ "success": true, "data": data })).into_response()
        }
        (Err((part, reason)), _) | (_, Err((part, reason))) => {
            tracing::error!(part, reason, "health check: the {part} does not answer");
            let body = json!({ "success": false, "error": format!("the {part} does not answer") });
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], Json(body)).into_response()
        }
    }
}

async fn trigger_poll<S, Q: Queue>(
    State(operations): State<Arc<Operations<S, Q>>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, ApiError> {
    if operations.polled.as_ref() != Some(&caller.organization) {
        return Err(ApiError::not_configured("no marketplace is configured that can be polled"));
    }
    let job = PollJob {
        job_id: new_id(),
        organization: caller.organization.to_string(),
        requested_at: SystemClock.now().to_string(),
    };
    let body = serde_json::to_string(&job).map_err(ApiError::internal)?;
    operations.queue.send(QueueName::PollJobs, vec![Outgoing::now(body, caller.organization)]).await?;
    let answer = json!({ "success": true, "message": "poll queued", "data": { "jobId": job.job_id } });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
