//! Takes the deliveries of marketplaces that push: verify the raw bytes, adapt, put on the queue, answer 202.
//!
//! Must not touch stock: what is acknowledged here is durable, on the queue or as a receipt that the store's worker asks
//! about, and nothing more has happened.

mod config;
mod openapi;
mod registered;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use evenstock_app::{Clock, MarketplaceStores, Outgoing, Queue, QueueName, ReceiptStore, Sealer, StockChange};
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
pub struct Intake<Q, S, K> {
    /// Where changes go.
    pub queue: Q,
    /// The stores that the environment names.
    pub connections: Vec<Connection>,
    /// The stores that sellers registered, and their receipts.
    pub store: S,
    /// Opens their webhook secrets.
    pub sealer: K,
}

/// The function as an HTTP service.
pub fn router<Q, S, K>(intake: Arc<Intake<Q, S, K>>) -> Router
where
    Q: Queue + 'static,
    S: MarketplaceStores + ReceiptStore + 'static,
    K: Sealer + 'static,
{
    shell(routes(intake))
}

/// The function's routes, without the shell around them.
pub fn routes<Q, S, K>(intake: Arc<Intake<Q, S, K>>) -> Router
where
    Q: Queue + 'static,
    S: MarketplaceStores + ReceiptStore + 'static,
    K: Sealer + 'static,
{
    Router::new()
        .route("/webhooks/marketplace-a", post(default_store::<Q, S, K>))
        .route("/ingest/{channel}/{store}", post(named_store::<Q, S, K>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(intake)
}

/// Turns deliveries away while more than `depth_max` stock changes wait: marketplaces deliver again.
pub fn shedding<Q, S, K>(routes: Router, intake: &Arc<Intake<Q, S, K>>, depth_max: u64) -> Router
where
    Q: Queue + 'static,
    S: Send + Sync + 'static,
    K: Send + Sync + 'static,
{
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

async fn default_store<Q, S, K>(state: State<Arc<Intake<Q, S, K>>>, headers: HeaderMap, body: Body) -> Response
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
{
    receive(&state.0, "marketplace-a", DEFAULT_STORE, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn named_store<Q, S, K>(
    state: State<Arc<Intake<Q, S, K>>>,
    Path((channel, store)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
{
    receive(&state.0, &channel, &store, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn receive<Q, S, K>(
    intake: &Intake<Q, S, K>,
    channel: &str,
    store: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError>
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
{
    let unknown = || ApiError::not_found("no store delivers here");
    let channel = inbound(channel).ok_or_else(unknown)?;
    let named = intake.connections.iter().find(|connection| connection.is(channel.kind(), store)).cloned();
    let (connection, registered) = match named {
        Some(connection) => (connection, None),
        None => registered::find(intake, channel.kind(), store).await?.ok_or_else(unknown)?,
    };
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
    let notices = channel.notices(&delivery).map_err(refusal)?;
    let product_id = changes.first().map(|change| change.sku.clone());
    match &registered {
        Some(of) => {
            registered::note(intake, of, &notices, &job_id).await?;
            let changes = registered::counted(of, changes, &job_id);
            enqueue(intake, channel, &connection, &changes, &job_id).await?;
        }
        None => enqueue(intake, channel, &connection, &changes, &job_id).await?,
    }
    let data = DeliveryJob { product_id, job_id };
    let answer = DeliveryBody { success: true, message: "accepted", data };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

async fn enqueue<Q: Queue, S, K>(
    intake: &Intake<Q, S, K>,
    channel: &dyn InboundChannel,
    connection: &Connection,
    changes: &[StockChange],
    job_id: &str,
) -> Result<(), ApiError> {
    if changes.is_empty() {
        return Ok(());
    }
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
