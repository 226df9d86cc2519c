//! What a caller sees when our side fails: that it failed and what to do, never why.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::Fault;
use evenstock_app::{ApiKey, KeyStore, StockStore, StoreError};
use evenstock_domain::{StockLevel, Timestamp};
use evenstock_runtime::http::{AccessControl, RateLimits};
use evenstock_runtime::testing::Reply;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{CONTRACT, Function, key, update};

/// The cause must stay with us.
fn hides_the_cause(reply: &Reply) {
    for cause in ["injected", "store", "page", "tries", "hunter2"] {
        assert!(!reply.text.contains(cause), "{}", reply.text);
    }
}

#[rstest]
#[tokio::test]
async fn store_that_is_down_is_unavailable_for_now(
    #[values(Fault::NotDone, Fault::UnknownNotDone, Fault::UnknownDone)] fault: Fault,
) {
    let function = Function::with_faults(move |_| fault);
    let replies = [
        function.post(&update(1, Some(0), "k")).await,
        function.get("/inventory/SKU-1").await,
        function.get("/inventory/SKU-1?storeId=main").await,
        function.get("/inventory/global/SKU-1").await,
        function.get("/inventory").await,
    ];
    for reply in replies {
        assert_eq!((reply.refusal(), reply.header("retry-after")), ((503, "unavailable"), Some("1")));
        hides_the_cause(&reply);
    }
}

#[tokio::test]
async fn list_tells_which_updates_met_a_store_that_is_down() {
    let function = Function::with_faults(|_| Fault::NotDone);
    let item = |key: &str| json!({ "productId": key, "delta": 1, "version": 0, "idempotencyKey": key });
    let reply = function.post(&json!({ "storeId": "main", "updates": [item("a"), item("b")] })).await;
    let failed = |product: &str| {
        let (kind, message) = ("unavailable", "temporarily unavailable");
        json!({ "productId": product, "applied": false, "errorType": kind, "errorMessage": message })
    };
    assert_eq!((reply.status, &reply.body["results"]), (200, &json!([failed("a"), failed("b")])));
}

#[tokio::test]
async fn writers_that_stay_outpaced_are_told_to_come_again_and_never_a_false_conflict() {
    // Every commit is beaten by another writer, as far as this store can tell.
    let function = Function::with_faults(|called| if called == "commit" { Fault::NotDone } else { Fault::None });
    let reply = function.post(&update(1, Some(0), "k")).await;
    assert_eq!((reply.refusal(), reply.header("retry-after")), ((503, "unavailable"), Some("1")));
}

#[tokio::test]
async fn level_that_cannot_be_read_is_an_internal_error() {
    let function = Function::new();
    function.stock("SKU-1", "main", 5).await;
    let torn = key("SKU-1", "main");
    let store = function.inventory.store.inner();
    let stored = store.load(&torn).await.unwrap().unwrap();
    // It was spilled up to a time to come, yet there is a page that it does not adjoin.
    for n in 0..40 {
        assert_eq!(function.post(&update(1, None, &n.to_string())).await.status, 200);
    }
    let rev = store.load(&torn).await.unwrap().unwrap().rev;
    let spilled_through = evenstock_app::Clock::now(&function.inventory.clock).plus_millis(60_000);
    let level = StockLevel { version: 90, spilled_through, ..stored.level };
    store.commit(&torn, Some(rev), &level).await.unwrap();
    let reply = function.post(&update(-1, None, "k")).await;
    assert_eq!(reply.refusal(), (500, "internal"));
    assert_eq!(reply.body["message"], "internal error");
    hides_the_cause(&reply);
    let item = json!({ "productId": "SKU-1", "delta": -1, "version": null, "idempotencyKey": "k" });
    let reply = function.post(&json!({ "storeId": "main", "updates": [item] })).await;
    assert_eq!(reply.body["results"][0]["errorType"], "internal");
    assert_eq!(reply.body["results"][0]["errorMessage"], "internal error");
}

