//! Looking at dead letters and giving them back, for this machine alone: `/local/dlq/{queue}` with a key that may
//! administer. A queue goes by its name (`stock-changes`) or by its logical id in the template.

use axum::extract::{Path, Query, State};
use axum::response::Json;
use axum::routing::{get, post};
use axum::{Extension, Router};
use evenstock_app::{QueueName, StockChange};
use evenstock_domain::Timestamp;
use evenstock_runtime::http::{ApiError, Caller};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::queue::{self, DeadLetter, LocalQueueError, LocalQueues};

/// Letters that one answer lists.
const LISTED_MAX: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Which {
    message_id: Option<String>,
    /// Apply what was refused for its age alone: somebody has looked at it.
    #[serde(default)]
    force: bool,
}

/// The routes, without the check of keys around them.
pub(crate) fn routes(queues: LocalQueues) -> Router {
    Router::new()
        .route("/local/dlq/{queue}", get(list))
        .route("/local/dlq/{queue}/{message}", get(show))
        .route("/local/dlq/{queue}/redrive", post(redrive))
        .with_state(queues)
}

async fn list(State(queues): State<LocalQueues>, Path(queue): Path<String>) -> Result<Json<Value>, ApiError> {
    let letters = queues.dead_letters(&logical_id(&queue), LISTED_MAX).await.map_err(refused)?;
    Ok(Json(json!({ "items": letters.iter().map(summary).collect::<Vec<_>>() })))
}

async fn show(
    State(queues): State<LocalQueues>,
    Path((queue, message)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let letter = queues.dead_letter(&logical_id(&queue), &message).await.map_err(refused)?;
    let letter = letter.ok_or_else(|| ApiError::not_found("there is no such dead letter"))?;
    let mut shown = summary(&letter);
    let body = serde_json::from_str(&letter.body).unwrap_or_else(|_| Value::from(letter.body.as_str()));
    if let Some(object) = shown.as_object_mut() {
        object.insert("body".to_owned(), body);
    }
    Ok(Json(shown))
}

async fn redrive(
    State(queues): State<LocalQueues>,
    Extension(caller): Extension<Caller>,
    Path(queue): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, ApiError> {
    let queue = logical_id(&queue);
    if !which.force {
        let redriven = queues.redrive(&queue, which.message_id).await.map_err(refused)?;
        tracing::info!(queue, redriven, key.id = caller.key.id, "dead letters of {queue} are given back");
        return Ok(Json(json!({ "redriven": redriven })));
    }
    if queue != queue::logical_id(QueueName::StockChanges) {
        return Err(ApiError::bad_field("force", "only stock changes are refused for their age"));
    }
    let forced = |body: &str| StockChange::from_json(body).ok()?.forced()?.to_json().ok();
    let (redriven, forced) = queues.redrive_rewritten(&queue, which.message_id, forced).await.map_err(refused)?;
    tracing::warn!(queue, redriven, forced, key.id = caller.key.id, "changes of any age are to be applied now");
    Ok(Json(json!({ "redriven": redriven, "forced": forced })))
}

/// The template's name of a queue: `stock-changes` is `StockChangesQueue` there. Other names are taken as they are.
pub(crate) fn logical_id(name: &str) -> String {
    if name.starts_with(char::is_uppercase) {
        return name.to_owned();
    }
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    let camel: String = name.split('-').map(capital).collect();
    if camel.ends_with("Dlq") { camel } else { format!("{camel}Queue") }
}

fn summary(letter: &DeadLetter) -> Value {
    let time = |millis| Timestamp::from_millis(millis).map(|time| time.to_string()).ok();
    let (reason, attempts, first, last) = match &letter.failure {
        Some(failure) => {
            let (first, last) = (time(failure.first_at_ms), time(failure.last_at_ms));
            (json!(failure.reason), json!(failure.attempts), json!(first), json!(last))
        }
        None => own_words(&letter.body),
    };
    json!({
        "messageId": letter.message_id,
        "organization": letter.organization,
        "reason": reason,
        "attempts": attempts,
        "firstFailedAt": first,
        "lastFailedAt": last,
        "sentAt": time(letter.sent_at_ms),
    })
}

/// Reason, attempts, first and last time of a letter that a function wrote itself, as far as it says.
fn own_words(body: &str) -> (Value, Value, Value, Value) {
    let letter: Value = serde_json::from_str(body).unwrap_or_default();
    let told = letter.get("deadLetter").unwrap_or(&letter);
    let of = |name: &str| told.get(name).cloned().unwrap_or_default();
    let reason = told.get("reason").cloned().unwrap_or_else(|| json!("whoever received it never answered"));
    (reason, of("attempts"), of("firstAt"), of("lastAt"))
}

pub(crate) fn refused(error: LocalQueueError) -> ApiError {
    match error {
        LocalQueueError::UnknownQueue(name) => ApiError::not_found(format!("there is no such queue: {name}")),
        error => ApiError::unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::logical_id;

    #[test]
    fn queues_go_by_either_name() {
        for (name, id) in [
            ("stock-changes", "StockChangesQueue"),
            ("poll-jobs", "PollJobsQueue"),
            ("stream-dlq", "StreamDlq"),
            ("StockChangesQueue", "StockChangesQueue"),
            ("", "Queue"),
        ] {
            assert_eq!(logical_id(name), id);
        }
    }
}
