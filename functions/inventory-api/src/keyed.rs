//! Idempotency keys of requests: reading them, binding them, and telling a replay.

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{Answer, Clock, IdempotencyStore, Operation, bind};
use evenstock_domain::{StockLevel, Timestamp};
use evenstock_runtime::http::{ApiError, Caller, CurrentLevel};
use evenstock_runtime::new_id;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Inventory;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An operation, bound to a key or not.
pub(crate) struct Named {
    /// Names its effect.
    pub(crate) name: String,
    /// Its time for ever.
    pub(crate) time: Timestamp,
    /// Whether its key was seen before.
    pub(crate) known: bool,
    /// The key, and the answer that was kept with it.
    pub(crate) kept: Option<(String, Option<String>)>,
}

pub(crate) fn read_key(key: &str) -> Result<String, &'static str> {
    if (1..=255).contains(&key.chars().count()) { Ok(key.to_owned()) } else { Err("must be 1 to 255 characters") }
}

pub(crate) fn header_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| "must be printable");
    text.and_then(read_key).map(Some).map_err(|issue| ApiError::bad_field("Idempotency-Key", issue))
}

/// A request's hash: of what is asked for, not of how it was written down.
pub(crate) fn request_hash(canonical: &Value) -> [u8; 32] {
    Sha256::digest(canonical.to_string().as_bytes()).into()
}

pub(crate) fn key_reused() -> ApiError {
    ApiError::unprocessable("the idempotency key was used for another request", None)
}

/// Binds a request to its key. Without one it is an operation of its own, each time.
pub(crate) async fn named<S: IdempotencyStore, C: Clock>(
    inventory: &Inventory<S, C>,
    caller: &Caller,
    key: Option<String>,
    canonical: &Value,
) -> Result<Named, ApiError> {
    let Some(key) = key else {
        let name = format!("operation/{}", new_id());
        return Ok(Named { name, time: inventory.clock.now(), known: false, kept: None });
    };
    let hash = request_hash(canonical);
    match bind(&*inventory.store, &inventory.clock, &caller.organization, &key, hash).await? {
        Operation::KeyReused => Err(key_reused()),
        Operation::Bound { name, time, known, answer } => Ok(Named { name, time, known, kept: Some((key, answer)) }),
    }
}

/// An answer, marked when it is that of an earlier request.
pub(crate) fn answered(body: impl serde::Serialize, replayed: bool) -> Response {
    answered_as(StatusCode::OK, body, replayed)
}

/// An answer with another status than 200.
pub(crate) fn answered_as(status: StatusCode, body: impl serde::Serialize, replayed: bool) -> Response {
    let mut response = (status, Json(body)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    response
}

/// Why a level refused a request, with the level.
pub(crate) fn refusal(answer: &Answer, level: &StockLevel) -> ApiError {
    let current = Some(CurrentLevel { available: level.sellable(), version: level.version });
    match answer {
        Answer::VersionConflict => ApiError::conflict("the level has another version", current),
        Answer::Insufficient if level.policy.safety_stock.get() > 0 => {
            ApiError::unprocessable("not enough stock above the safety stock", current)
        }
        Answer::Insufficient => ApiError::unprocessable("not enough stock", current),
        Answer::Rejected(reason) => ApiError::unprocessable(format!("refused: {reason}"), current),
        // Applied answers do not come here.
        Answer::Applied(_) => ApiError::unprocessable("refused", current),
    }
}

/// The version that `If-Match` asks for: `Some(None)` for whatever it is.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Option<u64>>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Some(None));
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse() {
        Ok(version) if digits => Ok(Some(Some(version))),
        _ => Err(ApiError::bad_field("If-Match", "must be a version such as \"3\", 3 or *")),
    }
}
