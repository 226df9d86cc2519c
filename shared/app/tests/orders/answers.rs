//! What a marketplace may answer, and what a seller may call off.

use evenstock_app::testing::contract::registration;
use evenstock_app::testing::{MemoryStore, ScriptedMarketplace};
use evenstock_app::{
    Consequences, Imported, MarketplaceError, RegisterStore, StockSignal, cancel_order, import_order, note_receipt,
    order_row, receipt_consequences, register_store, sync_report,
};
use evenstock_domain::{OrderStock, ReceiptError, ReceiptState, SyncStatus};
use serde_json::json;

use crate::rig::{Rig, id, order, rig, start};

fn down() -> MarketplaceError {
    MarketplaceError::Unavailable { reason: "500".to_owned(), retry_after_seconds: None }
}

#[tokio::test]
async fn every_failure_has_its_name_and_is_asked_about_again_in_time() {
    let limited = |retry_after_seconds| Err(MarketplaceError::RateLimited { retry_after_seconds });
    let html = MarketplaceError::Unreadable { reason: "not JSON".to_owned() };
    let cases = [
        (limited(None), "rate_limited", 300),
        (limited(Some(7200)), "rate_limited", 7200),
        (limited(Some(1)), "rate_limited", 300),
        (Err(down()), "marketplace_unavailable", 300),
        (Err(html), "marketplace_unavailable", 300),
        (Err(MarketplaceError::Unauthorized), "marketplace_auth", 300),
        (Ok(order("o", "EUR", 1, false)), "currency_mismatch", 300),
        (Ok(evenstock_app::Validation::Refused), "invalid_receipt", 300),
    ];
    for (answer, name, wait_s) in cases {
        let rig = Rig::with(vec![answer]).await;
        let receipt = rig.import("r", "me").await;
        assert_eq!(receipt.error().map(ReceiptError::as_str), Some(name));
        assert_eq!(receipt.next_retry_at, Some(start().plus_millis(wait_s * 1000)), "{name}");
        assert_eq!((receipt.calls, rig.available().await), (1, 0));
        assert_eq!(rig.import("r", "again").await, receipt, "the stored result");
        assert_eq!(rig.marketplace.asked().len(), 1);
    }
}

#[tokio::test]
async fn open_breaker_spares_the_call_and_the_attempt() {
    let rig = Rig::with((0..3).map(|_| Err(down())).collect()).await;
    for name in ["a", "b", "c"] {
        rig.import(name, name).await;
    }
    let spared = rig.import("d", "d").await;
    assert_eq!(rig.marketplace.asked().len(), 3);
    assert_eq!((spared.calls, spared.error()), (0, Some(ReceiptError::MarketplaceUnavailable)));
    assert_eq!(spared.next_retry_at, Some(start().plus_millis(900_000)), "when the breaker lets a probe through");
    let report = sync_report(&rig.store, &rig.of.store.id).await.unwrap();
    assert_eq!((report.status, report.imported_orders), (SyncStatus::Failed, 0));
}

#[tokio::test]
async fn rate_limits_and_refused_credentials_do_not_open_the_breaker() {
    let refused = || Err(MarketplaceError::Unauthorized);
    let limited = || Err(MarketplaceError::RateLimited { retry_after_seconds: None });
    let rig = Rig::with(vec![refused(), limited(), refused(), limited(), Ok(order("o", "USD", 1, false))]).await;
    for name in ["a", "b", "c", "d"] {
        assert!(rig.import(name, name).await.order().is_none());
    }
    assert!(rig.import("e", "e").await.order().is_some());
}

