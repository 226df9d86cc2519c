//! The local runner as a target.

use std::process::Stdio;
use std::time::Duration;

use evenstock_runtime::Environment;
use reqwest::{Client, Method};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::target::Answer;

/// A running local runner. Dropped, it is killed.
pub(crate) struct Runner {
    _process: Child,
    base: String,
    client: Client,
}

impl Runner {
    pub(crate) async fn start(marketplace: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenstock-under-test"));
        command.env_clear().env("LOG_LEVEL", "warn").args(["--ephemeral", "--port", "0"]);
        command.env("MARKETPLACE_B_API", marketplace).env("POLL_INTERVAL_SECONDS", "1");
        command.env("MARKETPLACE_BASE_URL", marketplace).env("RECEIPT_RETRY_BASE_SECONDS", "1");
        command.env("SWEEP_INTERVAL_SECONDS", "1");
        if let Some(folder) = Environment::of_process().optional("RECORD_CALLS") {
            command.env("RECORD_CALLS", folder);
        }
        let mut process = command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let line = BufReader::new(process.stdout.take().unwrap()).lines().next_line().await.unwrap();
        let base = line.unwrap().strip_prefix("ready ").expect("the line is `ready URL`").to_owned();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { _process: process, base, client }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.unwrap_or_default().to_owned()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }
}
