//! Asks and tells what the answer, or the lack of one, means.
//!
//! Makes one call a question: when to ask again is the import's and its breaker's decision.

use core::time::Duration;

use evenstock_app::{MarketplaceAccount, MarketplaceError, OrderMarketplace, SecretText, Validation};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::json;

use super::payload;
use crate::http::{self, BodyError, ClientError, InvalidBaseUrl, endpoint, retry_after_seconds};
use crate::{ApiSecret, InvalidSecret};

/// The greatest answer that is read, in bytes. An order with all its lines is far smaller.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The marketplaces of registered stores.
#[derive(Debug, Clone)]
pub struct OrderClient {
    client: Client,
    base_url: Option<String>,
    credentials: Vec<(String, ApiSecret)>,
    /// Whether a store may name an address without TLS.
    plain_http: bool,
}

impl OrderClient {
    /// Time for a question, from connecting to the answer's last byte.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A client of the marketplaces at `base_url`, for all accounts that name no address of their own. There it shows
    /// `credentials` (a marketplace with `user:password` each) instead of a token, unless the token itself is of that
    /// form. To be made once a process, so that connections are reused.
    ///
    /// An account may name an `http` address only when `base_url` is one: that is a laptop.
    ///
    /// # Errors
    /// [`ClientError::BaseUrl`] for a base URL that cannot be one; [`ClientError::Start`] when TLS cannot start.
    pub fn new<'a>(
        base_url: Option<&str>,
        credentials: impl IntoIterator<Item = (&'a str, SecretText)>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let plain_http = match base_url {
            Some(base_url) => endpoint(base_url, &[])?.scheme() == "http",
            None => false,
        };
        let credentials = credentials.into_iter();
        let credentials = credentials.map(|(name, basic)| (name.to_owned(), ApiSecret::basic(basic.expose())));
        Ok(Self {
            client: http::client(timeout)?,
            base_url: base_url.map(str::to_owned),
            credentials: credentials.collect(),
            plain_http,
        })
    }

    /// Checks the address that an account wants to name.
    ///
    /// # Errors
    /// [`InvalidBaseUrl`] when it is none, or has no TLS although it must.
    pub fn check_base_url(&self, base_url: &str) -> Result<(), InvalidBaseUrl> {
        self.endpoint(base_url, "").map(|_| ())
    }

    fn endpoint(&self, base_url: &str, marketplace: &str) -> Result<Url, InvalidBaseUrl> {
        let url = endpoint(base_url, &["mock", marketplace, "validate"])?;
        if url.scheme() == "https" || self.plain_http { Ok(url) } else { Err(InvalidBaseUrl::NotHttps) }
    }

    /// A token `user:password` is for Basic authentication, any other one is a bearer token.
    fn authorization(&self, account: &MarketplaceAccount) -> Result<ApiSecret, InvalidSecret> {
        let token = account.access_token.expose();
        if token.contains(':') {
            return Ok(ApiSecret::basic(token));
        }
        let ours = self.credentials.iter().find(|(marketplace, _)| *marketplace == account.marketplace);
        match ours.filter(|_| account.base_url.is_none()) {
            Some((_, credentials)) => Ok(credentials.clone()),
            None => ApiSecret::new(token),
        }
    }
}

impl OrderMarketplace for OrderClient {
    async fn validate(&self, account: &MarketplaceAccount, receipt: &str) -> Result<Validation, MarketplaceError> {
        let base_url = account.base_url.as_deref().or(self.base_url.as_deref());
        let base_url = base_url.ok_or_else(|| unavailable("no address of it is known"))?;
        let url = self.endpoint(base_url, &account.marketplace);
        let url = url.map_err(|error| unavailable(&format!("its address {error}")))?;
        // A token that cannot even be shown is one that the marketplace would not take.
        let authorization = self.authorization(account).map_err(|_| MarketplaceError::Unauthorized)?;
        let question = json!({ "receipt": receipt, "currency": account.currency });
        let request = self.client.post(url).header(ACCEPT, "application/json").json(&question);
        let response = request.header(AUTHORIZATION, authorization.header()).send().await;
        let response = response.map_err(|error| unavailable(http::broken(&error)))?;
        refusal(&response)?;
        let body = http::read_body(response, BODY_BYTES_MAX).await.map_err(|error| match error {
            BodyError::Broken(how) => unavailable(how),
            BodyError::TooLong(bytes) => unreadable(format!("it is longer than {bytes} bytes")),
        })?;
        payload::validation(&body).map_err(unreadable)
    }
}

/// What an answer other than 200 means.
fn refusal(response: &Response) -> Result<(), MarketplaceError> {
    let retry_after_seconds = || retry_after_seconds(response.headers());
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(MarketplaceError::Unauthorized),
        StatusCode::TOO_MANY_REQUESTS => {
            Err(MarketplaceError::RateLimited { retry_after_seconds: retry_after_seconds() })
        }
        status if status.is_server_error() => Err(MarketplaceError::Unavailable {
            reason: format!("it answered {}", status.as_u16()),
            retry_after_seconds: retry_after_seconds(),
        }),
        status => Err(unreadable(format!("it answered {}", status.as_u16()))),
    }
}

fn unavailable(reason: &str) -> MarketplaceError {
    MarketplaceError::Unavailable { reason: reason.to_owned(), retry_after_seconds: None }
}

fn unreadable(reason: String) -> MarketplaceError {
    MarketplaceError::Unreadable { reason }
}
