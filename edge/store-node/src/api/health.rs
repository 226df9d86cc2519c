//! `GET /health`: open to everybody, so it names no key and no stock.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;
use serde_json::{Value, json};

use super::error::ApiError;
use crate::node::Node;
use crate::status::Trouble;

/// How the node is. Status 200 as long as it can answer: a centre that is away is what the node is there for.
pub(super) async fn show(State(node): State<Arc<Node>>) -> Result<Json<Value>, ApiError> {
    let progress = node.cache.progress().await?;
    let (counts, held) = (node.intents.counts().await?, node.intents.held().await?);
    let view = node.status.view();
    let bootstrapped = progress.offset.is_some();
    let trouble = |trouble: Trouble| json!({ "message": trouble.what, "at": trouble.at.to_string() });
    let status = match (bootstrapped, view.stale || held.is_some() || view.sending.is_some()) {
        (false, _) => "starting",
        (true, true) => "degraded",
        (true, false) => "ok",
    };
    Ok(Json(json!({
        "status": status,
        "storeId": node.store.as_str(),
        "bootstrapped": bootstrapped,
        "stale": view.stale,
        "offset": progress.offset,
        "lagMs": node.lag_ms(progress),
        "queue": {
            "depth": counts.queued, "limit": node.queue.limit, "refused": counts.refused,
            "held": held, "stuck": view.sending.map(trouble),
        },
        "lastError": view.last.map(trouble),
    })))
}
