//! The core path, from outside: a delivery or a poll becomes stock exactly once, and stock is updated without a race.
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

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Runner, change, command, delivery};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn delivery_becomes_stock_once_and_older_news_change_nothing() {
    let runner = Runner::ephemeral().await;
    let news = delivery("SHIRT", 7, 100);
    assert_eq!(runner.deliver(&news).await, Some(StatusCode::ACCEPTED));
    let level = runner.eventually("/inventory/SHIRT", |level| level["available"] == 7).await;
    assert_eq!((&level["version"], &level["source"]), (&json!(1), &json!("marketplace-a/default")));

    assert_eq!(runner.deliver(&news).await, Some(StatusCode::ACCEPTED), "a repetition is accepted");
    assert_eq!(runner.deliver(&delivery("SHIRT", 50, 99)).await, Some(StatusCode::ACCEPTED), "and so is old news");
    runner.rest().await;
    let (_, level) = runner.get("/inventory/SHIRT").await;
    assert_eq!((&level["available"], &level["version"]), (&json!(7), &json!(1)), "neither changes anything");
}

#[tokio::test]
async fn two_hundred_deliveries_of_one_product_lose_none() {
    let runner = Runner::ephemeral().await;
    let news: Vec<_> = (0..200).map(|n| delivery("HOT", n, n)).collect();
    let accepted = join_all(news.iter().rev().map(|news| runner.deliver(news))).await;
    assert!(accepted.iter().all(|status| *status == Some(StatusCode::ACCEPTED)));
    runner.rest().await;
    let (_, level) = runner.get("/inventory/HOT?storeId=main").await;
    assert_eq!(level["available"], 199, "the last source time wins");
}

