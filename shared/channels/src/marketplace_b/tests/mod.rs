//! What we ask marketplace B, and what its answers come to.

mod client;
mod payload;
mod transport;

use core::time::Duration;

use evenstock_app::{FeedError, FeedPage, StockFeed};
use evenstock_domain::Timestamp;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::{ApiSecret, ClientError, InvalidBaseUrl};

pub(super) fn client_of(base_url: &str) -> Result<MarketplaceB, ClientError> {
    MarketplaceB::new(base_url, ApiSecret::new("b-key").unwrap(), Duration::from_secs(20))
}

/// Asks a base URL for up to 100 rows since 1,700,000,000 s.
pub(super) async fn ask(base_url: &str) -> Result<FeedPage, FeedError> {
    let since = Timestamp::from_millis(1_700_000_000_999).unwrap();
    client_of(base_url).unwrap().changed_since(since, 100).await
}

/// A marketplace that gives one answer to everything.
pub(super) async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    server
}

pub(super) async fn ask_one_answering(answer: ResponseTemplate) -> Result<FeedPage, FeedError> {
    let server = answering(answer).await;
    ask(&server.uri()).await
}
