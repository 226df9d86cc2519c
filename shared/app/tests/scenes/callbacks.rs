//! Announcements and deliveries beside somebody else who begins the same ones again, and where one organization's endpoints
//! cannot be read.

use std::collections::BTreeSet;

use evenstock_app::testing::worlds::meeting;
use evenstock_app::testing::{Fault, MemoryQueue};
use evenstock_app::{
    Announcement, CallbackStore, Clock, EventType, QueueName, Replayed, Subscriptions, fan_out, replay, replay_since,
    requeue,
};
use evenstock_domain::{
    Delivery, DeliveryId, DeliveryState, Endpoint, EndpointId, OrganizationId, Registry, Secrets, Subscription,
    Timestamp,
};
use serde_json::json;

use crate::stage::{Stage, organization};

/// More turns than anything here takes.
const TURNS: usize = 40;

fn endpoint() -> EndpointId {
    EndpointId::parse("receiver").unwrap()
}

/// A delivery that waits, and is due at once.
fn waiting(stage: &Stage, event: &str) -> Delivery {
    let id = DeliveryId::new(&endpoint(), event, stage.clock.now());
    Delivery::new(organization(), id, event.to_owned(), EventType::StockLow, None, "{}".to_owned())
}

/// One that nobody tries any more.
fn ended(stage: &Stage, event: &str, state: DeliveryState) -> Delivery {
    Delivery { state, ..waiting(stage, event).kept(stage.clock.now()) }
}

async fn store(stage: &Stage, delivery: &Delivery) {
    assert!(stage.store.inner().save_delivery(None, delivery).await.unwrap());
}

async fn replay_all(stage: &Stage, queue: &MemoryQueue) -> usize {
    let (organization, endpoint) = (organization(), endpoint());
    let deps = (&stage.store, queue, &stage.clock);
    let progress = replay_since(deps, (&organization, &endpoint), Timestamp::EPOCH, None, Timestamp::MAX).await;
    progress.unwrap().queued
}

#[tokio::test]
async fn replay_of_what_failed_leaves_alone_what_arrived() {
    let (stage, queue) = (Stage::new(), MemoryQueue::default());
    store(&stage, &ended(&stage, "failed", DeliveryState::Failed)).await;
    store(&stage, &ended(&stage, "arrived", DeliveryState::Succeeded)).await;
    assert_eq!(replay_all(&stage, &queue).await, 1);
    let states = stage.store.inner().deliveries();
    let states: BTreeSet<_> = states.iter().map(|delivery| (&*delivery.event_id, delivery.state.as_str())).collect();
    assert_eq!(states, BTreeSet::from([("failed", "pending"), ("arrived", "succeeded")]));
}

#[tokio::test]
async fn delivery_that_two_begin_again_at_once_has_one_message() {
    for meets_after in 0..TURNS {
        let (stage, queue) = (Stage::new(), MemoryQueue::default());
        let delivery = ended(&stage, "event", DeliveryState::Failed);
        store(&stage, &delivery).await;
        let tenant = organization();
        let single = replay(stage.store.inner(), &queue, &stage.clock, &tenant, &delivery.id);
        let (begun, replayed) = meeting(replay_all(&stage, &queue), meets_after, single).await;
        assert_eq!(begun == 1, replayed.unwrap() == Replayed::Pending, "one of them was faster, after {meets_after}");
        assert_eq!(queue.bodies(QueueName::Callbacks).len(), 1, "met after {meets_after} turns");
    }
}

#[tokio::test]
async fn due_delivery_that_two_runs_find_has_one_message() {
    for meets_after in 0..TURNS {
        let (stage, queue) = (Stage::new(), MemoryQueue::default());
        store(&stage, &waiting(&stage, "event")).await;
        let until = stage.clock.now().plus_millis(1);
        let slow = requeue(&stage.store, &queue, &stage.clock, until);
        let fast = requeue(stage.store.inner(), &queue, &stage.clock, until);
        let (slow, fast) = meeting(slow, meets_after, fast).await;
        assert_eq!(slow.unwrap().queued + fast.unwrap().queued, 1, "met after {meets_after} turns");
        assert_eq!(queue.bodies(QueueName::Callbacks).len(), 1, "met after {meets_after} turns");
    }
}

#[tokio::test]
async fn group_with_more_than_one_page_of_due_deliveries_is_brought_back_by_one_run() {
    let (stage, queue) = (Stage::new(), MemoryQueue::default());
    let all = (0..).map(|n| waiting(&stage, &n.to_string()));
    for delivery in all.filter(|delivery| delivery.due_bucket() == 0).take(250) {
        store(&stage, &delivery).await;
    }
    let report = requeue(&stage.store, &queue, &stage.clock, stage.clock.now().plus_millis(1)).await.unwrap();
    assert_eq!((report.queued, report.failed, report.finished), (250, 0, true));
    let distinct: BTreeSet<_> = queue.bodies(QueueName::Callbacks).into_iter().collect();
    assert_eq!(distinct.len(), 250);
}

#[tokio::test]
async fn announcement_whose_endpoints_cannot_be_read_is_a_dead_letter_and_holds_up_no_other() {
    let mut reads = 0;
    let stage = Stage::with(move |called| {
        reads += u32::from(called == "load_registry");
        if called == "load_registry" && reads == 1 { Fault::Corrupt } else { Fault::None }
    });
    let (queue, now) = (MemoryQueue::default(), stage.clock.now());
    let other = OrganizationId::parse("other").unwrap();
    let receiver = Endpoint {
        id: endpoint(),
        event: Subscription::All,
        target: "https://receiver.example/".to_owned(),
        disabled: None,
        schedule: None,
        secrets: Secrets::new("sealed".to_owned(), now),
        created_at: now,
    };
    let registry = Registry { endpoints: vec![receiver], ..Registry::empty(other.clone()) };
    assert!(stage.store.inner().save_registry(None, &registry).await.unwrap());
    let announced = [organization(), other].map(|organization| Announcement {
        event_id: format!("low-{organization}"),
        event: EventType::StockLow,
        time: now,
        organization,
        store: None,
        data: json!({}),
    });
    let told = fan_out(&stage.store, &queue, &Subscriptions::default(), now, &announced, &[]).await.unwrap();
    assert_eq!((told, queue.bodies(QueueName::Callbacks).len()), (1, 1));
    let letters = queue.bodies(QueueName::StreamDlq);
    assert!(letters.len() == 1 && letters[0].contains(&announced[0].event_id), "{letters:?}");
}
