//! The endpoints of document 2, through the router.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::contract::{accepted, policy};
use evenstock_app::testing::{MemorySealer, MemoryStore, ScriptedMarketplace};
use evenstock_app::{
    ApiKey, AuditLog, MarketplaceError, MarketplaceStores, Scope, Validation, note_receipt, store_of_token,
};
use evenstock_domain::{OrganizationId, ReceiptId, StoreId};
use evenstock_orders_api::{Orders, openapi, router};
use evenstock_runtime::SystemClock;
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

struct World {
    router: Router,
    orders: Arc<Orders<MemoryStore, ScriptedMarketplace, MemorySealer, SystemClock>>,
}

fn world(answers: Vec<Result<Validation, MarketplaceError>>) -> World {
    let store = Arc::new(MemoryStore::default());
    for (text, organization, operator) in [("demo", "demo", true), ("us", "us", false), ("them", "them", false)] {
        let organization = OrganizationId::parse(organization).unwrap();
        let scopes = vec![Scope::Read, Scope::Write];
        let key = ApiKey { id: text.to_owned(), organization, scopes, operator, expires_at: None };
        store.put_key(Sha256::digest(text).into(), key);
    }
    let access = AccessControl::new(
        Arc::clone(&store),
        RateLimits::new(NonZeroU32::new(1000).unwrap(), NonZeroU32::new(1000).unwrap()),
    );
    let orders = Arc::new(Orders {
        store,
        marketplace: answers.into_iter().fold(ScriptedMarketplace::default(), ScriptedMarketplace::then),
        sealer: MemorySealer::default(),
        clock: SystemClock,
        policy: policy(),
        cursors: CursorKey::new(*b"0123456789abcdef"),
        base_urls: Arc::new(|url| if url.starts_with("https://") { Ok(()) } else { Err("must be https".to_owned()) }),
    });
    World { router: router(Arc::clone(&orders), &access), orders }
}

impl World {
    async fn send(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        let request = Request::builder().method(method).uri(path).header("x-api-key", key);
        let sent = body.as_ref().map_or_else(Body::empty, |body| Body::from(body.to_string()));
        Contract::of(&openapi()).ask(&self.router, request.body(sent).unwrap()).await
    }

    async fn register(&self, key: &str) -> Reply {
        self.send(key, "POST", "/stores/register", Some(registration())).await
    }

    async fn token(&self) -> String {
        self.register("us").await.body["syncToken"].as_str().unwrap().to_owned()
    }

    async fn import(&self, token: &str, receipt: &str) -> Reply {
        self.send("us", "POST", "/orders/import", Some(json!({ "syncToken": token, "receipt": receipt }))).await
    }
}

fn registration() -> Value {
    json!({
        "organizationId": "us", "marketplace": "etsy", "externalStoreId": "store-456", "storeName": "My Store",
        "accessToken": "hunter2", "currency": "usd",
    })
}

#[tokio::test]
async fn registered_twice_gives_the_same_pair_and_shows_no_secret() {
    let world = world(Vec::new());
    let all = join_all((0..32).map(|_| world.register("us"))).await;
    assert!(all.iter().all(|reply| reply.status == 200 && reply.body == all[0].body), "{all:?}");
    assert_eq!(world.register("demo").await.body, all[0].body, "an operator may name any organization");
    let shown = format!("{:?} {:?} {}", world.orders.store, world.orders, all[0].text);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(world.register("them").await.refusal(), (403, "forbidden"));
}

