//! A centre and two shops' nodes, as processes: they are killed while writes go through both nodes, and in the end
//! everybody agrees and each write counted once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

const PRODUCTS: usize = 3;

/// More than all writes of the test take.
const INITIAL: i64 = 100_000;

/// A process that serves on a port of its own, killed when dropped.
struct Server {
    process: Child,
    base: String,
    client: Client,
}

impl Server {
    async fn start(mut command: Command) -> Self {
        let mut process = command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().expect("it says ready");
        let base = line.strip_prefix("ready ").expect("the line is `ready URL`").to_owned();
        Self { process, base, client: Client::builder().no_proxy().timeout(PATIENCE).build().unwrap() }
    }

    async fn centre(data: &Path, port: u16) -> Self {
        let mut command = support::command();
        command.arg("--data").arg(data).args(["--port", &port.to_string()]);
        Self::start(command).await
    }

    async fn node(centre: u16, store: &str, data: &Path, port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_store-node-under-test"));
        command.env_clear().env("LOG_LEVEL", "off").env("CENTRAL_URL", format!("http://127.0.0.1:{centre}"));
        command.env("STORE_ID", store).env("DATA_DIR", data).env("PORT", port.to_string());
        Self::start(command).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header("x-api-key", "demo")
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn eventually(&self, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Value::Null;
        for _ in 0..1200 {
            let (_, body) = self.get(path).await;
            if expected(&body) {
                return body;
            }
            seen = body;
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} stayed {seen}");
    }

    fn port(&self) -> u16 {
        self.base.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// SIGKILL, and waits until it is gone.
    async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }
}

/// A port that nobody has at the moment, so that a process can come back on it.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn write(store: &str, product: usize, key: &str) -> Value {
    json!({ "storeId": store, "productId": format!("P/{product}"), "delta": -1, "version": null, "idempotencyKey": key })
}

/// Sells one after the other at a shop, whatever happens to it, and notes each key before it is used.
async fn till(port: u16, store: &'static str, keys: Arc<Mutex<Vec<(usize, String)>>>, stop: Arc<AtomicBool>) {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(15)).build().unwrap();
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let (product, key) = (n % PRODUCTS, format!("{store}/{n}"));
        keys.lock().unwrap().push((product, key.clone()));
        let url = format!("http://127.0.0.1:{port}/store/inventory/updates");
        if let Ok(answer) = client.post(url).json(&write(store, product, &key)).send().await {
            assert!([200, 202].contains(&answer.status().as_u16()), "{answer:?}");
        }
        n += 1;
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn centre_and_nodes_agree_after_all_of_them_were_killed() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [centre_data, one_data, two_data] = [0, 1, 2].map(|n: usize| folders[n].path());
    let ports = [free_port(), free_port(), free_port()];
    let mut centre = Server::centre(centre_data, ports[0]).await;
    let stores = ["store-1", "store-2"];
    for store in stores {
        for product in 0..PRODUCTS {
            let body = json!({
                "storeId": store, "productId": format!("P/{product}"), "delta": INITIAL, "version": 0,
                "idempotencyKey": format!("initial/{store}/{product}"),
            });
            let answer = centre.request(Method::POST, "/inventory/updates").json(&body).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    }
    let mut one = Server::node(ports[0], stores[0], one_data, ports[1]).await;
    let two = Server::node(ports[0], stores[1], two_data, ports[2]).await;
    for node in [&one, &two] {
        node.eventually("/health", |health| health["status"] == "ok").await;
    }

    let (stop, mut tills, mut keys) = (Arc::new(AtomicBool::new(false)), Vec::new(), Vec::new());
    for (store, port) in stores.into_iter().zip([ports[1], ports[2]]) {
        let known = Arc::new(Mutex::new(Vec::new()));
        tills.push(tokio::spawn(till(port, store, Arc::clone(&known), Arc::clone(&stop))));
        keys.push(known);
    }
    for _ in 0..3 {
        sleep(Duration::from_millis(400)).await;
        centre.kill().await;
        sleep(Duration::from_millis(1500)).await;
        centre = Server::centre(centre_data, ports[0]).await;
        // In the middle of the replay.
        sleep(Duration::from_millis(300)).await;
        one.kill().await;
        one = Server::node(ports[0], stores[0], one_data, ports[1]).await;
    }
    stop.store(true, Ordering::SeqCst);
    for till in tills {
        till.await.unwrap();
    }

    for ((node, store), keys) in [&one, &two].into_iter().zip(stores).zip(keys) {
        node.eventually("/health", |health| health["queue"]["depth"] == 0 && health["stale"] == false).await;
        // Writes whose answers were lost with a node are asked for again, as a till would: then all have counted once.
        let keys = keys.lock().unwrap().clone();
        let mut sold = [0; PRODUCTS];
        for (product, key) in &keys {
            let request = node.request(Method::POST, "/store/inventory/updates").json(&write(store, *product, key));
            assert_eq!(request.send().await.unwrap().status(), 200, "{key}");
            sold[*product] += 1;
        }
        assert_eq!(node.get("/store/intents").await.1["items"], json!([]), "none was refused");
        for (product, sold) in sold.into_iter().enumerate() {
            let path = format!("/inventory/P%2F{product}?storeId={store}");
            let (_, level) = centre.get(&path).await;
            assert_eq!(level["available"], INITIAL - sold, "{store} {product}");
            assert_eq!(level["version"], 1 + sold, "each write is one version");
        }
    }
    for product in 0..PRODUCTS {
        let (_, sums) = centre.get(&format!("/inventory/P%2F{product}")).await;
        for (node, store) in [&one, &two].into_iter().zip(stores) {
            let same = |local: &Value, central: &Value| {
                ["available", "reserved", "version", "lastUpdated"].iter().all(|field| local[field] == central[field])
            };
            let (_, level) = centre.get(&format!("/inventory/P%2F{product}?storeId={store}")).await;
            node.eventually(&format!("/store/inventory/P%2F{product}"), |local| same(local, &level)).await;
            node.eventually(&format!("/store/inventory/P%2F{product}?scope=all"), |local| same(local, &sums)).await;
        }
    }
}

/// As it is written there, but for the ports.
#[tokio::test(flavor = "multi_thread")]
async fn smoke_test_of_document_5_with_its_store_node() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let centre = Server::centre(folders[0].path(), 0).await;
    let node = Server::node(centre.port(), "store-7", folders[1].path(), 0).await;
    let write =
        json!({ "storeId": "store-7", "productId": "SKU-123", "delta": 5, "version": 0, "idempotencyKey": "k1" });
    let answer = centre.request(Method::POST, "/inventory/updates").json(&write).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (status, central) = centre.get("/inventory/SKU-123").await;
    assert_eq!((status, &central["available"], &central["version"]), (StatusCode::OK, &json!(5), &json!(1)));

    let path = "/store/inventory/SKU-123";
    let local = node.eventually(path, |local| local["available"] == 5 && local["stale"] == false).await;
    assert_eq!((&local["productId"], &local["storeId"]), (&json!("SKU-123"), &json!("store-7")));
    assert_eq!((&local["version"], &local["lastUpdated"]), (&central["version"], &central["lastUpdated"]));
    centre.kill().await;
    let offline = node.eventually(path, |local| local["stale"] == true).await;
    assert_eq!((&offline["available"], &offline["version"]), (&json!(5), &json!(1)));
}
