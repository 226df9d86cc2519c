//! Syncs on request, and looking their jobs up.

use evenstock_app::testing::contract::registration;
use evenstock_app::testing::{FixedClock, MemorySealer};
use evenstock_app::{
    Clock, MarketplaceStore, MarketplaceStores, QueueName, RegisterStore, StoreWrite, SwitchStore, register_store,
};
use evenstock_domain::OrganizationId;
use evenstock_runtime::SystemClock;
use serde_json::{Value, json};

use super::Function;

fn text(body: &Value, pointer: &str) -> String {
    body.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn everything_is_one_job_that_ends_with_its_poll() {
    let function = Function::new(Some("shop"));
    let reply = function.asked("POST", "/sync/trigger", Some("admin")).await;
    let id = text(&reply.body, "/jobId");
    assert!(id.starts_with("sync-"), "{id}");
    assert_eq!((reply.status, &reply.body), (202, &json!({ "jobId": id, "status": "queued" })));
    let again = function.asked("POST", "/sync/trigger", Some("admin")).await;
    assert_eq!(text(&again.body, "/jobId"), id, "a second asker is given the one that runs");
    let poll = function.jobs().first().unwrap().job_id.clone();
    assert_ne!(poll, id);
    function.ended(&poll, None).await;
    let status = function.asked("GET", &format!("/sync/status/{id}"), Some("admin")).await;
    assert_eq!(status.status, 200);
    let told = ["/kind", "/status", "/processed", "/applied", "/failed", "/driftCount"]
        .map(|at| status.body.pointer(at).unwrap());
    assert_eq!(told, [&json!("trigger"), &json!("completed"), &json!(3), &json!(2), &json!(1), &json!(0)]);
    let part = function.asked("GET", &format!("/sync/status/{poll}"), Some("admin")).await;
    assert_eq!(
        (text(&part.body, "/kind"), text(&part.body, "/subject")),
        ("poll".into(), "marketplace-b/default".into())
    );
}

#[tokio::test]
async fn poll_that_met_an_open_breaker_shows_as_failed() {
    let function = Function::new(Some("shop"));
    let reply = function.asked("POST", "/trigger-poll", Some("admin")).await;
    let id = text(&reply.body, "/data/jobId");
    function.ended(&id, Some("breaker_open")).await;
    let status = function.asked("GET", &format!("/sync/status/{id}"), Some("admin")).await;
    assert_eq!(text(&status.body, "/status"), "failed");
    assert_eq!(status.body.pointer("/errors/0").unwrap(), "breaker_open");
}

#[tokio::test]
async fn nothing_to_synchronize_is_done_at_once() {
    let function = Function::new(None);
    let reply = function.asked("POST", "/api/sync", Some("admin")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        (reply.body.pointer("/success").unwrap(), text(&reply.body, "/message")),
        (&json!(true), "sync completed".into())
    );
}

#[tokio::test]
async fn due_stores_of_the_organization_are_queued_and_counted_though_it_is_stopped() {
    let function = Function::new(None);
    let (store, clock) = (function.store(), FixedClock::at(SystemClock.now()));
    for (organization, name) in [("shop", "ours"), ("other", "theirs")] {
        let organization = OrganizationId::parse(organization).unwrap();
        let asked = RegisterStore { organization, ..registration(name) };
        let id = register_store(store, &MemorySealer::default(), &clock, &asked).await.unwrap().store;
        let found = store.load_store(&id).await.unwrap().unwrap();
        let due = MarketplaceStore { sync: found.store.sync.watched_by(clock.now()).unwrap(), ..found.store };
        assert_eq!(store.save_store(Some(found.rev), &due).await.unwrap(), StoreWrite::Saved);
    }
    let shop = OrganizationId::parse("shop").unwrap();
    store.set_switch(&shop, false, None, clock.now()).await.unwrap();
    let reply = function.asked("POST", "/sync/trigger", Some("admin")).await;
    assert_eq!(reply.status, 202);
    let queued = function.operations.queue.bodies(QueueName::StoreSync);
    assert_eq!(queued, ["{\"storeId\":\"ours\"}"]);
    let status = function.asked("GET", &format!("/sync/status/{}", text(&reply.body, "/jobId")), Some("admin")).await;
    let told = ["/status", "/processed", "/applied", "/failed"].map(|at| status.body.pointer(at).unwrap());
    assert_eq!(told, [&json!("completed"), &json!(1), &json!(1), &json!(0)]);
}

#[tokio::test(start_paused = true)]
async fn sync_waits_for_its_job_and_says_how_it_ended() {
    let function = Function::new(Some("shop"));
    let poller = async {
        while function.jobs().is_empty() {
            tokio::time::sleep(core::time::Duration::from_millis(50)).await;
        }
        function.ended(&function.jobs().first().unwrap().job_id, Some("marketplace_failed")).await;
    };
    let (reply, ()) = futures::future::join(function.asked("POST", "/api/sync", Some("admin")), poller).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.pointer("/success").unwrap(), &json!(false));
    assert_eq!(text(&reply.body, "/message"), "sync failed: marketplace_failed");
}