/// A store of keys that is down, or whose item is broken.
struct BrokenKeys {
    corrupt: bool,
}

impl KeyStore for BrokenKeys {
    async fn find_key(&self, _hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let reason = "hunter2".to_owned();
        let error =
            if self.corrupt { StoreError::Corrupt { key: reason.clone(), reason } } else { StoreError::exhausted(3) };
        Err(error)
    }

    async fn note_use(&self, _hash: &[u8; 32], _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[rstest]
#[case::down(false, (503, "unavailable"))]
#[case::corrupt(true, (500, "internal"))]
#[tokio::test]
async fn key_that_cannot_be_looked_up_is_our_failure_not_the_callers(
    #[case] corrupt: bool,
    #[case] expected: (u16, &str),
) {
    let rates = RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX);
    let access = AccessControl::new(Arc::new(BrokenKeys { corrupt }), rates);
    let router: Router = evenstock_inventory_api::router(Arc::clone(&Function::new().inventory), &access);
    let request = Request::get("/inventory").header("x-api-key", "demo").body(Body::empty()).unwrap();
    let reply = CONTRACT.ask(&router, request).await;
    assert_eq!(reply.refusal(), expected);
    hides_the_cause(&reply);
}

#[tokio::test]
async fn request_id_of_a_failure_is_the_callers() {
    let function = Function::with_faults(|_| Fault::NotDone);
    let headers = [("x-api-key", "demo"), ("x-request-id", "trace-7")];
    let reply = function.asked("GET", "/inventory", &headers, Value::Null).await;
    assert_eq!((reply.refusal(), &reply.body["requestId"]), ((503, "unavailable"), &json!("trace-7")));
}

#[rstest]
#[case::of_a_merge("merge")]
#[case::of_a_replacement("replace")]
#[tokio::test]
async fn sync_that_ended_before_its_answer_was_kept_counts_the_same_again(#[case] mode: &str) {
    let crashed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&crashed);
    let function = Function::with_faults(move |called| {
        if called == "keep_answer" && !seen.load(Ordering::SeqCst) { Fault::UnknownNotDone } else { Fault::None }
    });
    function.stock("SET", "main", 5).await;
    function.stock("OTHER", "main", 7).await;
    let row = |id: &str, qty: i64, version: u64| json!({ "id": id, "qty": qty, "version": version });
    let products = json!([row("SET", 9, 1), row("NEW", 3, 0), row("SKIPPED", 1, 0), row("SKIPPED-2", 1, 7)]);
    function.stock("SKIPPED", "main", 1).await;
    function.stock("SKIPPED-2", "main", 2).await;
    let body = json!({ "storeId": "main", "mode": mode, "products": products });
    let sync = async || {
        let headers = [("x-api-key", "demo"), ("idempotency-key", "night")];
        function.asked("POST", "/inventory/sync", &headers, &body).await
    };
    function.inventory.clock.advance_ms(1000);
    assert_eq!(sync().await.refusal(), (503, "unavailable"), "done, and nobody was told");
    crashed.store(true, Ordering::SeqCst);
    // Life goes on, until the client comes again.
    function.sell("SET", "main", 2).await;
    function.sell("NEW", "main", 1).await;
    function.stock("OTHER", "main", 4).await;
    let updated = if mode == "replace" { 2 } else { 1 };
    let counters = json!({ "updated": updated, "created": 1, "skipped": 2 });
    for replayed in [None, Some("true")] {
        let reply = sync().await;
        assert_eq!((reply.status, &reply.body), (200, &counters));
        assert_eq!(reply.header("idempotency-replayed"), replayed);
    }
    for (sku, units) in [("SET", 7), ("NEW", 2), ("SKIPPED", 1), ("SKIPPED-2", 2), ("OTHER", 4)] {
        assert_eq!(function.get(&format!("/inventory/{sku}")).await.body["available"], units, "{sku}");
    }
}
