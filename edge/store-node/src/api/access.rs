//! The key of the node's own clients.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use crate::node::Node;

/// The hash of a key, so that comparing takes the same time whatever was sent.
#[derive(Clone)]
pub(crate) struct ClientKey([u8; 32]);

impl ClientKey {
    /// The key that clients must send.
    pub(crate) fn new(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    fn is(&self, sent: &str) -> bool {
        let sent: [u8; 32] = Sha256::digest(sent.as_bytes()).into();
        self.0.iter().zip(sent).fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs)) == 0
    }
}

/// Lets only clients with the key pass, when there is one.
pub(super) async fn check(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let allowed = node.clients.as_ref().is_none_or(|key| sent(request.headers()).is_some_and(|sent| key.is(sent)));
    if allowed {
        next.run(request).await
    } else {
        ApiError::new(401, "unauthorized", "missing or wrong API key").into_response()
    }
}

fn sent(headers: &HeaderMap) -> Option<&str> {
    let header = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    header("x-api-key").or_else(|| {
        let (scheme, key) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start())
    })
}
