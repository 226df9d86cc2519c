//! The description against the handlers: each example is accepted, and each field that is described is read.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking; that is how it reports")]

use core::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{ApiKey, Scope};
use evenstock_domain::{EventIdKey, OrganizationId, Timestamp};
use evenstock_inventory_api::{Inventory, openapi, router};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

struct Function {
    contract: Contract,
    router: Router,
    reservation: String,
}

impl Function {
    /// With ten shirts that nobody touched, and a reservation of something else.
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let organization = OrganizationId::parse("demo").unwrap();
        let scopes = vec![Scope::Read, Scope::Write];
        let key = ApiKey { id: "demo".to_owned(), organization, scopes, operator: false, expires_at: None };
        store.put_key(Sha256::digest(b"demo").into(), key);
        let access = AccessControl::new(Arc::clone(&store), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
        let clock = FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
        let ids = EventIdKey::new(*b"0123456789abcdef");
        let inventory = Inventory { store, clock, ids, cursors: CursorKey::new(*b"0123456789abcdef") };
        let contract = Contract::of(&openapi());
        let mut function = Self { contract, router: router(Arc::new(inventory), &access), reservation: String::new() };
        for sku in ["SHIRT-1", "HELD"] {
            let body = json!({ "sku": sku, "storeId": "main", "initialQuantity": 10 });
            assert_eq!(function.asked("POST", "/api/inventory", &body).await.status, 201);
        }
        let body = json!({ "orderId": "o", "lines": [{ "sku": "HELD", "storeId": "main", "qty": 1 }] });
        let held = function.asked("POST", "/reservations", &body).await;
        function.reservation = held.body.get("reservationId").and_then(Value::as_str).unwrap().to_owned();
        function
    }

    async fn asked(&self, method: &str, path: &str, body: &Value) -> Reply {
        let names =
            [("{storeId}", "main"), ("{productId}", "SHIRT-1"), ("{sku}", "SHIRT-1"), ("{id}", &self.reservation)];
        let path = names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
        let request = Request::builder().method(method).uri(path).header("x-api-key", "demo");
        self.contract.ask(&self.router, request.body(Body::from(body.to_string())).unwrap()).await
    }
}

#[tokio::test]
async fn every_endpoint_that_is_described_accepts_its_examples() {
    let contract = Contract::of(&openapi());
    for (method, path, operation) in contract.operations() {
        let examples = contract.example_bodies(operation);
        for body in if examples.is_empty() { vec![Value::Null] } else { examples } {
            let reply = Function::new().await.asked(&method, path, &body).await;
            assert!((200..300).contains(&reply.status), "{method} {path} {body}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn every_field_that_is_described_is_read_and_named_when_it_is_wrong() {
    let function = Function::new().await;
    let mut tried = 0;
    for (method, path, operation) in function.contract.operations() {
        for example in function.contract.example_bodies(operation) {
            for broken in function.contract.broken_bodies(operation, &example) {
                // Without its list it is a single update, and is told what such a one needs.
                if broken.field == "updates" && broken.body.get("updates").is_none() {
                    continue;
                }
                let reply = function.asked(&method, path, &broken.body).await;
                assert_eq!(reply.refusal(), (400, "bad_request"), "{method} {path} {broken:?}");
                assert_eq!(reply.fields(), [broken.field.as_str()], "{method} {path} {}", broken.body);
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried} bodies are not all");
}
