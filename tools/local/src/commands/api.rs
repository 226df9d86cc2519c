//! A client of the HTTP interface: JSON in, JSON out.

use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::CommandError;

/// Longer than any endpoint may take.
const PATIENCE: Duration = Duration::from_secs(35);

/// Which instance, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    /// The instance to talk to.
    #[arg(long, env = "BASE_URL", default_value = "http://127.0.0.1:3000")]
    pub(crate) base_url: String,
    /// The key to show; the local runner accepts `demo`.
    #[arg(long, env = "API_KEY", default_value = "demo", hide_env_values = true)]
    pub(crate) api_key: String,
}

/// An instance that answers.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    base: String,
    key: String,
}

impl Api {
    /// A client of the instance at `args.base_url`.
    pub(crate) fn new(args: &ApiArgs) -> Self {
        Self {
            // Proxies are left out, because they would take the calls to this machine away from it.
            client: Client::builder().no_proxy().timeout(PATIENCE).build().unwrap_or_default(),
            base: args.base_url.trim_end_matches('/').to_owned(),
            key: args.api_key.clone(),
        }
    }

    /// Sends a request, with extra `headers` and a raw body; the status and what was answered, `null` when that is no
    /// JSON.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<(StatusCode, Value), CommandError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, &url).header("x-api-key", &self.key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let unreachable = |source| CommandError::Unreachable { url: self.base.clone(), source };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<(StatusCode, Value), CommandError> {
        self.send(Method::GET, path, &[], None).await
    }
}
