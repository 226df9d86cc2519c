//! `GET /store/intents`: the writes that wait, and those that the centre refused. `DELETE /store/intents/{key}`: a
//! refused one that somebody looked at.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use evenstock_domain::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use crate::intent::{Kept, Outcome};
use crate::node::Node;

const LIMIT_DEFAULT: u32 = 50;

const LIMIT_MAX: u32 = 500;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// In the order in which they were queued.
pub(super) async fn list(
    State(node): State<Arc<Node>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_field("query", &error.body_text()))?;
    let mut issues = Vec::new();
    let mut refuse = |field: &str, issue: String| issues.push((field.to_owned(), issue));
    let state = match query.state.as_deref() {
        None | Some("") => None,
        Some("queued") => Some("queued"),
        Some("refused") => Some("refused"),
        Some("done") => Some("done"),
        Some(_) => {
            refuse("state", "must be queued, refused or done".to_owned());
            None
        }
    };
    let limit = match query.limit.as_deref() {
        None => Some(LIMIT_DEFAULT),
        Some(text) => text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)),
    };
    let limit = limit.unwrap_or_else(|| {
        refuse("limit", format!("must be a whole number from 1 to {LIMIT_MAX}"));
        1
    });
    let after = match query.cursor.as_deref() {
        None | Some("") => 0,
        Some(cursor) => i64::from_str_radix(cursor, 16).ok().filter(|after| *after > 0).unwrap_or_else(|| {
            refuse("cursor", "is not a cursor of this listing".to_owned());
            0
        }),
    };
    if !issues.is_empty() {
        return Err(ApiError::bad_fields(&issues));
    }
    let mut kept = node.intents.list(state, after, limit + 1).await?;
    let more = kept.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    kept.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = kept.last().filter(|_| more).map(|last| format!("{:x}", last.position)).unwrap_or_default();
    let items: Vec<_> = kept.iter().map(item).collect();
    Ok(Json(json!({ "items": items, "nextCursor": next })))
}

fn item(kept: &Kept) -> Value {
    let Kept { store, intent, sent_version, queued_at, settled_at, outcome, .. } = kept;
    let (state, answer) = match outcome {
        Outcome::Queued => ("queued", Value::Null),
        Outcome::Done(body) => ("done", json!({ "status": 200, "body": body })),
        Outcome::Refused(refusal) => ("refused", json!({ "status": refusal.status, "body": refusal.body })),
    };
    json!({
        "idempotencyKey": intent.key, "productId": intent.product, "storeId": store, "delta": intent.delta,
        "version": intent.version, "sentVersion": sent_version, "state": state, "queuedAt": queued_at.to_string(),
        "settledAt": settled_at.map(|at: Timestamp| at.to_string()), "answer": answer,
    })
}

/// Forgets a refused write, which frees its key.
pub(super) async fn forget(State(node): State<Arc<Node>>, Path(key): Path<String>) -> Result<StatusCode, ApiError> {
    if node.intents.forget_refused(&key).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    match node.intents.find(&key).await? {
        Some(Kept { outcome: Outcome::Queued, .. }) => {
            Err(ApiError::new(409, "conflict", "this write waits to be sent; only refused ones can be deleted"))
        }
        _ => Err(ApiError::not_found("no write was refused under this key")),
    }
}
