//! Reads and updates stock levels for shops and back offices (documents 3 and 5 of the requirements).

mod conditions;
mod history;
mod openapi;
mod policy;
mod product;
mod read;
mod records;
mod requests;
mod reservation_wire;
mod reservations;
mod reserve;
mod sync;
mod update;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use evenstock_app::{BulkSyncStore, Clock, IdempotencyStore, ReservationStore, Scope, StockStore};
use evenstock_domain::EventIdKey;
use evenstock_runtime::http::{AccessControl, CursorKey, require, shell};

pub use openapi::openapi;

/// The largest body that is read, in bytes: a hundred updates with the longest names fit twice.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Inventory<S, C> {
    /// Levels, reservations and idempotency records.
    pub store: Arc<S>,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
    /// Seals cursors.
    pub cursors: CursorKey,
}

/// The function as an HTTP service.
pub fn router<S, C>(inventory: Arc<Inventory<S, C>>, access: &AccessControl) -> Router
where
    S: StockStore + IdempotencyStore + BulkSyncStore + ReservationStore + 'static,
    C: Clock + 'static,
{
    shell(routes(inventory, access))
}

/// The function's routes, without the shell around them.
///
/// A SKU may hold a slash. Some gateways hand it over decoded, so the path's whole rest is the SKU.
pub fn routes<S, C>(inventory: Arc<Inventory<S, C>>, access: &AccessControl) -> Router
where
    S: StockStore + IdempotencyStore + BulkSyncStore + ReservationStore + 'static,
    C: Clock + 'static,
{
    let reads = Router::new()
        .route("/inventory", get(read::list::<S, C>))
        .route("/inventory/global/{*product}", get(read::everywhere::<S, C>))
        .route("/inventory/{*product}", get(product::get::<S, C>))
        .route("/inventory/updates", get(product::named_updates::<S, C>))
        .route("/inventory/sync", get(product::named_sync::<S, C>))
        .route("/api/inventory/stores/{storeId}/inventory/{*rest}", get(records::read::<S, C>))
        .route("/reservations/{id}", get(reservations::read::<S, C>))
        .with_state(Arc::clone(&inventory));
    let writes = Router::new()
        .route("/inventory/updates", post(update::update::<S, C>))
        .route("/inventory/sync", post(sync::sync::<S, C>))
        .route("/inventory/{*product}", put(product::put::<S, C>))
        .route("/api/inventory", post(records::create::<S, C>))
        .route("/api/inventory/stores/{storeId}/inventory/{*rest}", post(records::act::<S, C>))
        .route("/reservations", post(reservations::create::<S, C>))
        .route("/reservations/{id}/release", post(reservations::release::<S, C>))
        .route("/reservations/{id}/fulfil", post(reservations::fulfil::<S, C>))
        .route("/reservations/{id}/extend", post(reservations::extend::<S, C>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(inventory);
    require(reads, access, Scope::Read).merge(require(writes, access, Scope::Write))
}

#[cfg(test)]
mod tests;
