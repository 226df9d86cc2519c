//! Takes the deliveries of marketplaces that push: verify the raw bytes, adapt, put on the queue, answer 202. A notice of
//! an order is noted for the store's worker instead.
//!
//! Must not touch stock: what is acknowledged here is durable, on the queue or in the table, and nothing more has happened.

mod cache;
mod config;
mod connection;
mod openapi;
mod stores;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use evenstock_app::{
    Clock, MarketplaceStores, Outgoing, Queue, QueueName, ReceiptStore, Sealer, StockChange, cancel_order, note_receipt,
};
use evenstock_channels::{Delivery, InboundChannel, InvalidPayload, OrderNotice, inbound};
use evenstock_domain::ReceiptId;
use evenstock_runtime::http::{ApiError, FieldIssue, shed, shell};
use evenstock_runtime::{ConfigError, Environment, new_id};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use config::DEFAULT_STORE;
pub use config::connections;
pub use connection::Connection;
pub use openapi::openapi;
pub use stores::Stores;
use stores::{FRESH_MS, RECHECK_MS};

/// The largest delivery that is read, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Intake<Q, S, K, C> {
    /// Where changes go.
    pub queue: Q,
    /// The stores that deliver here.
    pub stores: Stores<S, K, C>,
}

type Shared<Q, S, K, C> = State<Arc<Intake<Q, S, K, C>>>;

/// The function as an HTTP service.
pub fn router<Q, S, K, C>(intake: Arc<Intake<Q, S, K, C>>) -> Router
where
    Q: Queue + 'static,
    S: MarketplaceStores + ReceiptStore + 'static,
    K: Sealer + 'static,
    C: Clock + 'static,
{
    shell(routes(intake))
}