#[tokio::test]
async fn cancelled_order_gives_its_units_back_once() {
    let rig = Rig::with(vec![Ok(order("o", "USD", 3, false))]).await;
    let imported = rig.import("r", "me").await;
    assert_eq!((imported.stock(), rig.available().await), (Some(OrderStock::Taken), -3));
    let cancelled = cancel_order(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    assert_eq!((cancelled.stock(), rig.available().await), (Some(OrderStock::Returned), 0));
    rig.clock.advance_ms(5000);
    assert_eq!(cancel_order(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap(), cancelled, "once");
    assert_eq!(rig.import("r", "again").await, cancelled);
    assert_eq!(rig.available().await, 0);
}

#[tokio::test]
async fn order_cancelled_before_its_import_never_moves_stock() {
    let rig = Rig::with(vec![Ok(order("o", "USD", 3, false))]).await;
    let noted = cancel_order(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    assert_eq!((noted.state(), noted.due_at()), (ReceiptState::Pending, None));
    rig.clock.advance_ms(1);
    let imported = rig.import("r", "me").await;
    assert!(imported.order().is_some());
    assert_eq!((imported.stock(), rig.available().await), (Some(OrderStock::Returned), 0));
}

#[tokio::test]
async fn order_that_its_marketplace_cancelled_never_moves_stock() {
    let rig = Rig::with(vec![Ok(order("o", "USD", 3, true))]).await;
    assert_eq!(rig.import("r", "me").await.stock(), Some(OrderStock::Returned));
    assert_eq!(rig.available().await, 0);
}

#[tokio::test]
async fn orders_of_a_store_that_states_its_stock_move_none() {
    let rig = Rig::with(vec![Ok(order("o", "USD", 3, false))]).await;
    let asked = RegisterStore { stock_signal: Some(StockSignal::Merged), ..registration("other") };
    register_store(&rig.store, &rig.sealer, &rig.clock, &asked).await.unwrap();
    let of = evenstock_app::MarketplaceStores::load_store(&rig.store, &rig.of.store.id).await.unwrap().unwrap();
    let Imported::Answered(receipt) = import_order(rig.deps(), &of, &id("r"), "me").await.unwrap() else { panic!() };
    assert_eq!((receipt.stock(), rig.available().await), (None, 0));
}

#[tokio::test]
async fn claim_whose_owner_died_is_taken_over_after_its_lease() {
    let rig = rig(MemoryStore::default(), ScriptedMarketplace::default()).await;
    {
        let name = id("r");
        let dead = import_order(rig.deps(), &rig.of, &name, "dead");
        let mut dead = std::pin::pin!(dead);
        let mut context = core::task::Context::from_waker(core::task::Waker::noop());
        assert!(dead.as_mut().poll(&mut context).is_pending(), "killed while it asks");
    }
    assert_eq!(rig.receipt("r").await.state(), ReceiptState::Pending);
    assert_eq!(import_order(rig.deps(), &rig.of, &id("r"), "twin").await.unwrap(), Imported::Busy);
    rig.clock.advance_ms(60_000);
    let receipt = rig.import("r", "heir").await;
    assert_eq!((receipt.state(), receipt.calls), (ReceiptState::Failed, 2));
}

#[tokio::test]
async fn noted_receipt_waits_for_the_worker_and_is_known_once() {
    let rig = Rig::with(Vec::new()).await;
    for _ in 0..2 {
        note_receipt(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    }
    let row = order_row(&rig.receipt("r").await);
    assert_eq!((&row["status"], &row["attempt"], &row["amount"]), (&json!("pending"), &json!(0), &json!(null)));
    assert_eq!(rig.store.receipts().len(), 1);
}

#[tokio::test]
async fn receipt_that_is_written_again_moves_nothing_and_is_told_no_more() {
    let rig = Rig::with(vec![Ok(order("o", "USD", 2, false))]).await;
    let imported = rig.import("r", "me").await;
    let cancelled = cancel_order(&rig.store, &rig.clock, &rig.of, &id("r")).await.unwrap();
    let told = |old, new| {
        let Consequences { changes, announcements } = receipt_consequences(old, new);
        (changes.len(), announcements.len())
    };
    assert_eq!((told(None, &imported), told(Some(&imported), &cancelled)), ((1, 1), (1, 0)));
    assert_eq!((told(Some(&imported), &imported), told(Some(&cancelled), &cancelled)), ((0, 0), (0, 0)));
}
