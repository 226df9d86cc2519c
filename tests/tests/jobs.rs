//! Syncs on request, the switch, figures and dead letters of a running product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, command};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn polled(marketplace: &MockServer) -> Runner {
    let mut command = command();
    command.arg("--ephemeral").env("MARKETPLACE_B_API", marketplace.uri()).env("POLL_INTERVAL_SECONDS", "3600");
    Runner::start(command).await
}

async fn answering(response: ResponseTemplate) -> MockServer {
    let marketplace = MockServer::start().await;
    Mock::given(path("/inventory/updates")).respond_with(response).mount(&marketplace).await;
    marketplace
}

#[tokio::test]
async fn sync_on_request_is_a_job_that_tells_what_it_did() {
    let rows = json!({ "items": [{ "sku": "MUG", "qty": 12, "last_modified": 1_700_000_000 }] });
    let marketplace = answering(ResponseTemplate::new(200).set_body_json(rows)).await;
    let runner = polled(&marketplace).await;
    let (status, answer) = runner.post("/api/sync", &json!({})).await;
    assert_eq!((status, &answer["success"]), (StatusCode::OK, &json!(true)), "{answer}");
    let id = answer["data"]["jobId"].as_str().unwrap();
    let (_, job) = runner.get(&format!("/sync/status/{id}")).await;
    assert_eq!((&job["kind"], &job["status"], &job["applied"]), (&json!("trigger"), &json!("completed"), &json!(1)));
    runner.eventually("/inventory/MUG", |level| level["available"] == 12).await;
    let (_, jobs) = runner.get("/sync/jobs").await;
    let kinds: Vec<_> = jobs["items"].as_array().unwrap().iter().map(|job| job["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 2, "{jobs}");
    let metrics = runner.eventually("/api/metrics", |metrics| metrics["data"]["feed"]["head"] == 1).await;
    assert_eq!(metrics["data"]["syncOperations"].as_u64().map(|count| count >= 3), Some(true), "{metrics}");
}

#[tokio::test]
async fn failing_marketplace_opens_its_breaker_which_jobs_readiness_and_metrics_show() {
    let marketplace = answering(ResponseTemplate::new(500)).await;
    let runner = polled(&marketplace).await;
    let mut reasons = Vec::new();
    while reasons.last() != Some(&json!("breaker_open")) && reasons.len() < 5 {
        let (_, answer) = runner.post("/trigger-poll", &json!({})).await;
        let path = format!("/sync/status/{}", answer["data"]["jobId"].as_str().unwrap());
        let job = runner.eventually(&path, |job| job["status"] == "failed").await;
        reasons.push(job["errors"][0].clone());
    }
    assert_eq!(reasons.last(), Some(&json!("breaker_open")), "{reasons:?}");
    let (status, ready) = runner.get("/api/health/readiness").await;
    assert_eq!((status, &ready["breakers"]["marketplace-b/default"]), (StatusCode::OK, &json!("open")));
    let (_, metrics) = runner.get("/api/metrics").await;
    let breaker = &metrics["data"]["circuitBreakers"]["marketplace-b/default"];
    assert_eq!((&breaker["state"], &breaker["failures"]), (&json!("open"), &json!(3)), "{breaker}");
}

#[tokio::test]
async fn switch_stops_the_periodic_sync_and_starts_it_by_the_second() {
    let marketplace = answering(ResponseTemplate::new(200).set_body_json(json!({ "items": [] }))).await;
    let runner = polled(&marketplace).await;
    runner.eventually("/api/sync/status", |status| status["data"]["lastRunAt"].is_string()).await;
    let (_, stopped) = runner.post("/api/sync/stop", &json!({})).await;
    assert_eq!(stopped["data"]["isRunning"], false);
    let (_, started) = runner.post("/api/sync/start", &json!({ "intervalMs": 1000 })).await;
    let expected = json!({ "isRunning": true, "intervalMs": 1000, "requestedIntervalMs": 1000 });
    assert_eq!(started["data"], expected, "{started}");
    let asked = marketplace.received_requests().await.unwrap().len();
    for _ in 0..200 {
        if marketplace.received_requests().await.unwrap().len() >= asked + 2 {
            return;
        }
        tokio::time::sleep(core::time::Duration::from_millis(50)).await;
    }
    panic!("it was not polled each second");
}

#[tokio::test]
async fn dead_letters_are_listed_by_the_name_of_their_queue() {
    let runner = Runner::ephemeral().await;
    let local = async |method, path: &str| {
        let answer = runner.request(method, path).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, none) = local(Method::GET, "/local/dlq/stock-changes").await;
    assert_eq!((status, none), (StatusCode::OK, json!({ "items": [] })));
    let (status, redriven) = local(Method::POST, "/local/dlq/stock-changes/redrive").await;
    assert_eq!((status, redriven), (StatusCode::OK, json!({ "redriven": 0 })));
    assert_eq!(local(Method::GET, "/local/dlq/nothing").await.0, StatusCode::NOT_FOUND);
    assert_eq!(local(Method::GET, "/local/dlq/stock-changes/none").await.0, StatusCode::NOT_FOUND);
}
