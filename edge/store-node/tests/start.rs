//! Starting, refusing to start, and starting over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::fs;
use std::path::Path;

use support::{Centre, Node, change, command, folder};

async fn refused(centre: &str, data: &Path, settings: &[(&str, &str)], mentions: &[&str]) {
    let output = command(centre, data, settings).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    for mention in mentions {
        assert!(error.contains(mention), "{error} lacks {mention}");
    }
    assert!(output.stdout.is_empty());
}

async fn rebuilt(centre: &Centre, data: &tempfile::TempDir) -> Node {
    let mut command = command(&centre.url(), data.path(), &[]);
    command.arg("--rebuild");
    Node::spawn(command).await
}

#[tokio::test]
async fn unusable_settings_are_one_line_and_exit_code_2() {
    let data = folder();
    refused(
        "ftp://x",
        data.path(),
        &[("STORE_ID", " "), ("API_KEY", "hunter 2")],
        &["CENTRAL_URL", "STORE_ID", "API_KEY"],
    )
    .await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused("http://127.0.0.1:1", data.path(), &[("PORT", &port)], &[&port]).await;
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    refused("http://127.0.0.1:1", &file.join("x"), &[], &["data folder"]).await;
}

#[tokio::test]
async fn folder_belongs_to_one_node_one_centre_and_one_store() {
    let (mut centre, data) = (Centre::start(), folder());
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    refused(&centre.url(), data.path(), &[], &["in use"]).await;
    centre.kill();
    assert_eq!(node.write(&change("SKU", 1, None, "k")).await.status, 202);
    node.kill().await;
    refused(&centre.url(), data.path(), &[("STORE_ID", "store-8")], &["store-7", "STORE_ID"]).await;

    let other = Centre::start();
    refused(&other.url(), data.path(), &[], &[&centre.url(), &other.url(), "--rebuild"]).await;
    let node = rebuilt(&other, &data).await;
    node.sent().await;
    assert_eq!(other.world().effects, ["k"]);
    node.kill().await;
    let node = Node::with(&other.url(), &data, &[("STORE_ID", "store-8")]).await;
    node.in_contact().await;
    assert_eq!(node.level("SKU").await.status, 404, "nothing waits, so the store may change");
}

#[tokio::test]
async fn damaged_copy_is_named_and_made_anew_while_queued_writes_stay() {
    let (mut centre, data) = (Centre::start(), folder());
    centre.world().change("SKU", "store-7", 10, 0);
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    centre.kill();
    for key in ["a", "b"] {
        assert_eq!(node.write(&change("SKU", -1, None, key)).await.status, 202);
    }
    node.kill().await;
    fs::write(data.path().join("cache.sqlite"), vec![0x5a; 20_000]).unwrap();
    fs::remove_file(data.path().join("cache.sqlite-wal")).unwrap();
    refused(&centre.url(), data.path(), &[], &["cache.sqlite", "damaged", "--rebuild"]).await;
    centre.restart();
    let node = rebuilt(&centre, &data).await;
    node.sent().await;
    node.eventually("/store/inventory/SKU", |reply| reply.body["available"] == 8).await;
    assert_eq!(centre.world().effects, ["a", "b"]);
}

#[tokio::test]
async fn damaged_queue_is_named_kept_aside_and_begun_anew_only_when_asked() {
    let (centre, data) = (Centre::start(), folder());
    let file = data.path().join("intents.sqlite");
    fs::write(&file, vec![0x5a; 20_000]).unwrap();
    refused(&centre.url(), data.path(), &[], &["intents.sqlite", "damaged", "--rebuild"]).await;
    assert_eq!(fs::read(&file).unwrap(), vec![0x5a; 20_000], "untouched");
    let node = rebuilt(&centre, &data).await;
    node.in_contact().await;
    let names: Vec<_> = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let aside = names.iter().find(|name| name.to_string_lossy().contains("intents.sqlite.damaged-")).unwrap();
    assert_eq!(fs::read(aside).unwrap(), vec![0x5a; 20_000]);
}

#[tokio::test]
async fn centre_of_another_history_gets_a_new_copy_and_no_queued_write_until_somebody_looked() {
    let (mut centre, data) = (Centre::start(), folder());
    for _ in 0..9 {
        centre.world().change("SKU", "store-7", 10, 0);
    }
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    centre.kill();
    assert_eq!(node.write(&change("SKU", -1, None, "k")).await.status, 202);
    node.kill().await;
    // Another organization, or a centre that was reset: its feed is shorter.
    centre.world().levels.clear();
    centre.world().feed.clear();
    centre.world().change("SKU", "store-7", 5, 0);
    centre.restart();
    let node = Node::start(&centre, &data).await;
    let health = node.eventually("/health", |health| !health.body["queue"]["held"].is_null()).await;
    assert_eq!(health.body["status"], "degraded");
    node.eventually("/store/inventory/SKU", |reply| reply.body["available"] == 5 && reply.body["version"] == 1).await;
    node.kill().await;
    let node = Node::start(&centre, &data).await;
    node.in_contact().await;
    assert!(!node.get("/health").await.body["queue"]["held"].is_null(), "still held after a restart");
    assert!(centre.world().effects.is_empty());
    node.kill().await;
    let node = rebuilt(&centre, &data).await;
    node.sent().await;
    assert_eq!(centre.world().effects, ["k"]);
}
