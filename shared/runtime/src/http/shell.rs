//! The outermost layer: a request id on every answer, one shape for every error, and no panic that escapes.

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use evenstock_app::with_causes;
use evenstock_telemetry::{TraceContext, current, within};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::field::Empty;
use tracing::{Instrument, Span, error, error_span};

use super::ApiError;
use super::measure::measure;
use crate::new_id;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a caller.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The id of the request in work; its own, or the caller's.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Puts the shell around a function's routes.
pub fn shell(routes: Router) -> Router {
    routes
        .fallback(async || ApiError::not_found("there is no such path"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
        .layer(from_fn(finish))
        .layer(from_fn(measure))
}

async fn finish(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_usable(id));
    let id = given.map_or_else(new_id, str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let caller = caller_of(request.headers());
    let (mut response, span) = within(caller, async {
        let span = span_of(&request, &id);
        (next.run(request).instrument(span.clone()).await, span)
    })
    .await;
    let error = response.extensions_mut().remove::<ApiError>();
    // Only errors of this crate may leave: what a panic or a library answered is replaced.
    let error = error.or_else(|| foreign_error(response.status()));
    if let Some(error) = error {
        // Without a cause there is nothing to mend: something was not set up, and the answer says what.
        if let Some(cause) = error.cause.as_deref().map(|cause| with_causes(cause)) {
            let _inside = span.enter();
            error!(request.id = %id, %method, path, status = error.status.as_u16(), cause, "request {id} failed");
        }
        response = with_body(response, &error, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), value);
    }
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Where in a trace the caller stands; `None` when it names none, or none that is valid.
fn caller_of(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::parse(text("traceparent")?, text("tracestate"))
}

/// The request in logs and traces. The route stands for the path, which may hold names of products.
fn span_of(request: &Request, id: &str) -> Span {
    let (method, route) = (request.method().as_str(), request.extensions().get::<MatchedPath>());
    let route = route.map_or("unknown", MatchedPath::as_str);
    // Not because it is an error, but so that at every level of the log the lines of a request carry its id.
    let span = error_span!(
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        request.id = id,
        trace_id = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if let Some(trace) = span.in_scope(current) {
        span.record("trace_id", trace.trace_id());
    }
    span
}

fn is_usable(id: &str) -> bool {
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn foreign_error(status: StatusCode) -> Option<ApiError> {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => Some(ApiError::internal(std::io::Error::other("panic or broken layer"))),
        StatusCode::PAYLOAD_TOO_LARGE => Some(ApiError::too_large()),
        StatusCode::BAD_REQUEST => Some(ApiError::bad_request(Vec::new())),
        _ => None,
    }
}

fn with_body(response: Response, error: &ApiError, id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = error.status;
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = serde_json::to_vec(&error.body(id)).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use rstest::rstest;

    use super::*;
    use crate::testing::{Reply, ask};

    fn routes() -> Router {
        let panics = async || -> &'static str { panic!("hunter2") };
        let breaks = async || ApiError::internal(std::io::Error::other("hunter2"));
        let refuses = async || (StatusCode::BAD_REQUEST, "hunter2");
        let overflows = async || (StatusCode::PAYLOAD_TOO_LARGE, "hunter2");
        let tells_id = async |axum::Extension(RequestId(id)): axum::Extension<RequestId>| id;
        shell(
            Router::new()
                .route("/panic", get(panics))
                .route("/broken", get(breaks))
                .route("/foreign-400", get(refuses))
                .route("/foreign-413", get(overflows))
                .route("/id", post(tells_id)),
        )
    }

    async fn asked(method: &str, path: &str, id: Option<&[u8]>) -> Reply {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        if let Some(id) = id {
            request = request.header("x-request-id", HeaderValue::from_bytes(id).unwrap());
        }
        ask(&routes(), request.body(Body::empty()).unwrap()).await
    }

    #[rstest]
    #[case::panic("GET", "/panic", (500, "internal"))]
    #[case::cause("GET", "/broken", (500, "internal"))]
    #[case::refusal_of_a_library("GET", "/foreign-400", (400, "bad_request"))]
    #[case::limit_of_a_library("GET", "/foreign-413", (413, "too_large"))]
    #[case::unknown_path("GET", "/nowhere", (404, "not_found"))]
    #[case::root("GET", "/", (404, "not_found"))]
    #[case::other_method("DELETE", "/id", (405, "bad_request"))]
    #[tokio::test]
    async fn every_error_leaves_in_one_shape_and_without_its_cause(
        #[case] method: &str,
        #[case] path: &str,
        #[case] expected: (u16, &str),
    ) {
        let reply = asked(method, path, None).await;
        assert_eq!(reply.refusal(), expected);
        assert!(!reply.text.contains("hunter2"), "{reply:?}");
    }

    #[tokio::test]
    async fn other_method_is_told_the_ones_there_are() {
        assert_eq!(asked("GET", "/id", None).await.header("allow"), Some("POST"));
    }

    #[tokio::test]
    async fn given_request_id_is_kept_and_shown_to_the_handler() {
        let longest = "x".repeat(128);
        for id in ["a", "Root=1-6a8f1c00;Parent=\"x\"", &longest] {
            let reply = asked("POST", "/id", Some(id.as_bytes())).await;
            assert_eq!((reply.header("x-request-id"), reply.text.as_str()), (Some(id), id));
        }
    }

    #[rstest]
    #[case::empty(b"")]
    #[case::space(b"two words")]
    #[case::tab(b"a\tb")]
    #[case::not_ascii("🦀".as_bytes())]
    #[case::too_long(&[b'x'; 129])]
    #[tokio::test]
    async fn unusable_request_id_is_replaced(#[case] id: &[u8]) {
        let reply = asked("POST", "/id", Some(id)).await;
        let own = reply.header("x-request-id").unwrap();
        assert_eq!(own, reply.text);
        assert_eq!(own.len(), 36, "a new id: {own}");
    }
}
