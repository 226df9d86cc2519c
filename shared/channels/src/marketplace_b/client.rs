//! Asks marketplace B over HTTP and tells what its answer, or the lack of one, means.
//!
//! Makes one call a question: when to ask again is the poll's and its breaker's decision. No error quotes a body, a key
//! or a URL.

use core::time::Duration;

use evenstock_app::{FeedError, FeedPage, StockFeed};
use evenstock_domain::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Response, StatusCode, Url};

use super::payload;
use crate::ApiSecret;
use crate::http::{self, BodyError, ClientError, endpoint, retry_after_seconds};

/// The greatest answer that is read, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

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
        let updates = endpoint(base_url, &["inventory", "updates"])?;
        Ok(Self { client: http::client(timeout)?, updates, key })
    }
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
            .header(AUTHORIZATION, self.key.header());
        let response = request.send().await.map_err(|error| unavailable(http::broken(&error)))?;
        refusal(&response)?;
        let body = http::read_body(response, BODY_BYTES_MAX).await.map_err(|error| match error {
            BodyError::Broken(how) => unavailable(how),
            BodyError::TooLong(bytes) => FeedError::Malformed { reason: format!("it is longer than {bytes} bytes") },
        })?;
        payload::page(&body)
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

fn unavailable(reason: &str) -> FeedError {
    FeedError::Unavailable { reason: reason.to_owned(), retry_after_seconds: None }
}
