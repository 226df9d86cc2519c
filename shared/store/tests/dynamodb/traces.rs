//! The trace of a write stands beside what it wrote, and never beside what another one wrote.

use evenstock_app::testing::FixedClock;
use evenstock_app::{ReceiptStore, ReceiptWrite, ReservationStore, ReservationWrite, apply_group, request};
use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, Line, LocationId, Marketplace, Means, OrganizationId, Quantity,
    Receipt, ReceiptId, Reservation, ReservationId, Sku, Source, StockEvent, StoreId, Timestamp,
};
use evenstock_telemetry::{TraceContext, within};

use crate::support::{Emulated, TABLE, fresh};

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse("SKU-1").unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

fn event(n: i64, body: EventBody) -> StockEvent {
    let id = EventIdKey::new(*b"0123456789abcdef").event_id(&n.to_string());
    let time = Timestamp::from_millis(1_700_000_000_000 + n).unwrap();
    StockEvent { id, time, source: Source::parse("api").unwrap(), actor: ActorCode(0), body }
}

async fn kept(emulated: &Emulated) -> Option<TraceContext> {
    let items = emulated.client.scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
    items[0].get("tc").and_then(|bytes| TraceContext::from_bytes(bytes.as_b().unwrap().as_ref()))
}

#[tokio::test]
async fn trace_stands_beside_its_own_write_only() {
    let emulated = fresh().await;
    let clock = FixedClock::at(Timestamp::from_millis(1_700_000_060_000).unwrap());
    let trace = |n| Some(TraceContext::new([n; 16], [n; 8], true));
    let quantity = Quantity::new(10).unwrap();
    let count = [event(0, EventBody::Count { quantity, means: Means::Available, sequence: 0 })];
    let count_is_applied = async {
        assert_eq!(apply_group(&emulated.store, &clock, &key(), &count).await.outcomes.len(), 1);
    };
    within(trace(1), Box::pin(count_is_applied)).await;
    assert_eq!(kept(&emulated).await, trace(1), "of a whole write");
    for (n, given) in [(1, None), (2, trace(2)), (3, None)] {
        let take = event(n, EventBody::Request { available: -1, reserved: 0, expected_version: None });
        within(given.clone(), Box::pin(request(&emulated.store, &clock, &key(), &take))).await.unwrap();
        assert_eq!(kept(&emulated).await, given, "of an append");
    }
    let again = [event(4, EventBody::Count { quantity, means: Means::Available, sequence: 0 })];
    apply_group(&emulated.store, &clock, &key(), &again).await;
    assert_eq!(kept(&emulated).await, None);
}

/// A trace, and then none.
fn origins() -> [Option<TraceContext>; 2] {
    [Some(TraceContext::new([1; 16], [1; 8], true)), None]
}

#[tokio::test]
async fn receipt_keeps_the_trace_of_its_last_write() {
    let emulated = fresh().await;
    let (store, id) = (StoreId::parse("store-1").unwrap(), ReceiptId::parse("receipt-1").unwrap());
    let at = Timestamp::from_millis(1_700_000_000_000).unwrap();
    let receipt = Receipt::begin(key().organization, store, Marketplace::parse("etsy").unwrap(), id, at);
    for (origin, rev) in origins().into_iter().zip([None, Some(1)]) {
        let saved = within(origin.clone(), emulated.store.save_receipt(rev, &receipt)).await.unwrap();
        assert!(matches!(saved, ReceiptWrite::Saved));
        assert_eq!(kept(&emulated).await, origin);
        assert_eq!(emulated.store.load_receipt(&receipt.store, &receipt.id).await.unwrap().unwrap().receipt, receipt);
    }
}

#[tokio::test]
async fn reservation_keeps_the_trace_of_its_last_write() {
    let emulated = fresh().await;
    let id = ReservationId::parse("reservation-1").unwrap();
    let LevelKey { organization, sku, location } = key();
    let at = Timestamp::from_millis(1_700_000_000_000).unwrap();
    let lines = vec![Line { sku, location, units: 1 }];
    let reservation = Reservation::begin(organization.clone(), id.clone(), None, lines, at, 60, ActorCode(0));
    for (origin, rev) in origins().into_iter().zip([None, Some(1)]) {
        let saved = within(origin.clone(), emulated.store.save_reservation(rev, &reservation)).await.unwrap();
        assert_eq!(saved, ReservationWrite::Saved);
        assert_eq!(kept(&emulated).await, origin);
        let stored = emulated.store.load_reservation(&organization, &id).await.unwrap();
        assert_eq!(stored.unwrap().reservation, reservation);
    }
}
