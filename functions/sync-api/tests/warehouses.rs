//! Warehouses and conflicts, through the router.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

use core::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{FixedClock, MemoryQueue, MemorySealer, MemoryStore};
use evenstock_app::{
    ApiKey, AuditLog, Clock, ConflictStore, CountDeps, QueueName, Scope, StockStore, WarehouseCount, WarehouseStore,
    WarehouseSyncJob, apply_counts,
};
use evenstock_domain::{
    ConflictPolicy, EventIdKey, Guard, LevelKey, LocationId, OrganizationId, Quantity, Sku, Timestamp,
};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits, shell};
use evenstock_runtime::testing::{Reply, ask};
use evenstock_sync_api::{Warehouses, warehouse_routes};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Desk = Warehouses<MemoryStore, MemoryQueue, MemorySealer, FixedClock>;

struct Function {
    desk: Arc<Desk>,
    router: Router,
}

impl Function {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        for (text, organization, scopes) in [
            ("admin", "shop", vec![Scope::Admin]),
            ("rival", "other", vec![Scope::Admin]),
            ("clerk", "shop", vec![Scope::Read, Scope::Write]),
        ] {
            let organization = OrganizationId::parse(organization).unwrap();
            let key = ApiKey { id: text.to_owned(), organization, scopes, operator: false, expires_at: None };
            store.put_key(Sha256::digest(text.as_bytes()).into(), key);
        }
        let access = AccessControl::new(Arc::clone(&store), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
        let desk = Arc::new(Warehouses {
            store,
            queue: MemoryQueue::default(),
            sealer: MemorySealer::default(),
            clock: FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap()),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            cursors: CursorKey::new(*b"0123456789abcdef"),
            guard: Guard { allow_private: false },
            default_endpoint: None,
        });
        Self { router: shell(warehouse_routes(Arc::clone(&desk), &access)), desk }
    }

    async fn asked(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        let request = Request::builder().method(method).uri(path).header("x-api-key", key);
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        ask(&self.router, request.body(body).unwrap()).await
    }

    async fn set_up(&self) {
        let reply = self.asked("admin", "PUT", "/warehouses/wh-1", Some(settings())).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Two changes, of which the second contradicts the first.
    async fn contradict(&self) -> String {
        let count = |millis: i64, before, units| WarehouseCount {
            sku: Sku::parse("A").unwrap(),
            warehouse: LocationId::parse("wh-1").unwrap(),
            quantity: Quantity::new(units).unwrap(),
            before,
            time: self.desk.clock.now().plus_millis(millis - 10_000),
            position: Some(7),
        };
        let Warehouses { store, clock, ids, .. } = &*self.desk;
        let deps = CountDeps { store: &**store, clock, ids };
        let counts = [count(1, None, 10), count(2, Some(6), 5)];
        let done = apply_counts(deps, &key(), ConflictPolicy::Manual, &counts).await;
        assert!(done.failure.is_none());
        let found = store.conflicts(&key().organization, Some(true), None, 9).await.unwrap().conflicts;
        found[0].id.clone()
    }

    async fn units(&self) -> i64 {
        self.desk.store.load(&key()).await.unwrap().unwrap().level.available
    }
}

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("shop").unwrap(),
        sku: Sku::parse("A").unwrap(),
        location: LocationId::parse("wh-1").unwrap(),
    }
}

fn settings() -> Value {
    json!({ "endpoint": "https://wh.example/api", "apiKey": "wh-key", "conflictPolicy": "manual" })
}

#[tokio::test]
async fn warehouse_is_set_up_by_the_organization_that_claimed_it() {
    let function = Function::new();
    let reply = function.asked("admin", "PUT", "/warehouses/wh-1", Some(settings())).await;
    let expected = json!({
        "warehouseId": "wh-1", "endpoint": "https://wh.example/api", "hasApiKey": true, "conflictPolicy": "manual",
        "createdAt": "2026-11-20T08:00:00.000Z", "updatedAt": "2026-11-20T08:00:00.000Z",
    });
    assert_eq!((reply.status, &reply.body), (200, &expected));
    assert!(!reply.text.contains("wh-key"), "keys are never shown");
    let taken = function.asked("rival", "PUT", "/warehouses/wh-1", Some(settings())).await;
    assert_eq!(taken.refusal(), (409, "conflict"));
    function.desk.clock.advance_ms(1000);
    let change = json!({ "endpoint": "https://wh.example/v2", "conflictPolicy": "central_wins" });
    let reply = function.asked("admin", "PUT", "/warehouses/wh-1", Some(change.clone())).await;
    assert_eq!((&reply.body["hasApiKey"], &reply.body["conflictPolicy"]), (&json!(true), &json!("central_wins")));
    let removed = json!({ "endpoint": "https://wh.example/v2", "conflictPolicy": "manual", "apiKey": null });
    assert_eq!(function.asked("admin", "PUT", "/warehouses/wh-1", Some(removed)).await.body["hasApiKey"], false);
    let sealed = function.desk.store.load_warehouse(&key().location).await.unwrap().unwrap();
    assert_eq!(sealed.api_key, None);
}

