//! Events as the gateway sends them, and compressed answers as it takes them.

use std::io::Read;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use evenstock_runtime::http::restore_path;
use serde_json::Value;
use tower::ServiceExt;

use crate::Function;

async fn compressed(request: Request<Body>, function: &Function) -> (Option<String>, Vec<u8>) {
    let response = function.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let encoding = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
    (encoding, to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec())
}

fn unpack(bytes: &[u8]) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn event_of_the_gateway_is_answered_compressed() {
    let function = Function::new();
    for units in [5, -2, -4] {
        function.changed("SKU-1", "main", units).await;
    }
    let event = include_str!("../../../../events/replication-api.json");
    let request = restore_path(lambda_http::request::from_str(event).unwrap());
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    let (encoding, bytes) = compressed(request, &function).await;
    assert_eq!(encoding.as_deref(), Some("gzip"));
    let body = unpack(&bytes);
    assert_eq!((body["events"].as_array().unwrap().len(), &body["hasMore"]), (2, &Value::Bool(true)));
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_understand_it() {
    let function = Function::new();
    for n in 0..30 {
        function.changed(&format!("SKU-{n}"), "main", 1).await;
    }
    for path in ["/replication/snapshot", "/replication/changes?fromOffset=0"] {
        let ask = |accept: &str| {
            let request = Request::builder().uri(path).header("x-api-key", "demo").header("accept-encoding", accept);
            request.body(Body::empty()).unwrap()
        };
        let (encoding, plain) = compressed(ask("identity"), &function).await;
        assert_eq!(encoding, None);
        let (encoding, packed) = compressed(ask("gzip"), &function).await;
        assert_eq!(encoding.as_deref(), Some("gzip"));
        assert!(packed.len() * 3 < plain.len(), "{} of {}", packed.len(), plain.len());
        assert_eq!(unpack(&packed), serde_json::from_slice::<Value>(&plain).unwrap());
    }
}

/// Lambda's answers are text; what is compressed must go as base64.
#[tokio::test]
async fn compressed_answers_leave_lambda_as_base64() {
    use lambda_http::IntoResponse;
    let response =
        axum::http::Response::builder().header("content-encoding", "gzip").header("content-type", "application/json");
    let answer = response.body(Body::from("packed")).unwrap().into_response().await;
    assert!(matches!(answer.into_body(), lambda_http::Body::Binary(_)));
}
