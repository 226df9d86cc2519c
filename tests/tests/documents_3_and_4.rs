//! What document 3 says of health, metrics, sync and reserving, and the examples of document 4, as they are written there
//! (plus the key header), against the running product. The inventory of document 3 is in `documents_3_and_5`, what becomes
//! of a warehouse's changes in `warehouses`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::{Runner, command};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Asks as the document's `curl` does: with these headers and nothing else.
async fn curl(runner: &Runner, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}", runner.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn health_and_monitoring_of_document_3() {
    let runner = Runner::ephemeral().await;
    for path in ["/api/health", "/api/health/liveness"] {
        let (status, alive) = runner.get(path).await;
        assert_eq!((status, &alive["status"]), (StatusCode::OK, &json!("ok")));
        assert!(alive["uptime"].is_u64() && alive["timestamp"].is_string(), "{alive}");
        assert_eq!(curl(&runner, Method::GET, path, &[]).await.status(), StatusCode::OK, "a probe shows no key");
    }
    let (status, ready) = runner.get("/api/health/readiness").await;
    assert_eq!((status, &ready["ready"], &ready["queueDepth"]), (StatusCode::OK, &json!(true), &json!(0)));
    assert_eq!(curl(&runner, Method::GET, "/api/health/readiness", &[]).await.status(), StatusCode::OK);

    let record = json!({ "sku": "SKU-123", "storeId": "store-7", "initialQuantity": 100 });
    runner.post("/api/inventory", &record).await;
    runner.post("/api/inventory", &record).await;
    runner.get("/api/inventory/stores/store-7/inventory/SKU-123").await;
    for path in ["/api/health/metrics", "/api/metrics"] {
        let (status, metrics) = runner.get(path).await;
        assert_eq!((status, &metrics["success"]), (StatusCode::OK, &json!(true)));
        let data = &metrics["data"];
        assert_eq!(
            (&data["adjustStock"], &data["getInventory"], &data["conflicts"]),
            (&json!(2), &json!(1), &json!(1))
        );
        assert!(data["circuitBreakers"].is_object() && data["bulkheads"]["http"]["inUse"].is_u64(), "{data}");
        assert_eq!(curl(&runner, Method::GET, path, &[]).await.status(), StatusCode::UNAUTHORIZED);
    }
    let headers = [("x-api-key", "demo"), ("accept", "text/plain")];
    let text = curl(&runner, Method::GET, "/api/metrics", &headers).await.text().await.unwrap();
    assert!(text.contains("\nadjust_stock_total{function=\"local\"} 2\n"), "{text}");

    let reset = curl(&runner, Method::POST, "/api/metrics/reset", &[("x-api-key", "demo")]).await;
    assert_eq!(reset.status(), StatusCode::OK);
    let (_, metrics) = runner.get("/api/metrics").await;
    assert_eq!((&metrics["data"]["adjustStock"], &metrics["data"]["conflicts"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn sync_operations_of_document_3() {
    let runner = Runner::ephemeral().await;
    let state = async || {
        let (status, answer) = runner.get("/api/sync/status").await;
        assert_eq!((status, &answer["success"]), (StatusCode::OK, &json!(true)));
        answer["data"].clone()
    };
    let (status, stopped) = runner.post("/api/sync/stop", &json!({})).await;
    assert_eq!((status, &stopped["data"]["isRunning"]), (StatusCode::OK, &json!(false)));
    assert_eq!(state().await["isRunning"], false);

    let (status, started) = runner.post("/api/sync/start", &json!({ "intervalMs": 15000 })).await;
    assert_eq!((status, &started["data"]["intervalMs"]), (StatusCode::OK, &json!(15000)));
    let running = state().await;
    assert_eq!((&running["isRunning"], &running["intervalMs"]), (&json!(true), &json!(15000)));
    assert!(running["nextRunAt"].is_string(), "{running}");
    let key = [("x-api-key", "demo")];
    let without_body = curl(&runner, Method::POST, "/api/sync/start", &key).await;
    assert_eq!(without_body.status(), StatusCode::OK);
    let (status, refused) = runner.post("/api/sync/start", &json!({ "intervalMs": 999 })).await;
    assert_eq!((status, &refused["details"][0]["field"]), (StatusCode::BAD_REQUEST, &json!("intervalMs")));

    let stock = json!({ "storeId": "s", "productId": "P", "delta": 5, "version": 0, "idempotencyKey": "k" });
    runner.post("/inventory/updates", &stock).await;
    runner.eventually("/api/metrics", |metrics| metrics["data"]["feed"]["head"] == 1).await;
    let synced = curl(&runner, Method::POST, "/api/sync", &key).await;
    assert_eq!(synced.status(), StatusCode::OK, "it waits for the job");
    let synced: Value = synced.json().await.unwrap();
    assert_eq!((&synced["success"], &synced["message"]), (&json!(true), &json!("sync completed")));
    let (_, job) = runner.get(&format!("/sync/status/{}", synced["data"]["jobId"].as_str().unwrap())).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(state().await["lastProcessedEventId"], 1);
}

#[tokio::test]
async fn reserving_of_document_3_takes_a_version_and_a_key() {
    let runner = Runner::ephemeral().await;
    let record = json!({ "sku": "SKU-123", "storeId": "store-7", "initialQuantity": 10 });
    runner.post("/api/inventory", &record).await;
    let reserve = async |key: &str, body: Value| {
        let path = "/api/inventory/stores/store-7/inventory/SKU-123/reserve";
        let request = runner.request(Method::POST, path).header("idempotency-key", key).json(&body);
        let answer = request.send().await.unwrap();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        (answer.status(), replayed, answer.json::<Value>().await.unwrap())
    };
    let body = json!({ "qty": 4, "expectedVersion": 1 });
    let (status, replayed, first) = reserve("reserve-1", body.clone()).await;
    assert_eq!((status, replayed, &first["newQuantity"]), (StatusCode::CREATED, false, &json!(6)));
    let (status, replayed, again) = reserve("reserve-1", body.clone()).await;
    assert_eq!((status, replayed, &again), (StatusCode::CREATED, true, &first));
    assert_eq!(reserve("reserve-2", body).await.0, StatusCode::CONFLICT, "the version has moved on");
    let (status, _, refused) = reserve("reserve-3", json!({ "qty": 7 })).await;
    assert_eq!((status, &refused["current"]["available"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(6)));
}

/// `WAREHOUSE_API_ENDPOINT` names the warehouse, as the document's `.env` does; each request is its `curl`.
#[tokio::test]
async fn endpoints_of_document_4_as_its_curl_asks_them() {
    let warehouse = MockServer::start().await;
    let stock = json!([{ "sku": "SHIRT", "quantity": 7, "version": 1, "updatedAt": "2026-01-01T08:00:00Z" }]);
    let page = ResponseTemplate::new(200).set_body_json(json!({ "items": stock, "nextCursor": "" }));
    Mock::given(path("/api/warehouse/inventory")).respond_with(page).mount(&warehouse).await;
    let mut configured = command();
    configured.arg("--ephemeral").env("WAREHOUSE_API_ENDPOINT", format!("{}/api/warehouse", warehouse.uri()));
    let runner = Runner::start(configured).await;
    let settings = json!({ "conflictPolicy": "warehouse_wins" });
    let set_up = runner.request(Method::PUT, "/warehouses/wh-1").json(&settings).send().await.unwrap();
    assert_eq!(set_up.status(), StatusCode::OK, "{}", set_up.text().await.unwrap());

    let bearer = [("Authorization", "Bearer demo")];
    let queued = async |path: &str| {
        let answer = curl(&runner, Method::POST, path, &bearer).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let job: Value = answer.json().await.unwrap();
        let id = job["jobId"].as_str().unwrap().to_owned();
        assert_eq!(job, json!({ "jobId": id, "status": "queued" }));
        assert!(id.starts_with("sync-"), "{id}");
        format!("/sync/status/{id}")
    };
    let ended = |job: &Value| job["status"] == "completed";
    let triggered = runner.eventually(&queued("/sync/trigger").await, ended).await;
    assert_eq!((&triggered["kind"], &triggered["driftCount"]), (&json!("trigger"), &json!(1)), "{triggered}");
    assert_eq!(runner.get("/inventory/SHIRT?storeId=wh-1").await.1["available"], 7);

    let forced = queued("/sync/warehouses/wh-1").await;
    let forced = runner.eventually(&forced, ended).await;
    assert_eq!(
        (&forced["kind"], &forced["processed"], &forced["driftCount"]),
        (&json!("warehouse"), &json!(1), &json!(0))
    );
    assert_eq!(curl(&runner, Method::POST, "/sync/warehouses/nowhere", &bearer).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(curl(&runner, Method::POST, "/sync/trigger", &[]).await.status(), StatusCode::UNAUTHORIZED);
    // "DB Conflicts": what the document asks its database for.
    let (status, conflicts) = runner.get("/sync/conflicts?status=open").await;
    assert_eq!((status, conflicts), (StatusCode::OK, json!({ "items": [], "nextCursor": "" })));
}
