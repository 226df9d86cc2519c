//! Keys and the audit log through the function's router.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking; that is how it reports"
)]

use core::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_admin_api::{Administration, openapi, router};
use evenstock_app::testing::{FixedClock, MemorySealer, MemoryStore};
use evenstock_app::{ApiKey, KeyStore, Scope};
use evenstock_domain::{OrganizationId, Timestamp};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

struct Function {
    router: Router,
    administration: Arc<Administration<MemoryStore, FixedClock, MemorySealer>>,
}

/// Keys of the set-up: text, organization, scopes, operator.
const KEYS: [(&str, &str, &[Scope], bool); 4] = [
    ("admin", "shop", &[Scope::Admin], false),
    ("clerk", "shop", &[Scope::Read, Scope::Write], false),
    ("neighbour", "other", &[Scope::Admin], false),
    ("operator", "house", &[Scope::Admin], true),
];

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Function {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        for (text, organization, scopes, operator) in KEYS {
            let organization = OrganizationId::parse(organization).unwrap();
            let scopes = scopes.to_vec();
            store.put_key(hash(text), ApiKey { id: text.to_owned(), organization, scopes, operator, expires_at: None });
        }
        let access = AccessControl::new(Arc::clone(&store), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
        let clock = FixedClock::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap());
        let cursors = CursorKey::new(*b"cursors of tests");
        let administration = Arc::new(Administration { store, clock, sealer: MemorySealer::default(), cursors });
        Self { router: router(Arc::clone(&administration), &access), administration }
    }

    async fn ask(&self, key: &str, call: &str, headers: &[(&'static str, &str)], body: Option<&Value>) -> Reply {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("x-api-key", key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        CONTRACT.ask(&self.router, request.body(Body::from(body)).unwrap()).await
    }

    async fn create(&self, key: &str, body: &Value) -> Reply {
        self.ask(key, "POST /admin/keys", &[], Some(body)).await
    }

    async fn audit(&self, key: &str) -> Vec<Value> {
        let reply = self.ask(key, "GET /admin/audit", &[], None).await;
        reply.body["items"].as_array().unwrap().clone()
    }
}

fn till(organization: &str) -> Value {
    json!({ "organizationId": organization, "name": "till 7", "scopes": ["write", "read", "write"] })
}

#[tokio::test]
async fn key_is_shown_once_works_and_is_listed_without_its_secret() {
    let function = Function::new();
    let made = function.create("admin", &till("shop")).await;
    let text = made.body["key"].as_str().unwrap();
    assert_eq!((made.status, text.len(), &text[..3]), (201, 76, "es_"));
    assert_eq!(made.body["scopes"], json!(["read", "write"]));
    assert_eq!(made.body["createdAt"], "2026-11-20T08:00:00.000Z");
    let found = function.administration.store.find_key(&hash(text)).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.operator), (made.body["id"].as_str().unwrap(), false));

    let listed = function.ask("admin", "GET /admin/keys", &[], None).await;
    let row = listed.body["items"].as_array().unwrap().iter().find(|row| row["name"] == "till 7").unwrap();
    assert_eq!(row["prefix"], text[..11]);
    assert!(!listed.text.contains(text));
}

#[tokio::test]
async fn revoked_key_is_gone_and_revoking_again_is_the_same() {
    let function = Function::new();
    let made = function.create("admin", &till("shop")).await;
    function.administration.clock.advance_ms(1);
    let call = format!("DELETE /admin/keys/{}", made.body["id"].as_str().unwrap());
    assert_eq!(function.ask("neighbour", &call, &[], None).await.refusal(), (404, "not_found"));
    for _ in 0..2 {
        let reply = function.ask("admin", &call, &[], None).await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    }
    let text = made.body["key"].as_str().unwrap();
    assert_eq!(function.administration.store.find_key(&hash(text)).await.unwrap(), None);
    let listed = function.ask("admin", "GET /admin/keys", &[], None).await;
    assert!(!listed.text.contains("till 7"));
    assert_eq!(function.ask("admin", "DELETE /admin/keys/0011223344556677", &[], None).await.refusal().0, 404);

    let log = function.audit("admin").await;
    let told: Vec<_> = log.iter().map(|entry| (entry["action"].as_str(), entry["actor"].as_str())).collect();
    let by_admin = |action| (Some(action), Some("admin"));
    assert_eq!(told, [by_admin("key.revoked"), by_admin("key.created")]);
    assert!(!log.iter().any(|entry| entry.to_string().contains(text)));
    assert_eq!(function.audit("neighbour").await, [] as [Value; 0]);
}

