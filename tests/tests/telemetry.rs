//! Traces and metrics of the product as a process, as a collector gets them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, change, command, delivery, sign};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Takes every request, and remembers it: a collector, or an endpoint that is called back.
struct Taker {
    url: String,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// A request: its path, its headers, its body.
type Taken = (String, HeaderMap, Vec<u8>);

impl Taker {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            kept.lock().unwrap().push((uri.path().to_owned(), headers, body.to_vec()));
            async { "{}" }
        };
        let router = Router::new().fallback(take);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, taken }
    }

    /// The bodies that came to a path, and their headers.
    fn at(&self, path: &str) -> Vec<(HeaderMap, Value)> {
        let taken = self.taken.lock().unwrap();
        let of_path = taken.iter().filter(|(to, ..)| to == path);
        of_path.map(|(_, headers, body)| (headers.clone(), serde_json::from_slice(body).unwrap())).collect()
    }

    /// The first request to a path that is accepted.
    async fn first(&self, path: &str, accept: impl Fn(&Value) -> bool) -> (HeaderMap, Value) {
        for _ in 0..600 {
            if let Some(found) = self.at(path).into_iter().find(|(_, body)| accept(body)) {
                return found;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("nothing came to {path}");
    }

    fn spans(&self) -> Vec<Value> {
        let bodies = self.at("/v1/traces").into_iter();
        let of_body = |(_, body): (HeaderMap, Value)| body["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
        bodies.map(of_body).flat_map(|spans| spans.as_array().unwrap().clone()).collect()
    }

    /// The metrics as they were sent last.
    fn metrics(&self) -> BTreeMap<String, Value> {
        let (_, body) = self.at("/v1/metrics").pop().expect("metrics arrive");
        let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
        metrics.into_iter().map(|metric| (metric["name"].as_str().unwrap().to_owned(), metric)).collect()
    }
}

async fn subscribe(runner: &Runner, target: &Taker) -> String {
    subscribe_to(runner, target, "stock.changed").await
}

async fn subscribe_to(runner: &Runner, target: &Taker, event: &str) -> String {
    let target = format!("{}/hook", target.url);
    let body = json!({ "organizationId": "demo", "event": event, "targetUrl": target });
    let (status, answer) = runner.post("/webhooks/register", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["secret"].as_str().unwrap().to_owned()
}

async fn deliver(runner: &Runner, sku: &str, traceparent: Option<&str>) {
    let body = delivery(sku, 5, 1);
    let mut request = runner.request(Method::POST, "/webhooks/marketplace-a");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent).header("tracestate", "vendor=1");
    }
    let sent = request.header("x-marketplace-signature", sign(&body)).body(body).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
}

fn is_about(sku: &str) -> impl Fn(&Value) -> bool {
    let sku = sku.to_owned();
    move |body| body["data"]["productId"] == sku.as_str()
}

fn traceparent(headers: &HeaderMap) -> Option<&str> {
    Some(headers.get("traceparent")?.to_str().unwrap())
}

#[tokio::test]
async fn one_trace_leads_from_a_webhook_to_its_callback() {
    let (collector, receiver) = (Taker::start().await, Taker::start().await);
    let mut command = command();
    command.arg("--ephemeral").env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2");
    let runner = Runner::start(command).await;
    let secret = subscribe(&runner, &receiver).await;
    deliver(&runner, "TRACED", Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    let (called, _) = receiver.first("/hook", is_about("TRACED")).await;
    let (status, _) = runner.post("/inventory/updates", &change("TRACED", -1, None, "k1")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(runner.get("/replication/snapshot").await.0, StatusCode::OK);
    runner.eventually("/inventory/TRACED", |level| level["available"] == 4).await;
    assert_eq!(runner.terminate().await.code(), Some(0));

    let all = collector.spans();
    let spans: Vec<_> = all.iter().filter(|span| span["traceId"] == TRACE).collect();
    let mut parent = json!(CALLER);
    let way = [
        "POST /webhooks/marketplace-a",
        "ApplyBatch",
        "ApplyDelta",
        "PublishChanges",
        "DeliverBatch",
        "DeliverCallback",
    ];
    for name in way {
        let named: Vec<_> = spans.iter().filter(|span| span["name"] == name).collect();
        assert_eq!(named.len(), 1, "{name} in {spans:?}");
        assert_eq!(named[0]["parentSpanId"], parent, "{name}");
        parent = named[0]["spanId"].clone();
    }
    assert_eq!(spans.len(), way.len(), "{spans:?}");
    assert_eq!(traceparent(&called).unwrap(), format!("00-{TRACE}-{}-01", parent.as_str().unwrap()));
    let attribute = |span: &Value, key: &str| {
        let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == key).cloned();
        found.map(|attribute| attribute["value"].clone()).unwrap_or_default()
    };
    // In whatever order they ended: the queue may be faster than the answer.
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    assert_eq!(attribute(named(way[0]), "http.response.status_code"), json!({ "intValue": "202" }));
    let applied = named("ApplyDelta");
    assert_eq!(attribute(applied, "sku.id"), json!({ "stringValue": "TRACED" }));
    assert!(attribute(applied, "event.id")["stringValue"].is_string());
    for name in ["POST /inventory/updates", "PersistSnapshot", "RunDue"] {
        assert!(all.iter().any(|span| span["name"] == name), "{name}");
    }

    let metrics = collector.metrics();
    assert_eq!(metrics["inventory_updates_total"]["sum"]["dataPoints"][0]["asInt"], "2");
    let latency = &metrics["request_latency_ms"]["histogram"]["dataPoints"][0];
    assert!(latency["count"].as_str().unwrap().parse::<u64>().unwrap() >= 4, "{latency}");
    assert_ne!(metrics["snapshot_write_bytes"]["sum"]["dataPoints"][0]["asInt"], "0");
    assert_eq!(metrics["dlq_events_total"]["sum"]["dataPoints"][0]["asInt"], "0");

    for (path, headers, body) in collector.taken.lock().unwrap().iter() {
        assert_eq!(headers["x-key"], "hunter2", "{path}");
        assert_eq!(headers["content-type"], "application/json", "{path}");
        let body = String::from_utf8_lossy(body);
        for private in ["available_stock", &sign(&delivery("TRACED", 5, 1)), secret.as_str(), "hunter2", "x-api-key"] {
            assert!(!body.contains(private), "{private} is in {body}");
        }
    }
}

#[tokio::test]
async fn callers_trace_is_carried_on_where_nothing_is_exported() {
    let (bystander, receiver) = (Taker::start().await, Taker::start().await);
    let mut command = command();
    command.arg("--ephemeral").env("OTEL_EXPORTER_OTLP_ENDPOINT", &bystander.url).env("OTEL_SDK_DISABLED", "true");
    let runner = Runner::start(command).await;
    subscribe(&runner, &receiver).await;
    deliver(&runner, "CARRIED", Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    let (headers, _) = receiver.first("/hook", is_about("CARRIED")).await;
    assert_eq!(traceparent(&headers), Some(format!("00-{TRACE}-{CALLER}-01").as_str()));

    deliver(&runner, "PLAIN", None).await;
    deliver(&runner, "WRONG", Some("00-nonsense-01")).await;
    for sku in ["PLAIN", "WRONG"] {
        let (headers, _) = receiver.first("/hook", is_about(sku)).await;
        assert_eq!(traceparent(&headers), None, "{sku}");
    }
    // A later write of another origin does not inherit the trace.
    let (status, _) = runner.post("/inventory/updates", &change("CARRIED", 1, None, "k1")).await;
    assert_eq!(status, StatusCode::OK);
    let second = |body: &Value| is_about("CARRIED")(body) && body["data"]["newVersion"] == 2;
    assert_eq!(traceparent(&receiver.first("/hook", second).await.0), None);
    assert_eq!(runner.terminate().await.code(), Some(0));
    assert!(bystander.taken.lock().unwrap().is_empty(), "nothing is sent where telemetry is off");
}

async fn post_in(runner: &Runner, trace: &str, path: &str, body: &Value) -> Value {
    let request = runner.request(Method::POST, path).header("traceparent", format!("00-{trace}-{CALLER}-01"));
    let answer = request.json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

fn trace_id(headers: &HeaderMap) -> Option<&str> {
    traceparent(headers)?.split('-').nth(1)
}

#[tokio::test]
async fn one_trace_leads_from_an_order_to_all_that_it_is_announced_as() {
    let (collector, receiver) = (Taker::start().await, Taker::start().await);
    let mut command = command();
    command.arg("--ephemeral").env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let runner = Runner::start(command).await;
    subscribe_to(&runner, &receiver, "*").await;
    let store = json!({
        "organizationId": "demo", "marketplace": "etsy", "externalStoreId": "ext1", "storeName": "Store",
        "accessToken": "tok", "currency": "USD",
    });
    let (status, registered) = runner.post("/stores/register", &store).await;
    assert_eq!(status, StatusCode::OK, "{registered}");
    // It has a line of which there is nothing, so the order is short.
    let order = json!({ "syncToken": registered["syncToken"], "receipt": "order-L-101" });
    let imported = post_in(&runner, TRACE, "/orders/import", &order).await;
    assert_eq!(imported["success"], true, "{imported}");
    for event in ["order.imported", "stock.changed", "order.short"] {
        let (headers, body) = receiver.first("/hook", |body| body["event"] == event).await;
        assert_eq!(trace_id(&headers), Some(TRACE), "{event}: {body}");
    }
    assert_eq!(runner.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn end_of_a_reservation_is_told_of_in_the_trace_of_who_ended_it() {
    let (collector, receiver) = (Taker::start().await, Taker::start().await);
    let mut command = command();
    command.arg("--ephemeral").env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("SWEEP_INTERVAL_SECONDS", "1");
    let runner = Runner::start(command).await;
    // First: whoever passes changes on remembers for a minute that nobody wants to know.
    subscribe_to(&runner, &receiver, "*").await;
    assert_eq!(runner.post("/inventory/updates", &change("HELD", 5, None, "k1")).await.0, StatusCode::OK);
    let lines = json!([{ "sku": "HELD", "storeId": "main", "qty": 1 }]);
    let body = json!({ "orderId": "o-1", "ttlSeconds": 1, "lines": lines });
    let reserved = post_in(&runner, TRACE, "/reservations", &body).await;
    let is_expired = |body: &Value| body["event"] == "reservation.expired";
    let (expired, body) = receiver.first("/hook", is_expired).await;
    assert_eq!(body["data"]["reservationId"], reserved["reservationId"]);
    let is_released = |body: &Value| body["data"]["type"] == "StockReleased";
    let (released, _) = receiver.first("/hook", is_released).await;
    assert_eq!(runner.terminate().await.code(), Some(0));

    let spans = collector.spans();
    let ran = spans.iter().find(|span| span["name"] == "RunDue" && trace_id(&expired) == span["traceId"].as_str());
    assert!(ran.is_some(), "{expired:?} belongs to no run of the scheduler");
    assert_eq!(trace_id(&released), trace_id(&expired));
    assert_ne!(trace_id(&expired), Some(TRACE));
}

#[tokio::test]
async fn collector_that_is_away_delays_nothing_and_is_told_of_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    // Bound and not listened on by anybody that answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = Taker::start().await;
    let mut command = command();
    command.arg("--ephemeral").env("OTEL_EXPORTER_OTLP_ENDPOINT", deaf.local_addr().unwrap().to_string());
    command.stderr(log.reopen().unwrap());
    let runner = Runner::start(command).await;
    subscribe(&runner, &receiver).await;
    let begun = Instant::now();
    for n in 0..20 {
        let sku = format!("AWAY-{n}");
        let (status, _) = runner.post("/inventory/updates", &change(&sku, 1, None, &sku)).await;
        assert_eq!(status, StatusCode::OK);
        receiver.first("/hook", is_about(&sku)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // Longer than one request may take, and than the pause behind it.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(runner.terminate().await.code(), Some(0));
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(log.matches("telemetry is not taken").count(), 1, "{log}");
}

#[tokio::test]
async fn wrong_setting_is_one_line_and_exit_code_2() {
    let mut command = command();
    command.args(["--ephemeral", "--port", "0"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", "gopher://hunter2");
    let output = command.output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !error.contains("hunter2"), "{error}");
}
