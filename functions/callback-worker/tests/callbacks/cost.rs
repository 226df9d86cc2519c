//! What callbacks ask of the table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use evenstock_app::CallbackStore;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_callback_worker::handle;
use evenstock_domain::DeliveryState;

use crate::world::{Failing, endpoint_id, firsts, organization, receiver_of_all, sqs, start};

const TARGET: &str = "https://receiver.example/";

type Calls = Arc<Mutex<BTreeMap<&'static str, u32>>>;

/// A worker whose calls of the store are counted, with an endpoint.
async fn counted() -> (Failing<FixedClock>, Calls) {
    let calls = Calls::default();
    let counter = Arc::clone(&calls);
    let store = FaultyStore::new(MemoryStore::default(), move |operation| {
        *counter.lock().unwrap().entry(operation).or_default() += 1;
        Fault::None
    });
    (receiver_of_all(store, FixedClock::at(start()), TARGET).await, calls)
}

fn ten_events() -> Vec<String> {
    firsts(0..10)
}

fn taken(calls: &Calls) -> Vec<(&'static str, u32)> {
    std::mem::take(&mut *calls.lock().unwrap()).into_iter().collect()
}

#[tokio::test]
async fn ten_arrivals_are_one_write_and_three_reads() {
    let (callbacks, calls) = counted().await;
    handle(&callbacks, sqs(&ten_events()), "batch").await.unwrap();
    assert_eq!(taken(&calls), [("load_health", 2), ("load_registry", 1), ("log_arrivals", 1)]);
    assert!(callbacks.queue.take().is_empty());
}

#[tokio::test]
async fn failed_try_is_a_write_and_a_message() {
    let (callbacks, calls) = counted().await;
    callbacks.sender.will_answer(TARGET, 500, None, 10);
    handle(&callbacks, sqs(&ten_events()), "first").await.unwrap();
    let first = [("load_health", 2), ("load_registry", 1), ("save_delivery", 10), ("save_health", 1)];
    assert_eq!(taken(&calls), first);
    let again: Vec<_> = callbacks.queue.take().into_iter().map(|message| message.body).collect();
    assert_eq!(again.len(), 10);
    callbacks.clock.advance_ms(7_000);
    handle(&callbacks, sqs(&again), "second").await.unwrap();
    let second =
        [("load_delivery", 10), ("load_health", 2), ("load_registry", 1), ("save_delivery", 10), ("save_health", 1)];
    assert_eq!(taken(&calls), second);
    let stored = callbacks.store.inner().deliveries();
    assert!(stored.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
    let (_, health) = callbacks.store.load_health(&organization(), &endpoint_id("receiver")).await.unwrap();
    assert_eq!(health, evenstock_domain::EndpointHealth::default(), "well again");
}