#[rstest]
#[case::nothing(json!({}), &["endpoint", "conflictPolicy"])]
#[case::all_wrong(json!({ "endpoint": "ftp://x", "apiKey": "two words", "conflictPolicy": "mine" }), &["endpoint", "apiKey", "conflictPolicy"])]
#[case::our_own_network(json!({ "endpoint": "http://169.254.169.254/", "conflictPolicy": "manual" }), &["endpoint"])]
#[case::query(json!({ "endpoint": "https://x.example/?a=1", "conflictPolicy": "manual" }), &["endpoint"])]
#[tokio::test]
async fn wrong_settings_are_named_at_once(#[case] body: Value, #[case] fields: &[&str]) {
    let reply = Function::new().asked("admin", "PUT", "/warehouses/wh-1", Some(body)).await;
    assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), fields.to_vec()));
}

#[tokio::test]
async fn warehouses_are_listed_page_by_page_for_their_organization() {
    let function = Function::new();
    for n in 0..60 {
        function.asked("admin", "PUT", &format!("/warehouses/wh-{n:02}"), Some(settings())).await;
    }
    let first = function.asked("admin", "GET", "/warehouses", None).await;
    assert_eq!(first.body["items"].as_array().unwrap().len(), 50);
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let second = function.asked("admin", "GET", &format!("/warehouses?cursor={cursor}"), None).await;
    assert_eq!((second.body["items"].as_array().unwrap().len(), &second.body["nextCursor"]), (10, &json!("")));
    let theirs = function.asked("rival", "GET", "/warehouses", None).await;
    assert_eq!(theirs.body, json!({ "items": [], "nextCursor": "" }));
    assert_eq!(
        function.asked("rival", "GET", &format!("/warehouses?cursor={cursor}"), None).await.fields(),
        ["cursor"]
    );
}

#[tokio::test]
async fn reconciliation_runs_once_a_warehouse() {
    let function = Function::new();
    function.set_up().await;
    let first = function.asked("admin", "POST", "/sync/warehouses/wh-1", None).await;
    assert_eq!((first.status, &first.body["status"]), (202, &json!("queued")));
    let again = function.asked("admin", "POST", "/sync/warehouses/wh-1", None).await;
    assert_eq!(again.body["jobId"], first.body["jobId"], "two triggers, one job");
    let messages = function.desk.queue.bodies(QueueName::WarehouseSync);
    for message in &messages {
        let message: WarehouseSyncJob = serde_json::from_str(message).unwrap();
        assert_eq!((message.organization.as_str(), message.warehouse.as_str()), ("shop", "wh-1"));
        assert_eq!(json!(message.job_id), first.body["jobId"]);
    }
    for (key, path) in [("rival", "/sync/warehouses/wh-1"), ("admin", "/sync/warehouses/wh-2")] {
        assert_eq!(function.asked(key, "POST", path, None).await.refusal(), (404, "not_found"));
    }
    function.desk.queue.set_down(true);
    assert_eq!(function.asked("admin", "POST", "/sync/warehouses/wh-1", None).await.refusal(), (503, "unavailable"));
}

