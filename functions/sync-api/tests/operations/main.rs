//! Health and the description for everybody, and polls on request for admins.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

mod audit;
mod jobs;
mod measures;
mod switch;

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{Fault, FaultyStore, MemoryQueue, MemoryStore};
use evenstock_app::{ApiKey, Outgoing, PollJob, Queue, QueueName, Scope, finish_job};
use evenstock_domain::{JobCounters, JobId, JobReport, OrganizationId, Timestamp};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use evenstock_runtime::{Environment, SystemClock};
use evenstock_sync_api::{DOCUMENT, Operations, Settings, openapi, router};
use rstest::rstest;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

/// What does not work at the moment, by operation; `UnknownDone` and the like are another test's business.
type Broken = Arc<Mutex<BTreeSet<&'static str>>>;

struct Function {
    operations: Arc<Operations<FaultyStore<MemoryStore>, MemoryQueue>>,
    router: Router,
    broken: Broken,
}

impl Function {
    /// With the marketplace of this organization, if of any.
    fn new(polled: Option<&str>) -> Self {
        Self::in_stage(polled, "dev")
    }

    fn in_stage(polled: Option<&str>, stage: &str) -> Self {
        let keys = MemoryStore::default();
        let polled = polled.map(|organization| OrganizationId::parse(organization).unwrap());
        for (text, scopes) in [("admin", vec![Scope::Admin, Scope::Read]), ("clerk", vec![Scope::Read, Scope::Write])] {
            let organization = OrganizationId::parse("shop").unwrap();
            let key = ApiKey { id: text.to_owned(), organization, scopes, operator: text == "admin", expires_at: None };
            keys.put_key(Sha256::digest(text.as_bytes()).into(), key);
        }
        let rates = RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX);
        let access = AccessControl::new(Arc::new(keys), rates);
        let queue = MemoryQueue::default();
        let broken = Broken::default();
        let plan = Arc::clone(&broken);
        let plan = move |operation| if plan.lock().unwrap().contains(operation) { Fault::NotDone } else { Fault::None };
        let store = Arc::new(FaultyStore::new(MemoryStore::default(), plan));
        let settings = Settings::from_environment(&[("STAGE", stage)].into_iter().collect::<Environment>()).unwrap();
        let cursors = CursorKey::new("a secret of 16 bytes");
        let operations = Arc::new(Operations { store, queue, polled, settings, cursors });
        Self { router: router(Arc::clone(&operations), &access), operations, broken }
    }

    fn set_broken(&self, operation: &'static str, broken: bool) {
        let mut all = self.broken.lock().unwrap();
        if broken {
            all.insert(operation)
        } else {
            all.remove(operation)
        };
    }

    /// The organization's own store.
    fn store(&self) -> &MemoryStore {
        self.operations.store.inner()
    }

    async fn asked(&self, method: &str, path: &str, key: Option<&str>) -> Reply {
        let headers: Vec<_> = key.into_iter().map(|key| ("x-api-key", key)).collect();
        self.sent(method, path, &headers, "").await
    }

    async fn sent(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: &'static str) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        CONTRACT.ask(&self.router, request.body(Body::from(body)).unwrap()).await
    }

    /// A trigger under an idempotency key.
    async fn triggered(&self, key: &str, body: &'static str) -> Reply {
        self.sent("POST", "/trigger-poll", &[("x-api-key", "admin"), ("idempotency-key", key)], body).await
    }

    /// The poller ends a job of the organization.
    async fn ended(&self, id: &str, failure: Option<&str>) {
        let (id, shop) = (JobId::parse(id).unwrap(), OrganizationId::parse("shop").unwrap());
        let counters = JobCounters { processed: 3, applied: 2, failed: 1, ..JobCounters::default() };
        let report = JobReport { counters, ..JobReport::default() };
        finish_job(self.store(), &SystemClock, &shop, &id, &report, failure).await.unwrap().unwrap();
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
    let event = include_str!("../../../../events/sync-api.json");
    let reply = CONTRACT.ask(&function.router, lambda_http::request::from_str(event).unwrap()).await;
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
    function.set_broken("ping", store);
    function.operations.queue.set_down(queue);
    let reply = function.asked("GET", "/health", None).await;
    assert_eq!((reply.status, &reply.body), (503, &json!({ "success": false, "error": error })));
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn trigger_puts_one_job_on_the_queue_until_it_has_ended() {
    let function = Function::new(Some("shop"));
    let first = function.asked("POST", "/trigger-poll", Some("admin")).await;
    let again = function.asked("POST", "/trigger-poll", Some("admin")).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.body, again.body, "the second is given the one that waits");
    let jobs = function.jobs();
    assert_eq!(jobs.len(), 2, "whose message is sent again, because its starter might have died");
    for job in &jobs {
        let data = json!({ "jobId": job.job_id });
        assert_eq!(first.body, json!({ "success": true, "message": "poll queued", "data": data }));
        assert_eq!(job.organization, "shop");
        assert!(Timestamp::parse(&job.requested_at).is_ok());
    }
    function.ended(&jobs.first().unwrap().job_id, None).await;
    let next = function.asked("POST", "/trigger-poll", Some("admin")).await;
    assert_ne!(next.body, first.body);
}

