//! What cannot be written down: its message comes back, and nothing that was not made durable is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenstock_app::change_endpoint;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_callback_worker::handle;
use evenstock_domain::{DeliveryState, Disabled, DisabledReason, Endpoint};

use crate::world::{Failing, endpoint_id, firsts, organization, receiver_of_all, sqs, start};

const TARGET: &str = "https://receiver.example/";

/// A worker whose calls of this name fail while its store is ill.
async fn ill(called: &'static str) -> (Failing<FixedClock>, Arc<AtomicBool>) {
    let is_ill = Arc::new(AtomicBool::new(true));
    let plan = Arc::clone(&is_ill);
    let store = FaultyStore::new(MemoryStore::default(), move |name| {
        if name == called && plan.load(Ordering::SeqCst) { Fault::NotDone } else { Fault::None }
    });
    (receiver_of_all(store, FixedClock::at(start()), TARGET).await, is_ill)
}

/// How many of these messages come back.
async fn back(callbacks: &Failing<FixedClock>, bodies: &[String], name: &str) -> usize {
    handle(callbacks, sqs(bodies), name).await.unwrap().batch_item_failures.len()
}

fn states(callbacks: &Failing<FixedClock>) -> Vec<DeliveryState> {
    callbacks.store.inner().deliveries().into_iter().map(|delivery| delivery.state).collect()
}

#[tokio::test]
async fn arrivals_that_cannot_be_logged_come_back_and_arrive_again() {
    let (callbacks, is_ill) = ill("log_arrivals").await;
    assert_eq!(back(&callbacks, &firsts(0..2), "ill").await, 2);
    is_ill.store(false, Ordering::SeqCst);
    assert_eq!(back(&callbacks, &firsts(0..2), "well").await, 0);
    let logged: usize = callbacks.store.inner().arrivals().iter().map(|arrivals| arrivals.arrived.len()).sum();
    assert_eq!((logged, callbacks.sender.calls().len()), (2, 4));
}

#[tokio::test]
async fn failed_call_that_cannot_be_stored_comes_back() {
    let (callbacks, is_ill) = ill("save_delivery").await;
    callbacks.sender.will_answer(TARGET, 500, None, 2);
    assert_eq!(back(&callbacks, &firsts(0..1), "ill").await, 1);
    is_ill.store(false, Ordering::SeqCst);
    assert_eq!(back(&callbacks, &firsts(0..1), "well").await, 0);
    assert_eq!(states(&callbacks), [DeliveryState::Pending]);
}

#[tokio::test]
async fn event_that_cannot_be_kept_for_a_disabled_endpoint_comes_back() {
    let (callbacks, is_ill) = ill("save_delivery").await;
    let off = Disabled { reason: DisabledReason::Owner, at: start() };
    let change = |endpoint: &mut Endpoint| endpoint.disabled = Some(off);
    let (store, clock, id) = (callbacks.store.inner(), &callbacks.clock, endpoint_id("receiver"));
    change_endpoint(store, clock, &organization(), &id, change).await.unwrap();
    assert_eq!(back(&callbacks, &firsts(0..1), "ill").await, 1);
    is_ill.store(false, Ordering::SeqCst);
    assert_eq!(back(&callbacks, &firsts(0..1), "well").await, 0);
    assert_eq!((states(&callbacks), callbacks.sender.calls().len()), (vec![DeliveryState::Failed], 0));
}

#[tokio::test]
async fn event_that_waits_and_cannot_be_stored_comes_back() {
    let (callbacks, is_ill) = ill("save_delivery").await;
    is_ill.store(false, Ordering::SeqCst);
    callbacks.sender.will_answer(TARGET, 429, Some(7), 1);
    assert_eq!(back(&callbacks, &firsts(0..1), "asked to wait").await, 0);
    is_ill.store(true, Ordering::SeqCst);
    assert_eq!(back(&callbacks, &firsts(1..2), "ill").await, 1);
    is_ill.store(false, Ordering::SeqCst);
    assert_eq!(back(&callbacks, &firsts(1..2), "well").await, 0);
    assert_eq!((states(&callbacks), callbacks.sender.calls().len()), (vec![DeliveryState::Pending; 2], 1));
}

#[tokio::test]
async fn delivery_whose_write_was_not_answered_is_stored_all_the_same() {
    for fault in [Fault::UnknownNotDone, Fault::UnknownDone] {
        let mut left = 1;
        let store = FaultyStore::new(MemoryStore::default(), move |name| {
            let strikes = name == "save_delivery" && left > 0;
            left -= i32::from(strikes);
            if strikes { fault } else { Fault::None }
        });
        let callbacks = receiver_of_all(store, FixedClock::at(start()), TARGET).await;
        callbacks.sender.will_answer(TARGET, 500, None, 1);
        assert_eq!(back(&callbacks, &firsts(0..1), "batch").await, 0);
        assert_eq!(
            (states(&callbacks), callbacks.sender.calls().len()),
            (vec![DeliveryState::Pending], 1),
            "{fault:?}"
        );
    }
}
