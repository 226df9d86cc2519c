//! Endpoints for callbacks over HTTP: registering, changing, testing them, and what became of their deliveries.

mod deliveries;
mod endpoints;
mod openapi;
mod register;
mod replay;
mod rotate;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use evenstock_app::{
    AuditLog, CallbackSender, CallbackStore, Clock, IdempotencyStore, Queue, Scope, SealError, Sealer,
};
use evenstock_domain::{EndpointId, OrganizationId};
use evenstock_runtime::http::{AccessControl, ApiError, Caller, CursorKey, read_path, require, shell};

pub use openapi::openapi;

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Endpoints<S, Q, P, K, C> {
    /// Endpoints, deliveries and idempotency records.
    pub store: Arc<S>,
    /// Takes tests and replays.
    pub queue: Q,
    /// Checks targets.
    pub sender: P,
    /// Seals secrets.
    pub sealer: K,
    /// Time.
    pub clock: C,
    /// Seals cursors.
    pub cursors: CursorKey,
}

type Shared<S, Q, P, K, C> = axum::extract::State<Arc<Endpoints<S, Q, P, K, C>>>;

/// The function as an HTTP service.
pub fn router<S, Q, P, K, C>(endpoints: Arc<Endpoints<S, Q, P, K, C>>, access: &AccessControl) -> Router
where
    S: CallbackStore + IdempotencyStore + AuditLog + 'static,
    Q: Queue + 'static,
    P: CallbackSender + 'static,
    K: Sealer + 'static,
    C: Clock + 'static,
{
    shell(routes(endpoints, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S, Q, P, K, C>(endpoints: Arc<Endpoints<S, Q, P, K, C>>, access: &AccessControl) -> Router
where
    S: CallbackStore + IdempotencyStore + AuditLog + 'static,
    Q: Queue + 'static,
    P: CallbackSender + 'static,
    K: Sealer + 'static,
    C: Clock + 'static,
{
    let reads = Router::new()
        .route("/webhooks", get(endpoints::list::<S, Q, P, K, C>))
        .route("/webhooks/{id}", get(endpoints::read::<S, Q, P, K, C>))
        .route("/webhooks/{id}/deliveries", get(deliveries::list::<S, Q, P, K, C>))
        .with_state(Arc::clone(&endpoints));
    let writes = Router::new()
        .route("/webhooks/register", post(register::register::<S, Q, P, K, C>))
        .route(
            "/webhooks/{id}",
            axum::routing::patch(endpoints::change::<S, Q, P, K, C>).delete(endpoints::remove::<S, Q, P, K, C>),
        )
        .route("/webhooks/{id}/rotate-secret", post(rotate::rotate::<S, Q, P, K, C>))
        .route("/webhooks/{id}/test", post(replay::test::<S, Q, P, K, C>))
        .route("/webhooks/{id}/replay", post(replay::since::<S, Q, P, K, C>))
        .route("/webhooks/deliveries/{id}/replay", post(replay::one::<S, Q, P, K, C>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(endpoints);
    require(reads, access, Scope::Read).merge(require(writes, access, Scope::Write))
}

/// The organization that a request names, if its key may act for it.
fn organization_of(caller: &Caller, named: &OrganizationId) -> Result<OrganizationId, ApiError> {
    if caller.key.operator || *named == caller.organization {
        Ok(named.clone())
    } else {
        Err(ApiError::forbidden("the key belongs to another organization"))
    }
}

fn endpoint_id(text: &str) -> Result<EndpointId, ApiError> {
    read_path("id", text, EndpointId::parse)
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such endpoint")
}

fn sealing(error: SealError) -> ApiError {
    if error.is_passing() { ApiError::unavailable(error) } else { ApiError::internal(error) }
}
