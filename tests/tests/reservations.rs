//! Reservations against the running product: they expire by themselves, and the stream and the schedule are wired.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test reports by panicking"
)]

mod support;

use reqwest::{Method, StatusCode};
use serde_json::json;
use support::{Runner, change, command};

async fn runner() -> Runner {
    let mut command = command();
    command.arg("--ephemeral").env("SWEEP_INTERVAL_SECONDS", "1");
    let runner = Runner::start(command).await;
    let (status, _) = runner.post("/inventory/updates", &change("SHIRT", 10, Some(0), "initial")).await;
    assert_eq!(status, StatusCode::OK);
    runner
}

#[tokio::test]
async fn reservation_that_runs_out_gives_its_units_back_by_itself() {
    let runner = runner().await;
    let lines = json!([{ "sku": "SHIRT", "storeId": "main", "qty": 4 }]);
    let order = json!({ "orderId": "o", "ttlSeconds": 1, "lines": lines });
    let (status, held) = runner.post("/reservations", &order).await;
    assert_eq!((status, &held["lines"]), (StatusCode::CREATED, &lines));
    let path = format!("/reservations/{}", held["reservationId"].as_str().unwrap());
    runner.eventually(&path, |reservation| reservation["state"] == "expired").await;
    runner.eventually("/inventory/SHIRT", |level| level["available"] == 10 && level["reserved"] == 0).await;
    let (status, late) = runner.post(&format!("{path}/fulfil"), &json!({})).await;
    assert_eq!((status, &late["details"][0]["issue"]), (StatusCode::CONFLICT, &json!("is expired")));
}

#[tokio::test]
async fn one_level_is_reserved_by_its_path_and_fulfilled() {
    let runner = runner().await;
    let request = runner.request(Method::POST, "/api/inventory/stores/main/inventory/SHIRT/reserve");
    let answer = request.header("if-match", "\"1\"").json(&json!({ "qty": 3 })).send().await.unwrap();
    assert_eq!((answer.status(), answer.headers()["etag"].as_bytes()), (StatusCode::CREATED, &b"\"2\""[..]));
    let held: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(held["newQuantity"], 7);
    let path = format!("/reservations/{}/fulfil", held["reservationId"].as_str().unwrap());
    assert_eq!(runner.post(&path, &json!({})).await.0, StatusCode::OK);
    runner.eventually("/inventory/SHIRT", |level| level["available"] == 7 && level["reserved"] == 0).await;
}