#[rstest]
#[case::warehouse(json!({ "resolution": "warehouse" }), 5)]
#[case::central(json!({ "resolution": "central" }), 10)]
#[case::quantity(json!({ "resolution": "quantity", "quantity": 7 }), 7)]
#[tokio::test]
async fn conflict_is_shown_and_settled_once(#[case] wish: Value, #[case] expected: i64) {
    let function = Function::new();
    function.set_up().await;
    let id = function.contradict().await;
    let listed = function.asked("admin", "GET", "/sync/conflicts?status=open", None).await;
    let shown = &listed.body["items"][0];
    assert_eq!((&shown["id"], &shown["status"], &shown["policy"]), (&json!(id), &json!("open"), &json!("manual")));
    assert_eq!((&shown["warehouse"]["quantity"], &shown["central"]["quantity"]), (&json!(5), &json!(10)));
    assert_eq!((&shown["warehouse"]["before"], &shown["reason"]), (&json!(6), &json!("before_differs")));

    let path = format!("/sync/conflicts/{id}/resolve");
    assert_eq!(function.asked("rival", "POST", &path, Some(wish.clone())).await.refusal(), (404, "not_found"));
    for _ in 0..2 {
        let settled = function.asked("admin", "POST", &path, Some(wish.clone())).await;
        assert_eq!((settled.status, &settled.body["resolved"]["by"]), (200, &json!("admin")), "{settled:?}");
        assert_eq!(function.units().await, expected);
    }
    let other = json!({ "resolution": "quantity", "quantity": 99 });
    assert_eq!(function.asked("admin", "POST", &path, Some(other)).await.refusal(), (409, "conflict"));
    let open = function.asked("admin", "GET", "/sync/conflicts?status=open", None).await;
    assert_eq!(open.body, json!({ "items": [], "nextCursor": "" }));
    let settled = function.asked("admin", "GET", "/sync/conflicts?status=resolved", None).await;
    assert_eq!(settled.body["items"].as_array().unwrap().len(), 1);
}

#[rstest]
#[case::nothing(json!({}), &["resolution"])]
#[case::unknown(json!({ "resolution": "mine" }), &["resolution"])]
#[case::no_quantity(json!({ "resolution": "quantity" }), &["quantity"])]
#[case::negative(json!({ "resolution": "quantity", "quantity": -1 }), &["quantity"])]
#[case::quantity_of_another(json!({ "resolution": "central", "quantity": 1 }), &["quantity"])]
#[tokio::test]
async fn wrong_resolution_is_named(#[case] body: Value, #[case] fields: &[&str]) {
    let reply = Function::new().asked("admin", "POST", "/sync/conflicts/x/resolve", Some(body)).await;
    assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), fields.to_vec()));
}

#[rstest]
#[case("PUT", "/warehouses/wh-1")]
#[case("GET", "/warehouses")]
#[case("POST", "/sync/warehouses/wh-1")]
#[case("GET", "/sync/conflicts")]
#[case("POST", "/sync/conflicts/x/resolve")]
#[tokio::test]
async fn warehouses_are_for_admins(#[case] method: &str, #[case] path: &str) {
    let function = Function::new();
    assert_eq!(function.asked("nobody", method, path, None).await.refusal(), (401, "unauthorized"));
    assert_eq!(function.asked("clerk", method, path, None).await.refusal(), (403, "forbidden"));
}

#[tokio::test]
async fn what_admins_do_to_warehouses_is_written_down_without_secrets() {
    let function = Function::new();
    function.set_up().await;
    assert_eq!(function.asked("rival", "PUT", "/warehouses/wh-1", Some(settings())).await.status, 409);
    assert_eq!(function.asked("admin", "POST", "/sync/warehouses/wh-1", None).await.status, 202);
    assert_eq!(function.asked("admin", "POST", "/sync/warehouses/wh-2", None).await.status, 404);
    let path = format!("/sync/conflicts/{}/resolve", function.contradict().await);
    let choice = json!({ "resolution": "quantity", "quantity": 3 });
    for _ in 0..2 {
        assert_eq!(function.asked("admin", "POST", &path, Some(choice.clone())).await.status, 200);
    }
    let store = &function.desk.store;
    let mut entries = store.audit(&key().organization, None, 50).await.unwrap().entries;
    entries.sort_by_key(|entry| entry.action.as_str());
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.about.as_str())).collect();
    let set = ("warehouse.set", "https://wh.example/api, manual, a new key");
    assert_eq!(told, [("conflict.resolved", "quantity 3"), ("sync.triggered", ""), set]);
    assert!(entries.iter().all(|entry| entry.actor == "admin"));
    assert_eq!(entries[1].target, "warehouse/wh-1");
    let rivals = OrganizationId::parse("other").unwrap();
    assert_eq!(store.audit(&rivals, None, 50).await.unwrap().entries, []);
}
