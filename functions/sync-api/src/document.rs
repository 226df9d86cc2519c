//! `GET /openapi.json`: the description of all functions' endpoints, as it was generated from the code.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// The document. A test of the local runner, which knows all functions, keeps it to the code.
pub const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

static TAG: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(DOCUMENT);
    format!("\"{}\"", hex::encode(digest.get(..8).unwrap_or_default()))
});

pub(crate) async fn show(headers: HeaderMap) -> Response {
    let tag = [(ETAG, TAG.as_str())];
    let known =
        |tags: &str| tags.split(',').any(|tag| [TAG.as_str(), "*"].contains(&tag.trim().trim_start_matches("W/")));
    if headers.get_all(IF_NONE_MATCH).iter().any(|tags| tags.to_str().is_ok_and(known)) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, [(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
