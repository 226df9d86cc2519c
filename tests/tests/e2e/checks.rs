//! The checks. All of them share one target and run at once, so each has products of its own.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::Clock;
use evenstock_local::template::{Template, Trigger};
use evenstock_runtime::SystemClock;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::sleep;

use crate::marketplace::Marketplace;
use crate::target::{Part, Target};

/// Keeps the products of this run apart from those of earlier ones on the same stack.
static RUN: LazyLock<i64> = LazyLock::new(|| SystemClock.now().as_millis());

/// Changes that fill two pages of a level's journal.
const CHANGES: u64 = 40;

fn own(name: &str) -> String {
    format!("E2E-{}-{name}", *RUN)
}

fn sign(body: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"secret").unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn available(answer: &(u16, Value)) -> Option<i64> {
    answer.1["available"].as_i64().filter(|_| answer.0 == 200)
}

/// A message of the stock queue: so many units more or less of a product, at a time.
fn delta(sku: &str, units: i64, time: &str) -> String {
    json!({
        "eventId": format!("e2e/{sku}"), "organization": "demo", "sku": sku, "location": "main", "source": "e2e/store",
        "time": time, "jobId": "e2e", "change": { "type": "delta", "delta": units },
    })
    .to_string()
}

pub(crate) async fn delivery(target: Arc<Target>) {
    let body = json!({ "product_code": own("SHIRT"), "available_stock": 7, "timestamp": SystemClock.now().to_string(), "warehouse": "main" });
    let body = body.to_string();
    let path = "/webhooks/marketplace-a";
    let forged = target.ask(Method::POST, path, &[("x-marketplace-signature", "00")], Some(&body)).await;
    assert_eq!(forged.0, 401, "{forged:?}");
    for _ in 0..2 {
        let answer = target.ask(Method::POST, path, &[("x-marketplace-signature", &sign(&body))], Some(&body)).await;
        assert_eq!(answer.0, 202, "{answer:?}");
    }
    let level = target.eventually(&format!("/inventory/{}", own("SHIRT")), |answer| available(answer) == Some(7)).await;
    assert_eq!(level["version"], 1, "delivered twice, applied once: {level}");
}

