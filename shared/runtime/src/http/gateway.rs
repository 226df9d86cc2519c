//! Paths as the gateway hands them over.
//!
//! An HTTP API decodes the path before it passes it on. Read as a path again, a SKU's `#` would end it, and a caller
//! would be told about another product.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use lambda_http::{Request, RequestExt};

/// Gives a request from the gateway the path that its caller asked for. To be called before the request is routed.
///
/// A gateway that does not decode changes nothing by it. A SKU with a `%` before two hexadecimal digits cannot be told
/// from an encoded one and is decoded twice.
pub fn restore_path(mut request: Request) -> Request {
    let path = encoded(request.raw_http_path());
    let query = request.query_string_parameters_ref().map(|query| query.to_query_string()).unwrap_or_default();
    let whole = if query.is_empty() { path } else { format!("{path}?{query}") };
    let mut parts = request.uri().clone().into_parts();
    // Both were encoded, so neither step has a failing path.
    if let Ok(whole) = PathAndQuery::try_from(whole) {
        parts.path_and_query = Some(whole);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Encodes what cannot stand in a path, and leaves alone what is encoded.
fn encoded(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let is_escape =
        |place: usize| bytes.get(place + 1..place + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let mut path = String::with_capacity(raw.len());
    for (place, byte) in bytes.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(byte);
        if plain || (*byte == b'%' && is_escape(place)) {
            path.push(char::from(*byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}
