//! Deliveries that failed, begun again.

use evenstock_app::{CallbackJob, change_endpoint, replay};
use evenstock_domain::{DeliveryState, Disabled, DisabledReason, Endpoint};

use crate::world::{Scripted, World, names, organization, world};

const TARGET: &str = "https://receiver.example/";

async fn switch(world: &World<Scripted>, active: bool) {
    let at = world.now();
    let change = move |endpoint: &mut Endpoint| {
        endpoint.disabled = (!active).then_some(Disabled { reason: DisabledReason::Owner, at });
    };
    let (store, clock) = (&world.callbacks.store, &world.callbacks.clock);
    let id = world.endpoint("receiver").await.id;
    change_endpoint(store, clock, &organization(), &id, change).await.unwrap();
    // Longer than anybody believes what it knew before.
    world.callbacks.clock.advance_ms(61_000);
}

#[tokio::test]
async fn third_failure_is_the_last_and_a_replay_succeeds() {
    let mut world = world(Scripted::default(), "1s,1s");
    world.register("receiver", TARGET).await;
    world.callbacks.sender.will_answer(TARGET, 500, None, 3);
    world.announce(&names(1)).await;
    world.run(3_600_000).await;
    let failed = world.callbacks.store.deliveries().remove(0);
    assert_eq!((failed.state, failed.attempts.len()), (DeliveryState::Failed, 3));
    world.callbacks.clock.advance_ms(31_000);
    let (store, queue, clock) = (&world.callbacks.store, &world.callbacks.queue, &world.callbacks.clock);
    replay(store, queue, clock, &organization(), &failed.id).await.unwrap();
    world.collect();
    world.run(3_600_000).await;
    let arrived = world.callbacks.store.deliveries().remove(0);
    assert_eq!((arrived.state, arrived.attempts.len()), (DeliveryState::Succeeded, 4));
    let calls = world.callbacks.sender.calls();
    assert!(calls.iter().all(|call| *call == calls[0]), "the same id and the same bytes");
}

#[tokio::test]
async fn events_of_a_disabled_endpoint_are_kept_and_replayed_in_pages() {
    let mut world = world(Scripted::default(), "1s");
    world.register("receiver", TARGET).await;
    switch(&world, false).await;
    let since = world.now();
    world.announce(&names(70)).await;
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.sender.calls().len(), 0);
    switch(&world, true).await;
    let endpoint = world.endpoint("receiver").await.id;
    let job = CallbackJob::Replay { organization: organization(), endpoint, since, after: None };
    assert_eq!(world.call(&[job.to_json()]).await, 0);
    world.run(3_600_000).await;
    let stored = world.callbacks.store.deliveries();
    assert_eq!(stored.len(), 70);
    assert!(stored.iter().all(|delivery| delivery.state == DeliveryState::Succeeded));
    assert_eq!(world.callbacks.sender.calls().len(), 70);
}

#[tokio::test]
async fn endpoint_disabled_while_messages_wait_keeps_what_they_carry() {
    let mut world = world(Scripted::default(), "1s");
    world.register("receiver", TARGET).await;
    world.announce(&names(4)).await;
    switch(&world, false).await;
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.sender.calls().len(), 0);
    assert_eq!(world.callbacks.store.deliveries().len(), 4);
}

#[tokio::test]
async fn endpoint_that_was_just_enabled_is_told_though_the_publisher_does_not_know_yet() {
    let mut world = world(Scripted::default(), "1s");
    world.register("receiver", TARGET).await;
    switch(&world, false).await;
    world.announce(&names(1)).await;
    world.run(3_600_000).await;
    assert_eq!(world.callbacks.store.deliveries().len(), 1, "kept while it is disabled");
    let before = world.now();
    switch(&world, true).await;
    world.callbacks.clock.advance_ms(before.millis_since(world.now()));
    world.announce(&["after".to_owned()]).await;
    world.run(3_600_000).await;
    assert_eq!(world.arrived_at_once(), ["after"]);
}
