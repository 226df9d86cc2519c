//! The endpoints' interface through its router, each answer held to its description.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use core::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{FixedClock, MemoryQueue, MemorySealer, MemoryStore};
use evenstock_app::{
    ApiKey, Arrival, Arrivals, AuditLog, Call, CallbackSender, CallbackStore, Clock, InvalidTarget, QueueName, Scope,
    Sealed, Sealer, secret_context,
};
use evenstock_callbacks_api::{Endpoints, openapi, router};
use evenstock_domain::{
    Admission, Attempt, Delivery, DeliveryId, EndpointHealth, EndpointId, EventType, OrganizationId, ProbeToken,
    RetrySchedule, Round, Timestamp, Tried,
};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Takes every URL under `https://`, and calls none.
struct Checks;

impl CallbackSender for Checks {
    async fn check(&self, target: &str) -> Result<(), InvalidTarget> {
        if target.starts_with("https://") { Ok(()) } else { Err(InvalidTarget::NotHttp) }
    }

    async fn send(&self, call: Call<'_>) -> Tried {
        unreachable!("nobody calls {}", call.target)
    }
}

type Shared = Endpoints<MemoryStore, MemoryQueue, Checks, MemorySealer, FixedClock>;

struct Function {
    contract: Contract,
    router: Router,
    shared: Arc<Shared>,
}

fn org(name: &str) -> OrganizationId {
    OrganizationId::parse(name).unwrap()
}

