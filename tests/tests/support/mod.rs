//! The product as a process: started on a free port, talked to over HTTP, ended or killed by the test that started it.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use evenstock_runtime::Environment;
use evenstock_runtime::testing::{Contract, Reply};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// Far longer than anything here takes, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running local runner. Dropped, it is killed.
pub(crate) struct Runner {
    process: Child,
    pub(crate) base: String,
    client: Client,
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenstock-under-test"));
    command.env_clear().env("LOG_LEVEL", "warn").env("RATE_LIMIT_RPS", "100000").env("RATE_LIMIT_BURST", "100000");
    command.kill_on_drop(true).stdin(Stdio::null());
    if let Some(folder) = Environment::of_process().optional("RECORD_CALLS") {
        command.env("RECORD_CALLS", folder);
    }
    command
}

impl Runner {
    pub(crate) async fn ephemeral() -> Self {
        let mut command = command();
        command.arg("--ephemeral");
        Self::start(command).await
    }

    pub(crate) async fn on(data: &Path) -> Self {
        let mut command = command();
        command.arg("--data").arg(data);
        Self::start(command).await
    }

    pub(crate) async fn start(mut command: Command) -> Self {
        let mut process = command.args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().expect("it says ready");
        let base = line.strip_prefix("ready ").expect("the line is `ready URL`").to_owned();
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { process, base, client }
    }

    /// A request with the key that the local runner accepts.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header("x-api-key", "demo")
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// Delivers a body with its signature; the status, or nothing when the connection broke.
    pub(crate) async fn deliver(&self, body: &str) -> Option<StatusCode> {
        let request = self.request(Method::POST, "/webhooks/marketplace-a");
        let sent = request.header("x-marketplace-signature", sign(body)).body(body.to_owned()).send().await;
        sent.ok().map(|answer| answer.status())
    }

    /// Waits until a product's levels sum up to what `expected` accepts.
    pub(crate) async fn eventually(&self, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Value::Null;
        for _ in 0..600 {
            let (status, body) = self.get(path).await;
            if status == StatusCode::OK && expected(&body) {
                return body;
            }
            seen = body;
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} stayed {seen}");
    }

    /// Waits as an operator who acts for `organization`.
    pub(crate) async fn eventually_as(
        &self,
        organization: &str,
        path: &str,
        expected: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut seen = Value::Null;
        for _ in 0..600 {
            let request = self.request(Method::GET, path).header("x-organization-id", organization);
            let (status, body) = answer(request).await;
            if status == StatusCode::OK && expected(&body) {
                return body;
            }
            seen = body;
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} stayed {seen}");
    }

    /// Calls the scheduler as the command line does; its report.
    pub(crate) async fn call_scheduler(&self) -> Value {
        let mut command = command();
        command.args(["scheduler", "--once"]).env("BASE_URL", &self.base);
        let output = timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn rest(&self) {
        let idle = |body: &Value| {
            let queue = &body["data"]["queue"];
            queue["waiting"] == 0 && queue["inFlight"] == 0
        };
        self.eventually("/health", idle).await;
    }

    pub(crate) fn id(&self) -> String {
        self.process.id().expect("it runs").to_string()
    }

    /// SIGKILL; the process is gone when this returns.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// SIGTERM, and the exit status.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let id = self.id();
        let sent = Command::new("/bin/kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap()
    }
}

/// The document that is served: every answer is held to it.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::parse(include_str!("../../../docs/openapi.json")));

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().to_string(), request.url().path().to_owned());
    let sent = request.body().and_then(|body| serde_json::from_slice(body.as_bytes()?).ok());
    let answer = client.execute(request).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let reply = Reply { status: status.as_u16(), headers, text, body: body.clone() };
    CONTRACT.check(&method, &path, sent.as_ref(), &reply);
    (status, body)
}

/// The hex HMAC-SHA256 of a body under the local runner's default secret.
pub(crate) fn sign(body: &str) -> String {
    sign_with("secret", body)
}

/// The hex HMAC-SHA256 of a body under a secret.
pub(crate) fn sign_with(secret: &str, body: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A delivery of marketplace A: so many units of a product at a location, `second` seconds into an hour of the past.
pub(crate) fn delivery(sku: &str, units: i64, second: i64) -> String {
    let time = format!("2026-01-01T08:{:02}:{:02}.000Z", second / 60, second % 60);
    json!({ "product_code": sku, "available_stock": units, "timestamp": time, "warehouse": "main" }).to_string()
}

/// An update of a product at location `main`.
pub(crate) fn change(sku: &str, delta: i64, version: Option<u64>, key: &str) -> Value {
    json!({ "storeId": "main", "productId": sku, "delta": delta, "version": version, "idempotencyKey": key })
}

/// A running `receiver`. Dropped, it is killed.
pub(crate) struct Receiver {
    process: Child,
    lines: tokio::sync::Mutex<Lines<BufReader<ChildStdout>>>,
    base: String,
}

impl Receiver {
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::on_port("0", options).await
    }

    async fn on_port(port: &str, options: &[&str]) -> Self {
        let mut command = command();
        command.args(["receiver", "--port", port]).args(options);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().expect("it says ready");
        let base = line.strip_prefix("ready ").expect("the line is `ready URL`").to_owned();
        Self { process, lines: tokio::sync::Mutex::new(lines), base }
    }

    /// Ends it and starts another one on its port.
    pub(crate) async fn restarted(mut self, options: &[&str]) -> Self {
        self.process.kill().await.unwrap();
        let port = self.base.rsplit(':').next().unwrap().to_owned();
        Self::on_port(&port, options).await
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/webhook", self.base)
    }

    /// The next delivery that it prints.
    pub(crate) async fn next(&self) -> Value {
        let mut lines = self.lines.lock().await;
        let line = timeout(PATIENCE, lines.next_line()).await.expect("something arrives").unwrap().expect("it runs");
        serde_json::from_str(&line).unwrap()
    }
}
