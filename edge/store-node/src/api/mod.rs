//! What the shop's own clients ask: reads, writes, the queue, health. Errors look like the centre's.

mod access;
mod batch;
mod body;
mod error;
mod health;
mod queue;
mod read;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};

pub(crate) use access::ClientKey;

use crate::node::Node;
use error::ApiError;

/// The largest body that is read, in bytes; the centre's limit.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The node as an HTTP service. A SKU or a key may hold a slash, so the path's whole rest is taken for it.
pub(crate) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/store/inventory/updates", post(write::update))
        .route("/store/inventory/{*product}", get(read::level))
        .route("/store/intents", get(queue::list))
        .route("/store/intents/{*key}", delete(queue::forget))
        .route_layer(from_fn_with_state(Arc::clone(&node), access::check))
        .route("/health", get(health::show))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(async || ApiError::not_found("there is no such path"))
        .method_not_allowed_fallback(async || ApiError::new(405, "bad_request", "this path has no such method"))
        .layer(from_fn(error::finish))
        .with_state(node)
}