#[tokio::test]
async fn admin_of_an_organization_rules_over_its_own_keys_only() {
    let function = Function::new();
    let operators = json!({ "organizationId": "shop", "name": "o", "scopes": ["admin"], "operator": true });
    assert_eq!(function.create("admin", &till("other")).await.refusal(), (403, "forbidden"));
    assert_eq!(function.create("admin", &operators).await.refusal(), (403, "forbidden"));
    assert_eq!(function.create("clerk", &till("shop")).await.refusal(), (403, "forbidden"));
    assert_eq!(function.create("nobody", &till("shop")).await.refusal(), (401, "unauthorized"));
    assert_eq!(function.audit("admin").await, [] as [Value; 0], "nothing was done");

    let made = function.create("operator", &operators).await;
    assert_eq!((made.status, &made.body["operator"]), (201, &json!(true)));
    let call = format!("DELETE /admin/keys/{}", made.body["id"].as_str().unwrap());
    assert_eq!(function.ask("admin", &call, &[], None).await.refusal(), (403, "forbidden"));
    let shop = [("x-organization-id", "shop")];
    assert_eq!(function.ask("operator", &call, &shop, None).await.status, 204);
}

#[tokio::test]
async fn repetition_under_a_key_shows_the_same_key_and_makes_no_other() {
    let function = Function::new();
    let headers = [("idempotency-key", "once")];
    let first = function.ask("admin", "POST /admin/keys", &headers, Some(&till("shop"))).await;
    function.administration.clock.advance_ms(5_000);
    let again = function.ask("admin", "POST /admin/keys", &headers, Some(&till("shop"))).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!(function.audit("admin").await.len(), 1);
    let other = json!({ "organizationId": "shop", "name": "other", "scopes": ["read"] });
    let reused = function.ask("admin", "POST /admin/keys", &headers, Some(&other)).await;
    assert_eq!(reused.refusal(), (422, "unprocessable"));

    let id = first.body["id"].as_str().unwrap();
    assert_eq!(function.ask("admin", &format!("DELETE /admin/keys/{id}"), &[], None).await.status, 204);
    function.ask("admin", "POST /admin/keys", &headers, Some(&till("shop"))).await;
    let text = first.body["key"].as_str().unwrap();
    assert_eq!(function.administration.store.find_key(&hash(text)).await.unwrap(), None, "revoked is revoked");
}

#[tokio::test]
async fn no_key_is_made_while_its_answer_cannot_be_sealed() {
    let function = Function::new();
    function.administration.sealer.set_down(true);
    let headers = [("idempotency-key", "once")];
    let refused = function.ask("admin", "POST /admin/keys", &headers, Some(&till("shop"))).await;
    assert_eq!(refused.refusal(), (503, "unavailable"));
    assert_eq!(function.audit("admin").await, [] as [Value; 0]);
    function.administration.sealer.set_down(false);
    let made = function.ask("admin", "POST /admin/keys", &headers, Some(&till("shop"))).await;
    assert_eq!(made.status, 201);
}

#[rstest]
#[case::nothing(json!({}), &["organizationId", "name", "scopes"])]
#[case::types(json!({ "organizationId": 1, "name": [], "scopes": "read", "operator": 1, "expiresAt": 5 }),
    &["organizationId", "name", "scopes", "operator", "expiresAt"])]
#[case::no_scope(json!({ "organizationId": "shop", "name": "n", "scopes": [] }), &["scopes"])]
#[case::unknown_scope(json!({ "organizationId": "shop", "name": "n", "scopes": ["read", "root"] }), &["scopes"])]
#[case::name(json!({ "organizationId": "shop", "name": " n", "scopes": ["read"] }), &["name"])]
#[case::past(json!({ "organizationId": "shop", "name": "n", "scopes": ["read"], "expiresAt": "2026-11-20T08:00:00Z" }),
    &["expiresAt"])]
#[tokio::test]
async fn every_wrong_field_is_named(#[case] body: Value, #[case] fields: &[&str]) {
    let reply = Function::new().create("admin", &body).await;
    assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), fields.to_vec()));
}

#[tokio::test]
async fn listings_go_on_where_they_ended() {
    let function = Function::new();
    for n in 0..5 {
        let body = json!({ "organizationId": "shop", "name": format!("n{n}"), "scopes": ["read"] });
        assert_eq!(function.create("admin", &body).await.status, 201);
        function.administration.clock.advance_ms(1);
    }
    for (path, rows) in [("/admin/keys", 7), ("/admin/audit", 5)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = function.ask("admin", &format!("GET {path}?limit=2&cursor={cursor}"), &[], None).await;
            seen.extend(page.body["items"].as_array().unwrap().iter().map(|row| row["id"].to_string()));
            cursor = page.body["nextCursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (rows, rows), "{path}");
        let forged = function.ask("admin", &format!("GET {path}?cursor=forged"), &[], None).await;
        assert_eq!((forged.refusal().0, forged.fields()), (400, vec!["cursor"]));
        let none = function.ask("admin", &format!("GET {path}?limit=0"), &[], None).await;
        assert_eq!((none.refusal().0, none.fields()), (400, vec!["limit"]));
    }
}

#[tokio::test]
async fn keys_are_listed_through_the_gateway() {
    let event = include_str!("../../../events/admin-api.json").replace("\"demo\"", "\"admin\"");
    let reply = CONTRACT.ask(&Function::new().router, lambda_http::request::from_str(&event).unwrap()).await;
    assert_eq!((reply.status, reply.body["items"].as_array().unwrap().len()), (200, 2));
}
