//! Killed, repeated and lost: what the stream and the queue may do to us.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use evenstock_app::fan_out;
use evenstock_callback_worker::{Callbacks, handle};
use evenstock_domain::DeliveryState;
use evenstock_runtime::{keep_reasons, take_reason};

use crate::world::{Scripted, names, sqs, world};

const TARGET: &str = "https://receiver.example/";

#[tokio::test]
async fn worker_killed_at_any_point_delivers_again_with_the_same_ids() {
    for steps in 0..60 {
        for fails in [false, true] {
            let mut world = world(Scripted::default(), "1s,5m,1s");
            world.register("receiver", TARGET).await;
            if fails {
                world.callbacks.sender.will_answer(TARGET, 500, None, 3);
            }
            world.announce(&names(3)).await;
            let bodies = world.receive();
            {
                let mut killed = pin!(handle(&world.callbacks, sqs(&bodies), "killed"));
                let mut context = Context::from_waker(Waker::noop());
                for _ in 0..steps {
                    if let Poll::Ready(done) = killed.as_mut().poll(&mut context) {
                        done.unwrap();
                        break;
                    }
                }
            }
            world.collect();
            world.callbacks.clock.advance_ms(360_000);
            assert_eq!(world.call(&bodies).await, 0);
            world.run(24 * 3_600_000).await;
            let called: BTreeSet<_> = world.callbacks.sender.calls().into_iter().map(|(_, id, _)| id).collect();
            assert_eq!(called, names(3).into_iter().collect(), "killed after {steps} steps");
            let mut done: BTreeSet<_> = world.arrived_at_once().into_iter().collect();
            let stored = world.callbacks.store.deliveries();
            assert!(stored.iter().all(|delivery| delivery.state == DeliveryState::Succeeded), "{stored:?}");
            done.extend(stored.into_iter().map(|delivery| delivery.event_id));
            assert_eq!(done.len(), 3);
        }
    }
}

#[tokio::test]
async fn announcements_passed_on_twice_are_the_same_deliveries() {
    let mut world = world(Scripted::default(), "1s");
    world.register("receiver", TARGET).await;
    let announced = [world.announcement("a"), world.announcement("b")];
    let Callbacks { store, queue, .. } = &world.callbacks;
    for _ in 0..2 {
        let fanned = fan_out(store, queue, &world.subscriptions, world.now(), &announced, &[]).await.unwrap();
        assert_eq!(fanned, 2);
    }
    let bodies: Vec<_> = queue.take().into_iter().map(|message| message.body).collect();
    assert_eq!(bodies[..2], bodies[2..], "byte for byte");
    world.callbacks.sender.will_answer(TARGET, 500, None, 4);
    world.call(&bodies).await;
    assert_eq!(world.callbacks.store.deliveries().len(), 2);
}

#[tokio::test]
async fn organization_without_endpoints_costs_a_read_a_minute_and_nothing_else() {
    let mut world = world(Scripted::default(), "1s");
    for _ in 0..50 {
        world.announce(&names(20)).await;
        world.callbacks.clock.advance_ms(1000);
    }
    assert_eq!(world.callbacks.store.registry_reads(), 1);
    assert!(world.receive().is_empty() && world.callbacks.store.deliveries().is_empty());
    world.register("receiver", TARGET).await;
    world.callbacks.clock.advance_ms(10_000);
    world.announce(&names(1)).await;
    assert_eq!(world.receive().len(), 1, "a new endpoint is told within a minute");
}

#[tokio::test]
async fn message_that_was_never_sent_is_replaced_by_the_scheduler() {
    let mut world = world(Scripted::default(), "1s");
    world.register("receiver", TARGET).await;
    world.callbacks.sender.will_answer(TARGET, 500, None, 1);
    world.announce(&names(1)).await;
    let bodies = world.receive();
    world.callbacks.queue.set_down(true);
    assert_eq!(world.call(&bodies).await, 0, "what is stored needs no message");
    world.callbacks.queue.set_down(false);
    let begun = world.now();
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.store.deliveries()[0].state, DeliveryState::Succeeded);
    assert!(world.now().millis_since(begun) < 300_000);
}

#[tokio::test]
async fn message_that_comes_twice_is_one_try() {
    let mut world = world(Scripted::default(), "5s,5s");
    world.register("receiver", TARGET).await;
    world.callbacks.sender.will_answer(TARGET, 500, None, 9);
    world.announce(&names(1)).await;
    let first = world.receive();
    world.call(&first).await;
    world.callbacks.clock.advance_ms(7_000);
    let again = world.receive();
    assert_eq!(again.len(), 1);
    world.call(&again).await;
    world.call(&again).await;
    assert_eq!(world.callbacks.sender.calls().len(), 2, "the second came too early");
}

#[tokio::test]
async fn unreadable_message_fails_and_the_others_go_on() {
    let mut world = world(Scripted::default(), "5s");
    world.register("receiver", TARGET).await;
    world.announce(&names(1)).await;
    let mut bodies = world.receive();
    bodies.push("{\"job\":\"unknown\"}".to_owned());
    bodies.push(String::new());
    let response = handle(&world.callbacks, sqs(&bodies), "batch").await.unwrap();
    let failed: Vec<_> = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(failed, ["1", "2"]);
    assert_eq!(world.arrived_at_once(), ["event-0"]);
}

#[tokio::test]
async fn message_that_comes_back_says_why() {
    keep_reasons();
    let mut world = world(Scripted::default(), "5s");
    world.register("receiver", TARGET).await;
    world.announce(&names(1)).await;
    world.callbacks.sealer.set_down(true);
    let mut bodies = world.receive();
    bodies.push(String::new());
    let mut event = sqs(&bodies);
    for (record, id) in event.records.iter_mut().zip(["sealed", "unreadable"]) {
        record.message_id = Some(id.to_owned());
    }
    let response = handle(&world.callbacks, event, "batch").await.unwrap();
    assert_eq!(response.batch_item_failures.len(), 2);
    for id in ["sealed", "unreadable"] {
        let reason = take_reason(id).unwrap();
        assert!(!reason.is_empty(), "{id}");
        assert_eq!(take_reason(id), None);
    }
}

#[tokio::test]
async fn event_that_aws_sends_is_read() {
    let world = world(Scripted::default(), "5s");
    let event = serde_json::from_str(include_str!("../../../../events/callback-worker.json")).unwrap();
    let response = handle(&world.callbacks, event, "batch").await.unwrap();
    assert_eq!(response.batch_item_failures.len(), 1, "only the one that was cut off");
}
