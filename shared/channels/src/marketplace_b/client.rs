//! Asks marketplace B over HTTP and tells what its answer, or the lack of one, means.
//!
//! Makes one call a question: when to ask again is the poll's and its breaker's decision. No error quotes a body, a key
//! or a URL.

use core::time::Duration;

use evenstock_app::{FeedError, FeedPage, StockFeed};
use evenstock_domain::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::payload;
use super::retry_after::retry_after_seconds;
use crate::ApiSecret;

/// The longest time to wait for a connection; a host that does not answer at all should not cost the whole timeout.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(3);

/// The greatest answer that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

const USER_AGENT: &str = concat!("Evenstock/", env!("CARGO_PKG_VERSION"));

/// A text that is not the base URL of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// It is not an absolute URL with a host, under `http` or `https`.
    #[error("must be an absolute http or https URL")]
    NotHttp,
    /// It carries a user name or a password, which would end up in logs.
    #[error("must not contain a user name or a password")]
    Credentials,
    /// It carries a query or a fragment.
    #[error("must not contain a query or a fragment")]
    Query,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is none.
    #[error("the base URL of marketplace B cannot be used")]
    BaseUrl(#[from] InvalidBaseUrl),
    /// The HTTP client could not start, for example because this machine has no root certificates.
    #[error("the HTTP client cannot start")]
    Start(#[source] reqwest::Error),
}

/// The marketplace that is asked for what changed.
#[derive(Debug, Clone)]
pub struct MarketplaceB {
    client: Client,
    updates: Url,
    key: ApiSecret,
}

impl MarketplaceB {
    /// A client that gives every call `timeout`, from connecting to the answer's last byte. To be made once a process,
    /// so that connections are reused.
    ///
    /// # Errors
    /// [`ClientError::BaseUrl`] for a base URL that cannot be one; [`ClientError::Start`] when TLS cannot start.
    pub fn new(base_url: &str, key: ApiSecret, timeout: Duration) -> Result<Self, ClientError> {
        let updates = updates_url(base_url)?;
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .timeout(timeout)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
            // The key belongs to this host and to no other one that it may point to.
            .redirect(redirect::Policy::none())
            // Proxies would come from the environment, behind the configuration's back.
            .no_proxy()
            .build()
            .map_err(ClientError::Start)?;
        Ok(Self { client, updates, key })
    }
}

fn updates_url(base_url: &str) -> Result<Url, InvalidBaseUrl> {
    let mut url = Url::parse(base_url).map_err(|_| InvalidBaseUrl::NotHttp)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidBaseUrl::NotHttp);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidBaseUrl::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidBaseUrl::Query);
    }
    url.path_segments_mut().map_err(|()| InvalidBaseUrl::NotHttp)?.pop_if_empty().extend(["inventory", "updates"]);
    Ok(url)
}

impl StockFeed for MarketplaceB {
    async fn changed_since(&self, since: Timestamp, limit: u32) -> Result<FeedPage, FeedError> {
        // Rounded down: asking for too much repeats rows, asking for too little loses them.
        let seconds = since.as_millis().div_euclid(1000);
        let request = self
            .client
            .get(self.updates.clone())
            .query(&[("since", seconds), ("limit", i64::from(limit))])
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.key.bearer());
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        refusal(&response)?;
        payload::page(&read_body(response).await?)
    }
}

/// What an answer other than 200 means.
fn refusal(response: &Response) -> Result<(), FeedError> {
    let retry_after_seconds = || retry_after_seconds(response.headers());
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FeedError::Unauthorized),
        StatusCode::TOO_MANY_REQUESTS => Err(FeedError::RateLimited { retry_after_seconds: retry_after_seconds() }),
        status if status.is_server_error() => Err(FeedError::Unavailable {
            reason: format!("it answered {}", status.as_u16()),
            retry_after_seconds: retry_after_seconds(),
        }),
        status => Err(FeedError::Malformed { reason: format!("it answered {}", status.as_u16()) }),
    }
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, FeedError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len().saturating_add(chunk.len()) > BODY_BYTES_MAX {
            return Err(FeedError::Malformed { reason: format!("it is longer than {BODY_BYTES_MAX} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The transport's own errors quote the URL, so only their kind is kept.
fn unreachable(error: &reqwest::Error) -> FeedError {
    let reason = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    FeedError::Unavailable { reason: reason.to_owned(), retry_after_seconds: None }
}