#[tokio::test]
async fn trigger_under_a_key_is_one_job_whatever_fails() {
    let function = Function::new(Some("shop"));
    let asked = async || {
        let headers = [("x-api-key", "admin"), ("idempotency-key", "k")];
        function.sent("POST", "/sync/trigger", &headers, "").await
    };
    for broken in ["load_place", "take_place", "save_job", "keep_answer"] {
        function.set_broken(broken, true);
        assert_eq!(asked().await.refusal(), (503, "unavailable"), "{broken}");
        function.set_broken(broken, false);
    }
    let first = asked().await;
    let again = asked().await;
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (202, 202, Some("true")));
    assert_eq!(first.body, again.body);
    let list = function.asked("GET", "/sync/jobs", Some("admin")).await;
    assert_eq!(list.body.pointer("/items").unwrap().as_array().unwrap().len(), 2, "the whole and its part");
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() {
    let function = Function::new(Some("shop"));
    let mut ids = Vec::new();
    for _ in 0..5 {
        let reply = function.asked("POST", "/trigger-poll", Some("admin")).await;
        let id = text(&reply.body, "/data/jobId");
        function.ended(&id, None).await;
        ids.push(id);
        tokio::time::sleep(core::time::Duration::from_millis(2)).await;
    }
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = function.asked("GET", &format!("/sync/jobs?limit=2&cursor={cursor}"), Some("admin")).await;
        seen.extend(page.body.pointer("/items").unwrap().as_array().unwrap().iter().map(|job| text(job, "/jobId")));
        cursor = text(&page.body, "/nextCursor");
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ids);
    for (query, field) in [("limit=0", "limit"), ("limit=101", "limit"), ("cursor=x", "cursor")] {
        let reply = function.asked("GET", &format!("/sync/jobs?{query}"), Some("admin")).await;
        assert_eq!(reply.fields(), [field]);
    }
}

#[tokio::test]
async fn jobs_belong_to_admins_of_their_organization() {
    let function = Function::new(Some("shop"));
    let reply = function.asked("POST", "/trigger-poll", Some("admin")).await;
    let path = format!("/sync/status/{}", text(&reply.body, "/data/jobId"));
    assert_eq!(function.asked("GET", &path, Some("clerk")).await.refusal(), (403, "forbidden"));
    let headers = [("x-api-key", "admin"), ("x-organization-id", "other")];
    assert_eq!(function.sent("GET", &path, &headers, "").await.refusal(), (404, "not_found"));
    for unknown in ["/sync/status/sync-1", "/sync/status/%00"] {
        assert_eq!(function.asked("GET", unknown, Some("admin")).await.refusal(), (404, "not_found"));
    }
}
