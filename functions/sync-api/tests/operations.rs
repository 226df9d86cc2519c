//! Health for everybody, and polls on request for admins.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{MemoryQueue, MemoryStore};
use evenstock_app::{ApiKey, Outgoing, PollJob, Queue, QueueName, Scope, StoreError, StoreProbe};
use evenstock_domain::{OrganizationId, Timestamp};
use evenstock_runtime::http::{AccessControl, RateLimits};
use evenstock_runtime::testing::{Reply, ask};
use evenstock_sync_api::{Operations, router};
use rstest::rstest;
use serde_json::json;
use sha2::{Digest, Sha256};

/// A store that answers, or is down.
#[derive(Debug, Default)]
struct Probe {
    down: AtomicBool,
}

impl StoreProbe for Probe {
    async fn ping(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("hunter2".into())) } else { Ok(()) }
    }
}

struct Function {
    operations: Arc<Operations<Probe, MemoryQueue>>,
    router: Router,
}

impl Function {
    /// With the marketplace of this organization, if of any.
    fn new(polled: Option<&str>) -> Self {
        let keys = MemoryStore::default();
        let polled = polled.map(|organization| OrganizationId::parse(organization).unwrap());
        for (text, scopes) in [("admin", vec![Scope::Admin]), ("clerk", vec![Scope::Read, Scope::Write])] {
            let organization = OrganizationId::parse("shop").unwrap();
            let key = ApiKey { id: text.to_owned(), organization, scopes, operator: false, expires_at: None };
            keys.put_key(Sha256::digest(text.as_bytes()).into(), key);
        }
        let rates = RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX);
        let access = AccessControl::new(Arc::new(keys), rates);
        let queue = MemoryQueue::default();
        let operations = Arc::new(Operations { store: Arc::new(Probe::default()), queue, polled });
        Self { router: router(Arc::clone(&operations), &access), operations }
    }

    async fn asked(&self, method: &str, path: &str, key: Option<&str>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        ask(&self.router, request.body(Body::empty()).unwrap()).await
    }

    fn jobs(&self) -> Vec<PollJob> {
        let bodies = self.operations.queue.bodies(QueueName::PollJobs);
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

#[tokio::test]
async fn health_through_the_gateway_needs_no_key_and_counts_what_waits() {
    let function = Function::new(Some("shop"));
    let message = Outgoing::now("{}".to_owned(), OrganizationId::parse("shop").unwrap());
    function.operations.queue.send(QueueName::StockChanges, vec![message.clone(), message]).await.unwrap();
    let event = include_str!("../../../events/sync-api.json");
    let reply = ask(&function.router, lambda_http::request::from_str(event).unwrap()).await;
    let timestamp = reply.body.pointer("/data/timestamp").unwrap();
    assert!(Timestamp::parse(timestamp.as_str().unwrap()).is_ok());
    let queue = json!({ "waiting": 2, "inFlight": 0, "dead": 0 });
    let data = json!({ "status": "healthy", "timestamp": timestamp, "queue": queue });
    assert_eq!((reply.status, &reply.body), (200, &json!({ "success": true, "data": data })));
}

#[rstest]
#[case::store(true, false, "the store does not answer")]
#[case::queue(false, true, "the queue does not answer")]
#[case::both(true, true, "the store does not answer")]
#[tokio::test]
async fn health_names_the_part_that_is_down_and_not_the_cause(
    #[case] store: bool,
    #[case] queue: bool,
    #[case] error: &str,
) {
    let function = Function::new(Some("shop"));
    function.operations.store.down.store(store, Ordering::SeqCst);
    function.operations.queue.set_down(queue);
    let reply = function.asked("GET", "/health", None).await;
    assert_eq!((reply.status, &reply.body), (503, &json!({ "success": false, "error": error })));
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn trigger_puts_a_job_on_the_queue() {
    let function = Function::new(Some("shop"));
    let replies = [
        function.asked("POST", "/trigger-poll", Some("admin")).await,
        function.asked("POST", "/trigger-poll", Some("admin")).await,
    ];
    let jobs = function.jobs();
    assert_eq!(jobs.len(), 2);
    for (reply, job) in replies.iter().zip(&jobs) {
        assert_eq!(reply.status, 202);
        let data = json!({ "jobId": job.job_id });
        assert_eq!(reply.body, json!({ "success": true, "message": "poll queued", "data": data }));
        assert_eq!(job.organization, "shop");
        assert!(Timestamp::parse(&job.requested_at).is_ok());
    }
    assert_ne!(jobs.first().unwrap().job_id, jobs.last().unwrap().job_id);
}

#[rstest]
#[case::missing(None, (401, "unauthorized"))]
#[case::wrong(Some("nobody"), (401, "unauthorized"))]
#[case::without_the_scope(Some("clerk"), (403, "forbidden"))]
#[tokio::test]
async fn trigger_is_for_admins(#[case] key: Option<&str>, #[case] expected: (u16, &str)) {
    let function = Function::new(Some("shop"));
    assert_eq!(function.asked("POST", "/trigger-poll", key).await.refusal(), expected);
    assert_eq!(function.jobs(), []);
}

#[rstest]
#[case::none_configured(None)]
#[case::of_another_organization(Some("other"))]
#[tokio::test]
async fn trigger_without_a_marketplace_of_ones_own_is_unavailable(#[case] polled: Option<&str>) {
    let function = Function::new(polled);
    let reply = function.asked("POST", "/trigger-poll", Some("admin")).await;
    assert_eq!(reply.refusal(), (503, "unavailable"));
    assert_eq!(function.jobs(), []);
    assert_eq!(function.asked("GET", "/health", None).await.status, 200);
}

#[tokio::test]
async fn trigger_that_cannot_be_queued_is_unavailable_and_says_no_cause() {
    let function = Function::new(Some("shop"));
    function.operations.queue.set_down(true);
    let reply = function.asked("POST", "/trigger-poll", Some("admin")).await;
    assert_eq!(reply.refusal(), (503, "unavailable"));
    assert!(!reply.text.contains("queue"), "{}", reply.text);
}

#[rstest]
#[case::trigger_by_get("GET", "/trigger-poll", "POST")]
#[case::health_by_post("POST", "/health", "GET,HEAD")]
#[tokio::test]
async fn other_methods_are_told_the_ones_there_are(#[case] method: &str, #[case] path: &str, #[case] allowed: &str) {
    let reply = Function::new(Some("shop")).asked(method, path, None).await;
    assert_eq!((reply.refusal(), reply.header("allow")), ((405, "bad_request"), Some(allowed)));
}
