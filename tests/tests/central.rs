//! Two instances of the product, of which one is the other's central system: changes arrive there once although a process
//! is killed, what comes back is not sent again, and a difference is settled once.
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

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Runner, change, command};
use tempfile::TempDir;

/// An instance that pushes to `centre`, which writes to it under the key `theirs`.
async fn shop(data: &Path, centre: &Runner, theirs: &str) -> Runner {
    let mut command = command();
    command.arg("--data").arg(data);
    command.env("CENTRAL_INVENTORY_URL", &centre.base).env("CENTRAL_INVENTORY_KEY", "demo");
    command.env("CENTRAL_INVENTORY_SOURCE", theirs).env("CENTRAL_INVENTORY_GRACE_SECONDS", "1");
    Runner::start(command).await
}

async fn update(runner: &Runner, sku: &str, delta: i64, key: &str) {
    let (status, body) = runner.post("/inventory/updates", &change(sku, delta, None, key)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

async fn holds(runner: &Runner, sku: &str, units: i64) -> Value {
    runner.eventually(&format!("/inventory/{sku}?storeId=main"), |level| level["available"] == units).await
}

async fn create(runner: &Runner, sku: &str, units: i64) {
    let body = json!({ "sku": sku, "storeId": "main", "initialQuantity": units });
    let (status, body) = runner.post("/api/inventory", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

#[tokio::test]
async fn changes_arrive_once_although_the_sender_is_killed() {
    let (data, centre) = (TempDir::new().unwrap(), Runner::ephemeral().await);
    let shirts = 300;
    let runner = shop(data.path(), &centre, "central").await;
    create(&runner, "SHIRT", shirts).await;
    create(&runner, "SOCKS", 50).await;
    holds(&centre, "SHIRT", shirts).await;
    holds(&centre, "SOCKS", 50).await;
    let mut runner = runner;
    let mut sold = 0;
    for round in 0..3 {
        for n in 0..20 {
            update(&runner, "SHIRT", -1, &format!("shirt {round} {n}")).await;
            sold += 1;
        }
        update(&runner, "SOCKS", -1, &format!("socks {round}")).await;
        // Killed, wherever it is with its pushes.
        runner.kill().await;
        runner = shop(data.path(), &centre, "central").await;
    }
    holds(&centre, "SOCKS", 47).await;
    let level = holds(&centre, "SHIRT", shirts - sold).await;
    runner.rest().await;
    assert_eq!(level["version"], sold + 1, "each change once, behind the one that created it");
    let (_, conflicts) = runner.get("/sync/conflicts").await;
    assert_eq!(conflicts["items"], json!([]));
    let (_, metrics) = runner.get("/api/metrics").await;
    assert_eq!(metrics["data"]["queues"]["stock-pushes"]["dead"], 0, "{metrics}");
}

#[tokio::test]
async fn difference_is_settled_once_and_nothing_is_sent_back() {
    let (data, centre) = (TempDir::new().unwrap(), Runner::ephemeral().await);
    // The key by which the centre writes to the shop. The shop must know its id before it starts.
    let first = Runner::on(data.path()).await;
    let new = json!({ "organizationId": "demo", "name": "centre", "scopes": ["write"] });
    let (status, made) = first.post("/admin/keys", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert!(first.terminate().await.success());
    let runner = shop(data.path(), &centre, made["id"].as_str().unwrap()).await;
    create(&runner, "SHIRT", 10).await;
    holds(&centre, "SHIRT", 10).await;

    // The centre sells one, and tells the shop: it does not come back.
    update(&centre, "SHIRT", -1, "centre sells").await;
    let told = reqwest::Client::builder().no_proxy().build().unwrap();
    let told =
        told.post(format!("{}/inventory/updates", runner.base)).header("x-api-key", made["key"].as_str().unwrap());
    let told = told.json(&change("SHIRT", -1, None, "centre sold")).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::OK);
    holds(&runner, "SHIRT", 9).await;
    update(&runner, "SHIRT", -2, "shop sells").await;
    let level = holds(&centre, "SHIRT", 7).await;
    assert_eq!(level["version"], 3, "created, sold there, sold here");

    // The centre loses three, and tells nobody.
    update(&centre, "SHIRT", -3, "centre loses").await;
    update(&runner, "SHIRT", -1, "shop sells again").await;
    let open = "/sync/conflicts?status=open";
    let found = runner.eventually(open, |list| list["items"].as_array().is_some_and(|items| items.len() == 1)).await;
    let conflict = &found["items"][0];
    assert_eq!((&conflict["reason"], &conflict["sku"]), (&json!("central_differs"), &json!("SHIRT")));
    assert_eq!((&conflict["warehouse"]["quantity"], &conflict["warehouse"]["before"]), (&json!(6), &json!(7)));
    assert_eq!((&conflict["central"]["quantity"], &conflict["central"]["version"]), (&json!(4), &json!(4)));
    assert_eq!(holds(&centre, "SHIRT", 4).await["version"], 4, "nothing is pushed before somebody decides");

    let resolve = format!("/sync/conflicts/{}/resolve", conflict["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, settled) = runner.post(&resolve, &json!({ "resolution": "central" })).await;
        assert_eq!((status, &settled["status"]), (StatusCode::OK, &json!("resolved")));
    }
    let (status, _) = runner.post(&resolve, &json!({ "resolution": "warehouse" })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    holds(&runner, "SHIRT", 4).await;
    update(&runner, "SHIRT", -1, "shop sells on").await;
    let level = holds(&centre, "SHIRT", 3).await;
    assert_eq!(level["version"], 5, "the decision itself was not sent back");
    runner.rest().await;
    assert_eq!(runner.get(open).await.1["items"], json!([]));
}
