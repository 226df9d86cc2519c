//! The local runner as a process: it drains, it survives being killed, and it says in one line why it does not start.
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

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use support::{Runner, change, command, delivery};
use tokio::time::sleep;

/// Times that the process is killed.
const KILLS: i64 = 5;

/// Products that deliveries and updates are about.
const PRODUCTS: i64 = 4;

#[tokio::test]
async fn sigterm_drains_and_ends_with_success() {
    let data = tempfile::tempdir().unwrap();
    let runner = Runner::on(data.path()).await;
    for n in 0..50 {
        assert_eq!(runner.deliver(&delivery("SHIRT", n, n)).await, Some(StatusCode::ACCEPTED));
    }
    assert_eq!(runner.terminate().await.code(), Some(0));
    let runner = Runner::on(data.path()).await;
    runner.eventually("/inventory/SHIRT", |level| level["available"] == 49).await;
    assert_eq!(runner.terminate().await.code(), Some(0));
}

/// What a client knows: its last acknowledged delivery of each product, and every update it ever tried.
#[derive(Default)]
struct Known {
    acknowledged: BTreeMap<i64, i64>,
    sent: BTreeMap<i64, i64>,
    updates: Vec<(i64, String)>,
}

#[tokio::test]
async fn sigkill_loses_no_acknowledged_delivery_and_applies_nothing_twice() {
    let data = tempfile::tempdir().unwrap();
    let known = Arc::new(Mutex::new(Known::default()));
    for round in 0..KILLS {
        let runner = Arc::new(Runner::on(data.path()).await);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..PRODUCTS)
            .map(|product| {
                tokio::spawn(client(Arc::clone(&runner), Arc::clone(&known), Arc::clone(&stop), product, round))
            })
            .collect();
        sleep(Duration::from_millis(150 + 130 * round.unsigned_abs())).await;
        // Killed while the clients are in the middle of it.
        kill_by_id(&runner).await;
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.await.unwrap();
        }
    }

    let runner = Runner::on(data.path()).await;
    let known = Arc::into_inner(known).unwrap().into_inner().unwrap();
    // Every update is sent again under its key: the ones that were applied are recognized.
    for (product, key) in &known.updates {
        let (status, answer) = runner.post("/inventory/updates", &change(&format!("U{product}"), 1, None, key)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    runner.rest().await;
    assert!(!known.updates.is_empty() && !known.acknowledged.is_empty(), "the clients got something done");
    for (product, second) in &known.acknowledged {
        let (_, level) = runner.get(&format!("/inventory/D{product}")).await;
        let (units, version) = (level["available"].as_i64().unwrap(), level["version"].as_i64().unwrap());
        assert!(units >= *second, "D{product}: {second} was acknowledged, {units} is there");
        assert!(units <= known.sent[product], "D{product}: {units} was never sent");
        assert!(
            version <= known.sent[product] + 1,
            "D{product}: {version} changes of {} deliveries",
            known.sent[product] + 1
        );
    }
    for product in 0..PRODUCTS {
        let updates = known.updates.iter().filter(|(of, _)| *of == product).count();
        let (_, level) = runner.get(&format!("/inventory/U{product}")).await;
        assert_eq!(level["available"], Value::from(updates), "each update of U{product} counts once");
        assert_eq!(level["version"], Value::from(updates));
    }
    let (_, health) = runner.get("/health").await;
    assert_eq!(health["data"]["queue"]["dead"], 0);
}

/// Sends deliveries and updates of one product, one after the other, until told to stop or cut off.
async fn client(runner: Arc<Runner>, known: Arc<Mutex<Known>>, stop: Arc<AtomicBool>, product: i64, round: i64) {
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let second = {
            let mut known = known.lock().unwrap();
            let second = known.sent.get(&product).map_or(0, |second| second + 1);
            known.sent.insert(product, second);
            second
        };
        if second >= 3600 {
            return;
        }
        if runner.deliver(&delivery(&format!("D{product}"), second, second)).await == Some(StatusCode::ACCEPTED) {
            known.lock().unwrap().acknowledged.insert(product, second);
        }
        let key = format!("{product}/{round}/{n}");
        known.lock().unwrap().updates.push((product, key.clone()));
        let request = runner.request(reqwest::Method::POST, "/inventory/updates");
        // Whether it was applied is settled after the restart, by its key.
        if request.json(&change(&format!("U{product}"), 1, None, &key)).send().await.is_err() {
            return;
        }
        n += 1;
    }
}

async fn kill_by_id(runner: &Runner) {
    let killed = tokio::process::Command::new("/bin/kill").args(["-KILL", &runner.id()]).status().await.unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn busy_port_is_one_line_and_exit_code_2() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command().args(["--ephemeral", "--port", &port]).output().await.unwrap();
    assert_one_line(&output, &port);
}

#[tokio::test]
async fn unwritable_folder_is_one_line_and_exit_code_2() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("data");
    let output = command().args(["--port", "0", "--data"]).arg(&folder).output().await.unwrap();
    assert_one_line(&output, folder.to_str().unwrap());
}

#[tokio::test]
async fn folder_in_use_is_one_line_and_exit_code_2() {
    let data = tempfile::tempdir().unwrap();
    let runner = Runner::on(data.path()).await;
    let output = command().args(["--port", "0", "--data"]).arg(data.path()).output().await.unwrap();
    assert_one_line(&output, "in use");
    assert_eq!(runner.terminate().await.code(), Some(0));
}

fn assert_one_line(output: &std::process::Output, mentions: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(error.contains(mentions), "{error}");
    assert!(output.stdout.is_empty());
}
