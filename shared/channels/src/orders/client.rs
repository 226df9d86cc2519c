//! Asks and tells what the answer, or the lack of one, means.
//!
//! Makes one call a question: when to ask again is the import's and its breaker's decision.

use core::time::Duration;

use evenstock_app::{MarketplaceAccount, MarketplaceError, OrderMarketplace, SecretText, Validation};
use evenstock_domain::Guard;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::json;

use super::payload;
use crate::callbacks::{Lookup, SystemLookup, Target};
use crate::http::{self, BodyError, ClientError, InvalidBaseUrl, endpoint, retry_after_seconds};
use crate::{ApiSecret, InvalidSecret};

/// The greatest answer that is read, in bytes. An order with all its lines is far smaller.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The marketplaces of registered stores.
#[derive(Debug, Clone)]
pub struct OrderClient {
    /// Asks where the deployment says.
    trusted: Client,
    /// Asks where an account says, if that is a place of the public internet.
    guarded: Client,
    guard: Guard,
    base_url: Option<String>,
    credentials: Vec<(String, ApiSecret)>,
}

impl OrderClient {
    /// Time for a question, from connecting to the answer's last byte.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A client of the marketplaces at `base_url`, for all accounts that name no address of their own. There it shows
    /// `credentials` (a marketplace with `user:password` each) instead of a token, unless the token itself is of that
    /// form. To be made once a process, so that connections are reused.
    ///
    /// An account's own address is anybody's text. It must have TLS and lie in the public internet, also once its name is
    /// resolved; only a `guard` that allows private addresses, on a laptop, lets it be plain and near.
    ///
    /// # Errors
    /// [`ClientError::BaseUrl`] for a base URL that cannot be one; [`ClientError::Start`] when TLS cannot start.
    pub fn new<'a>(
        base_url: Option<&str>,
        credentials: impl IntoIterator<Item = (&'a str, SecretText)>,
        guard: Guard,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        Self::resolving(base_url, credentials, (guard, SystemLookup), timeout)
    }

    pub(super) fn resolving<'a>(
        base_url: Option<&str>,
        credentials: impl IntoIterator<Item = (&'a str, SecretText)>,
        (guard, lookup): (Guard, impl Lookup),
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        base_url.map(|base_url| endpoint(base_url, &[])).transpose()?;
        let credentials = credentials.into_iter();
        let credentials = credentials.map(|(name, basic)| (name.to_owned(), ApiSecret::basic(basic.expose())));
        Ok(Self {
            trusted: http::client(timeout)?,
            guarded: http::guarded_client(timeout, guard, lookup)?,
            guard,
            base_url: base_url.map(str::to_owned),
            credentials: credentials.collect(),
        })
    }

    /// Checks the address that an account wants to name, as far as its text tells. What its name leads to is checked by
    /// each call.
    ///
    /// # Errors
    /// [`InvalidBaseUrl`] when it is none, has no TLS although it must, or may not be called.
    pub fn check_base_url(&self, base_url: &str) -> Result<(), InvalidBaseUrl> {
        let url = endpoint(base_url, &[])?;
        if url.scheme() != "https" && !self.guard.allow_private {
            return Err(InvalidBaseUrl::NotHttps);
        }
        Target::parse(base_url, self.guard).map(|_| ()).map_err(InvalidBaseUrl::Target)
    }

    /// Where an account's marketplace is asked, and with which client.
    fn place(&self, account: &MarketplaceAccount) -> Result<(&Client, Url), MarketplaceError> {
        let (client, base_url) = match (&account.base_url, &self.base_url) {
            (Some(own), _) => (&self.guarded, self.check_base_url(own).map(|()| own)),
            (None, Some(ours)) => (&self.trusted, Ok(ours)),
            (None, None) => return Err(unavailable("no address of it is known")),
        };
        let url = base_url.and_then(|base_url| endpoint(base_url, &["mock", &account.marketplace, "validate"]));
        Ok((client, url.map_err(|error| unavailable(&format!("its address {error}")))?))
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
        let (client, url) = self.place(account)?;
        // A token that cannot even be shown is one that the marketplace would not take.
        let authorization = self.authorization(account).map_err(|_| MarketplaceError::Unauthorized)?;
        let question = json!({ "receipt": receipt, "currency": account.currency });
        let request = client.post(url).header(ACCEPT, "application/json").json(&question);
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
