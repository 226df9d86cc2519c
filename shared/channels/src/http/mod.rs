//! Asking over HTTP, for every marketplace's client: addresses, connections, bounded answers. No error quotes a body, a
//! key or an address. Must not know any marketplace.

mod retry_after;

use core::time::Duration;
use std::sync::Arc;

use evenstock_app::InvalidTarget;
use evenstock_domain::Guard;
use reqwest::{Client, ClientBuilder, Response, Url, redirect};
use rustls::crypto::ring;

pub(crate) use retry_after::retry_after_seconds;

use crate::callbacks::{GuardedResolver, Lookup};

/// The longest time to wait for a connection; a host that does not answer at all should not cost the whole timeout.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(3);

const USER_AGENT: &str = concat!("Evenstock/", env!("CARGO_PKG_VERSION"));

/// A text that is not the base URL of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// It is not an absolute URL with a host, under `http` or `https`.
    #[error("must be an absolute http or https URL")]
    NotHttp,
    /// It has no TLS, and credentials are to be sent there.
    #[error("must be an https URL")]
    NotHttps,
    /// It carries a user name or a password, which would end up in logs.
    #[error("must not contain a user name or a password")]
    Credentials,
    /// It carries a query or a fragment.
    #[error("must not contain a query or a fragment")]
    Query,
    /// It is no address that may be called for somebody else.
    #[error(transparent)]
    Target(InvalidTarget),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is none.
    #[error("the marketplace's base URL cannot be used")]
    BaseUrl(#[from] InvalidBaseUrl),
    /// The HTTP client could not start, for example because this machine has no root certificates.
    #[error("the HTTP client cannot start")]
    Start(#[source] reqwest::Error),
}

/// Why an answer has no body that can be read.
pub(crate) enum BodyError {
    /// It is longer than so many bytes.
    TooLong(usize),
    /// The connection broke; says how.
    Broken(&'static str),
}

/// A client that gives every call `timeout`, from connecting to the answer's last byte.
pub(crate) fn client(timeout: Duration) -> Result<Client, ClientError> {
    builder(timeout).build().map_err(ClientError::Start)
}

/// A client for addresses that somebody else names: it connects to what the guard lets through, and nowhere else.
pub(crate) fn guarded_client(timeout: Duration, guard: Guard, lookup: impl Lookup) -> Result<Client, ClientError> {
    let resolver = GuardedResolver::new(Arc::new(lookup), guard);
    builder(timeout).dns_resolver(resolver).build().map_err(ClientError::Start)
}

/// A client's builder. Its TLS rests on the library that the calls of AWS rest on, so that a function links one.
pub(crate) fn client_builder() -> ClientBuilder {
    // It is installed once a process; whoever comes later is given it back.
    ring::default_provider().install_default().unwrap_or_else(drop);
    Client::builder()
}

fn builder(timeout: Duration) -> ClientBuilder {
    client_builder()
        .user_agent(USER_AGENT)
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
        // The key belongs to this host and to no other one that it may point to.
        .redirect(redirect::Policy::none())
        // Proxies would come from the environment, behind the configuration's back.
        .no_proxy()
}

/// The address of `path` under a base URL.
pub(crate) fn endpoint(base_url: &str, path: &[&str]) -> Result<Url, InvalidBaseUrl> {
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
    url.path_segments_mut().map_err(|()| InvalidBaseUrl::NotHttp)?.pop_if_empty().extend(path);
    Ok(url)
}

/// An answer's body, up to a bound.
pub(crate) async fn read_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| BodyError::Broken(broken(&error)))? {
        if body.len().saturating_add(chunk.len()) > bytes_max {
            return Err(BodyError::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What happened to a call that got no whole answer. The transport's own errors quote the URL, so only their kind is
/// kept.
pub(crate) fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
