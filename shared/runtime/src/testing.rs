//! Asks a router as a client would, and checks what every answer must have. Only with the feature `testing`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these functions are parts of test bodies"
)]

mod contract;
mod ids;
mod log;

use axum::Router;
use axum::body::{Bytes, HttpBody, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use tower::ServiceExt;

pub use contract::{Broken, Contract};
pub use ids::repeat_ids;
pub(crate) use ids::repeated_id;
pub use log::CapturedLog;

/// The greatest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; `null` when it is none.
    pub body: Value,
}

/// Sends a request through every layer of the router. Every answer must carry a request id.
pub async fn ask<B>(router: &Router, request: Request<B>) -> Reply
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, ANSWER_BYTES_MAX).await.unwrap().to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, text, body };
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{reply:?}");
    reply
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and code of an error, which must have the one shape that errors have.
    pub fn refusal(&self) -> (u16, &str) {
        let body = self.body.as_object().expect("an error has a JSON object");
        let known = ["code", "message", "details", "requestId", "current"];
        assert!(body.keys().all(|name| known.contains(&name.as_str())), "{self:?}");
        assert!(!text(&self.body, "message").is_empty(), "{self:?}");
        assert_eq!(self.header("x-request-id"), Some(text(&self.body, "requestId")));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(body.get("details").is_some_and(Value::is_array), "{self:?}");
        if [429, 503].contains(&self.status) {
            let wait: u32 = self.header("retry-after").expect("how long to wait").parse().unwrap();
            assert!(wait > 0, "{self:?}");
        }
        (self.status, text(&self.body, "code"))
    }

    /// The fields that an error complains of, each with what is wrong.
    pub fn issues(&self) -> Vec<(&str, &str)> {
        let details = self.body.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        details.iter().map(|detail| (text(detail, "field"), text(detail, "issue"))).collect()
    }

    /// The names of the fields that an error complains of, in order.
    pub fn fields(&self) -> Vec<&str> {
        self.issues().into_iter().map(|(field, _)| field).collect()
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).expect(name)
}