fn function() -> Function {
    let store = Arc::new(MemoryStore::default());
    for (name, organization, operator) in [("us", "us", false), ("them", "them", false), ("operator", "demo", true)] {
        let scopes = vec![Scope::Read, Scope::Write];
        let key = ApiKey { id: name.to_owned(), organization: org(organization), scopes, operator, expires_at: None };
        store.put_key(Sha256::digest(name.as_bytes()).into(), key);
    }
    let access = AccessControl::new(Arc::clone(&store), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
    let clock = FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
    let (queue, sealer) = (MemoryQueue::default(), MemorySealer::default());
    let cursors = CursorKey::new(*b"0123456789abcdef");
    let shared = Arc::new(Endpoints { store, queue, sender: Checks, sealer, clock, cursors });
    Function { contract: Contract::of(&openapi()), router: router(Arc::clone(&shared), &access), shared }
}

impl Function {
    async fn ask(&self, method: &str, path: &str, key: &str, idempotency: Option<&str>, body: &Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("x-api-key", key);
        if let Some(idempotency) = idempotency {
            request = request.header("idempotency-key", idempotency);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.contract.ask(&self.router, request.body(body).unwrap()).await
    }

    async fn us(&self, method: &str, path: &str, body: Value) -> Reply {
        self.ask(method, path, "us", None, &body).await
    }

    async fn register(&self) -> Value {
        let reply = self.us("POST", "/webhooks/register", registration("https://a.example/")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// A delivery that failed for good.
    async fn failed(&self, endpoint: &str, event: &str) -> Delivery {
        let (endpoint, now) = (EndpointId::parse(endpoint).unwrap(), self.shared.clock.now());
        let id = DeliveryId::new(&endpoint, event, now);
        let delivery = Delivery::new(org("us"), id, event.to_owned(), EventType::StockLow, None, "{}".to_owned());
        let attempt =
            Attempt { at: now, status_code: Some(500), duration_ms: 7, error: None, response: Some("no".to_owned()) };
        let tried = Tried { attempt, retry_after_seconds: None };
        let failed = delivery.tried(&tried, &RetrySchedule::from_waits([]).unwrap(), now);
        assert!(self.shared.store.save_delivery(None, &failed).await.unwrap());
        failed
    }
}

fn registration(target: &str) -> Value {
    json!({ "organizationId": "us", "event": "stock.low", "targetUrl": target })
}

#[tokio::test]
async fn endpoint_is_registered_once_and_its_secret_is_shown_once() {
    let function = function();
    let first = function.register().await;
    assert_eq!((&first["event"], &first["isActive"]), (&json!("stock.low"), &json!(true)));
    let secret = first["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44);
    let again = function.register().await;
    assert_eq!((&again["id"], again.get("secret")), (&first["id"], None));
    let id = EndpointId::parse(first["id"].as_str().unwrap()).unwrap();
    let (_, registry) = function.shared.store.load_registry(&org("us")).await.unwrap();
    let sealed = &registry.find(&id).unwrap().secrets.current;
    assert!(!sealed.contains(secret));
    let opened =
        function.shared.sealer.open(&secret_context(&org("us"), &id), &Sealed::from_stored(sealed.as_str())).await;
    assert_eq!(opened.unwrap().expose(), secret);
    let listed = function.us("GET", "/webhooks?organizationId=us", Value::Null).await;
    assert_eq!(listed.body.as_array().unwrap().len(), 1);
    assert!(!listed.text.contains("whsec_"));
}

#[tokio::test]
async fn registration_under_a_key_is_answered_alike_again() {
    let function = function();
    let body = registration("https://a.example/");
    let ask = async |key: &str, body: &Value| function.ask("POST", "/webhooks/register", "us", Some(key), body).await;
    let first = ask("k1", &body).await;
    let again = ask("k1", &body).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert!(again.body["secret"].is_string());
    assert_eq!(ask("k1", &registration("https://b.example/")).await.refusal(), (422, "unprocessable"));
    assert_eq!(ask("k2", &body).await.body.get("secret"), None, "another request");
}

#[rstest]
#[case::nothing(json!({}), &["organizationId", "event", "targetUrl"])]
#[case::unknown_event(json!({ "organizationId": "us", "event": "stock.*", "targetUrl": "https://a/" }), &["event"])]
#[case::target(json!({ "organizationId": "us", "event": "*", "targetUrl": "http://10.0.0.1/" }), &["targetUrl"])]
#[case::schedule(json!({ "organizationId": "us", "event": "*", "targetUrl": "https://a/", "retrySchedule": ["25h"] }), &["retrySchedule"])]
#[case::schedule_of_numbers(json!({ "organizationId": "us", "event": "*", "targetUrl": "https://a/", "retrySchedule": [5] }), &["retrySchedule"])]
#[case::all_at_once(json!({ "organizationId": "", "event": "x", "targetUrl": "x", "retrySchedule": 1 }),
    &["organizationId", "event", "retrySchedule", "targetUrl"])]
#[tokio::test]
async fn every_wrong_field_is_named(#[case] body: Value, #[case] fields: &[&str]) {
    let reply = function().us("POST", "/webhooks/register", body).await;
    assert_eq!((reply.status, reply.fields()), (400, fields.to_vec()));
}

#[tokio::test]
async fn organizations_are_apart_and_operators_may_name_any() {
    let function = function();
    let id = function.register().await["id"].as_str().unwrap().to_owned();
    let path = format!("/webhooks/{id}");
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/test"))] {
        assert_eq!(function.ask(method, &path, "them", None, &Value::Null).await.refusal(), (404, "not_found"));
    }
    let theirs = function.ask("POST", "/webhooks/register", "them", None, &registration("https://a.example/")).await;
    assert_eq!(theirs.refusal(), (403, "forbidden"));
    let named = function.ask("GET", "/webhooks?organizationId=us", "them", None, &Value::Null).await;
    assert_eq!(named.refusal(), (403, "forbidden"));
    let operator = function.ask("GET", "/webhooks?organizationId=us", "operator", None, &Value::Null).await;
    assert_eq!(operator.body.as_array().unwrap().len(), 1);
    let manual =
        json!({ "organizationId": "org-manual", "event": "sync.completed", "targetUrl": "https://a.example/" });
    assert_eq!(function.ask("POST", "/webhooks/register", "operator", None, &manual).await.status, 200);
}

#[tokio::test]
async fn endpoint_is_changed_switched_and_removed() {
    let function = function();
    let id = function.register().await["id"].as_str().unwrap().to_owned();
    let path = format!("/webhooks/{id}");
    let changed =
        function.us("PATCH", &path, json!({ "event": "*", "isActive": false, "retrySchedule": ["1s", "90s"] })).await;
    assert_eq!((&changed.body["event"], &changed.body["isActive"]), (&json!("*"), &json!(false)));
    assert_eq!(changed.body["retrySchedule"], json!(["1s", "90s"]));
    assert_eq!(changed.body["disabledReason"], json!("owner"));
    assert_eq!(function.us("POST", &format!("{path}/test"), Value::Null).await.refusal(), (409, "conflict"));
    let round = Round { failed: 1, ..Round::default() };
    let failing = EndpointHealth::default().after(&round, &Admission::Closed, Timestamp::EPOCH).unwrap();
    let name = EndpointId::parse(&id).unwrap();
    function.shared.store.save_health(&org("us"), &name, None, &failing).await.unwrap();
    let on = function.us("PATCH", &path, json!({ "isActive": true, "retrySchedule": null })).await;
    assert_eq!(
        (&on.body["isActive"], on.body.get("retrySchedule"), on.body.get("disabledAt")),
        (&json!(true), None, None)
    );
    let (_, health) = function.shared.store.load_health(&org("us"), &name).await.unwrap();
    assert_eq!(health, EndpointHealth::default(), "it begins anew");
    let (rev, _) = function.shared.store.load_health(&org("us"), &name).await.unwrap();
    function.shared.store.save_health(&org("us"), &name, rev, &failing).await.unwrap();
    function.us("PATCH", &path, json!({ "targetUrl": "https://a.example/" })).await;
    assert_eq!(function.shared.store.load_health(&org("us"), &name).await.unwrap().1, failing, "the same address");
    function.us("PATCH", &path, json!({ "targetUrl": "https://c.example/" })).await;
    let (_, health) = function.shared.store.load_health(&org("us"), &name).await.unwrap();
    assert_eq!(health, EndpointHealth::default(), "another address begins anew");
    assert_eq!(function.us("PATCH", &path, json!({ "targetUrl": "ftp://a/" })).await.fields(), ["targetUrl"]);
    let other = json!({ "organizationId": "us", "event": "*", "targetUrl": "https://b.example/" });
    function.us("POST", "/webhooks/register", other).await;
    let taken = function.us("PATCH", &path, json!({ "targetUrl": "https://b.example/" })).await;
    assert_eq!(taken.refusal(), (409, "conflict"));
    assert_eq!(function.us("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(function.us("GET", &path, Value::Null).await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn secret_is_rotated_once_a_key() {
    let function = function();
    let registered = function.register().await;
    let path = format!("/webhooks/{}/rotate-secret", registered["id"].as_str().unwrap());
    function.shared.clock.advance_ms(1000);
    let first = function.ask("POST", &path, "us", Some("k"), &Value::Null).await;
    function.shared.clock.advance_ms(1000);
    let again = function.ask("POST", &path, "us", Some("k"), &Value::Null).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert_ne!(first.body["secret"], registered["secret"]);
    let id = EndpointId::parse(registered["id"].as_str().unwrap()).unwrap();
    let secrets = async || {
        let (_, registry) = function.shared.store.load_registry(&org("us")).await.unwrap();
        let secrets = registry.find(&id).unwrap().secrets.clone();
        let mut opened = Vec::new();
        for sealed in secrets.signing(function.shared.clock.now()) {
            let sealed = Sealed::from_stored(sealed);
            let secret = function.shared.sealer.open(&secret_context(&org("us"), &id), &sealed).await.unwrap();
            opened.push(json!(secret.expose()));
        }
        opened
    };
    assert_eq!(secrets().await, [first.body["secret"].clone(), registered["secret"].clone()], "both sign");
    function.shared.clock.advance_ms(24 * 3_600_000);
    assert_eq!(secrets().await, [first.body["secret"].clone()]);
}

#[tokio::test]
async fn tests_and_replays_are_queued() {
    let function = function();
    let id = function.register().await["id"].as_str().unwrap().to_owned();
    let test = function.us("POST", &format!("/webhooks/{id}/test"), Value::Null).await;
    assert_eq!((test.status, &test.body), (202, &json!({ "queued": 1, "more": false })));
    let failed = function.failed(&id, "e1").await;
    function.failed(&id, "e2").await;
    let path = format!("/webhooks/deliveries/{}/replay", failed.id);
    assert_eq!(function.us("POST", &path, Value::Null).await.body["queued"], 1);
    assert_eq!(function.us("POST", &path, Value::Null).await.body["queued"], 0, "it is on its way");
    let since = json!({ "since": "2026-11-20T00:00:00Z" });
    let replay = format!("/webhooks/{id}/replay");
    let first = function.ask("POST", &replay, "us", Some("k"), &since).await;
    assert_eq!((first.status, &first.body), (202, &json!({ "queued": 1, "more": false })));
    assert_eq!(function.ask("POST", &replay, "us", Some("k"), &since).await.body, first.body);
    assert_eq!(function.us("POST", &replay, json!({ "since": "yesterday" })).await.fields(), ["since"]);
    assert_eq!(function.shared.queue.bodies(QueueName::Callbacks).len(), 3);
    for path in ["/webhooks/deliveries/nonsense/replay".to_owned(), format!("/webhooks/deliveries/{id}.1/replay")] {
        assert_eq!(function.us("POST", &path, Value::Null).await.fields(), ["id"]);
    }
    let unknown = format!("/webhooks/deliveries/{id}.1.{}/replay", "0".repeat(32));
    assert_eq!(function.us("POST", &unknown, Value::Null).await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn replay_does_not_wait_for_the_breaker() {
    let function = function();
    let id = function.register().await["id"].as_str().unwrap().to_owned();
    let failed = function.failed(&id, "e1").await;
    let (store, now) = (&function.shared.store, function.shared.clock.now());
    let mut health = EndpointHealth::default();
    for _ in 0..10 {
        let round = Round { failed: 1, ..Round::default() };
        health = health.after(&round, &Admission::Closed, now).unwrap_or(health);
    }
    let endpoint = EndpointId::parse(&id).unwrap();
    let token = ProbeToken("t".to_owned());
    assert!(matches!(health.admit(now, &token).0, Admission::Open { .. }));
    assert!(store.save_health(&org("us"), &endpoint, None, &health).await.unwrap());
    let path = format!("/webhooks/deliveries/{}/replay", failed.id);
    assert_eq!(function.us("POST", &path, Value::Null).await.body["queued"], 1);
    let (_, mended) = store.load_health(&org("us"), &endpoint).await.unwrap();
    assert_eq!(mended.admit(now, &token).0, Admission::Closed);
    assert_eq!(mended.failing_since, Some(now), "how long it has been failing is not forgotten");
}

#[tokio::test]
async fn deliveries_are_listed_by_status_with_their_attempts() {
    let function = function();
    let id = function.register().await["id"].as_str().unwrap().to_owned();
    for n in 0..60 {
        function.failed(&id, &format!("e{n}")).await;
    }
    let endpoint = EndpointId::parse(&id).unwrap();
    let now = function.shared.clock.now();
    let attempt = Attempt { at: now, status_code: Some(204), duration_ms: 3, error: None, response: None };
    let arrival = Arrival {
        id: DeliveryId::new(&endpoint, "quick", now),
        event_id: "quick".to_owned(),
        event: EventType::StockChanged,
        store: None,
        body: Some("{}".to_owned()),
        attempt,
    };
    let arrivals = Arrivals { organization: org("us"), endpoint, at: now, arrived: vec![arrival] };
    function.shared.store.log_arrivals(&arrivals).await.unwrap();
    let list = async |status: &str| {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/webhooks/{id}/deliveries?status={status}&cursor={cursor}");
            let page = function.us("GET", &path, Value::Null).await;
            assert_eq!(page.status, 200, "{page:?}");
            items.extend(page.body["items"].as_array().unwrap().clone());
            page.body["nextCursor"].as_str().unwrap().clone_into(&mut cursor);
            if cursor.is_empty() {
                return items;
            }
        }
    };
    let failed = list("failed").await;
    assert_eq!(failed.len(), 60);
    assert_eq!(failed[0]["attempts"][0]["statusCode"], 500);
    assert_eq!((&failed[0]["attempts"][0]["response"], &failed[0]["nextAttemptAt"]), (&json!("no"), &Value::Null));
    let succeeded = list("succeeded").await;
    assert_eq!((succeeded.len(), &succeeded[0]["eventId"]), (1, &json!("quick")));
    let again = format!("/webhooks/deliveries/{}/replay", succeeded[0]["id"].as_str().unwrap());
    let again = function.us("POST", &again, Value::Null).await;
    assert_eq!((again.status, &again.body["queued"]), (202, &json!(1)), "what arrived at once can be replayed too");
    assert_eq!(list("pending").await.len(), 1);
    let wrong = function.us("GET", &format!("/webhooks/{id}/deliveries?status=odd"), Value::Null).await;
    assert_eq!(wrong.fields(), ["status"]);
    let wrong = function.us("GET", &format!("/webhooks/{id}/deliveries?cursor=odd"), Value::Null).await;
    assert_eq!(wrong.fields(), ["cursor"]);
}

#[tokio::test]
async fn rotation_is_written_down_once_a_key_and_shows_no_secret() {
    let function = function();
    let first = function.register().await;
    let id = first["id"].as_str().unwrap();
    let path = format!("/webhooks/{id}/rotate-secret");
    for _ in 0..2 {
        assert_eq!(function.ask("POST", &path, "us", Some("rotate"), &Value::Null).await.status, 200);
    }
    let entries = function.shared.store.audit(&org("us"), None, 50).await.unwrap().entries;
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
    assert_eq!(told, [("secret.rotated", id)]);
    assert!(entries.iter().all(|entry| entry.actor == "us" && entry.about == "https://a.example/"));
}