#[tokio::test]
async fn trigger_under_a_key_is_one_job() {
    let function = Function::new(Some("shop"));
    let first = function.triggered("k", "").await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, None));
    let again = function.triggered("k", "").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")));
    assert_eq!(again.body, first.body);
    assert_eq!(function.jobs().len(), 1);
    assert_eq!(first.body.pointer("/data/jobId").unwrap(), &json!(function.jobs().first().unwrap().job_id));
    for other in ["{\"since\":1}", "text"] {
        assert_eq!(function.triggered("k", other).await.refusal(), (422, "unprocessable"));
    }
    function.ended(&function.jobs().first().unwrap().job_id, None).await;
    let another = function.triggered("other", "").await;
    assert_ne!(another.body, first.body);
    assert_eq!(function.jobs().len(), 2);
    for wrong in ["", &"x".repeat(256)] {
        assert_eq!(function.triggered(wrong, "").await.fields(), ["Idempotency-Key"]);
    }
}

#[tokio::test]
async fn trigger_whose_answer_was_not_kept_stays_one_job() {
    let function = Function::new(Some("shop"));
    function.set_broken("keep_answer", true);
    assert_eq!(function.triggered("k", "").await.refusal(), (503, "unavailable"));
    function.set_broken("keep_answer", false);
    let again = function.triggered("k", "").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, None));
    let jobs = function.jobs();
    assert_eq!(jobs.len(), 2, "whether the first was queued is not known");
    assert_eq!(jobs.first(), jobs.last(), "so the same is queued again");
}

#[tokio::test]
async fn refused_trigger_is_decided_afresh_under_its_key() {
    let function = Function::new(Some("shop"));
    function.operations.queue.set_down(true);
    assert_eq!(function.triggered("k", "").await.refusal(), (503, "unavailable"));
    function.operations.queue.set_down(false);
    assert_eq!(function.triggered("k", "").await.status, 202);
    assert_eq!(function.jobs().len(), 1);
}

#[tokio::test]
async fn same_key_of_another_organization_is_another_job() {
    let (shop, other) = (Function::new(Some("shop")), Function::new(Some("other")));
    let ours = shop.triggered("k", "").await;
    let headers = [("x-api-key", "admin"), ("idempotency-key", "k"), ("x-organization-id", "other")];
    let theirs = other.sent("POST", "/trigger-poll", &headers, "").await;
    assert_eq!((ours.status, theirs.status), (202, 202));
    assert_ne!(ours.body, theirs.body);
}

#[tokio::test]
async fn body_of_a_trigger_is_bounded() {
    let body: &str = Box::leak("x".repeat(16 * 1024 + 1).into_boxed_str());
    let function = Function::new(Some("shop"));
    assert_eq!(function.triggered("k", body).await.refusal(), (413, "too_large"));
    assert_eq!(function.jobs(), []);
}

#[tokio::test]
async fn description_is_open_and_need_not_be_sent_again() {
    let function = Function::new(None);
    let first = function.asked("GET", "/openapi.json", None).await;
    assert_eq!((first.status, first.header("content-type")), (200, Some("application/json")));
    assert_eq!(first.text, DOCUMENT);
    let tag = first.header("etag").unwrap();
    for (tags, status) in [(tag, 304), (&format!("\"x\", W/{tag}"), 304), ("*", 304), ("\"x\"", 200), ("nonsense", 200)]
    {
        let again = function.sent("GET", "/openapi.json", &[("if-none-match", tags)], "").await;
        assert_eq!((again.status, again.header("etag"), again.text.is_empty()), (status, Some(tag), status == 304));
    }
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
