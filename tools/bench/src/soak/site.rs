//! Talking to a runner that comes and goes.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::Failure;

/// Between two tries of a request whose outcome is unknown.
const PAUSE: Duration = Duration::from_millis(50);

/// After which a runner that does not come back, or never answers, fails the run.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer that says what happened.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    pub(super) fn expect(self, status: u16) -> Result<Value, Failure> {
        if self.status == status { Ok(self.body) } else { Err(format!("{status} expected: {self:?}").into()) }
    }
}

/// The runner, wherever it is now.
#[derive(Debug, Clone)]
pub(super) struct Site {
    client: Client,
    base: watch::Receiver<Option<String>>,
}

impl Site {
    /// The sender says where the runner is, `None` while it is dead.
    pub(super) fn new(base: Option<String>) -> Result<(Self, watch::Sender<Option<String>>), Failure> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let (sender, base) = watch::channel(base);
        Ok((Self { client, base }, sender))
    }

    /// Asks once. `None`: nobody knows what happened.
    pub(super) async fn once(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Option<Answer>, Failure> {
        let mut base = self.base.clone();
        let alive = timeout(PATIENCE, base.wait_for(Option::is_some)).await??.clone().unwrap_or_default();
        let method = Method::from_bytes(method.as_bytes())?;
        let mut request = self.client.request(method, format!("{alive}{path}")).header("x-api-key", "demo");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_vec());
        }
        let Ok(answer) = request.send().await else { return Ok(None) };
        let status = answer.status().as_u16();
        let Ok(bytes) = answer.bytes().await else { return Ok(None) };
        if status >= 500 || status == 429 {
            return Ok(None);
        }
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok(Some(Answer { status, body }))
    }

    /// Asks until it is known what happened; for requests that may be repeated.
    pub(super) async fn settle(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, Failure> {
        let settled = async {
            loop {
                if let Some(answer) = self.once(method, path, headers, body).await? {
                    return Ok(answer);
                }
                sleep(PAUSE).await;
            }
        };
        timeout(PATIENCE, settled).await.map_err(|_| format!("{method} {path} has no answer after {PATIENCE:?}"))?
    }

    /// The same with a body of JSON and nothing else.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let body = body.map(Value::to_string);
        self.settle(method, path, &[], body.as_deref().map(str::as_bytes)).await
    }
}
