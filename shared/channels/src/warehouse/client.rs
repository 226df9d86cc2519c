//! Asks a warehouse over HTTP. Its address comes from a tenant, so the same guard stands before it as before callbacks.

use core::time::Duration;
use std::sync::Arc;

use evenstock_app::{FeedError, Sealer, Warehouse, WarehouseFeed, WarehouseStockPage};
use evenstock_domain::Guard;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::payload;
use crate::ApiSecret;
use crate::callbacks::{GuardedResolver, Lookup, Target};
use crate::http::{BodyError, broken, client_builder, read_body, retry_after_seconds};

/// The longest time to wait for a connection.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(3);

/// The greatest answer that is read, in bytes: with its rows it fits the memory of the function.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

const USER_AGENT: &str = concat!("Evenstock/", env!("CARGO_PKG_VERSION"));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for warehouses cannot start")]
pub struct WarehouseClientError(#[source] reqwest::Error);

/// Warehouses over HTTP.
#[derive(Debug, Clone)]
pub struct HttpWarehouses<L> {
    client: Client,
    guard: Guard,
    sealer: L,
}

impl<L> HttpWarehouses<L> {
    /// A client that gives every call `limit`; `sealer` opens the warehouses' keys. To be made once a process.
    ///
    /// # Errors
    /// [`WarehouseClientError`] when TLS cannot start.
    pub fn new(guard: Guard, lookup: impl Lookup, limit: Duration, sealer: L) -> Result<Self, WarehouseClientError> {
        let client = client_builder()
            .user_agent(USER_AGENT)
            .timeout(limit)
            .connect_timeout(limit.min(CONNECT_TIMEOUT_MAX))
            .dns_resolver(GuardedResolver::new(Arc::new(lookup), guard))
            // The key belongs to this host and to no other one that it may point to.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(WarehouseClientError)?;
        Ok(Self { client, guard, sealer })
    }
}

impl<L: Sealer> WarehouseFeed for HttpWarehouses<L> {
    async fn stock_page(&self, warehouse: &Warehouse, cursor: Option<&str>) -> Result<WarehouseStockPage, FeedError> {
        let mut request = self.client.get(self.url(warehouse)?).header(ACCEPT, "application/json");
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        if let Some(sealed) = &warehouse.api_key {
            let context = Warehouse::key_context(&warehouse.organization, &warehouse.id);
            let key = self.sealer.open(&context, sealed).await.map_err(|error| {
                let reason = error.to_string();
                if error.is_passing() {
                    FeedError::Unavailable { reason, retry_after_seconds: None }
                } else {
                    FeedError::Malformed { reason }
                }
            })?;
            let key = ApiSecret::new(key.expose()).map_err(|error| malformed(format!("its key {error}")))?;
            request = request.header(AUTHORIZATION, key.header());
        }
        let response = request.send().await.map_err(|error| unavailable(broken(&error)))?;
        refusal(&response)?;
        let body = read_body(response, BODY_BYTES_MAX).await.map_err(|error| match error {
            BodyError::Broken(reason) => unavailable(reason),
            BodyError::TooLong(bytes) => malformed(format!("it is longer than {bytes} bytes")),
        })?;
        payload::page(&body)
    }
}

impl<L> HttpWarehouses<L> {
    /// `{endpoint}/inventory`, if its host may be called.
    fn url(&self, warehouse: &Warehouse) -> Result<Url, FeedError> {
        let target = Target::parse(&warehouse.endpoint, self.guard)
            .map_err(|issue| malformed(format!("its endpoint {issue}")))?;
        let mut url = target.url().clone();
        url.path_segments_mut()
            .map_err(|()| malformed("its endpoint has no path".to_owned()))?
            .pop_if_empty()
            .push("inventory");
        Ok(url)
    }
}

fn malformed(reason: String) -> FeedError {
    FeedError::Malformed { reason }
}

fn unavailable(reason: &str) -> FeedError {
    FeedError::Unavailable { reason: reason.to_owned(), retry_after_seconds: None }
}

/// What an answer other than 200 means.
fn refusal(response: &Response) -> Result<(), FeedError> {
    let retry_after_seconds = retry_after_seconds(response.headers());
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FeedError::Unauthorized),
        StatusCode::TOO_MANY_REQUESTS => Err(FeedError::RateLimited { retry_after_seconds }),
        status if status.is_server_error() => {
            Err(FeedError::Unavailable { reason: format!("it answered {}", status.as_u16()), retry_after_seconds })
        }
        status => Err(malformed(format!("it answered {}", status.as_u16()))),
    }
}