pub(crate) async fn feed(target: Arc<Target>) {
    let change =
        json!({ "storeId": "main", "productId": own("FEED"), "delta": 5, "version": 0, "idempotencyKey": own("feed") });
    let (status, updated) = target.post("/inventory/updates", &change).await;
    assert_eq!((status, &updated["newQuantity"]), (200, &json!(5)), "{updated}");
    let again = target.post("/inventory/updates", &change).await;
    assert_eq!(again.1, updated, "a replay is the first answer");

    let (mut offset, mut seen) = (0, Vec::new());
    for _ in 0..600 {
        let (status, page) = target.get(&format!("/replication/changes?fromOffset={offset}")).await;
        assert_eq!(status, 200, "{page}");
        offset = page["nextOffset"].as_u64().unwrap();
        let events = page["events"].as_array().unwrap();
        seen.extend(events.iter().filter(|event| event["productId"] == own("FEED")).cloned());
        if !seen.is_empty() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(seen.len(), 1, "the change stands in the feed once");
    assert_eq!((&seen[0]["delta"], &seen[0]["newVersion"]), (&json!(5), &json!(1)));
}

/// More changes of one level than its item holds: the oldest move to a page, and the level stays whole.
pub(crate) async fn journal(target: Arc<Target>) {
    for n in 0..CHANGES {
        let change = json!({
            "storeId": "main", "productId": own("WORN"), "delta": 1, "version": n, "idempotencyKey": format!("{}-{n}", own("worn")),
        });
        let (status, updated) = target.post("/inventory/updates", &change).await;
        assert_eq!((status, &updated["newVersion"]), (200, &json!(n + 1)), "{updated}");
    }
    let (status, history) = target.get(&format!("/inventory/{}/history?storeId=main&limit=100", own("WORN"))).await;
    assert_eq!(status, 200, "{history}");
    let entries = history["items"].as_array().unwrap().iter();
    let versions: Vec<_> = entries.map(|entry| entry["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=CHANGES).rev().collect::<Vec<_>>(), "each change stands in the history once");
}

pub(crate) async fn callback(target: Arc<Target>, marketplace: Arc<Marketplace>) {
    let path = format!("/hook/{}", own("hook"));
    let url = format!("{}{path}", marketplace.url());
    let wish = json!({ "organizationId": "demo", "event": "stock.changed", "targetUrl": url });
    let (status, endpoint) = target.post("/webhooks/register", &wish).await;
    assert_eq!(status, 200, "{endpoint}");
    let secret = endpoint["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
    let secret = STANDARD.decode(secret).unwrap();
    let mut called = None;
    // What fans changes out may believe for a minute that nobody wants to hear of them.
    for n in 0..120 {
        let change = json!({
            "storeId": "main", "productId": own("CALLED"), "delta": 1, "version": null,
            "idempotencyKey": format!("{}-{n}", own("called")),
        });
        let created = json!({ "sku": own("CALLED"), "storeId": "main", "initialQuantity": 1 });
        let (call, body) = if n == 0 { ("/api/inventory", created) } else { ("/inventory/updates", change) };
        let (status, answer) = target.post(call, &body).await;
        assert!([200, 201].contains(&status), "{answer}");
        sleep(Duration::from_secs(1)).await;
        let calls = marketplace.called_back(&path).await;
        called = calls.into_iter().find(|call| String::from_utf8_lossy(&call.body).contains(&own("CALLED")));
        if called.is_some() {
            break;
        }
    }
    let called = called.expect("a call within two minutes");
    let header = |name: &str| called.headers[name].to_str().unwrap().to_owned();
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&secret).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&called.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(header("webhook-signature").split(' ').any(|signature| signature == expected), "{called:?}");
    let body: Value = serde_json::from_slice(&called.body).unwrap();
    assert_eq!((&body["event"], &body["data"]["productId"]), (&json!("stock.changed"), &json!(own("CALLED"))));
}

pub(crate) async fn poll(target: Arc<Target>, marketplace: Arc<Marketplace>) {
    let second = SystemClock.now().as_millis() / 1000 - 60;
    marketplace
        .lists(json!([{ "sku": own("MUG"), "qty": 12, "location_id": "berlin", "last_modified": second }]))
        .await;
    target
        .eventually(&format!("/inventory/{}?storeId=berlin", own("MUG")), |answer| available(answer) == Some(12))
        .await;
}

pub(crate) async fn expiry(target: Arc<Target>) {
    let change =
        json!({ "storeId": "main", "productId": own("HELD"), "delta": 3, "version": 0, "idempotencyKey": own("held") });
    assert_eq!(target.post("/inventory/updates", &change).await.0, 200);
    let wish =
        json!({ "orderId": "e2e", "ttlSeconds": 1, "lines": [{ "sku": own("HELD"), "storeId": "main", "qty": 2 }] });
    let (status, held) = target.post("/reservations", &wish).await;
    assert_eq!(status, 201, "{held}");
    let level = target.eventually(&format!("/inventory/{}", own("HELD")), |answer| available(answer) == Some(3)).await;
    assert_eq!(level["reserved"], 0, "{level}");
}

pub(crate) async fn store_sync(target: Arc<Target>, marketplace: Arc<Marketplace>) {
    marketplace.accepts_at_second_try(&own("receipt"), "USD").await;
    let store = json!({
        "organizationId": "demo", "marketplace": "etsy", "externalStoreId": own("store"), "storeName": "End to end",
        "accessToken": "token", "currency": "USD",
    });
    let (status, registered) = target.post("/stores/register", &store).await;
    assert_eq!(status, 200, "{registered}");
    let token = registered["syncToken"].as_str().unwrap();
    let (status, first) =
        target.post("/orders/import", &json!({ "syncToken": token, "receipt": own("receipt") })).await;
    assert_eq!((status, &first["error"]), (200, &json!("rate_limited")), "{first}");
    let path = format!("/stores/sync-status?syncToken={token}");
    let report = target.eventually(&path, |(_, report)| report["importedOrders"] == 1).await;
    assert_eq!(report["rateLimitedCount"], 0, "{report}");
}

pub(crate) async fn keys(target: Arc<Target>) {
    let wish = json!({ "organizationId": own("org"), "name": "e2e", "scopes": ["read"] });
    let (status, made) = target.post("/admin/keys", &wish).await;
    assert_eq!(status, 201, "{made}");
    let key = [("x-api-key", made["key"].as_str().unwrap())];
    assert_eq!(target.ask(Method::GET, "/inventory", &key, None).await.0, 200);
    assert_eq!(target.ask(Method::GET, "/admin/keys", &key, None).await.0, 403);
    let organization = own("org");
    let operator = [("x-api-key", "demo"), ("x-organization-id", organization.as_str())];
    // Nobody has seen the other one when it is withdrawn; what an instance has seen it believes for a minute.
    let (_, other) = target.post("/admin/keys", &wish).await;
    let path = format!("/admin/keys/{}", other["id"].as_str().unwrap());
    assert_eq!(target.ask(Method::DELETE, &path, &operator, None).await.0, 204);
    let withdrawn = [("x-api-key", other["key"].as_str().unwrap())];
    assert_eq!(target.ask(Method::GET, "/inventory", &withdrawn, None).await.0, 401);
    let (_, log) = target.ask(Method::GET, "/admin/audit", &operator, None).await;
    let told: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["key.revoked", "key.created", "key.created"]);
}

/// Every route of the template stands in the gateway, and leads to its function.
pub(crate) async fn routes(target: Arc<Target>) {
    let deployed = target.stack().routes().await;
    for function in Template::built_in().unwrap().functions {
        for trigger in function.triggers {
            if let Trigger::Http { method, path } = trigger {
                assert!(deployed.contains(&format!("{method} {path}")), "{method} {path} is not deployed");
            }
        }
    }
}

pub(crate) async fn dead_letter(target: Arc<Target>) {
    let now = SystemClock.now().to_string();
    let (good, bad) = (delta(&own("GOOD"), 4, &now), format!("no message of ours: {}", own("BAD")));
    target.stack().send("StockChangesQueue", &[&good, &bad]).await;
    target.eventually(&format!("/inventory/{}", own("GOOD")), |answer| available(answer) == Some(4)).await;
    target.stack().find("StockChangesDlq", &bad).await;
}

pub(crate) async fn redrive(target: Arc<Target>) {
    // A delta from too far ahead is refused until its time has come.
    let time = SystemClock.now().plus_millis(150_000).to_string();
    let early = delta(&own("EARLY"), 6, &time);
    target.stack().send("StockChangesQueue", &[&early]).await;
    target.stack().find("StockChangesDlq", &early).await;
    sleep(Duration::from_secs(40)).await;
    match target.lack(Part::Redrive).await {
        None => target.stack().redrive("StockChangesDlq").await,
        Some(lack) => {
            println!("LEFT OUT  redrive by the queue service: {lack}; the suite moves the message itself");
            target.stack().carry("StockChangesDlq", "StockChangesQueue", &early).await;
        }
    }
    target.eventually(&format!("/inventory/{}", own("EARLY")), |answer| available(answer) == Some(6)).await;
}
