//! Copies of the stock for readers elsewhere: snapshots, and the feed of what changed since.
//!
//! A function of its own, so that long polls never take capacity from sales.

mod changes;
mod openapi;
mod snapshot;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use evenstock_app::{Clock, FeedStore, Scope, StockStore};
use evenstock_runtime::http::{AccessControl, CursorKey, require, shell};
use tower_http::compression::CompressionLayer;

pub use openapi::openapi;
pub use watch::Watch;

/// What the handlers share.
#[derive(Debug)]
pub struct Replication<S, C> {
    /// Levels and feeds.
    pub store: Arc<S>,
    /// Time.
    pub clock: C,
    /// Seals cursors.
    pub cursors: CursorKey,
    /// Who waits for changes in this process.
    pub watch: Watch,
}

/// The function as an HTTP service.
pub fn router<S, C>(replication: Arc<Replication<S, C>>, access: &AccessControl) -> Router
where
    S: StockStore + FeedStore + 'static,
    C: Clock + 'static,
{
    shell(routes(replication, access))
}

/// The function's routes, without the shell around them.
pub fn routes<S, C>(replication: Arc<Replication<S, C>>, access: &AccessControl) -> Router
where
    S: StockStore + FeedStore + 'static,
    C: Clock + 'static,
{
    let reads = Router::new()
        .route("/replication/snapshot", get(snapshot::show::<S, C>))
        .route("/replication/changes", get(changes::show::<S, C>))
        .layer(CompressionLayer::new())
        .with_state(replication);
    require(reads, access, Scope::Read)
}
