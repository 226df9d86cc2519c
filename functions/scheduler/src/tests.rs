//! Ticks, and a call that dies in the middle.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemoryStore};
use evenstock_app::{
    CallbackStore, EventType, IdempotencyStore, QueueName, Reserve, ReserveResult, apply_group, complete, reserve,
};
use evenstock_domain::{
    ActorCode, Delivery, DeliveryId, EndpointId, EventBody, LevelKey, Line, LocationId, Means, OrganizationId,
    Quantity, ReservationId, ReservationState, Sku, Source, StockEvent, StockLevel, Timestamp,
};

use super::*;

const RESERVATIONS: u32 = 40;

type World = Scheduler<FaultyStore<MemoryStore>, MemoryQueue, FixedClock>;

fn key() -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("org").unwrap(),
        sku: Sku::parse("sku").unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

fn tick() -> Value {
    serde_json::from_str(include_str!("../../../events/scheduler.json")).unwrap()
}

fn deps<S, Q, C>(scheduler: &Scheduler<S, Q, C>) -> ReservationDeps<'_, S, C> {
    ReservationDeps { store: &scheduler.store, clock: &scheduler.clock, ids: &scheduler.ids }
}

/// A hundred units, of which forty reservations of one hold one each for a minute.
async fn world() -> World {
    let now = Timestamp::from_millis(1_700_000_000_000).unwrap();
    let store = FaultyStore::new(MemoryStore::default(), |_| Fault::None);
    let (queue, clock) = (MemoryQueue::default(), FixedClock::at(now));
    let scheduler = Scheduler { store, queue, clock, ids: EventIdKey::new(*b"0123456789abcdef") };
    let quantity = Quantity::new(100).unwrap();
    let body = EventBody::Count { quantity, means: Means::Available, sequence: 0 };
    let id = scheduler.ids.event_id("initial");
    let initial = StockEvent { id, time: now, source: Source::api(), actor: ActorCode(0), body };
    apply_group(&scheduler.store, &scheduler.clock, &key(), &[initial]).await;
    for n in 0..RESERVATIONS {
        hold(&scheduler, &n.to_string()).await;
    }
    scheduler
}

async fn hold<S, Q>(scheduler: &Scheduler<S, Q, FixedClock>, name: &str)
where
    S: StockStore + ReservationStore + IdempotencyStore,
{
    let LevelKey { organization, sku, location } = key();
    let asked = Reserve {
        organization,
        order_id: None,
        lines: vec![Line { sku, location, units: 1 }],
        ttl_seconds: 60,
        expected_version: None,
        idempotency: None,
        new_id: ReservationId::parse(name).unwrap(),
        actor: ActorCode(1),
    };
    assert!(matches!(reserve(deps(scheduler), &asked).await.unwrap(), ReserveResult::Reserved { .. }));
}

async fn level(scheduler: &World) -> StockLevel {
    scheduler.store.inner().load(&key()).await.unwrap().unwrap().level
}

#[tokio::test]
async fn only_what_ran_out_is_ended() {
    let scheduler = world().await;
    scheduler.clock.advance_ms(59_999);
    let callbacks = json!({ "queued": 0, "failed": 0, "finished": true });
    let report = |ended| {
        json!({
            "ended": ended, "failed": 0, "finished": true, "scannedStores": 0, "enqueuedJobs": 0,
            "callbacks": callbacks,
        })
    };
    assert_eq!(handle(&scheduler, tick()).await.unwrap(), report(0));
    scheduler.clock.advance_ms(1);
    assert_eq!(handle(&scheduler, tick()).await.unwrap(), report(RESERVATIONS));
    let level = level(&scheduler).await;
    assert_eq!((level.available, level.reserved), (100, 0));
    assert_eq!(handle(&scheduler, tick()).await.unwrap().get("ended"), Some(&json!(0)));
}

#[tokio::test]
async fn callbacks_that_are_due_are_queued_and_do_not_hold_up_reservations() {
    let scheduler = world().await;
    let endpoint = EndpointId::parse("e").unwrap();
    let id = DeliveryId::new(&endpoint, "event", scheduler.clock.now());
    let organization = OrganizationId::parse("org").unwrap();
    let delivery = Delivery::new(organization, id, "event".to_owned(), EventType::StockLow, None, "{}".to_owned());
    scheduler.store.inner().save_delivery(None, &delivery.parked(None, scheduler.clock.now())).await.unwrap();
    scheduler.clock.advance_ms(60_000);
    let report = handle(&scheduler, tick()).await.unwrap();
    assert_eq!(report.pointer("/callbacks/queued"), Some(&json!(1)));
    assert_eq!(report.get("ended"), Some(&json!(RESERVATIONS)));
    assert_eq!(scheduler.queue.bodies(QueueName::Callbacks).len(), 1);
}

#[tokio::test]
async fn event_of_another_kind_is_refused() {
    let scheduler = world().await;
    for event in [json!({}), json!({ "Records": [] }), json!({ "source": "me" })] {
        assert!(matches!(handle(&scheduler, event).await, Err(HandleError::UnknownEvent)));
    }
}

#[tokio::test]
async fn call_that_is_killed_at_any_point_is_finished_by_the_next_and_the_stream() {
    for steps in (0..400).step_by(7) {
        let scheduler = world().await;
        scheduler.clock.advance_ms(60_000);
        {
            let mut killed = pin!(handle(&scheduler, tick()));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..steps {
                if let Poll::Ready(done) = killed.as_mut().poll(&mut context) {
                    done.unwrap();
                    break;
                }
            }
        }
        handle(&scheduler, tick()).await.unwrap();
        // What the killed call had ended already is no longer due; the stream tells of it.
        for reservation in scheduler.store.inner().reservations() {
            assert_eq!(reservation.state, ReservationState::Expired);
            complete(deps(&scheduler), &reservation).await.unwrap();
        }
        let level = level(&scheduler).await;
        assert_eq!((level.available, level.reserved), (100, 0), "killed after {steps} steps");
    }
}
