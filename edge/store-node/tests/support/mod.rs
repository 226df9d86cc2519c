//! A node as a process, and a centre that keeps the wire contract.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

mod centre;

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

pub(crate) use centre::{Centre, Mode};

/// Far longer than anything here takes, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node's command, with no environment but this.
pub(crate) fn command(centre: &str, data: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenstock-store-node"));
    command.env_clear().env("LOG_LEVEL", std::env::var_os("NODE_LOG").unwrap_or_else(|| "off".into()));
    command.env("CENTRAL_URL", centre).env("DATA_DIR", data).env("PORT", "0").envs(settings.iter().copied());
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A running node. Dropped, it is killed.
pub(crate) struct Node {
    process: Child,
    base: String,
    client: Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let reply = Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default() };
        assert!(reply.header("x-request-id").is_some(), "{reply:?}");
        if status >= 400 {
            assert_eq!(reply.body["requestId"], reply.header("x-request-id").unwrap(), "{reply:?}");
            assert!(reply.body["code"].is_string() && reply.body["details"].is_array(), "{reply:?}");
        }
        if [429, 503].contains(&status) {
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
        }
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The names of the fields that an error complains of.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.body["details"].as_array().unwrap().iter().map(|detail| detail["field"].as_str().unwrap()).collect()
    }
}

impl Node {
    pub(crate) async fn start(centre: &Centre, data: &TempDir) -> Self {
        Self::with(&centre.url(), data, &[]).await
    }

    pub(crate) async fn with(centre: &str, data: &TempDir, settings: &[(&str, &str)]) -> Self {
        Self::spawn(command(centre, data.path(), settings)).await
    }

    pub(crate) async fn spawn(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().expect("it says ready");
        let base = line.strip_prefix("ready ").expect("the line is `ready URL`").to_owned();
        Self { process, base, client: Client::builder().no_proxy().timeout(PATIENCE).build().unwrap() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub(crate) async fn write(&self, body: &Value) -> Reply {
        let request = self.request(Method::POST, "/store/inventory/updates").json(body);
        Reply::of(request.send().await.unwrap()).await
    }

    /// A product at this node's store.
    pub(crate) async fn level(&self, product: &str) -> Reply {
        self.get(&format!("/store/inventory/{product}")).await
    }

    /// Waits until an answer is as expected.
    pub(crate) async fn eventually(&self, path: &str, expected: impl Fn(&Reply) -> bool) -> Reply {
        let mut seen = None;
        for _ in 0..600 {
            let reply = self.get(path).await;
            if expected(&reply) {
                return reply;
            }
            seen = Some(reply);
            sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} stayed {seen:?}");
    }

    /// Waits until the copy is level with the centre.
    pub(crate) async fn in_contact(&self) {
        self.eventually("/health", |health| health.body["stale"] == false).await;
    }

    /// Waits until nothing waits to be sent.
    pub(crate) async fn sent(&self) -> Reply {
        self.eventually("/health", |health| health.body["queue"]["depth"] == 0).await
    }

    pub(crate) fn kill_now(mut self) {
        self.process.start_kill().unwrap();
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// SIGTERM, and the exit status.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let id = self.process.id().expect("it runs").to_string();
        assert!(Command::new("/bin/kill").args(["-TERM", &id]).status().await.unwrap().success());
        timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap()
    }
}

/// A write at store-7.
pub(crate) fn change(product: &str, delta: i64, version: Option<u64>, key: &str) -> Value {
    json!({ "storeId": "store-7", "productId": product, "delta": delta, "version": version, "idempotencyKey": key })
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