#[tokio::test]
async fn forged_delivery_is_refused() {
    let runner = Runner::ephemeral().await;
    let news = delivery("SHIRT", 7, 100);
    for signature in ["", "00", &"0".repeat(64), "not hex at all"] {
        let request = runner.request(Method::POST, "/webhooks/marketplace-a").body(news.clone());
        let answer = request.header("x-marketplace-signature", signature).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{signature}");
    }
    assert_eq!(runner.get("/inventory/SHIRT").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn poll_brings_what_changed_and_skips_bad_rows() {
    let marketplace = MockServer::start().await;
    let rows = json!({ "items": [
        { "sku": "MUG", "qty": 12, "location_id": "berlin", "last_modified": 1_767_254_400 },
        { "sku": "BAD", "qty": -1, "last_modified": 1_767_254_400 },
        { "sku": "CUP", "qty": 3, "last_modified": 1_767_254_401 },
    ]});
    Mock::given(method("GET"))
        .and(path("/inventory/updates"))
        .and(header("authorization", "Bearer test-key"))
        .respond_with(ResponseTemplate::new(200).set_body_json(rows))
        .mount(&marketplace)
        .await;
    let mut command = command();
    command.arg("--ephemeral").env("MARKETPLACE_B_API", marketplace.uri()).env("POLL_INTERVAL_SECONDS", "3600");
    let runner = Runner::start(command).await;

    let (status, answer) = runner.post("/trigger-poll", &json!({})).await;
    assert_eq!((status, &answer["success"]), (StatusCode::ACCEPTED, &json!(true)));
    assert!(answer["data"]["jobId"].is_string());
    runner.eventually("/inventory/MUG?storeId=berlin", |level| level["available"] == 12).await;
    runner.eventually("/inventory/CUP?storeId=default", |level| level["available"] == 3).await;
    assert_eq!(runner.get("/inventory/BAD").await.0, StatusCode::NOT_FOUND);

    let (_, answer) = runner.post("/trigger-poll", &json!({})).await;
    assert!(answer["data"]["jobId"].is_string());
    runner.rest().await;
    let (_, level) = runner.get("/inventory/MUG").await;
    assert_eq!(level["version"], 1, "rows read again are recognized");
}

#[tokio::test]
async fn poll_without_a_marketplace_says_so() {
    let runner = Runner::ephemeral().await;
    let (status, answer) = runner.post("/trigger-poll", &json!({})).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
}

#[tokio::test]
async fn update_applies_once_under_its_key_and_conflicts_under_an_old_version() {
    let runner = Runner::ephemeral().await;
    let (status, created) = runner.post("/inventory/updates", &change("SKU-123", 5, Some(0), "k1")).await;
    assert_eq!((status, &created["newQuantity"], &created["newVersion"]), (StatusCode::OK, &json!(5), &json!(1)));
    let (_, replayed) = runner.post("/inventory/updates", &change("SKU-123", 5, Some(0), "k1")).await;
    assert_eq!(replayed, created);
    let (status, stale) = runner.post("/inventory/updates", &change("SKU-123", -1, Some(0), "k2")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(stale["current"], json!({ "available": 5, "version": 1 }));
    let (status, short) = runner.post("/inventory/updates", &change("SKU-123", -6, None, "k3")).await;
    assert_eq!((status, &short["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("unprocessable")));
    let (status, reused) = runner.post("/inventory/updates", &change("SKU-123", 6, Some(0), "k1")).await;
    assert_eq!((status, &reused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("unprocessable")));
}

#[tokio::test]
async fn sixty_four_updates_under_one_version_give_one_success() {
    let runner = Runner::ephemeral().await;
    runner.post("/inventory/updates", &change("HOT", 100, Some(0), "initial")).await;
    let bodies: Vec<_> = (0..64).map(|n| change("HOT", -1, Some(1), &format!("k{n}"))).collect();
    let statuses = statuses(&runner, &bodies).await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count(), 63);
}

#[tokio::test]
async fn sixty_four_decrements_of_a_stock_of_ten_give_ten_successes() {
    let runner = Runner::ephemeral().await;
    runner.post("/inventory/updates", &change("HOT", 10, Some(0), "initial")).await;
    let bodies: Vec<_> = (0..64).map(|n| change("HOT", -1, None, &format!("k{n}"))).collect();
    let statuses = statuses(&runner, &bodies).await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::UNPROCESSABLE_ENTITY).count(), 54);
    assert_eq!(runner.get("/inventory/HOT").await.1["available"], 0);
}

async fn statuses(runner: &Runner, bodies: &[Value]) -> Vec<StatusCode> {
    let answers = join_all(bodies.iter().map(|body| runner.post("/inventory/updates", body))).await;
    answers.into_iter().map(|(status, _)| status).collect()
}

#[tokio::test]
async fn product_is_read_whatever_its_name_holds() {
    let runner = Runner::ephemeral().await;
    for (sku, encoded) in [("shirt/blue", "shirt%2Fblue"), ("50% #1?", "50%25%20%231%3F"), ("🦀", "%F0%9F%A6%80")] {
        let (status, answer) =
            runner.post("/inventory/updates", &change(sku, 4, Some(0), &format!("key of {sku}"))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let (status, level) = runner.get(&format!("/inventory/{encoded}")).await;
        assert_eq!((status, &level["productId"], &level["available"]), (StatusCode::OK, &json!(sku), &json!(4)));
        let (_, global) = runner.get(&format!("/inventory/global/{encoded}")).await;
        assert_eq!(global, json!({ "productId": sku, "totalAvailable": 4, "perStore": { "main": 4 } }));
    }
}

#[tokio::test]
async fn listing_gives_every_level_once() {
    let runner = Runner::ephemeral().await;
    let updates: Vec<_> = (0..7).map(|n| json!({ "productId": format!("sku-{n}"), "delta": n + 1, "version": 0, "idempotencyKey": format!("k{n}") })).collect();
    let (_, answer) = runner.post("/inventory/updates", &json!({ "storeId": "main", "updates": updates })).await;
    assert_eq!(answer["summary"], json!({ "total": 7, "succeeded": 7, "failed": 0 }));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = runner.get(&format!("/inventory?limit=3&cursor={cursor}")).await;
        assert_eq!(status, StatusCode::OK);
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["productId"].as_str().unwrap().to_owned()),
        );
        cursor = page["nextCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|n| format!("sku-{n}")).collect::<Vec<_>>());
    assert_eq!(runner.get("/inventory?cursor=forged").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn organizations_are_kept_apart() {
    let runner = Runner::ephemeral().await;
    runner.post("/inventory/updates", &change("SKU", 5, Some(0), "k1")).await;
    let theirs =
        runner.request(Method::GET, "/inventory/SKU").header("x-organization-id", "other").send().await.unwrap();
    assert_eq!(theirs.status(), StatusCode::NOT_FOUND);
    let anonymous = reqwest::get(format!("{}/inventory/SKU", runner.base)).await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn description_is_served_and_odd_names_are_read() {
    let runner = Runner::ephemeral().await;
    let served = runner.request(Method::GET, "/openapi.json").send().await.unwrap();
    assert_eq!(
        (served.status(), &served.headers()["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    let tag = served.headers()["etag"].clone();
    assert_eq!(served.text().await.unwrap(), include_str!("../../docs/openapi.json"));
    let known = runner.request(Method::GET, "/openapi.json").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

    // Names that are paths of other methods, which a gateway looks up by method first.
    for name in ["updates", "sync"] {
        assert_eq!(runner.post("/inventory/updates", &change(name, 3, Some(0), name)).await.0, StatusCode::OK);
        let (status, level) = runner.get(&format!("/inventory/{name}")).await;
        assert_eq!((status, &level["productId"], &level["available"]), (StatusCode::OK, &json!(name), &json!(3)));
    }
}
