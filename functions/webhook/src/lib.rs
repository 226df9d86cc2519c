//! Takes the deliveries of marketplaces that push: verify the raw bytes, adapt, put on the queue, answer 202.
//!
//! Must not touch stock: what is acknowledged here is durable on the queue, and nothing more has happened.

mod config;
mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use evenstock_app::{Clock, Outgoing, Queue, QueueName, StockChange};
use evenstock_channels::{Delivery, InboundChannel, InvalidPayload, inbound};
use evenstock_runtime::http::{ApiError, FieldIssue, shed, shell};
use evenstock_runtime::{ConfigError, Environment, SystemClock, new_id};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use config::DEFAULT_STORE;
pub use config::{Connection, connections};
pub use openapi::openapi;

/// The largest delivery that is read, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Intake<Q> {
    /// Where changes go.
    pub queue: Q,
    /// The stores that deliver here.
    pub connections: Vec<Connection>,
}

/// The function as an HTTP service.
pub fn router<Q: Queue + 'static>(intake: Arc<Intake<Q>>) -> Router {
    shell(routes(intake))
}

/// The function's routes, without the shell around them.
pub fn routes<Q: Queue + 'static>(intake: Arc<Intake<Q>>) -> Router {
    Router::new()
        .route("/webhooks/marketplace-a", post(default_store::<Q>))
        .route("/ingest/{channel}/{store}", post(named_store::<Q>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(intake)
}

/// Turns deliveries away while more than `depth_max` stock changes wait: marketplaces deliver again.
pub fn shedding<Q: Queue + 'static>(routes: Router, intake: &Arc<Intake<Q>>, depth_max: u64) -> Router {
    let intake = Arc::clone(intake);
    shed(routes, depth_max, move || {
        let intake = Arc::clone(&intake);
        Box::pin(async move { Ok(intake.queue.depth(QueueName::StockChanges).await?.waiting) })
    })
}

/// The depth above which deliveries are turned away, `LOAD_SHED_QUEUE_MAX`: 100,000 unless set.
///
/// # Errors
/// [`ConfigError`] when it is no number.
pub fn load_shed_queue_max(environment: &Environment) -> Result<u64, ConfigError> {
    environment.parsed("LOAD_SHED_QUEUE_MAX", "a whole number of messages", 100_000)
}

/// A delivery that is on the queue.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryBody {
    success: bool,
    message: &'static str,
    data: DeliveryJob,
}

/// The job that applies it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryJob {
    job_id: String,
    product_id: Option<String>,
}

type Body = Result<Bytes, axum::extract::rejection::BytesRejection>;

async fn default_store<Q: Queue>(state: State<Arc<Intake<Q>>>, headers: HeaderMap, body: Body) -> Response {
    receive(&state.0, "marketplace-a", DEFAULT_STORE, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn named_store<Q: Queue>(
    state: State<Arc<Intake<Q>>>,
    Path((channel, store)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    receive(&state.0, &channel, &store, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn receive<Q: Queue>(
    intake: &Intake<Q>,
    channel: &str,
    store: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::not_found("no store delivers here");
    let channel = inbound(channel).ok_or_else(unknown)?;
    let connection = intake.connections.iter().find(|connection| connection.is(channel.kind(), store));
    let connection = connection.ok_or_else(unknown)?;
    let body = body.map_err(|_| ApiError::too_large())?;
    let signature = headers.get(channel.signature_header()).map(|value| value.as_bytes());
    channel
        .verify(&body, signature, &connection.secrets)
        .map_err(|_| ApiError::unauthorized("missing or wrong signature"))?;
    let job_id = new_id();
    let delivery = Delivery {
        body: &body,
        organization: &connection.organization,
        store: &connection.store,
        job_id: &job_id,
        received_at: SystemClock.now(),
    };
    let changes = channel.adapt(&delivery).map_err(refusal)?;
    enqueue(intake, channel, connection, &changes, &job_id).await?;
    let product_id = changes.first().map(|change| change.sku.as_str());
    let data = DeliveryJob { product_id: product_id.map(str::to_owned), job_id };
    let answer = DeliveryBody { success: true, message: "accepted", data };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

async fn enqueue<Q: Queue>(
    intake: &Intake<Q>,
    channel: &dyn InboundChannel,
    connection: &Connection,
    changes: &[StockChange],
    job_id: &str,
) -> Result<(), ApiError> {
    let message = |change: &StockChange| {
        let body = change.to_json().map_err(ApiError::internal)?;
        Ok(Outgoing::now(body, connection.organization.clone()))
    };
    let messages = changes.iter().map(message).collect::<Result<Vec<_>, ApiError>>()?;
    intake.queue.send(QueueName::StockChanges, messages).await?;
    for change in changes {
        let (store, sku) = (&connection.store, &change.sku);
        info!(
            job.id = job_id, event.id = change.event_id, store.id = %store, sku.id = sku,
            "delivery {job_id} from {} queued", channel.kind()
        );
    }
    Ok(())
}

fn refusal(payload: InvalidPayload) -> ApiError {
    let issue = |issue: evenstock_channels::FieldIssue| FieldIssue { field: issue.field, issue: issue.issue };
    ApiError::bad_request(payload.issues.into_iter().map(issue).collect())
}
