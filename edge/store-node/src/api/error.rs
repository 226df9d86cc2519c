//! Errors as clients see them, in the centre's shape: `{code, message, details, requestId}`. The cause of a 500 goes to
//! the log, never to the client.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use evenstock_telemetry::{TraceContext, within};
use serde_json::{Map, Value, json};
use tracing::field::Empty;
use tracing::{Instrument, error, info_span};

use crate::cli::with_causes;
use crate::database::DatabaseError;
use crate::intent::Refusal;

/// The id of the request in work; its own, or the client's. The centre is told the same.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// An error on its way to the client. The outermost layer writes the body, because only it knows the request's id.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: u16,
    body: Map<String, Value>,
    retry_after_seconds: Option<u64>,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        let mut body = Map::new();
        body.insert("code".to_owned(), json!(code));
        body.insert("message".to_owned(), json!(message));
        body.insert("details".to_owned(), json!([]));
        Self { status, body, retry_after_seconds: None }
    }

    /// 400: these fields are wrong, each with what is wrong.
    pub(super) fn bad_fields(issues: &[(String, String)]) -> Self {
        let message: Vec<_> = issues.iter().map(|(field, issue)| format!("{field} {issue}")).collect();
        let details: Vec<_> = issues.iter().map(|(field, issue)| json!({ "field": field, "issue": issue })).collect();
        let mut error = Self::new(400, "bad_request", &message.join("; "));
        error.body.insert("details".to_owned(), json!(details));
        error
    }

    /// 400 with one field.
    pub(super) fn bad_field(field: &str, issue: &str) -> Self {
        Self::bad_fields(&[(field.to_owned(), issue.to_owned())])
    }

    /// 404.
    pub(super) fn not_found(message: &str) -> Self {
        Self::new(404, "not_found", message)
    }

    /// 422: the key stands for another write.
    pub(super) fn key_reused() -> Self {
        Self::new(422, "unprocessable", "the idempotency key was used for another request")
    }

    /// 503: not now.
    pub(super) fn unavailable(message: &str, retry_after_seconds: u64) -> Self {
        Self { retry_after_seconds: Some(retry_after_seconds), ..Self::new(503, "unavailable", message) }
    }

    /// 429, handed on from the centre.
    pub(super) fn busy(retry_after_seconds: u64) -> Self {
        let error = Self::new(429, "rate_limited", "the centre asks for fewer requests");
        Self { retry_after_seconds: Some(retry_after_seconds), ..error }
    }

    /// The kind and the message, for answers that list several.
    pub(super) fn code_and_message(&self) -> (Value, Value) {
        let field = |name| self.body.get(name).cloned().unwrap_or_default();
        (field("code"), field("message"))
    }
}

/// The centre's refusal in its own words.
impl From<Refusal> for ApiError {
    fn from(Refusal { status, body }: Refusal) -> Self {
        Self { status, body, retry_after_seconds: None }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(failed: DatabaseError) -> Self {
        error!(cause = with_causes(&failed), "a request failed");
        Self::new(500, "internal", "internal error")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The outermost layer: a request id on every answer, and one shape for every error.
pub(super) async fn finish(mut request: Request, next: Next) -> Response {
    let given = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).filter(|id| is_usable(id));
    let id = given.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let caller = caller_of(request.headers());
    let (mut response, span) = within(caller, async {
        let (method, route) = (request.method().as_str(), request.extensions().get::<MatchedPath>());
        let route = route.map_or("unknown", MatchedPath::as_str);
        let span = info_span!(
            "request", otel.name = %format_args!("{method} {route}"), otel.kind = "server", request.id = id,
            http.request.method = method, http.route = route, http.response.status_code = Empty
        );
        (next.run(request).instrument(span.clone()).await, span)
    })
    .await;
    span.record("http.response.status_code", response.status().as_u16());
    let failed = response.extensions_mut().remove::<ApiError>().or_else(|| foreign(response.status()));
    if let Some(mut failed) = failed {
        failed.body.insert("requestId".to_owned(), json!(id));
        *response.body_mut() = Body::from(Value::Object(failed.body).to_string());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = failed.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Where in a trace the caller stands; `None` when it names none, or none that is valid.
fn caller_of(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::parse(text("traceparent")?, text("tracestate"))
}

/// What a library answered.
fn foreign(status: StatusCode) -> Option<ApiError> {
    match status.as_u16() {
        400 => Some(ApiError::new(400, "bad_request", "the request cannot be read")),
        413 => Some(ApiError::new(413, "too_large", "the body is too large")),
        500 => Some(ApiError::new(500, "internal", "internal error")),
        _ => None,
    }
}

fn is_usable(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
