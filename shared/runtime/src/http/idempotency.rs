//! Idempotency keys of requests: reading them, binding them, keeping answers, and telling a replay.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use evenstock_app::{Clock, IdempotencyStore, Operation, bind, keep_answer};
use evenstock_domain::{OrganizationId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ApiError;
use crate::new_id;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A request that is an operation of its own, or the same one each time it is sent under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundRequest {
    /// Names its effect.
    pub name: String,
    /// Its time for ever.
    pub time: Timestamp,
    /// Whether its key was seen before.
    pub known: bool,
    organization: OrganizationId,
    /// The key, and the answer that was kept with it.
    kept: Option<(String, Option<String>)>,
}

impl BoundRequest {
    /// Binds a request to its key; `canonical` says what is asked for, beginning with method and path. Without a key it
    /// is an operation of its own, each time.
    ///
    /// # Errors
    /// A 422 when the key stands for another request; 500 or 503 when the store fails.
    pub async fn bind<S: IdempotencyStore, C: Clock>(
        store: &S,
        clock: &C,
        organization: &OrganizationId,
        key: Option<String>,
        canonical: &Value,
    ) -> Result<Self, ApiError> {
        let organization = organization.clone();
        let Some(key) = key else {
            let name = format!("operation/{}", new_id());
            return Ok(Self { name, time: clock.now(), known: false, organization, kept: None });
        };
        match bind(store, clock, &organization, &key, request_hash(canonical)).await? {
            Operation::KeyReused => Err(key_reused()),
            Operation::Bound { name, time, known, answer } => {
                Ok(Self { name, time, known, organization, kept: Some((key, answer)) })
            }
        }
    }

    /// A name for what the operation makes: the same for every repetition, and no other operation's.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(format!("{}/{}", self.organization, self.name));
        hex::encode(digest.get(..16).unwrap_or_default())
    }

    /// The answer that an earlier request under the key was given.
    ///
    /// # Errors
    /// A 500 when it cannot be read.
    pub fn answer<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let kept = self.kept.as_ref().and_then(|(_, answer)| answer.as_deref());
        kept.map(serde_json::from_str).transpose().map_err(ApiError::internal)
    }

    /// Keeps the answer for replays, if there is a key, and gives the one that counts: a twin may have been faster. To be
    /// called once the effect is durable.
    ///
    /// # Errors
    /// 500 or 503 when the store fails; the caller may send the same request again.
    pub async fn keep<S: IdempotencyStore, C: Clock, T: Serialize + DeserializeOwned>(
        &self,
        store: &S,
        clock: &C,
        body: T,
    ) -> Result<T, ApiError> {
        let Some((key, _)) = &self.kept else {
            return Ok(body);
        };
        let answer = serde_json::to_string(&body).map_err(ApiError::internal)?;
        let kept = keep_answer(store, clock, &self.organization, key, self.time, answer).await?;
        serde_json::from_str(&kept).map_err(ApiError::internal)
    }
}

/// A key: 1 to 255 characters.
///
/// # Errors
/// What is wrong with it.
pub fn read_key(key: &str) -> Result<String, &'static str> {
    if (1..=255).contains(&key.chars().count()) { Ok(key.to_owned()) } else { Err("must be 1 to 255 characters") }
}

/// The key of the header, if there is one.
///
/// # Errors
/// A 400 that names the header.
pub fn header_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| "must be printable");
    text.and_then(read_key).map(Some).map_err(|issue| ApiError::bad_field("Idempotency-Key", issue))
}

/// A request's hash: of what is asked for, not of how it was written down.
pub fn request_hash(canonical: &Value) -> [u8; 32] {
    Sha256::digest(canonical.to_string().as_bytes()).into()
}

/// The key stands for another request.
pub fn key_reused() -> ApiError {
    ApiError::unprocessable("the idempotency key was used for another request", None)
}

/// An answer, marked when it is that of an earlier request.
pub fn answered(status: StatusCode, body: impl Serialize, replayed: bool) -> Response {
    let mut response = (status, Json(body)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    response
}
