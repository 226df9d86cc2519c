//! Ticks, and a call that dies in the middle.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use evenstock_app::testing::contract::registration;
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemorySealer, MemoryStore};
use evenstock_app::{
    CallbackStore, EventType, IdempotencyStore, MarketplaceStore, QueueName, RegisterStore, Reserve, ReserveResult,
    StoreWrite, apply_group, complete, register_store, reserve,
};
use evenstock_domain::{
    ActorCode, Delivery, DeliveryId, EndpointId, EventBody, LevelKey, Line, LocationId, Means, OrganizationId,
    Quantity, ReservationId, ReservationState, Sku, Source, StockEvent, StockLevel, StoreId, Timestamp,
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
    world_on(FaultyStore::new(MemoryStore::default(), |_| Fault::None)).await
}

async fn world_on(store: FaultyStore<MemoryStore>) -> World {
    let now = Timestamp::from_millis(1_700_000_000_000).unwrap();
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

/// A store of the organization that is due now.
async fn due_store(scheduler: &World, organization: &str, name: &str) {
    let (store, clock) = (scheduler.store.inner(), &scheduler.clock);
    let organization = OrganizationId::parse(organization).unwrap();
    let external_id = StoreId::parse(name).unwrap();
    let asked = RegisterStore { organization, external_id, ..registration(name) };
    let id = register_store(store, &MemorySealer::default(), clock, &asked).await.unwrap().store;
    let found = store.load_store(&id).await.unwrap().unwrap();
    let due = MarketplaceStore { sync: found.store.sync.watched_by(clock.now()).unwrap(), ..found.store };
    assert_eq!(store.save_store(Some(found.rev), &due).await.unwrap(), StoreWrite::Saved);
}

#[tokio::test]
async fn switch_stops_an_organizations_stores_and_nothing_else() {
    let reads = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&reads);
    let plan = move |operation| {
        counter.fetch_add(u32::from(operation == "load_switch"), Ordering::Relaxed);
        Fault::None
    };
    let scheduler = world_on(FaultyStore::new(MemoryStore::default(), plan)).await;
    handle(&scheduler, tick()).await.unwrap();
    assert_eq!(reads.load(Ordering::Relaxed), 0, "nobody's switch matters while no store is due");
    let organization = OrganizationId::parse("org").unwrap();
    scheduler.store.inner().set_switch(&organization, false, None, scheduler.clock.now()).await.unwrap();
    for (organization, name) in [("org", "a"), ("org", "b"), ("other", "c")] {
        due_store(&scheduler, organization, name).await;
    }
    let id = DeliveryId::new(&EndpointId::parse("e").unwrap(), "event", scheduler.clock.now());
    let (event, name) = (EventType::StockLow, "event".to_owned());
    let delivery = Delivery::new(organization.clone(), id, name, event, None, "{}".to_owned());
    scheduler.store.inner().save_delivery(None, &delivery.parked(None, scheduler.clock.now())).await.unwrap();
    scheduler.clock.advance_ms(60_000);
    let report = handle(&scheduler, tick()).await.unwrap();
    let told = ["/ended", "/callbacks/queued", "/enqueuedJobs"].map(|at| report.pointer(at).unwrap());
    assert_eq!(told, [&json!(RESERVATIONS), &json!(1), &json!(1)]);
    assert_eq!(scheduler.queue.bodies(QueueName::StoreSync), ["{\"storeId\":\"c\"}"]);
    assert_eq!(reads.load(Ordering::Relaxed), 2, "one an organization");
    scheduler.store.inner().set_switch(&organization, true, None, scheduler.clock.now()).await.unwrap();
    let report = handle(&scheduler, tick()).await.unwrap();
    assert_eq!(report.get("enqueuedJobs"), Some(&json!(2)), "they stayed due");
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
async fn group_of_reservations_that_cannot_be_listed_holds_up_no_other() {
    let listed = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&listed);
    let plan = move |operation| {
        let is_third = operation == "due_reservations" && counter.fetch_add(1, Ordering::Relaxed) == 2;
        if is_third { Fault::NotDone } else { Fault::None }
    };
    let scheduler = world_on(FaultyStore::new(MemoryStore::default(), plan)).await;
    scheduler.clock.advance_ms(60_000);
    assert!(matches!(handle(&scheduler, tick()).await, Err(HandleError::Store(_))), "it is told");
    let left = level(&scheduler).await.reserved;
    assert!((1..i64::from(RESERVATIONS)).contains(&left), "{left} of one group are left");
    let report = handle(&scheduler, tick()).await.unwrap();
    assert_eq!(report.get("ended"), Some(&json!(left)));
    assert_eq!(level(&scheduler).await.reserved, 0);
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
