//! Reservations as callers see them, on the store in memory.

use core::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{ApiKey, Scope};
use evenstock_domain::{EventIdKey, OrganizationId, Timestamp};
use evenstock_runtime::http::{AccessControl, CursorKey, RateLimits};
use evenstock_runtime::testing::{Contract, Reply};
use futures::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

/// Every answer is held to the description of the function.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::of(&openapi()));

struct Api {
    router: Router,
    inventory: Arc<Inventory<MemoryStore, FixedClock>>,
}

/// An API with `SHIRT` 10 and `MUG` 5 at `main`.
async fn api() -> Api {
    let store = Arc::new(MemoryStore::default());
    for organization in ["us", "them"] {
        let key = ApiKey {
            id: organization.to_owned(),
            organization: OrganizationId::parse(organization).unwrap(),
            scopes: vec![Scope::Read, Scope::Write],
            operator: false,
            expires_at: None,
        };
        store.put_key(Sha256::digest(organization).into(), key);
    }
    let access = AccessControl::new(Arc::clone(&store), RateLimits::new(NonZeroU32::MAX, NonZeroU32::MAX));
    let clock = FixedClock::at(Timestamp::from_millis(1_800_000_000_000).unwrap());
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let inventory = Arc::new(Inventory { store, clock, ids, cursors: CursorKey::new("0123456789abcdef") });
    let api = Api { router: router(Arc::clone(&inventory), &access), inventory };
    for (sku, units) in [("SHIRT", 10), ("MUG", 5)] {
        let body = json!({ "storeId": "main", "productId": sku, "delta": units, "version": 0, "idempotencyKey": sku });
        assert_eq!(api.post("/inventory/updates", &body).await.status, 200);
    }
    api
}

impl Api {
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "x-api-key") {
            request = request.header("x-api-key", "us");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        CONTRACT.ask(&self.router, request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], &Value::Null).await
    }

    async fn units(&self, sku: &str) -> (Value, Value) {
        let level = self.get(&format!("/inventory/{sku}")).await.body;
        (level["available"].clone(), level["reserved"].clone())
    }

    /// A reservation of three shirts for a minute.
    async fn held(&self) -> String {
        let reply = self.post("/reservations", &order(60, json!([line("SHIRT", 3)]))).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["reservationId"].as_str().unwrap().to_owned()
    }
}

fn line(sku: &str, units: i64) -> Value {
    json!({ "sku": sku, "storeId": "main", "qty": units })
}

fn order(ttl_seconds: i64, lines: Value) -> Value {
    json!({ "orderId": "order-1", "ttlSeconds": ttl_seconds, "lines": lines })
}

const RESERVE: &str = "/api/inventory/stores/main/inventory/SHIRT/reserve";

#[tokio::test]
async fn reservation_holds_summed_lines_until_it_is_fulfilled() {
    let api = api().await;
    let lines = json!([line("SHIRT", 1), line("MUG", 2), line("SHIRT", 3)]);
    let reply = api.post("/reservations", &json!({ "orderId": "o", "lines": lines })).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.body["lines"], json!([line("SHIRT", 4), line("MUG", 2)]));
    assert_eq!(reply.body["expiresAt"], "2027-01-15T08:15:00.000Z");
    assert_eq!(api.units("SHIRT").await, (json!(6), json!(4)));
    let path = format!("/reservations/{}", reply.body["reservationId"].as_str().unwrap());
    let read = api.get(&path).await;
    assert_eq!((read.status, &read.body["state"], &read.body["orderId"]), (200, &json!("held"), &json!("o")));
    for _ in 0..2 {
        let fulfilled = api.post(&format!("{path}/fulfil"), &Value::Null).await;
        assert_eq!((fulfilled.status, &fulfilled.body["state"]), (200, &json!("fulfilled")));
    }
    assert_eq!(api.units("SHIRT").await, (json!(6), json!(0)));
    let other = api.post(&format!("{path}/release"), &Value::Null).await;
    assert_eq!((other.refusal(), other.issues()), ((409, "conflict"), vec![("state", "is fulfilled")]));
}

#[tokio::test]
async fn every_short_line_is_named_and_nothing_is_held() {
    let api = api().await;
    let lines = json!([line("SHIRT", 6), line("MUG", 6), line("SHIRT", 6), line("CUP", 1), line("MUG", -1)]);
    let wrong = api.post("/reservations", &order(60, lines)).await;
    assert_eq!((wrong.refusal(), wrong.fields()), ((400, "bad_request"), vec!["lines[4].qty"]));
    let lines = json!([line("SHIRT", 1), line("MUG", 6), line("CUP", 1)]);
    let short = api.post("/reservations", &order(60, lines)).await;
    assert_eq!((short.refusal(), short.fields()), ((422, "unprocessable"), vec!["lines[1].qty", "lines[2].qty"]));
    assert_eq!(api.units("SHIRT").await, (json!(10), json!(0)));
    assert_eq!(api.get("/inventory/CUP").await.status, 404, "no level comes of a refusal");
}

