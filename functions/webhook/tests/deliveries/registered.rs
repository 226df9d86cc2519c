//! Deliveries of stores that sellers registered, each with its own secret.

use evenstock_app::testing::contract::registration;
use evenstock_app::{RegisterStore, SecretText, StockSignal, register_store};
use evenstock_domain::{Marketplace, ReceiptState};
use evenstock_runtime::SystemClock;
use rstest::rstest;
use serde_json::json;

use crate::{BODY, Function, signed};

pub(crate) const OWN: &str = "own secret";

/// Registers a store of a marketplace; the path that it delivers to.
pub(crate) async fn registered(function: &Function, marketplace: &str, asked: RegisterStore) -> String {
    let asked = RegisterStore { marketplace: Marketplace::parse(marketplace).unwrap(), ..asked };
    let store = register_store(&function.intake.store, &function.intake.sealer, &SystemClock, &asked).await.unwrap();
    format!("/ingest/{marketplace}/{}", store.store)
}

pub(crate) fn signing(new_id: &str) -> RegisterStore {
    RegisterStore { webhook_secret: Some(SecretText::new(OWN)), ..registration(new_id) }
}

#[tokio::test]
async fn registered_store_delivers_with_its_own_secret_and_no_other() {
    let function = Function::new();
    let path = registered(&function, "marketplace-a", signing("s-1")).await;
    for secret in ["secret", "", "own"] {
        let reply = function.deliver(&path, BODY, signed(secret, BODY.as_bytes())).await;
        assert_eq!(reply.refusal(), (401, "unauthorized"));
    }
    assert_eq!(function.queued(), []);
    let reply = function.deliver(&path, BODY, signed(OWN, BODY.as_bytes())).await;
    assert_eq!((reply.status, &reply.body["data"]["productId"]), (202, &json!("SKU-1")));
    let queued = function.queued();
    let organization = registration("s-1").organization.to_string();
    assert_eq!((queued.len(), &queued[0].organization), (1, &organization));
    assert_eq!(queued[0].source, "marketplace-a/s-1");
}

#[rstest]
#[case::other_channel("/ingest/etsy/s-1")]
#[case::polled_channel("/ingest/marketplace-b/s-1")]
#[case::unknown_store("/ingest/marketplace-a/s-2")]
#[case::no_name("/ingest/marketplace-a/%20")]
#[tokio::test]
async fn store_delivers_to_its_own_channel_only(#[case] path: &str) {
    let function = Function::new();
    registered(&function, "marketplace-a", signing("s-1")).await;
    let reply = function.deliver(path, BODY, signed(OWN, BODY.as_bytes())).await;
    assert_eq!(reply.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn store_without_a_secret_is_never_believed() {
    let function = Function::new();
    let path = registered(&function, "marketplace-a", registration("s-1")).await;
    for secret in ["", "secret"] {
        assert_eq!(function.deliver(&path, BODY, signed(secret, BODY.as_bytes())).await.refusal().0, 401);
    }
}

#[tokio::test]
async fn counts_of_a_store_whose_orders_move_stock_change_nothing() {
    let function = Function::new();
    let asked = RegisterStore { stock_signal: Some(StockSignal::Orders), ..signing("s-1") };
    let path = registered(&function, "marketplace-a", asked).await;
    assert_eq!(function.deliver(&path, BODY, signed(OWN, BODY.as_bytes())).await.status, 202);
    assert_eq!(function.queued(), []);
}

#[rstest]
#[case::etsy("etsy")]
#[case::shopify("shopify")]
#[case::amazon("amazon")]
#[tokio::test]
async fn notice_of_an_order_is_noted_once_and_a_cancelled_one_is_not_asked_about(#[case] marketplace: &str) {
    let function = Function::new();
    let path = registered(&function, marketplace, signing("s-1")).await;
    let placed = json!({ "receipt": "order-101" }).to_string();
    for _ in 0..3 {
        let reply = function.deliver(&path, &placed, signed(OWN, placed.as_bytes())).await;
        assert_eq!((reply.status, &reply.body["data"]["productId"]), (202, &json!(null)));
    }
    let receipts = function.intake.store.receipts();
    assert_eq!((receipts.len(), receipts[0].state()), (1, ReceiptState::Pending));
    assert!(receipts[0].due_at().is_some());
    let cancelled = json!({ "receipt": "order-101", "cancelled": true }).to_string();
    assert_eq!(function.deliver(&path, &cancelled, signed("secret", cancelled.as_bytes())).await.status, 401);
    assert_eq!(function.deliver(&path, &cancelled, signed(OWN, cancelled.as_bytes())).await.status, 202);
    let receipts = function.intake.store.receipts();
    assert!(receipts[0].cancelled_at.is_some() && receipts[0].due_at().is_none());
    let wrong = function.deliver(&path, "{}", signed(OWN, b"{}")).await;
    assert_eq!((wrong.refusal().0, wrong.fields()), (400, vec!["receipt"]));
    assert_eq!(function.queued(), []);
}

#[tokio::test]
async fn delivery_whose_secret_cannot_be_opened_now_is_sent_again() {
    let function = Function::new();
    let path = registered(&function, "marketplace-a", signing("s-1")).await;
    function.intake.sealer.set_down(true);
    let reply = function.deliver(&path, BODY, signed(OWN, BODY.as_bytes())).await;
    assert_eq!(reply.refusal(), (503, "unavailable"));
}
