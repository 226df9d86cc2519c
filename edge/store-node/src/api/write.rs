//! `POST /store/inventory/updates`: handed on to the centre; kept when it is away.
//!
//! While anything waits, a new write waits behind it, so that the centre sees this shop's writes in the order in which
//! they were made.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use super::batch;
use super::body::{self, Asked, Writes};
use super::error::{ApiError, RequestId};
use crate::centre::Failure;
use crate::intent::{Intent, Kept, Outcome};
use crate::intents::Enqueued;
use crate::node::{Node, now};
use crate::replay::said;

static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Seconds after which a write that found no place may come again.
const RETRY_SECONDS: u64 = 5;

/// What a write came to.
pub(super) enum Written {
    /// The centre applied it.
    Applied {
        body: Map<String, Value>,
        /// By an earlier request under the same key.
        replayed: bool,
    },
    /// It waits, as the so manyeth.
    Queued(u64),
}

/// Handles one write or a list of them. The work goes on when the client hangs up: what was sent must be settled.
pub(super) async fn update(
    State(node): State<Arc<Node>>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Asked { store, writes } = body::read(&headers, &body)?;
    if store != node.store {
        let message = format!("this node stands for the store {}", node.store);
        return Err(ApiError::new(403, "forbidden", &message));
    }
    let work = async move {
        match writes {
            Writes::One(intent) => Ok(answer(one(&node, intent, &id).await?)),
            Writes::Several(body) => batch::several(&node, &body, &id).await,
        }
    };
    tokio::spawn(work).await.unwrap_or_else(|_| Err(ApiError::new(500, "internal", "internal error")))
}

fn answer(written: Written) -> Response {
    match written {
        Written::Applied { body, replayed } => {
            let mut response = Json(body).into_response();
            if replayed {
                response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
            }
            response
        }
        Written::Queued(position) => {
            (StatusCode::ACCEPTED, Json(json!({ "queued": true, "position": position }))).into_response()
        }
    }
}

async fn one(node: &Node, intent: Intent, request_id: &str) -> Result<Written, ApiError> {
    if let Some(kept) = node.intents.find(&intent.key).await? {
        return known(node, kept, &intent).await;
    }
    if !node.intents.is_empty().await? {
        return keep(node, intent, false).await;
    }
    match node.centre.update(&intent, &node.store, intent.version, request_id).await {
        Ok(answer) => {
            node.heard(said(&answer, node.store.as_str())).await;
            Ok(Written::Applied { body: answer.body, replayed: answer.replayed })
        }
        Err(Failure::Refused(refusal)) => Err(refusal.into()),
        Err(Failure::Busy { retry_after }) => Err(busy(retry_after)),
        Err(failure) => {
            node.write_failed(&failure);
            keep(node, intent, failure.may_have_arrived()).await
        }
    }
}

pub(super) fn busy(retry_after: Option<core::time::Duration>) -> ApiError {
    ApiError::busy(retry_after.map_or(1, |wait| wait.as_secs().max(1)))
}

/// Puts a write into the queue; it is on disk when this returns.
pub(super) async fn keep(node: &Node, intent: Intent, may_have_arrived: bool) -> Result<Written, ApiError> {
    if !node.queue.writes {
        return Err(ApiError::unavailable("the centre cannot be reached", RETRY_SECONDS));
    }
    let version = intent.version_after_waiting(may_have_arrived, node.queue.versionless);
    match node.intents.enqueue(intent.clone(), node.store.as_str(), version, node.queue.limit, now()).await? {
        Enqueued::Waiting(place) => {
            // Behind others it is sent in its turn.
            if place == 1 {
                node.send.notify_one();
            }
            Ok(Written::Queued(place))
        }
        Enqueued::Known(kept) => known(node, *kept, &intent).await,
        Enqueued::Full => {
            let message = "the centre cannot be reached, and no more writes can wait";
            Err(ApiError::unavailable(message, RETRY_SECONDS))
        }
    }
}

/// What became of a write whose key is known.
pub(super) async fn known(node: &Node, kept: Kept, asked: &Intent) -> Result<Written, ApiError> {
    if kept.intent != *asked || kept.store != node.store.as_str() {
        return Err(ApiError::key_reused());
    }
    match kept.outcome {
        Outcome::Queued => Ok(Written::Queued(node.intents.rank(kept.position).await?.max(1))),
        Outcome::Done(body) => Ok(Written::Applied { body, replayed: true }),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}
