//! Policies, histories, bulk syncs and records by store and SKU, from the request through every layer and back.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use core::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{ApiKey, Scope};
use evenstock_domain::{EventIdKey, OrganizationId, Timestamp};
use evenstock_inventory_api::{Inventory, openapi, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const RECORD: &str = "/api/inventory/stores/main/inventory/SKU";
const ADJUST: &str = "/api/inventory/stores/main/inventory/SKU/adjust";

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

struct Function {
    inventory: Arc<Inventory<MemoryStore, FixedClock>>,
    router: Router,
}

impl Function {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        for name in ["demo", "shop"] {
            let organization = OrganizationId::parse(name).unwrap();
            let scopes = vec![Scope::Read, Scope::Write];
            let key = ApiKey { id: name.to_owned(), organization, scopes, operator: false, expires_at: None };
            store.put_key(Sha256::digest(name.as_bytes()).into(), key);
        }
        let access = AccessControl::new(Arc::clone(&store), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
        let inventory = Arc::new(Inventory {
            store,
            clock: FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap()),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            cursors: CursorKey::new(*b"0123456789abcdef"),
        });
        Self { router: router(Arc::clone(&inventory), &access), inventory }
    }

    /// Each request comes a second after the one before.
    async fn asked(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: impl ToString) -> Reply {
        self.inventory.clock.advance_ms(1000);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "x-api-key") {
            request = request.header("x-api-key", "demo");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        CONTRACT.ask(&self.router, request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.asked("GET", path, &[], "").await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.asked("POST", path, &[], body).await
    }

    async fn keyed(&self, path: &str, key: &str, body: Value) -> Reply {
        self.asked("POST", path, &[("idempotency-key", key)], body).await
    }

    async fn policy(&self, body: Value) -> Reply {
        self.asked("PUT", "/inventory/SKU/policy", &[], body).await
    }

    async fn stocked(units: i64) -> Self {
        let function = Self::new();
        assert_eq!(function.create("main", units).await.status, 201);
        function
    }

    async fn create(&self, store: &str, units: i64) -> Reply {
        self.post("/api/inventory", json!({ "sku": "SKU", "storeId": store, "initialQuantity": units })).await
    }

    async fn sync(&self, mode: &str, products: &[(&str, i64, u64)]) -> Value {
        self.post("/inventory/sync", sync(mode, products)).await.body
    }
}

fn sync(mode: &str, products: &[(&str, i64, u64)]) -> Value {
    let row = |(id, qty, version): &(&str, i64, u64)| json!({ "id": id, "qty": qty, "version": version });
    json!({ "storeId": "main", "mode": mode, "products": products.iter().map(row).collect::<Vec<_>>() })
}

fn counters(updated: u64, created: u64, skipped: u64) -> Value {
    json!({ "updated": updated, "created": created, "skipped": skipped })
}

#[tokio::test]
async fn record_is_created_read_and_adjusted() {
    let function = Function::new();
    let created = function.create("main", 10).await;
    let data = json!({
        "sku": "SKU", "storeId": "main", "qty": 10, "version": 1,
        "createdAt": "2026-11-20T08:00:01.000Z", "updatedAt": "2026-11-20T08:00:01.000Z",
    });
    assert_eq!((created.status, created.body), (201, json!({ "success": true, "data": data })));
    let again = function.create("main", 10).await;
    assert_eq!(again.refusal(), (409, "conflict"));
    assert_eq!(again.body["current"], json!({ "available": 10, "version": 1 }));

    let adjusted = function.post(ADJUST, json!({ "delta": -3, "expectedVersion": 1 })).await;
    assert_eq!((adjusted.status, adjusted.header("etag")), (200, Some("\"2\"")));
    let record =
        json!({ "sku": "SKU", "storeId": "main", "qty": 7, "version": 2, "updatedAt": "2026-11-20T08:00:03.000Z" });
    assert_eq!(adjusted.body, json!({ "success": true, "newQuantity": 7, "newVersion": 2, "record": record }));
    let read = function.get(RECORD).await;
    assert_eq!((read.status, read.header("etag")), (200, Some("\"2\"")));
    assert_eq!((&read.body["qty"], &read.body["reserved"], &read.body["version"]), (&json!(7), &json!(0), &json!(2)));
}

#[rstest]
#[case("\"1\"", 304)]
#[case("W/\"1\"", 304)]
#[case("\"7\", \"1\"", 304)]
#[case("*", 304)]
#[case("\"2\"", 200)]
#[case("nonsense", 200)]
#[tokio::test]
async fn known_version_is_not_sent_again(#[case] tag: &str, #[case] status: u16) {
    let function = Function::stocked(10).await;
    let reply = function.asked("GET", RECORD, &[("if-none-match", tag)], "").await;
    assert_eq!((reply.status, reply.header("etag"), reply.text.is_empty()), (status, Some("\"1\""), status == 304));
}

#[rstest]
#[case::quoted("\"1\"", 9, 200)]
#[case::bare("1", 9, 200)]
#[case::whatever("*", 9, 200)]
#[case::stale("\"9\"", 1, 409)]
#[case::weak("W/\"1\"", 1, 400)]
#[case::signed("+1", 1, 400)]
#[case::empty("", 1, 400)]
#[tokio::test]
async fn if_match_wins_over_the_expected_version(#[case] tag: &str, #[case] expected: u64, #[case] status: u16) {
    let function = Function::stocked(10).await;
    let body = json!({ "delta": 1, "expectedVersion": expected });
    assert_eq!(function.asked("POST", ADJUST, &[("if-match", tag)], body).await.status, status);
}

#[tokio::test]
async fn adjust_refuses_what_it_cannot_do_and_never_creates() {
    let function = Function::new();
    for (delta, version) in [(5, None), (5, Some(0)), (-1, None), (-1, Some(4))] {
        let body = json!({ "delta": delta, "expectedVersion": version });
        assert_eq!(function.post(ADJUST, body).await.refusal(), (404, "not_found"));
    }
    assert_eq!(function.get(RECORD).await.refusal(), (404, "not_found"));
    function.create("main", 10).await;
    assert_eq!(function.post(ADJUST, json!({ "delta": -11 })).await.refusal(), (422, "unprocessable"));
    let ahead = function.post(ADJUST, json!({ "delta": 1, "expectedVersion": 99 })).await;
    assert_eq!(ahead.refusal(), (409, "conflict"), "a version in the future is not the current one");
    for delta in [json!(0), json!(i64::MAX), json!(i64::MIN), json!(2_147_483_648_i64), json!("1"), json!(null)] {
        let refused = function.post(ADJUST, json!({ "delta": delta, "expectedVersion": -1 })).await;
        assert_eq!((refused.refusal(), refused.fields()), ((400, "bad_request"), vec!["delta", "expectedVersion"]));
    }
    let brimming = function.post(ADJUST, json!({ "delta": 2_147_483_647 })).await;
    assert_eq!(brimming.refusal(), (422, "unprocessable"));
    assert_eq!(function.get(RECORD).await.body["version"], 1);
}

#[tokio::test]
async fn keys_make_creation_and_adjustment_happen_once() {
    let function = Function::new();
    let creation = json!({ "sku": "SKU", "storeId": "main", "initialQuantity": 10 });
    let first = function.keyed("/api/inventory", "c", creation.clone()).await;
    let adjusted = function.keyed(ADJUST, "a", json!({ "delta": -1 })).await;
    for _ in 0..40 {
        function.post(ADJUST, json!({ "delta": 1 })).await;
    }
    let again = function.keyed("/api/inventory", "c", creation).await;
    assert_eq!((again.status, &again.body, again.header("idempotency-replayed")), (201, &first.body, Some("true")));
    let again = function.keyed(ADJUST, "a", json!({ "delta": -1 })).await;
    assert_eq!((again.status, &again.body, again.header("idempotency-replayed")), (200, &adjusted.body, Some("true")));
    assert_eq!(first.header("idempotency-replayed"), None);
    let reused = function.keyed(ADJUST, "a", json!({ "delta": -2 })).await;
    assert_eq!(reused.refusal(), (422, "unprocessable"));
    function.post("/api/inventory", json!({ "sku": "OTHER", "storeId": "main", "initialQuantity": 9 })).await;
    let elsewhere = "/api/inventory/stores/main/inventory/OTHER/adjust";
    assert_eq!(function.keyed(elsewhere, "a", json!({ "delta": -1 })).await.refusal(), (422, "unprocessable"));
    let theirs = [("x-api-key", "shop"), ("idempotency-key", "c")];
    let body = json!({ "sku": "SKU", "storeId": "main", "initialQuantity": 1 });
    assert_eq!(function.asked("POST", "/api/inventory", &theirs, body).await.status, 201, "another organization's key");
    function.inventory.clock.advance_ms(31 * 24 * 3_600_000);
    let anew = function.keyed(ADJUST, "a", json!({ "delta": -2 })).await;
    assert_eq!((anew.status, anew.header("idempotency-replayed")), (200, None), "an expired key is free");
    for key in ["", &"x".repeat(256)] {
        assert_eq!(function.keyed(ADJUST, key, json!({ "delta": -1 })).await.fields(), ["Idempotency-Key"]);
    }
}

#[tokio::test]
async fn safety_stock_stays_and_is_shown() {
    let function = Function::stocked(10).await;
    let set = function.policy(json!({ "storeId": "main", "lowStock": 4, "safetyStock": 3 })).await;
    let policy = json!({
        "productId": "SKU", "storeId": "main", "lowStock": 4, "allowBackorder": false, "safetyStock": 3,
    });
    assert_eq!((set.status, &set.body), (200, &policy));
    assert_eq!(function.get("/inventory/SKU/policy?storeId=main").await.body, policy);
    let refused = function.post(ADJUST, json!({ "delta": -8 })).await;
    assert_eq!((refused.refusal(), &refused.body["current"]["available"]), ((422, "unprocessable"), &json!(10)));
    assert_eq!(function.post(ADJUST, json!({ "delta": -7 })).await.body["newQuantity"], 3);
    assert_eq!(function.post(ADJUST, json!({ "delta": -1 })).await.refusal(), (422, "unprocessable"));
    assert_eq!(function.get(RECORD).await.body["version"], 2, "a policy is no change of stock");
    function.policy(json!({ "allowBackorder": true, "lowStock": null })).await;
    assert_eq!(function.post(ADJUST, json!({ "delta": -8 })).await.body["newQuantity"], -5);
    assert_eq!(function.get(RECORD).await.body["qty"], 0);
    let body = function.get("/inventory/SKU/policy").await.body;
    let place = json!({ "storeId": "main", "lowStock": null, "allowBackorder": true, "safetyStock": 3 });
    assert_eq!(body, json!({ "productId": "SKU", "policies": [place] }));
}

#[tokio::test]
async fn policy_without_a_store_is_set_at_each() {
    let function = Function::stocked(10).await;
    function.create("other", 5).await;
    let set = function.policy(json!({ "safetyStock": 2 })).await;
    let policies = set.body["policies"].as_array().unwrap();
    let stores: Vec<_> = policies.iter().map(|policy| (&policy["storeId"], &policy["safetyStock"])).collect();
    assert_eq!(stores, [(&json!("main"), &json!(2)), (&json!("other"), &json!(2))]);
    assert_eq!(function.policy(json!({})).await.fields(), ["body"]);
    let wrong = json!({ "storeId": "", "lowStock": -1, "allowBackorder": 1, "safetyStock": 2_147_483_648_i64 });
    assert_eq!(function.policy(wrong).await.fields(), ["storeId", "lowStock", "allowBackorder", "safetyStock"]);
    assert_eq!(function.policy(json!({ "storeId": "none", "safetyStock": 1 })).await.refusal(), (404, "not_found"));
    assert_eq!(function.asked("PUT", "/inventory/NONE/policy", &[], json!({ "safetyStock": 1 })).await.status, 404);
    assert_eq!(function.asked("PUT", "/inventory/SKU", &[], json!({ "safetyStock": 1 })).await.status, 405);
    let theirs = function.asked("GET", "/inventory/SKU/policy", &[("x-api-key", "shop")], "").await;
    assert_eq!(theirs.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn history_is_paged_back_to_the_first_change() {
    let function = Function::stocked(100).await;
    for _ in 0..39 {
        function.post(ADJUST, json!({ "delta": -1 })).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = function.get(&format!("/inventory/SKU/history?limit=7&cursor={cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        seen.extend(page.body["items"].as_array().unwrap().clone());
        cursor = page.body["nextCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    let versions: Vec<_> = seen.iter().map(|item| item["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=40).rev().collect::<Vec<_>>());
    let names = ["version", "type", "delta", "newQuantity", "source", "actor", "eventId", "at"];
    assert!(names.iter().all(|name| !seen[0][name].is_null()));
    assert_eq!((&seen[0]["type"], &seen[0]["newQuantity"]), (&json!("StockDecreased"), &json!(61)));
    assert_eq!((&seen[39]["type"], &seen[39]["delta"]), (&json!("StockSet"), &json!(100)));
}

#[tokio::test]
async fn history_refuses_bad_limits_and_cursors_and_asks_which_store() {
    let function = Function::stocked(100).await;
    function.post(ADJUST, json!({ "delta": -1 })).await;
    for limit in ["0", "501", "-1", "x"] {
        assert_eq!(function.get(&format!("/inventory/SKU/history?limit={limit}")).await.fields(), ["limit"]);
    }
    assert_eq!(function.get("/inventory/SKU/history?limit=500").await.status, 200);
    let cursor = function.get("/inventory/SKU/history?limit=1").await.body["nextCursor"].as_str().unwrap().to_owned();
    let refused = [
        format!("SKU/history?cursor=x{cursor}"),
        format!("OTHER/history?cursor={cursor}"),
        format!("SKU/history?storeId=other&cursor={cursor}"),
    ];
    for path in refused {
        assert_eq!(function.get(&format!("/inventory/{path}")).await.fields(), ["cursor"], "{path}");
    }
    assert_eq!(function.get(&format!("/inventory?cursor={cursor}")).await.fields(), ["cursor"], "of another listing");
    function.create("other", 5).await;
    assert_eq!(function.get("/inventory/SKU/history").await.fields(), ["storeId"]);
    let other = function.get("/inventory/SKU/history?storeId=other").await;
    assert_eq!(other.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(function.get("/inventory/NONE/history").await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn product_whose_name_holds_slashes_has_its_own_parts() {
    let function = Function::new();
    function.sync("merge", &[("a/b", 3, 0), ("a/policy", 4, 0)]).await;
    for path in ["a%2Fb", "a/b"] {
        assert_eq!(function.get(&format!("/inventory/{path}")).await.body["available"], 3);
        assert_eq!(function.get(&format!("/inventory/{path}/policy?storeId=main")).await.body["productId"], "a/b");
        assert_eq!(function.get(&format!("/inventory/{path}/history")).await.body["items"][0]["newQuantity"], 3);
        assert_eq!(function.get(&format!("/api/inventory/stores/main/inventory/{path}")).await.body["qty"], 3);
        let adjust = format!("/api/inventory/stores/main/inventory/{path}/adjust");
        assert_eq!(function.post(&adjust, json!({ "delta": 1 })).await.status, 200, "{path}");
        let back = function.post(&adjust, json!({ "delta": -1 })).await;
        assert_eq!(back.body["record"]["sku"], "a/b");
    }
    assert_eq!(function.get("/inventory/a%2Fpolicy").await.body["available"], 4);
}

#[tokio::test]
async fn product_that_is_named_like_another_path_can_be_read() {
    let function = Function::new();
    function.sync("merge", &[("updates", 3, 0), ("sync", 4, 0), ("global", 5, 0)]).await;
    for (name, units) in [("updates", 3), ("sync", 4), ("global", 5)] {
        let read = function.get(&format!("/inventory/{name}?storeId=main")).await;
        assert_eq!((read.status, &read.body["productId"], &read.body["available"]), (200, &json!(name), &json!(units)));
        assert_eq!(function.get(&format!("/inventory/global/{name}")).await.body["totalAvailable"], units);
    }
    for name in ["updates", "sync"] {
        let set = function.asked("PUT", &format!("/inventory/{name}/policy"), &[], json!({ "safetyStock": 1 })).await;
        assert_eq!((set.status, &set.body["policies"][0]["safetyStock"]), (200, &json!(1)));
        let other = function.asked("PUT", &format!("/inventory/{name}"), &[], json!({})).await;
        assert_eq!(other.refusal(), (405, "bad_request"));
        let theirs = function.asked("GET", &format!("/inventory/{name}"), &[("x-api-key", "shop")], "").await;
        assert_eq!(theirs.refusal(), (404, "not_found"));
    }
}

#[tokio::test]
async fn sync_merges_what_was_seen() {
    let function = Function::new();
    assert_eq!(function.sync("merge", &[("a", 5, 0), ("b", 6, 0)]).await, counters(0, 2, 0));
    assert_eq!(function.sync("merge", &[("a", 7, 1), ("b", 9, 4), ("c", 1, 0)]).await, counters(1, 1, 1));
    assert_eq!(function.get("/inventory/a").await.body["available"], 7);
    assert_eq!(function.sync("replace", &[("a", 7, 2)]).await, counters(2, 0, 1));
    assert_eq!(function.sync("replace", &[]).await, counters(1, 0, 0), "an empty list empties the store");
    assert_eq!(function.get("/inventory/global/a").await.body["totalAvailable"], 0);
}

#[tokio::test]
async fn sync_is_replayed_with_the_same_counters() {
    let function = Function::new();
    let body = sync("replace", &[("a", 5, 0)]);
    let first = function.keyed("/inventory/sync", "k", body.clone()).await;
    assert_eq!((first.status, &first.body, first.header("idempotency-replayed")), (200, &counters(0, 1, 0), None));
    function.post("/api/inventory/stores/main/inventory/a/adjust", json!({ "delta": 1 })).await;
    let again = function.keyed("/inventory/sync", "k", body).await;
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&first.body, Some("true")));
    let reused = function.keyed("/inventory/sync", "k", sync("merge", &[("a", 5, 0)])).await;
    assert_eq!(reused.refusal(), (422, "unprocessable"));
    assert_eq!(function.get("/inventory/a").await.body["available"], 6);
}

#[tokio::test]
async fn sync_in_parts_empties_at_the_last_one() {
    let function = Function::new();
    function.sync("merge", &[("a", 1, 0), ("b", 2, 0), ("c", 3, 0)]).await;
    let part = |products: &[(&str, i64, u64)], last: bool| {
        let mut body = sync("replace", products);
        body["syncId"] = json!("night");
        body["final"] = json!(last);
        body
    };
    assert_eq!(function.post("/inventory/sync", part(&[("a", 9, 1)], false)).await.body, counters(1, 0, 0));
    assert_eq!(function.post("/inventory/sync", part(&[("b", 2, 1)], true)).await.body, counters(1, 0, 1));
    let listed = function.get("/inventory").await.body["items"].clone();
    let left: Vec<_> = listed.as_array().unwrap().iter().map(|item| item["available"].clone()).collect();
    assert_eq!(left, [9, 2, 0]);
    let mut elsewhere = part(&[], true);
    elsewhere["storeId"] = json!("other");
    assert_eq!(function.post("/inventory/sync", elsewhere).await.refusal(), (422, "unprocessable"));
}

#[tokio::test]
async fn sync_names_every_wrong_field() {
    let function = Function::new();
    let mut body = sync("upsert", &[("a", 5, 0), ("a", 5, 0)]);
    body["products"].as_array_mut().unwrap().extend([json!({ "id": "", "qty": -1, "version": -1 }), json!(7)]);
    let refused = function.post("/inventory/sync", body).await;
    assert_eq!(refused.refusal().0, 400);
    let fields = ["mode", "products[1].id", "products[2].id", "products[2].qty", "products[2].version", "products[3]"];
    assert_eq!(refused.fields(), fields);
    let many = json!({ "storeId": "main", "mode": "merge", "products": vec![json!({}); 1001] });
    assert_eq!(function.post("/inventory/sync", many).await.fields(), ["products"]);
    let mut alone = sync("replace", &[]);
    alone["final"] = json!(false);
    assert_eq!(function.post("/inventory/sync", alone).await.fields(), ["syncId"]);
}

#[rstest]
#[case("POST", "/api/inventory")]
#[case("GET", RECORD)]
#[case("POST", ADJUST)]
#[case("POST", "/inventory/sync")]
#[case("PUT", "/inventory/SKU/policy")]
#[case("GET", "/inventory/SKU/history")]
#[tokio::test]
async fn nothing_is_open(#[case] method: &str, #[case] path: &str) {
    let reply = Function::new().asked(method, path, &[("x-api-key", "wrong")], "{}").await;
    assert_eq!(reply.refusal(), (401, "unauthorized"));
}
