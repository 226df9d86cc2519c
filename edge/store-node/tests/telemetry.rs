//! What the node sends to a collector of telemetry, and that it runs without one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use serde_json::Value;
use support::{Centre, Node, change, command, folder};
use tokio::time::sleep;

type Taken = Arc<Mutex<Vec<(String, Value)>>>;

async fn collector() -> (String, Taken) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = Taken::default();
    let kept = Arc::clone(&taken);
    let take = move |uri: Uri, body: Bytes| {
        kept.lock().unwrap().push((uri.path().to_owned(), serde_json::from_slice(&body).unwrap()));
        async { "{}" }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await.unwrap() });
    (url, taken)
}

fn names(taken: &Taken) -> Vec<String> {
    let taken = taken.lock().unwrap();
    let bodies = taken.iter().filter(|(path, _)| path == "/v1/traces");
    let spans = bodies.flat_map(|(_, body)| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap());
    spans.map(|span| span["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn snapshot_and_replay_are_spans_where_a_collector_is_named() {
    let (url, taken) = collector().await;
    let (centre, data) = (Centre::start(), folder());
    let node = Node::spawn(command(&centre.url(), data.path(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)])).await;
    node.in_contact().await;
    assert_eq!(node.write(&change("SKU", 1, None, "k")).await.status, 200);
    let wanted = ["PersistSnapshot", "ReplayEvent", "POST /store/inventory/updates"];
    for _ in 0..200 {
        if wanted.iter().all(|name| names(&taken).iter().any(|known| known == name)) {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    for name in wanted {
        assert!(names(&taken).iter().any(|known| known == name), "{name} is not in {:?}", names(&taken));
    }
    assert_eq!(node.terminate().await.code(), Some(0));
    let taken = taken.lock().unwrap();
    let (_, last) = taken.iter().rfind(|(path, _)| path == "/v1/metrics").unwrap();
    let metrics = last["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let bytes = metrics.iter().find(|metric| metric["name"] == "snapshot_write_bytes").unwrap();
    assert_ne!(bytes["sum"]["dataPoints"][0]["asInt"], "0");
}