/// The function's routes, without the shell around them.
pub fn routes<Q, S, K, C>(intake: Arc<Intake<Q, S, K, C>>) -> Router
where
    Q: Queue + 'static,
    S: MarketplaceStores + ReceiptStore + 'static,
    K: Sealer + 'static,
    C: Clock + 'static,
{
    Router::new()
        .route("/webhooks/marketplace-a", post(default_store::<Q, S, K, C>))
        .route("/ingest/{channel}/{store}", post(named_store::<Q, S, K, C>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(intake)
}

/// Turns deliveries away while more than `depth_max` stock changes wait: marketplaces deliver again.
pub fn shedding<Q, S, K, C>(routes: Router, intake: &Arc<Intake<Q, S, K, C>>, depth_max: u64) -> Router
where
    Q: Queue + 'static,
    S: Send + Sync + 'static,
    K: Send + Sync + 'static,
    C: Send + Sync + 'static,
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

/// A delivery that was taken.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryBody {
    success: bool,
    message: &'static str,
    data: DeliveryJob,
}

/// What follows it up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryJob {
    /// Names the delivery in our logs.
    job_id: String,
    /// The product that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    /// The receipt that was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

type Body = Result<Bytes, axum::extract::rejection::BytesRejection>;

async fn default_store<Q, S, K, C>(state: Shared<Q, S, K, C>, headers: HeaderMap, body: Body) -> Response
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
    C: Clock,
{
    receive(&state.0, "marketplace-a", DEFAULT_STORE, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn named_store<Q, S, K, C>(
    state: Shared<Q, S, K, C>,
    Path((channel, store)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
    C: Clock,
{
    receive(&state.0, &channel, &store, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

/// One answer for a channel, a store, a store of another channel and a secret that are not there.
fn unknown() -> ApiError {
    ApiError::not_found("no store delivers here")
}

async fn receive<Q, S, K, C>(
    intake: &Intake<Q, S, K, C>,
    channel: &str,
    store: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError>
where
    Q: Queue,
    S: MarketplaceStores + ReceiptStore,
    K: Sealer,
    C: Clock,
{
    let channel = inbound(channel).ok_or_else(unknown)?;
    let connection = proven(&intake.stores, channel, store, headers, body.as_deref().ok()).await?;
    let body = body.map_err(|_| ApiError::too_large())?;
    let job_id = new_id();
    let delivery = Delivery {
        body: &body,
        organization: &connection.organization,
        store: &connection.store,
        default_location: &connection.default_location,
        job_id: &job_id,
        received_at: intake.stores.clock.now(),
    };
    let counts = channel.adapt(&delivery).map_err(refusal)?;
    let notices = channel.notices(&delivery).map_err(refusal)?;
    let product_id = counts.first().map(|count| count.sku.clone());
    let receipt = notices.first().map(|notice| receipt_of(notice).to_string());
    note(&intake.stores, &connection, &notices, &job_id).await?;
    let message = enqueue(intake, channel, &connection, counts, &job_id).await?;
    let job = DeliveryJob { job_id, product_id, receipt };
    let answer = DeliveryBody { success: true, message, data: job };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// The store, if the body is signed with a secret of its own. A body that was too large to read is signed by nobody.
async fn proven<S, K, C>(
    stores: &Stores<S, K, C>,
    channel: &dyn InboundChannel,
    store: &str,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Arc<Connection>, ApiError>
where
    S: MarketplaceStores,
    K: Sealer,
    C: Clock,
{
    let signature = headers.get(channel.signature_header()).map(|value| value.as_bytes());
    for age_max_ms in [FRESH_MS, RECHECK_MS] {
        let connection = stores.find(channel.kind(), store, age_max_ms).await?.ok_or_else(unknown)?;
        let body = body.ok_or_else(ApiError::too_large)?;
        if channel.verify(body, signature, &connection.secrets_at(stores.clock.now())).is_ok() {
            return Ok(connection);
        }
    }
    Err(ApiError::unauthorized("missing or wrong signature"))
}

/// Queues what the store's counts are worth, and says so.
async fn enqueue<Q: Queue, S, K, C>(
    intake: &Intake<Q, S, K, C>,
    channel: &dyn InboundChannel,
    connection: &Connection,
    counts: Vec<StockChange>,
    job_id: &str,
) -> Result<&'static str, ApiError> {
    if counts.is_empty() {
        return Ok("accepted");
    }
    let worth = |count: StockChange| Some(StockChange { change: connection.worth(count.change)?, ..count });
    let changes: Vec<_> = counts.into_iter().filter_map(worth).collect();
    let store = &connection.store;
    if changes.is_empty() {
        info!(job.id = job_id, store.id = %store, "delivery {job_id} changes nothing: orders move the stock of {store}");
        return Ok("accepted, and changes nothing: the orders of this store move its stock");
    }
    let message = |change: &StockChange| {
        let body = change.to_json().map_err(ApiError::internal)?;
        Ok(Outgoing::now(body, connection.organization.clone()))
    };
    let messages = changes.iter().map(message).collect::<Result<Vec<_>, ApiError>>()?;
    intake.queue.send(QueueName::StockChanges, messages).await?;
    for change in changes {
        let sku = &change.sku;
        info!(
            job.id = job_id, event.id = change.event_id, store.id = %store, sku.id = sku,
            "delivery {job_id} from {} queued", channel.kind()
        );
    }
    Ok("accepted")
}

const fn receipt_of(notice: &OrderNotice) -> &ReceiptId {
    match notice {
        OrderNotice::Placed(receipt) | OrderNotice::Cancelled(receipt) => receipt,
    }
}

/// Notes what is told of orders: the store's worker asks about them. The same notice again changes nothing.
async fn note<S, K, C>(
    stores: &Stores<S, K, C>,
    connection: &Connection,
    notices: &[OrderNotice],
    job_id: &str,
) -> Result<(), ApiError>
where
    S: MarketplaceStores + ReceiptStore,
    C: Clock,
{
    let Stores { table, clock, .. } = stores;
    for notice in notices {
        let (id, receipt) = (&connection.store, receipt_of(notice));
        // Not as the cache knows it: whether somebody will look at the receipt is decided on what stands there now.
        let of = table.load_store(id).await?.ok_or_else(unknown)?;
        match notice {
            OrderNotice::Placed(receipt) => note_receipt(&**table, clock, &of, receipt).await?,
            OrderNotice::Cancelled(receipt) => drop(cancel_order(&**table, clock, &of, receipt).await?),
        }
        info!(job.id = job_id, store.id = %id, receipt.id = %receipt, "notice {job_id} of an order of {id} noted");
    }
    Ok(())
}

fn refusal(payload: InvalidPayload) -> ApiError {
    let issue = |issue: evenstock_channels::FieldIssue| FieldIssue { field: issue.field, issue: issue.issue };
    ApiError::bad_request(payload.issues.into_iter().map(issue).collect())
}
