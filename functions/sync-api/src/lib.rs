//! Health, metrics and the description of all endpoints for everybody; jobs, the switch of the periodic sync and polls
//! on request for admins.

mod document;
mod health;
mod job_wire;
mod jobs;
mod metrics;
mod openapi;
mod prometheus;
mod settings;
mod switch;
mod trigger;
mod warehouse_openapi;
mod warehouse_wire;
mod warehouses;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use evenstock_app::{
    AuditLog, BreakerStore, BreakerWatch, CounterStore, FeedStore, IdempotencyStore, JobStore, MarketplaceStores,
    PartitionStore, PollStatusStore, Queue, Scope, StoreProbe, SwitchStore, WarehouseStore,
};
use evenstock_domain::OrganizationId;
use evenstock_runtime::http::{AccessControl, CursorKey, require, shell};

pub use document::DOCUMENT;
pub use openapi::openapi;
pub use settings::{Bulkhead, Settings};
pub use warehouses::{Warehouses, warehouse_routes};

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the function needs of the table.
pub trait OperationsStore:
    StoreProbe
    + IdempotencyStore
    + JobStore
    + SwitchStore
    + MarketplaceStores
    + CounterStore
    + BreakerStore
    + BreakerWatch
    + PollStatusStore
    + PartitionStore
    + FeedStore
    + WarehouseStore
    + AuditLog
    + 'static
{
}

impl<S> OperationsStore for S where
    S: StoreProbe
        + IdempotencyStore
        + JobStore
        + SwitchStore
        + MarketplaceStores
        + CounterStore
        + BreakerStore
        + BreakerWatch
        + PollStatusStore
        + PartitionStore
        + FeedStore
        + WarehouseStore
        + AuditLog
        + 'static
{
}

/// What the handlers share.
#[derive(Debug)]
pub struct Operations<S, Q> {
    /// The table.
    pub store: Arc<S>,
    /// The queues.
    pub queue: Q,
    /// The organization whose marketplace can be polled; `None` when none is configured.
    pub polled: Option<OrganizationId>,
    /// How the deployment is set up.
    pub settings: Settings,
    /// Seals cursors.
    pub cursors: CursorKey,
}

pub(crate) type Shared<S, Q> = State<Arc<Operations<S, Q>>>;

/// The function as an HTTP service.
pub fn router<S: OperationsStore, Q: Queue + 'static>(
    operations: Arc<Operations<S, Q>>,
    access: &AccessControl,
) -> Router {
    shell(routes(operations, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S: OperationsStore, Q: Queue + 'static>(
    operations: Arc<Operations<S, Q>>,
    access: &AccessControl,
) -> Router {
    let open = Router::new()
        .route("/health", get(health::parts::<S, Q>))
        .route("/openapi.json", get(document::show))
        .route("/api/health", get(health::alive::<S, Q>))
        .route("/api/health/liveness", get(health::alive::<S, Q>))
        .route("/api/health/readiness", get(health::ready::<S, Q>))
        .with_state(Arc::clone(&operations));
    let readers = Router::new()
        .route("/api/metrics", get(metrics::show::<S, Q>))
        .route("/api/health/metrics", get(metrics::show::<S, Q>))
        .with_state(Arc::clone(&operations));
    let admins = Router::new()
        .route("/trigger-poll", post(trigger::poll::<S, Q>))
        .route("/sync/trigger", post(trigger::all::<S, Q>))
        .route("/sync/status/{jobId}", get(jobs::one::<S, Q>))
        .route("/sync/jobs", get(jobs::list::<S, Q>))
        .route("/api/sync", post(trigger::and_wait::<S, Q>))
        .route("/api/sync/status", get(switch::status::<S, Q>))
        .route("/api/sync/start", post(switch::start::<S, Q>))
        .route("/api/sync/stop", post(switch::stop::<S, Q>))
        .route("/api/metrics/reset", post(metrics::reset::<S, Q>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(operations);
    open.merge(require(readers, access, Scope::Read)).merge(require(admins, access, Scope::Admin))
}
