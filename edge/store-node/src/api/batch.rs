//! A list of writes in one request, each on its own.
//!
//! Handed on as it is while the centre is there and nothing waits; otherwise each write takes its own place in the
//! queue, under its own key. The centre binds a key to the update and not to the list around it, so a write of a list
//! whose answer was lost can be sent again by itself.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use super::body::read_row;
use super::error::ApiError;
use super::write::{Written, busy, keep, known};
use crate::centre::Failure;
use crate::node::Node;
use crate::replay::about;

/// Handles a list of writes.
pub(super) async fn several(node: &Node, body: &Map<String, Value>, request_id: &str) -> Result<Response, ApiError> {
    let empty = Vec::new();
    let rows = body.get("updates").and_then(Value::as_array).unwrap_or(&empty);
    if !node.intents.is_empty().await? || any_known(node, rows).await? {
        return each(node, rows, false).await;
    }
    match node.centre.updates(body, request_id).await {
        Ok(answer) => {
            let results = answer.body.get("results").and_then(Value::as_array).unwrap_or(&empty);
            let said = results.iter().filter_map(|result| about(result, node.store.as_str())).collect();
            node.heard(said).await;
            Ok(Json(answer.body).into_response())
        }
        Err(Failure::Refused(refusal)) => Err(refusal.into()),
        Err(Failure::Busy { retry_after }) => Err(busy(retry_after)),
        Err(failure) => {
            node.write_failed(&failure);
            each(node, rows, failure.may_have_arrived()).await
        }
    }
}

async fn any_known(node: &Node, rows: &[Value]) -> Result<bool, ApiError> {
    for key in rows.iter().filter_map(|row| row.get("idempotencyKey").and_then(Value::as_str)) {
        if node.intents.find(key).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts each write into the queue, or answers what is known of it. 202 when any of them waits.
async fn each(node: &Node, rows: &[Value], may_have_arrived: bool) -> Result<Response, ApiError> {
    if !node.queue.writes {
        return Err(ApiError::unavailable("the centre cannot be reached", 5));
    }
    let (mut results, mut succeeded, mut queued) = (Vec::with_capacity(rows.len()), 0_usize, 0_usize);
    for row in rows {
        let product = row.get("productId").cloned().unwrap_or_default();
        results.push(match keep_row(node, row, may_have_arrived).await {
            Ok(Written::Applied { body, .. }) => {
                succeeded += 1;
                Value::Object(body)
            }
            Ok(Written::Queued(position)) => {
                queued += 1;
                json!({ "productId": product, "applied": false, "queued": true, "position": position })
            }
            Err(error) => {
                let (code, message) = error.code_and_message();
                json!({ "productId": product, "applied": false, "errorType": code, "errorMessage": message })
            }
        });
    }
    let failed = rows.len() - succeeded - queued;
    let summary = json!({ "total": rows.len(), "succeeded": succeeded, "failed": failed, "queued": queued });
    let status = if queued > 0 { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(json!({ "queued": queued > 0, "results": results, "summary": summary }))).into_response())
}

async fn keep_row(node: &Node, row: &Value, may_have_arrived: bool) -> Result<Written, ApiError> {
    let intent = read_row(row)?;
    match node.intents.find(&intent.key).await? {
        Some(kept) => known(node, kept, &intent).await,
        None => keep(node, intent, may_have_arrived).await,
    }
}
