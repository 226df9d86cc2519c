//! Receivers that misbehave, and what is spared of it by the others.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use evenstock_app::{CallbackStore, change_endpoint};
use evenstock_callback_worker::handle;
use evenstock_domain::{DeliveryState, DisabledReason};

use crate::world::{Scripted, names, organization, parsed, sqs, world};

const DOWN: &str = "https://down.example/";
const UP: &str = "https://up.example/";

#[tokio::test]
async fn receiver_that_is_gone_is_disabled_and_its_events_are_kept() {
    let mut world = world(Scripted::default(), "5s");
    world.register("down", DOWN).await;
    world.callbacks.sender.will_answer(DOWN, 410, None, 1);
    world.announce(&names(1)).await;
    world.run(3_600_000).await;
    let disabled = world.endpoint("down").await.disabled.unwrap();
    assert_eq!((disabled.reason, disabled.at), (DisabledReason::Gone, world.now()));
    assert_eq!(world.callbacks.store.deliveries()[0].state, DeliveryState::Failed);
    world.callbacks.clock.advance_ms(61_000);
    world.announce(&["later".to_owned()]).await;
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.sender.calls().len(), 1, "nobody is called any more");
    let kept = world.callbacks.store.deliveries();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|delivery| delivery.state == DeliveryState::Failed));
}

#[tokio::test]
async fn receiver_that_asks_for_a_pause_gets_it_for_all_deliveries() {
    let mut world = world(Scripted::default(), "1s,1s,1s");
    world.register("busy", DOWN).await;
    world.callbacks.sender.will_answer(DOWN, 429, Some(7), 1);
    let begun = world.now();
    world.announce(&names(1)).await;
    let first = world.receive();
    world.call(&first).await;
    world.announce(&["second".to_owned()]).await;
    let second = world.receive();
    assert_eq!(second.len(), 1);
    world.call(&second).await;
    assert_eq!(world.callbacks.sender.calls().len(), 1, "the second waits too");
    for delivery in world.callbacks.store.deliveries() {
        assert!(delivery.next_attempt_at.unwrap().millis_since(begun) >= 7000, "{delivery:?}");
    }
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.sender.calls().len(), 3);
    assert!(world.callbacks.store.deliveries().iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
}

