//! The client that imports use asks the mock over HTTP: the two sides of one contract.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking; that is how it reports")]

use std::sync::Arc;

use evenstock_app::{MarketplaceAccount, MarketplaceError, OrderMarketplace, SecretText, ValidatedOrder, Validation};
use evenstock_channels::OrderClient;
use evenstock_domain::Guard;
use evenstock_mock_marketplace::{Accounts, Mock, router};
use evenstock_runtime::{Environment, SystemClock};
use tokio::net::TcpListener;

/// A client of a mock that listens until the test ends.
async fn client() -> OrderClient {
    let environment = Environment::default();
    let mock = Mock { accounts: Accounts::from_environment(&environment).unwrap(), clock: SystemClock };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router(Arc::new(mock))).into_future());
    let credentials = environment.marketplace_credentials().unwrap();
    OrderClient::new(Some(&base_url), credentials, Guard::default(), OrderClient::TIMEOUT).unwrap()
}

fn account(marketplace: &str, access_token: &str) -> MarketplaceAccount {
    MarketplaceAccount {
        marketplace: marketplace.to_owned(),
        base_url: None,
        access_token: SecretText::new(access_token),
        currency: "EUR".to_owned(),
    }
}

async fn order(client: &OrderClient, marketplace: &str, receipt: &str) -> ValidatedOrder {
    match client.validate(&account(marketplace, "token-abc"), receipt).await {
        Ok(Validation::Accepted(order)) => order,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_answer_of_the_mock_is_understood() {
    let client = client().await;
    let etsy = account("etsy", "token-abc");
    assert_eq!(client.validate(&etsy, "order-102").await, Ok(Validation::Refused));
    let limited = MarketplaceError::RateLimited { retry_after_seconds: None };
    assert_eq!(client.validate(&etsy, "RL15").await, Err(limited));
    let wrong = account("etsy", "etsy_user:wrong");
    assert_eq!(client.validate(&wrong, "order-101").await, Err(MarketplaceError::Unauthorized));
    let unknown = MarketplaceError::Unreadable { reason: "it answered 404".to_owned() };
    assert_eq!(client.validate(&account("ebay", "token-abc"), "order-101").await, Err(unknown));
}

#[tokio::test]
async fn accepted_orders_are_read_whole_and_are_the_same_every_time() {
    let client = client().await;
    for marketplace in ["etsy", "shopify", "amazon"] {
        let first = order(&client, marketplace, "order-L3-X-101").await;
        let again = order(&client, marketplace, "order-L3-X-101").await;
        assert_eq!((&first.order_id, &first.amount, &first.lines), (&again.order_id, &again.amount, &again.lines));
        assert_eq!((first.currency.as_str(), first.lines.len(), first.cancelled), ("EUR", 3, true));
    }
    let plain = order(&client, "etsy", "order-101").await;
    assert!(plain.lines.is_empty() && !plain.cancelled);
}
