//! API keys and the audit log, for admins. A function of its own, because no other may make keys.

mod audit;
mod keys;
mod openapi;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use evenstock_app::{AuditLog, Clock, IdempotencyStore, KeyAdminStore, Scope, Sealer};
use evenstock_runtime::http::{AccessControl, CursorKey, require, shell};

pub use openapi::openapi;

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Administration<S, C, E> {
    /// Keys, the audit log and idempotency records.
    pub store: Arc<S>,
    /// The time.
    pub clock: C,
    /// Seals the answers that show a key, for replays.
    pub sealer: E,
    /// Seals cursors.
    pub cursors: CursorKey,
}

/// The function as an HTTP service.
pub fn router<S, C, E>(administration: Arc<Administration<S, C, E>>, access: &AccessControl) -> Router
where
    S: KeyAdminStore + AuditLog + IdempotencyStore + 'static,
    C: Clock + 'static,
    E: Sealer + 'static,
{
    shell(routes(administration, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S, C, E>(administration: Arc<Administration<S, C, E>>, access: &AccessControl) -> Router
where
    S: KeyAdminStore + AuditLog + IdempotencyStore + 'static,
    C: Clock + 'static,
    E: Sealer + 'static,
{
    let routes = Router::new()
        .route("/admin/keys", post(keys::create::<S, C, E>).get(keys::list::<S, C, E>))
        .route("/admin/keys/{id}", delete(keys::revoke::<S, C, E>))
        .route("/admin/audit", get(audit::list::<S, C, E>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(administration);
    require(routes, access, Scope::Admin)
}