#[tokio::test]
async fn dead_receiver_is_called_rarely_and_loses_nothing() {
    let mut world = world(Scripted::default(), "1m,1m,1m,1m,1m,1m,1m,1m,1m");
    world.register("down", DOWN).await;
    world.callbacks.sender.will_answer(DOWN, 503, None, 60);
    world.announce(&names(200)).await;
    world.run(300_000).await;
    let calls = world.callbacks.sender.calls().len();
    assert!((50..=60).contains(&calls), "{calls} calls of a receiver that is down");
    world.run(24 * 3_600_000).await;
    let stored = world.callbacks.store.deliveries();
    let arrived = world.arrived_at_once().len();
    assert!(stored.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
    assert_eq!(stored.len() + arrived, 200, "all of them arrived once it was up again");
}

#[tokio::test]
async fn receiver_that_hangs_delays_no_other() {
    let mut world = world(Scripted::default(), "5s");
    world.register("hangs", "https://hangs.example/").await;
    world.register("up", UP).await;
    world.announce(&names(5)).await;
    let bodies = world.receive();
    assert_eq!(bodies.len(), 10);
    let mut hanging = pin!(handle(&world.callbacks, sqs(&bodies), "batch"));
    for _ in 0..50 {
        assert!(matches!(hanging.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    }
    let calls = world.callbacks.sender.calls();
    assert_eq!(calls.iter().filter(|(target, ..)| target == UP).count(), 5, "all of the others were called");
    assert_eq!(world.arrived_at_once().len(), 5, "and written down");
}

#[tokio::test]
async fn one_endpoint_is_called_by_few_at_a_time() {
    let mut world = world(Scripted::default(), "5s");
    world.register("hangs", "https://hangs.example/").await;
    world.announce(&names(10)).await;
    let bodies = world.receive();
    let mut hanging = pin!(handle(&world.callbacks, sqs(&bodies), "batch"));
    for _ in 0..50 {
        assert!(matches!(hanging.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    }
    assert_eq!(world.callbacks.sender.calls().len(), 5);
}

#[tokio::test]
async fn five_days_of_only_failures_disable_an_endpoint() {
    let mut world = world(Scripted::default(), "24h,24h,24h,24h,24h,24h,24h");
    world.register("down", DOWN).await;
    world.callbacks.sender.will_answer(DOWN, 500, None, 1000);
    let begun = world.now();
    world.announce(&names(1)).await;
    world.run(9 * 24 * 3_600_000).await;
    let disabled = world.endpoint("down").await.disabled.unwrap();
    assert_eq!(disabled.reason, DisabledReason::Failing);
    assert!(disabled.at.millis_since(begun) >= 5 * 24 * 3_600_000);
    assert!(world.callbacks.store.deliveries()[0].attempts.len() < 8);
}

#[tokio::test]
async fn schedule_of_an_endpoint_goes_before_that_of_the_deployment() {
    let mut world = world(Scripted::default(), "1s,1s,1s,1s,1s");
    let id = world.register("down", DOWN).await.id;
    let schedule = evenstock_domain::RetrySchedule::parse("1s").unwrap();
    let change = |endpoint: &mut evenstock_domain::Endpoint| endpoint.schedule = Some(schedule.clone());
    change_endpoint(&world.callbacks.store, &world.callbacks.clock, &organization(), &id, change).await.unwrap();
    world.callbacks.sender.will_answer(DOWN, 500, None, 1000);
    world.announce(&names(1)).await;
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.sender.calls().len(), 2);
}

#[tokio::test]
async fn content_is_frozen_when_it_is_announced() {
    let mut world = world(Scripted::default(), "1s,1s");
    world.register("down", DOWN).await;
    world.callbacks.sender.will_answer(DOWN, 500, None, 2);
    let announced = world.now().to_string();
    world.announce(&names(1)).await;
    world.run(3_600_000).await;
    let calls = world.callbacks.sender.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| *call == calls[0]), "byte for byte the same");
    let body = parsed(&calls[0].2);
    assert_eq!((&body["eventId"], &body["event"]), (&"event-0".into(), &"stock.low".into()));
    assert_eq!((&body["timestamp"], &body["storeId"]), (&announced.into(), &"store-1".into()));
    assert_eq!(body["data"]["name"], "event-0");
}

#[tokio::test]
async fn secrets_that_cannot_be_opened_bring_the_message_back() {
    let mut world = world(Scripted::default(), "5s");
    world.register("up", UP).await;
    world.announce(&names(3)).await;
    world.callbacks.sealer.set_down(true);
    let bodies = world.receive();
    assert_eq!(world.call(&bodies).await, 3);
    assert_eq!(world.callbacks.sender.calls().len(), 0);
    world.callbacks.sealer.set_down(false);
    world.run(3_600_000).await;
    assert_eq!(world.arrived_at_once().len(), 3);
}

#[tokio::test]
async fn removed_endpoint_is_told_nothing_more() {
    let mut world = world(Scripted::default(), "1s");
    let id = world.register("down", DOWN).await.id;
    world.callbacks.sender.will_answer(DOWN, 500, None, 1);
    world.announce(&names(2)).await;
    let bodies = world.receive();
    world.call(&bodies[..1]).await;
    let (store, clock) = (&world.callbacks.store, &world.callbacks.clock);
    evenstock_app::remove_endpoint(store, clock, &organization(), &id).await.unwrap();
    assert_eq!(world.call(&bodies[1..]).await, 0);
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.sender.calls().len(), 1);
    assert_eq!(world.callbacks.store.deliveries()[0].state, DeliveryState::Failed, "nothing stays due for ever");
    assert!(world.callbacks.store.load_registry(&organization()).await.unwrap().1.endpoints.is_empty());
}

#[tokio::test]
async fn new_address_is_not_disabled_for_what_the_old_one_answered() {
    let mut world = world(Scripted::default(), "5s");
    let endpoint = world.register("moved", DOWN).await;
    world.callbacks.sender.will_answer(DOWN, 410, None, 1);
    world.announce(&names(1)).await;
    let bodies = world.receive();
    // The batch has read the registry, and its owner moves the endpoint while it is called.
    let (store, clock) = (&world.callbacks.store, &world.callbacks.clock);
    let to_up = |endpoint: &mut evenstock_domain::Endpoint| UP.clone_into(&mut endpoint.target);
    evenstock_app::change_endpoint(store, clock, &organization(), &endpoint.id, to_up).await.unwrap();
    let gone = evenstock_domain::Disabled { reason: DisabledReason::Gone, at: world.now() };
    evenstock_app::disable_endpoint(store, clock, &organization(), &endpoint, gone).await.unwrap();
    assert!(world.endpoint("moved").await.is_active());
    world.call(&bodies).await;
    assert_eq!(world.arrived_at_once().len(), 1);
}