#[rstest]
#[case::zero(json!(0))]
#[case::negative(json!(-1))]
#[case::thirty_days_and_one_second(json!(2_592_001))]
#[case::half(json!(1.5))]
#[case::text(json!("60"))]
#[tokio::test]
async fn time_to_live_is_one_second_to_thirty_days(#[case] ttl_seconds: Value) {
    let api = api().await;
    let body = json!({ "orderId": "o", "ttlSeconds": ttl_seconds, "lines": [line("SHIRT", 1)] });
    let extend = format!("/reservations/{}/extend", api.held().await);
    let one = json!({ "qty": 1, "ttlSeconds": ttl_seconds });
    for reply in [
        api.post("/reservations", &body).await,
        api.post(&extend, &json!({ "ttlSeconds": ttl_seconds })).await,
        api.post(RESERVE, &one).await,
    ] {
        assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), vec!["ttlSeconds"]));
    }
}

#[tokio::test]
async fn fifty_lines_are_the_most() {
    let api = api().await;
    let lines = |count| json!(vec![json!({ "sku": "SHIRT", "storeId": "main", "qty": 1 }); count]);
    for count in [0, 51] {
        let reply = api.post("/reservations", &order(60, lines(count))).await;
        assert_eq!((reply.refusal(), reply.fields()), ((400, "bad_request"), vec!["lines"]));
    }
    let reply = api.post("/reservations", &order(2_592_000, lines(50))).await;
    assert_eq!(reply.refusal(), (422, "unprocessable"), "fifty of ten");
    let missing = api.post("/reservations", &json!({ "lines": [{}] })).await;
    assert_eq!(missing.fields(), ["orderId", "lines[0].sku", "lines[0].storeId", "lines[0].qty"]);
}

#[tokio::test]
async fn nothing_follows_expiry_but_the_return_of_the_units() {
    let api = api().await;
    let path = format!("/reservations/{}", api.held().await);
    let extended = api.post(&format!("{path}/extend"), &json!({ "ttlSeconds": 120 })).await;
    assert_eq!((extended.status, &extended.body["expiresAt"]), (200, &json!("2027-01-15T08:02:00.000Z")));
    api.inventory.clock.advance_ms(120_000);
    for what in ["extend", "fulfil"] {
        let late = api.post(&format!("{path}/{what}"), &json!({ "ttlSeconds": 60 })).await;
        assert_eq!((late.refusal(), late.issues()), ((409, "conflict"), vec![("state", "is expired")]));
    }
    assert_eq!(api.post(&format!("{path}/release"), &Value::Null).await.status, 200);
    assert_eq!(api.units("SHIRT").await, (json!(10), json!(0)));
}

#[tokio::test]
async fn reservation_of_another_organization_is_unknown() {
    let api = api().await;
    let path = format!("/reservations/{}", api.held().await);
    let them = [("x-api-key", "them")];
    assert_eq!(api.send("GET", &path, &them, &Value::Null).await.refusal(), (404, "not_found"));
    for what in ["release", "fulfil", "extend"] {
        let body = json!({ "ttlSeconds": 60 });
        assert_eq!(api.send("POST", &format!("{path}/{what}"), &them, &body).await.refusal(), (404, "not_found"));
        assert_eq!(api.post(&format!("/reservations/none/{what}"), &body).await.refusal(), (404, "not_found"));
    }
}

#[tokio::test]
async fn sixty_four_reservations_of_ten_give_ten() {
    let api = api().await;
    let body = json!({ "qty": 1 });
    let replies = join_all((0..64).map(|_| api.post(RESERVE, &body))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 10);
    assert_eq!(replies.iter().filter(|reply| reply.status == 422).count(), 54);
    assert_eq!(api.units("SHIRT").await, (json!(0), json!(10)));
}

