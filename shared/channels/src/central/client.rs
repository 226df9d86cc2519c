//! Tells and asks the central system. Makes one call a question: when to try again is for its breaker and its queue.

use core::time::Duration;

use evenstock_app::{CentralAnswer, CentralError, CentralStock, CentralUpdate};
use evenstock_domain::{Guard, Holding, LocationId, Sku};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use super::payload;
use crate::callbacks::{Lookup, Target};
use crate::http::{self, BodyError, ClientError, InvalidBaseUrl, endpoint, retry_after_seconds};
use crate::{ApiSecret, InvalidSecret};

/// The greatest answer that is read, in bytes: a hundred results with long names and messages are far smaller.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum CentralClientError {
    /// The base URL is none, has no TLS although it must, or may not be called.
    #[error("the central system's base URL cannot be used")]
    BaseUrl(#[from] InvalidBaseUrl),
    /// The key cannot be shown.
    #[error("the central system's key cannot be used")]
    Key(#[from] InvalidSecret),
    /// The HTTP client cannot start.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The central system.
#[derive(Debug, Clone)]
pub struct HttpCentral {
    client: Client,
    base_url: String,
    key: ApiSecret,
}

impl HttpCentral {
    /// Time for one answer, from connecting to the last byte.
    pub const TIMEOUT: Duration = Duration::from_secs(8);

    /// The system at `base_url`, which is shown `key` as a bearer token. It must have TLS and lie in the public internet,
    /// also once its name is resolved; only a `guard` that allows private addresses lets it be plain and near. To be made
    /// once a process.
    ///
    /// # Errors
    /// [`CentralClientError`].
    pub fn new(
        base_url: &str,
        key: &str,
        guard: Guard,
        lookup: impl Lookup,
        timeout: Duration,
    ) -> Result<Self, CentralClientError> {
        let url = endpoint(base_url, &[])?;
        if url.scheme() != "https" && !guard.allow_private {
            return Err(InvalidBaseUrl::NotHttps.into());
        }
        Target::parse(base_url, guard).map_err(InvalidBaseUrl::Target)?;
        let client = http::guarded_client(timeout, guard, lookup)?;
        Ok(Self { client, base_url: base_url.to_owned(), key: ApiSecret::new(key)? })
    }

    fn url(&self, path: &[&str]) -> Result<Url, CentralError> {
        endpoint(&self.base_url, path).map_err(|error| failed(format!("its address {error}")))
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Response, CentralError> {
        let request = request.header(ACCEPT, "application/json").header(AUTHORIZATION, self.key.header());
        request.send().await.map_err(|error| failed(http::broken(&error)))
    }
}

impl CentralStock for HttpCentral {
    async fn push(&self, location: &LocationId, updates: &[CentralUpdate]) -> Result<Vec<CentralAnswer>, CentralError> {
        let url = self.url(&["inventory", "updates"])?;
        let response = self.ask(self.client.post(url).json(&payload::question(location, updates))).await?;
        let status = response.status();
        match status {
            StatusCode::OK => {}
            // It understood us, and does not want this.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                let rejected = CentralAnswer::Rejected(format!("it answered {} to all", status.as_u16()));
                return Ok(vec![rejected; updates.len()]);
            }
            _ => return Err(refusal(&response)),
        }
        payload::answers(&body_of(response).await?, updates).map_err(failed)
    }

    async fn holding(&self, location: &LocationId, sku: &Sku) -> Result<Option<Holding>, CentralError> {
        let url = self.url(&["inventory", sku.as_str()])?;
        let response = self.ask(self.client.get(url).query(&[("storeId", location.as_str())])).await?;
        match response.status() {
            StatusCode::OK => payload::holding(&body_of(response).await?).map(Some).map_err(failed),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refusal(&response)),
        }
    }
}

async fn body_of(response: Response) -> Result<Vec<u8>, CentralError> {
    http::read_body(response, BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::Broken(how) => failed(how),
        BodyError::TooLong(bytes) => failed(format!("its answer is longer than {bytes} bytes")),
    })
}

fn failed(reason: impl Into<String>) -> CentralError {
    CentralError::Failed { reason: reason.into(), retry_after_seconds: None }
}

/// What an answer without results means. A key that it refuses, or a redirect, is for the operator to mend: the messages
/// come back until then.
fn refusal(response: &Response) -> CentralError {
    let retry_after_seconds = retry_after_seconds(response.headers());
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => CentralError::Limited { retry_after_seconds },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => failed("it refuses our key"),
        status => CentralError::Failed { reason: format!("it answered {}", status.as_u16()), retry_after_seconds },
    }
}
