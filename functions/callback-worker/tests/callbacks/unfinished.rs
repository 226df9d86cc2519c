//! What one batch does not come to, because it has no time left or may only probe: it is stored, or goes on by a message.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{CallbackJob, CallbackStore, Clock};
use evenstock_callback_worker::handle;
use evenstock_domain::{Delivery, DeliveryId, DeliveryState, EventType, Timestamp};

use crate::world::{endpoint_id, firsts, organization, receiver_of_all, sqs, start};

const TARGET: &str = "https://receiver.example/";

/// A clock that every look moves by so much.
struct Hasty {
    now: AtomicI64,
    step_ms: i64,
}

impl Hasty {
    const fn by(step_ms: i64) -> Self {
        Self { now: AtomicI64::new(start().as_millis()), step_ms }
    }
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(self.now.fetch_add(self.step_ms, Ordering::SeqCst))
    }

    async fn back_off(&self, _: u32) {}
}

fn well() -> FaultyStore<MemoryStore> {
    FaultyStore::new(MemoryStore::default(), |_| Fault::None)
}

#[tokio::test]
async fn calls_that_a_batch_has_no_time_for_are_stored_and_due() {
    let callbacks = receiver_of_all(well(), Hasty::by(4_000), TARGET).await;
    let response = handle(&callbacks, sqs(&firsts(0..10)), "batch").await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    let called = callbacks.sender.calls().len();
    let waiting = callbacks.store.inner().deliveries();
    assert!((1..10).contains(&called), "{called} calls");
    assert_eq!(called + waiting.len(), 10);
    assert!(waiting.iter().all(|delivery| delivery.state == DeliveryState::Pending && delivery.due_at.is_some()));
}

#[tokio::test]
async fn events_behind_a_probe_are_stored_and_due() {
    let callbacks = receiver_of_all(well(), FixedClock::at(start()), TARGET).await;
    callbacks.sender.will_answer(TARGET, 500, None, 5);
    for n in 0..5 {
        handle(&callbacks, sqs(&firsts(n..n + 1)), &format!("failing {n}")).await.unwrap();
    }
    callbacks.clock.advance_ms(60_000);
    let response = handle(&callbacks, sqs(&firsts(5..8)), "probe").await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(callbacks.sender.calls().len(), 6, "one call finds out whether it is up again");
    let stored = callbacks.store.inner().deliveries();
    let waiting: BTreeSet<_> = stored.iter().filter(|one| one.due_at.is_some()).map(|one| &*one.event_id).collect();
    assert_eq!(waiting.iter().filter(|id| ["5", "6", "7"].contains(*id)).count(), 2);
}

#[tokio::test]
async fn replay_that_a_batch_has_no_time_for_goes_on_by_a_message() {
    let callbacks = receiver_of_all(well(), Hasty::by(1_000), TARGET).await;
    for n in 0..70 {
        let (event, time) = (n.to_string(), start().plus_millis(n));
        let id = DeliveryId::new(&endpoint_id("receiver"), &event, time);
        let delivery = Delivery::new(organization(), id, event, EventType::StockLow, None, "{}".to_owned());
        assert!(callbacks.store.inner().save_delivery(None, &delivery.kept(time)).await.unwrap());
    }
    let (endpoint, since) = (endpoint_id("receiver"), start());
    let all = CallbackJob::Replay { organization: organization(), endpoint, since, after: None };
    let (mut replays, mut parts, mut begun) = (vec![all.to_json()], 0, Vec::new());
    while let Some(body) = replays.pop() {
        let response = handle(&callbacks, sqs(&[body]), &format!("part {parts}")).await.unwrap();
        assert!(response.batch_item_failures.is_empty());
        parts += 1;
        for message in callbacks.queue.take() {
            match CallbackJob::from_json(&message.body).unwrap() {
                CallbackJob::Again { id, .. } => begun.push(id),
                _ => replays.push(message.body),
            }
        }
    }
    assert!(parts > 1, "it was to have too little time");
    let distinct: BTreeSet<_> = begun.iter().map(ToString::to_string).collect();
    assert_eq!((begun.len(), distinct.len()), (70, 70));
}
