//! Errors as callers see them. The cause of a 500 or 503 goes to the log, never to the caller.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use evenstock_app::{QueueError, SealError, StoreError, with_causes};
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldIssue {
    /// The field's name, `updates[3].delta` for one inside a list.
    pub field: String,
    /// What is wrong, as the end of a sentence that begins with the field.
    pub issue: String,
}

/// The level that a refused request met, so that the caller can go on from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CurrentLevel {
    /// Units that can be sold.
    pub available: i64,
    /// The current version.
    pub version: u64,
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// Stable name of the kind of error.
    pub code: &'static str,
    /// What happened, for people.
    pub message: String,
    /// Every field that is wrong.
    pub details: Vec<FieldIssue>,
    /// Names this request in our logs.
    pub request_id: String,
    /// The level as it stands, for conflicts and refusals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<CurrentLevel>,
}

/// An error on its way to the caller. The shell writes the body, because only it knows the request's id.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) details: Vec<FieldIssue>,
    pub(super) current: Option<CurrentLevel>,
    pub(super) retry_after_seconds: Option<u32>,
    pub(super) cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, details: Vec::new(), current: None, retry_after_seconds: None, cause: None }
    }

    /// 400: the request itself is wrong, in these fields.
    pub fn bad_request(details: Vec<FieldIssue>) -> Self {
        let list: Vec<_> = details.iter().map(|detail| format!("{} {}", detail.field, detail.issue)).collect();
        let message = if list.is_empty() { "the request cannot be read".to_owned() } else { list.join("; ") };
        Self { details, ..Self::new(StatusCode::BAD_REQUEST, "bad_request", message) }
    }

    /// 400 with one field.
    pub fn bad_field(field: impl Into<String>, issue: impl Into<String>) -> Self {
        Self::bad_request(vec![FieldIssue { field: field.into(), issue: issue.into() }])
    }

    /// 401: no proof of who is calling. Says nothing about why.
    pub fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: there is no such thing, or none that this caller may know of.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 405: the path exists, this method on it does not.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", "this path has no such method")
    }

    /// 409: the caller's picture is out of date.
    pub fn conflict(message: impl Into<String>, current: Option<CurrentLevel>) -> Self {
        Self { current, ..Self::new(StatusCode::CONFLICT, "conflict", message) }
    }

    /// 410: it was there, and is kept no longer.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", message)
    }

    /// 413: the body is larger than this endpoint reads.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large")
    }

    /// 422: understood, and against the rules.
    pub fn unprocessable(message: impl Into<String>, current: Option<CurrentLevel>) -> Self {
        Self { current, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", message) }
    }

    /// 429: slower, please.
    pub fn rate_limited(retry_after_seconds: u32) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests");
        Self { retry_after_seconds: Some(retry_after_seconds), ..error }
    }

    /// 500: a bug, or something that an operator must look at.
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error");
        Self { cause: Some(Arc::new(cause)), ..error }
    }

    /// 503: not now; the same request may be sent again.
    pub fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "temporarily unavailable");
        Self { retry_after_seconds: Some(1), cause: Some(Arc::new(cause)), ..error }
    }

    /// 503 because too much waits already.
    pub fn overloaded(retry_after_seconds: u32) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "too much waits already");
        Self { retry_after_seconds: Some(retry_after_seconds), ..error }
    }

    /// 503 because something that this needs was never set up.
    pub fn not_configured(message: &str) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Self { retry_after_seconds: Some(60), ..error }
    }

    /// This error with the fields that it is about.
    #[must_use]
    pub fn with_details(self, details: Vec<FieldIssue>) -> Self {
        Self { details, ..self }
    }

    /// The fields that it is about.
    pub fn details(&self) -> &[FieldIssue] {
        &self.details
    }

    /// The kind of error, for answers that list several.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Writes the cause to the log, when it is one of ours to mend and no answer will carry it: for answers that list
    /// several results. The shell does it for all others.
    pub fn log(&self, context: &str) {
        if let Some(cause) = self.cause.as_deref() {
            tracing::error!(status = self.status.as_u16(), cause = with_causes(cause), "{context}");
        }
    }

    pub(super) fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            code: self.code,
            message: self.message.clone(),
            details: self.details.clone(),
            request_id: request_id.to_owned(),
            current: self.current,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_passing() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        if error.is_passing() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::unavailable(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}
