//! Reads and updates stock levels for shops and back offices (document 5 of the requirements).

mod read;
mod reservation_wire;
mod reservations;
mod reserve;
mod update;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use evenstock_app::{Clock, IdempotencyStore, ReservationStore, Scope, StockStore};
use evenstock_domain::EventIdKey;
use evenstock_runtime::http::{AccessControl, CursorKey, require, shell};

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
    S: StockStore + IdempotencyStore + ReservationStore + 'static,
    C: Clock + 'static,
{
    shell(routes(inventory, access))
}

/// The function's routes, without the shell around them.
///
/// A SKU may hold a slash. Some gateways hand it over decoded, so the path's whole rest is the SKU.
pub fn routes<S, C>(inventory: Arc<Inventory<S, C>>, access: &AccessControl) -> Router
where
    S: StockStore + IdempotencyStore + ReservationStore + 'static,
    C: Clock + 'static,
{
    let reads = Router::new()
        .route("/inventory", get(read::list::<S, C>))
        .route("/inventory/global/{*product}", get(read::everywhere::<S, C>))
        .route("/inventory/{*product}", get(read::one::<S, C>))
        .route("/reservations/{id}", get(reservations::read::<S, C>))
        .with_state(Arc::clone(&inventory));
    let writes = Router::new()
        .route("/inventory/updates", post(update::update::<S, C>))
        .route("/api/inventory/stores/{storeId}/inventory/{sku}/reserve", post(reserve::reserve_one::<S, C>))
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