#[tokio::test]
async fn one_level_is_reserved_under_its_version() {
    let api = api().await;
    let old = api.post(RESERVE, &json!({ "qty": 1, "expectedVersion": 7 })).await;
    assert_eq!((old.refusal(), &old.body["current"]), ((409, "conflict"), &json!({ "available": 10, "version": 1 })));
    let reply = api.send("POST", RESERVE, &[("if-match", "\"1\"")], &json!({ "qty": 4, "expectedVersion": 7 })).await;
    assert_eq!((reply.status, reply.header("etag")), (201, Some("\"2\"")), "the header wins");
    assert_eq!((&reply.body["newQuantity"], &reply.body["newVersion"]), (&json!(6), &json!(2)));
    assert_eq!((&reply.body["record"]["qty"], &reply.body["success"]), (&json!(6), &json!(true)));
    assert!(reply.body["reservationId"].is_string() && reply.body["expiresAt"].is_string());
    let short = api.post(RESERVE, &json!({ "qty": 7 })).await;
    assert_eq!((short.refusal(), &short.body["current"]["available"]), ((422, "unprocessable"), &json!(6)));
    let unknown = "/api/inventory/stores/main/inventory/CUP/reserve";
    assert_eq!(api.post(unknown, &json!({ "qty": 1 })).await.refusal(), (404, "not_found"));
    for (qty, if_match) in [(json!(0), "1"), (json!(-1), "*"), (json!(2_147_483_648_i64), "1"), (json!(1), "x")] {
        let wrong = api.send("POST", RESERVE, &[("if-match", if_match)], &json!({ "qty": qty })).await;
        assert_eq!(wrong.refusal(), (400, "bad_request"), "{qty} {if_match}");
    }
}

#[tokio::test]
async fn repetition_under_a_key_gives_the_first_answer() {
    let api = api().await;
    let body = order(60, json!([line("SHIRT", 3)]));
    for (key, path, body) in [("k1", "/reservations", &body), ("k2", RESERVE, &json!({ "qty": 3 }))] {
        let headers = [("idempotency-key", key)];
        let first = api.send("POST", path, &headers, body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (201, None), "{first:?}");
        let own = format!("/reservations/{}", first.body["reservationId"].as_str().unwrap());
        api.inventory.clock.advance_ms(1000);
        let keyed = [("idempotency-key", "k3")];
        let extended = api.send("POST", &format!("{own}/extend"), &keyed, &json!({ "ttlSeconds": 900 })).await;
        assert_eq!(
            (extended.status, extended.header("idempotency-replayed")),
            if key == "k1" { (200, None) } else { (422, None) }
        );
        api.post(&format!("{own}/release"), &Value::Null).await;
        api.inventory.clock.advance_ms(1000);
        let again = api.send("POST", path, &headers, body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
        let other = api.send("POST", path, &headers, &order(61, json!([line("SHIRT", 3)]))).await;
        assert!([400, 422].contains(&other.status));
        if key == "k1" {
            let again = api.send("POST", &format!("{own}/extend"), &keyed, &json!({ "ttlSeconds": 900 })).await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
            assert_eq!(again.body["expiresAt"], extended.body["expiresAt"]);
        }
    }
    assert_eq!(api.units("SHIRT").await, (json!(10), json!(0)));
}

#[tokio::test]
async fn refusal_is_decided_afresh_under_its_key() {
    let api = api().await;
    let (headers, body) = ([("idempotency-key", "k")], order(60, json!([line("MUG", 6)])));
    assert_eq!(api.send("POST", "/reservations", &headers, &body).await.refusal(), (422, "unprocessable"));
    let more = json!({ "storeId": "main", "productId": "MUG", "delta": 1, "version": null, "idempotencyKey": "more" });
    assert_eq!(api.post("/inventory/updates", &more).await.status, 200);
    assert_eq!(api.send("POST", "/reservations", &headers, &body).await.status, 201);
    assert_eq!(api.units("MUG").await, (json!(0), json!(6)));
}

#[tokio::test]
async fn extension_is_answered_alike_whatever_became_of_the_reservation() {
    let api = api().await;
    let path = format!("/reservations/{}", api.held().await);
    let extend = async |key: &'static str, ttl_seconds: i64| {
        let body = json!({ "ttlSeconds": ttl_seconds });
        api.send("POST", &format!("{path}/extend"), &[("idempotency-key", key)], &body).await
    };
    let first = extend("k1", 120).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None));
    assert_eq!(extend("k2", 600).await.status, 200);
    for ended in [false, true] {
        if ended {
            assert_eq!(api.post(&format!("{path}/release"), &Value::Null).await.status, 200);
        }
        let again = extend("k1", 120).await;
        assert_eq!((again.status, &again.body), (200, &first.body), "ended: {ended}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(extend("k1", 121).await.refusal(), (422, "unprocessable"));
    assert_eq!(extend("k3", 60).await.refusal(), (409, "conflict"));
}