#[tokio::test]
async fn registration_is_written_down_for_its_organization_without_secrets() {
    let world = world(Vec::new());
    assert_eq!(world.register("demo").await.status, 200);
    assert_eq!(world.register("them").await.status, 403);
    let us = OrganizationId::parse("us").unwrap();
    let entries = world.orders.store.audit(&us, None, 50).await.unwrap().entries;
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
    assert_eq!(told, [("store.registered", "etsy/store-456")]);
    assert_eq!((entries[0].actor.as_str(), entries[0].about.as_str()), ("demo", "My Store"));
    let them = OrganizationId::parse("them").unwrap();
    assert!(world.orders.store.audit(&them, None, 50).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn every_wrong_field_of_a_registration_is_named() {
    let world = world(Vec::new());
    let body = json!({
        "organizationId": "", "marketplace": "ebay", "externalStoreId": " a", "storeName": 7, "accessToken": "",
        "currency": "EURO", "stockSignal": "x", "defaultLocationId": "", "webhookSecret": "a\n", "baseUrl": "http://a",
    });
    let reply = world.send("us", "POST", "/stores/register", Some(body)).await;
    assert_eq!(reply.refusal(), (400, "bad_request"));
    assert_eq!(reply.fields().len(), 10, "{:?}", reply.issues());
    assert!(!reply.text.contains("EURO"));
}

#[tokio::test]
async fn thirty_two_identical_imports_make_one_call_and_get_one_answer() {
    let world = world(vec![Ok(accepted(1))]);
    let token = world.token().await;
    let all = join_all((0..32).map(|_| world.import(&token, "order-101"))).await;
    assert!(all.iter().all(|reply| reply.status == 200 && reply.body == all[0].body), "{all:?}");
    assert_eq!(world.orders.marketplace.asked(), ["order-101"]);
    let body = &all[0].body;
    assert_eq!((&body["success"], &body["amount"], &body["currency"]), (&json!(true), &json!(10.5), &json!("USD")));
    assert_eq!(body["importedAt"].as_str().unwrap().len(), "2024-01-01T12:00:00.000Z".len());
}

#[tokio::test]
async fn failures_are_answers_and_count_in_the_status() {
    let limited = Err(MarketplaceError::RateLimited { retry_after_seconds: None });
    let world = world(vec![limited, Ok(Validation::Refused), Ok(accepted(1))]);
    let token = world.token().await;
    let status = async || world.send("us", "GET", &format!("/stores/sync-status?syncToken={token}"), None).await.body;
    let fresh = json!({ "lastSyncAt": null, "importedOrders": 0, "syncStatus": "pending", "rateLimitedCount": 0 });
    assert_eq!(status().await, fresh);
    assert_eq!(world.import(&token, "RL15").await.body, json!({ "success": false, "error": "rate_limited" }));
    assert_eq!(world.import(&token, "r2").await.body, json!({ "success": false, "error": "invalid_receipt" }));
    assert_eq!(status().await["syncStatus"], "failed");
    assert_eq!(world.import(&token, "r3").await.body["success"], true);
    let now = status().await;
    assert_eq!((&now["syncStatus"], &now["importedOrders"]), (&json!("partial"), &json!(1)));
    assert_eq!(now["rateLimitedCount"], 1);
}

#[tokio::test]
async fn receipts_are_listed_by_state_and_page() {
    let world = world(vec![Ok(accepted(1)), Ok(accepted(2))]);
    let token = world.token().await;
    for receipt in ["a", "b", "c"] {
        world.import(&token, receipt).await;
    }
    let list = async |query: &str| world.send("us", "GET", &format!("/orders?syncToken={token}{query}"), None).await;
    let failed = list("&status=failed").await.body;
    assert_eq!((failed["items"].as_array().unwrap().len(), &failed["nextCursor"]), (1, &json!("")));
    assert_eq!((&failed["items"][0]["receipt"], &failed["items"][0]["attempt"]), (&json!("c"), &json!(1)));
    let first = list("&limit=2").await.body;
    let rest = list(&format!("&limit=2&cursor={}", first["nextCursor"].as_str().unwrap())).await.body;
    assert_eq!(first["items"].as_array().unwrap().len() + rest["items"].as_array().unwrap().len(), 3);
    for query in ["&status=odd", "&limit=0", "&limit=501", "&cursor=x"] {
        assert_eq!(list(query).await.refusal(), (400, "bad_request"), "{query}");
    }
    let none = world.send("us", "GET", "/orders", None).await;
    assert_eq!(none.fields(), ["syncToken"]);
}

#[tokio::test]
async fn sync_token_of_another_organization_leads_nowhere() {
    let world = world(vec![Ok(accepted(1))]);
    let token = world.token().await;
    let body = json!({ "syncToken": token, "receipt": "r" });
    for path in ["/orders/import", "/orders/cancel"] {
        assert_eq!(world.send("them", "POST", path, Some(body.clone())).await.refusal(), (404, "not_found"));
    }
    let unknown = json!({ "syncToken": "unknown", "receipt": "r" });
    assert_eq!(world.send("us", "POST", "/orders/import", Some(unknown)).await.refusal(), (404, "not_found"));
    assert_eq!(world.send("demo", "POST", "/orders/import", Some(body)).await.body["success"], true);
    let bare = world.send("us", "POST", "/orders/import", Some(json!({}))).await;
    assert_eq!(bare.fields(), ["syncToken", "receipt"]);
}

#[tokio::test]
async fn cancelled_order_is_shown_as_returned() {
    let world = world(vec![Ok(accepted(1))]);
    let token = world.token().await;
    world.import(&token, "r").await;
    let body = json!({ "syncToken": token, "receipt": "r" });
    let cancelled = world.send("us", "POST", "/orders/cancel", Some(body.clone())).await;
    assert_eq!((&cancelled.body["stock"], &cancelled.body["cancelled"]), (&json!("returned"), &json!(true)));
    assert_eq!(world.send("us", "POST", "/orders/cancel", Some(body)).await.body, cancelled.body);
}

#[tokio::test]
async fn idempotency_key_stands_for_one_request() {
    let world = world(vec![Ok(accepted(1)), Ok(accepted(1))]);
    let token = world.token().await;
    let send = async |receipt: &str| {
        let body = json!({ "syncToken": token, "receipt": receipt }).to_string();
        let request = Request::post("/orders/import").header("x-api-key", "us").header("idempotency-key", "k");
        Contract::of(&openapi()).ask(&world.router, request.body(Body::from(body)).unwrap()).await
    };
    let first = send("a").await;
    let again = send("a").await;
    assert_eq!((first.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(first.body, again.body);
    assert_eq!(send("b").await.refusal(), (422, "unprocessable"));
}

#[tokio::test]
async fn registration_repeated_under_its_key_takes_nothing_back() {
    let world = world(Vec::new());
    let register = async |key: &str, token: &str| {
        let mut body = registration();
        body["accessToken"] = json!(token);
        let request = Request::post("/stores/register").header("x-api-key", "us").header("idempotency-key", key);
        let request = request.body(Body::from(body.to_string())).unwrap();
        Contract::of(&openapi()).ask(&world.router, request).await
    };
    let first = register("k-1", "one").await;
    assert_eq!(register("k-2", "two").await.body, first.body);
    let again = register("k-1", "one").await;
    assert_eq!((again.body, again.headers["idempotency-replayed"].to_str().unwrap()), (first.body.clone(), "true"));
    let id = StoreId::parse(first.body["storeId"].as_str().unwrap()).unwrap();
    let store = world.orders.store.load_store(&id).await.unwrap().unwrap().store;
    let token = store.account(&world.orders.sealer).await.unwrap().access_token;
    assert_eq!(token.expose(), "two", "what was registered last stays");
    assert_eq!(register("k-1", "three").await.refusal(), (422, "unprocessable"));
}

#[tokio::test]
async fn ten_thousand_receipts_are_listed_in_bounded_pages() {
    let world = world(Vec::new());
    let token = world.token().await;
    let organization = OrganizationId::parse("us").unwrap();
    let find = async || store_of_token(&*world.orders.store, &token, Some(&organization)).await.unwrap().unwrap();
    // From the first one on the store is watched; who knows so has no more to write of it.
    let unwatched = find().await;
    note_receipt(&*world.orders.store, &SystemClock, &unwatched, &ReceiptId::parse("r0").unwrap()).await.unwrap();
    let of = find().await;
    for n in 1..10_000 {
        let receipt = ReceiptId::parse(&format!("r{n}")).unwrap();
        note_receipt(&*world.orders.store, &SystemClock, &of, &receipt).await.unwrap();
    }
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let path = format!("/orders?syncToken={token}&limit=500&cursor={cursor}");
        let page = world.send("us", "GET", &path, None).await.body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 500);
        seen.extend(items.iter().map(|item| item["receipt"].as_str().unwrap().to_owned()));
        cursor = page["nextCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 10_000);
}

#[tokio::test]
async fn importing_while_the_breaker_is_open_is_an_answer_and_no_call() {
    let down = || Err(MarketplaceError::Unavailable { reason: "500".to_owned(), retry_after_seconds: None });
    let world = world(vec![down(), down(), down()]);
    let token = world.token().await;
    for receipt in ["a", "b", "c", "d"] {
        let body = world.import(&token, receipt).await.body;
        assert_eq!(body, json!({ "success": false, "error": "marketplace_unavailable" }));
    }
    assert_eq!(world.orders.marketplace.asked().len(), 3);
}

#[tokio::test]
async fn every_field_that_is_described_is_read_and_named_when_it_is_wrong() {
    let world = world(Vec::new());
    let contract = Contract::of(&openapi());
    let mut tried = 0;
    for (method, path, operation) in contract.operations() {
        for example in contract.example_bodies(operation) {
            for broken in contract.broken_bodies(operation, &example) {
                let reply = world.send("demo", &method, path, Some(broken.body.clone())).await;
                assert_eq!(reply.refusal(), (400, "bad_request"), "{method} {path} {broken:?}");
                assert_eq!(reply.fields(), [broken.field.as_str()], "{method} {path} {}", broken.body);
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 16 + 2 * 4);
}
