//! The contract of the stores, continued: callbacks.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use evenstock_domain::{
    Admission, Attempt, DUE_BUCKETS, Delivery, DeliveryId, DeliveryState, Disabled, DisabledReason, Endpoint,
    EndpointHealth, EndpointId, EventType, OrganizationId, ProbeToken, RetrySchedule, Round, Secrets, StoreId,
    Subscription, Tried,
};
use futures::future::join_all;

use super::contract::at;
use crate::testing::{FixedClock, MemoryQueue};
use crate::{
    Arrival, Arrivals, CallbackStore, EndpointChange, Listed, QueueName, Registration, Replayed, change_endpoint,
    register_endpoint, remove_endpoint, replay, replay_since, requeue,
};

fn organization() -> OrganizationId {
    OrganizationId::parse("org#W#%").unwrap()
}

fn endpoint_id(name: &str) -> EndpointId {
    EndpointId::parse(name).unwrap()
}

fn endpoint(name: &str, target: &str) -> Endpoint {
    Endpoint {
        id: endpoint_id(name),
        event: Subscription::Only(EventType::StockLow),
        target: target.to_owned(),
        disabled: None,
        schedule: None,
        secrets: Secrets::new(format!("sealed {name}"), at(0)),
        created_at: at(0),
    }
}

fn delivery(event: &str, millis: i64) -> Delivery {
    let id = DeliveryId::new(&endpoint_id("e#1"), event, at(millis));
    let store = StoreId::parse("store").ok();
    Delivery::new(organization(), id, event.to_owned(), EventType::OrderShort, store, "{\"a\":\"🦀\"}".to_owned())
}

fn tried(status: Option<u16>) -> Tried {
    let error = status.is_none().then(|| "no connection".to_owned());
    let attempt =
        Attempt { at: at(1), status_code: status, duration_ms: 12, error, response: Some("answer".to_owned()) };
    Tried { attempt, retry_after_seconds: None }
}

fn failed(event: &str, millis: i64) -> Delivery {
    delivery(event, millis).tried(&tried(Some(500)), &RetrySchedule::from_waits([]).unwrap(), at(millis))
}

pub async fn endpoints_read_back_whole<S: CallbackStore>(store: &S) {
    let (none, empty) = store.load_registry(&organization()).await.unwrap();
    assert_eq!((none, empty.endpoints.len()), (None, 0));
    let plain = endpoint("a", "https://a.example/");
    let full = Endpoint {
        event: Subscription::All,
        disabled: Some(Disabled { reason: DisabledReason::Gone, at: at(3) }),
        schedule: Some(RetrySchedule::parse("5s,5m").unwrap()),
        secrets: plain.secrets.rotated("newer".to_owned(), at(2)),
        ..endpoint("b#🦀", "https://b.example/?q=%23")
    };
    let mut registry = empty.clone();
    registry.endpoints = vec![plain, full];
    assert!(store.save_registry(None, &registry).await.unwrap());
    assert!(!store.save_registry(None, &empty).await.unwrap(), "it is there");
    assert_eq!(store.load_registry(&organization()).await.unwrap(), (Some(1), registry.clone()));
    assert!(!store.save_registry(Some(2), &empty).await.unwrap(), "another rev");
    assert!(store.save_registry(Some(1), &empty).await.unwrap());
    assert_eq!(store.load_registry(&organization()).await.unwrap(), (Some(2), empty));
    let them = OrganizationId::parse("them").unwrap();
    assert_eq!(store.load_registry(&them).await.unwrap().0, None);
}

pub async fn endpoint_is_registered_once_by_many<S: CallbackStore>(store: &S) {
    let (clock, tenant) = (FixedClock::at(at(0)), organization());
    let names: Vec<_> = (0..8).map(|n| endpoint(&format!("e{n}"), "https://same.example/")).collect();
    let registered = join_all(names.iter().map(|fresh| register_endpoint(store, &clock, &tenant, fresh.clone()))).await;
    let (mut new, mut ids) = (0, Vec::new());
    for registration in registered {
        match registration.unwrap() {
            Registration::New(endpoint) => {
                new += 1;
                ids.push(endpoint.id);
            }
            Registration::Existing(endpoint) => ids.push(endpoint.id),
            Registration::Full => panic!("there is room"),
        }
    }
    ids.dedup();
    assert_eq!((new, ids.len()), (1, 1), "one of them made it, all got its name");
    let other = endpoint("other", "https://other.example/");
    let other_id = other.id.clone();
    register_endpoint(store, &clock, &tenant, other).await.unwrap();
    let same = |endpoint: &mut Endpoint| endpoint.target = "https://same.example/".to_owned();
    let change = change_endpoint(store, &clock, &tenant, &other_id, same).await.unwrap();
    assert_eq!(change, EndpointChange::Taken(ids[0].clone()));
    assert_eq!(remove_endpoint(store, &clock, &tenant, &ids[0]).await.unwrap(), EndpointChange::Done(None));
    assert_eq!(remove_endpoint(store, &clock, &tenant, &ids[0]).await.unwrap(), EndpointChange::Unknown);
    let change = change_endpoint(store, &clock, &tenant, &other_id, same).await.unwrap();
    assert!(matches!(change, EndpointChange::Done(Some(endpoint)) if endpoint.target == "https://same.example/"));
}

pub async fn health_is_saved_by_one_of_many<S: CallbackStore>(store: &S) {
    let (tenant, id) = (organization(), endpoint_id("e"));
    assert_eq!(store.load_health(&tenant, &id).await.unwrap(), (None, EndpointHealth::default()));
    let round = Round { failed: 1, wait_ms: Some(900_000), ..Round::default() };
    let failing =
        (0..5).fold(EndpointHealth::default(), |health, n| health.after(&round, &Admission::Closed, at(n)).unwrap());
    let probing = EndpointHealth { not_before: None, ..failing.clone() };
    let probing = probing.admit(at(60_000), &ProbeToken("me".to_owned())).1.unwrap();
    assert!(store.save_health(&tenant, &id, None, &failing).await.unwrap());
    let saves = (0..4).map(|_| store.save_health(&tenant, &id, Some(1), &probing));
    let saved = join_all(saves).await.into_iter().filter(|saved| *saved.as_ref().unwrap()).count();
    assert_eq!(saved, 1);
    assert_eq!(store.load_health(&tenant, &id).await.unwrap(), (Some(2), probing));
}

pub async fn delivery_reads_back_whole<S: CallbackStore>(store: &S) {
    let fresh = delivery("event#1", 0);
    assert_eq!(store.load_delivery(&organization(), &fresh.id).await.unwrap(), None);
    let schedule = RetrySchedule::parse("5s").unwrap();
    let missed = fresh.tried(&tried(None), &schedule, at(5));
    let arrived = missed.tried(&tried(Some(200)), &schedule, at(9000));
    let plain = Delivery { store: None, ..delivery("event#2", 0) };
    for (n, delivery) in
        [missed.clone(), arrived, plain.parked(Some(at(7)), at(6)), plain.kept(at(4))].iter().enumerate()
    {
        let id = DeliveryId::new(&endpoint_id("e#1"), &format!("{n}"), at(0));
        let delivery = Delivery { id, ..delivery.clone() };
        assert!(store.save_delivery(None, &delivery).await.unwrap());
        assert!(!store.save_delivery(None, &delivery).await.unwrap(), "it is there");
        assert!(!store.save_delivery(Some(2), &delivery).await.unwrap(), "another rev");
        let stored = store.load_delivery(&organization(), &delivery.id).await.unwrap().unwrap();
        assert_eq!((stored.rev, &stored.delivery), (1, &delivery));
        assert!(store.save_delivery(Some(1), &delivery).await.unwrap());
    }
}

/// The names of everything that is due, of all groups.
async fn due<S: CallbackStore>(store: &S, now: i64) -> Vec<String> {
    let mut names = Vec::new();
    for bucket in 0..DUE_BUCKETS {
        names.extend(
            store.due_deliveries(bucket, at(now), 100).await.unwrap().into_iter().map(|due| due.id.to_string()),
        );
    }
    names.sort();
    names
}

pub async fn waiting_delivery_is_due_until_it_ends<S: CallbackStore>(store: &S) {
    let long = RetrySchedule::parse("2h").unwrap();
    let waiting = delivery("e", 0).tried(&tried(Some(500)), &long, at(0));
    let at_ms = waiting.due_at.unwrap().millis_since(at(0));
    store.save_delivery(None, &waiting).await.unwrap();
    assert_eq!(due(store, at_ms - 1).await, Vec::<String>::new());
    assert_eq!(due(store, at_ms).await, [waiting.id.to_string()]);
    let listed = store.due_deliveries(waiting.due_bucket(), at(at_ms), 9).await.unwrap().remove(0);
    assert_eq!(listed.due_at, waiting.due_at.unwrap());
    assert!(store.postpone(&listed, at(at_ms + 1000)).await.unwrap());
    assert!(!store.postpone(&listed, at(at_ms + 2000)).await.unwrap(), "somebody else has it");
    assert_eq!(due(store, at_ms + 999).await, Vec::<String>::new());
    assert_eq!(due(store, at_ms + 1000).await, [waiting.id.to_string()]);
    let arrived = waiting.tried(&tried(Some(200)), &long, at(at_ms));
    assert!(store.save_delivery(Some(1), &arrived).await.unwrap(), "who was at work on it may finish");
    assert_eq!(due(store, at_ms * 2).await, Vec::<String>::new());
    assert!(!store.postpone(&listed, at(at_ms + 3000)).await.unwrap());
}

pub async fn due_deliveries_are_sent_again_once<S: CallbackStore>(store: &S) {
    let (clock, queue) = (FixedClock::at(at(0)), MemoryQueue::default());
    let long = RetrySchedule::parse("1h").unwrap();
    for n in 0..40 {
        let waiting = delivery(&format!("e{n}"), n).tried(&tried(Some(500)), &long, at(0));
        store.save_delivery(None, &waiting).await.unwrap();
    }
    let until = at(90_000_000);
    assert_eq!(requeue(store, &queue, &clock, until).await.unwrap().queued, 0);
    clock.advance_ms(2 * 3_600_000);
    let report = requeue(store, &queue, &clock, until).await.unwrap();
    assert_eq!((report.queued, report.failed, report.finished), (40, 0, true));
    assert_eq!(requeue(store, &queue, &clock, until).await.unwrap().queued, 0, "they are on their way");
    assert_eq!(queue.bodies(QueueName::Callbacks).len(), 40);
    queue.set_down(true);
    clock.advance_ms(10 * 60_000);
    assert_eq!(requeue(store, &queue, &clock, until).await.unwrap().failed, 40);
    queue.set_down(false);
    clock.advance_ms(10 * 60_000);
    assert_eq!(requeue(store, &queue, &clock, until).await.unwrap().queued, 40, "what was not sent is due again");
    let report = requeue(store, &queue, &clock, at(0)).await.unwrap();
    assert_eq!((report.queued, report.finished), (0, false), "no time, no work");
}

pub async fn deliveries_list_page_by_page<S: CallbackStore>(store: &S) {
    let (tenant, id) = (organization(), endpoint_id("e#1"));
    for n in 0..7 {
        store.save_delivery(None, &failed(&format!("row{n}"), n)).await.unwrap();
        let arrival = |place: i64| Arrival {
            id: DeliveryId::new(&id, &format!("log{n}-{place}"), at(place)),
            event_id: format!("log{n}-{place}"),
            event: EventType::StockChanged,
            store: None,
            body: Some("{}".to_owned()),
            attempt: tried(Some(204)).attempt,
        };
        let (organization, endpoint) = (tenant.clone(), id.clone());
        let arrivals = Arrivals { organization, endpoint, at: at(n), arrived: (0..3).map(arrival).collect() };
        store.log_arrivals(&arrivals).await.unwrap();
        store.log_arrivals(&arrivals).await.unwrap();
    }
    let (rev, health) = store.load_health(&tenant, &id).await.unwrap();
    assert!(store.save_health(&tenant, &id, rev, &health).await.unwrap());
    for limit in [1, 3, 14, 100] {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = store.list_deliveries(&tenant, &id, after.as_deref(), limit).await.unwrap();
            assert!(page.entries.len() <= limit as usize);
            for entry in page.entries {
                match entry {
                    Listed::Delivery(delivery) => names.push(delivery.event_id),
                    Listed::Arrivals(arrived) => names.extend(arrived.into_iter().map(|arrival| arrival.event_id)),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((names.len(), names[0].as_str(), names[6].as_str()), (28, "row6", "row0"), "{names:?}");
        assert_eq!((names[7].as_str(), names[27].as_str()), ("log6-0", "log0-2"));
    }
    let other = store.list_deliveries(&tenant, &endpoint_id("e"), None, 9).await.unwrap();
    assert!(other.entries.is_empty());
}

pub async fn replay_begins_failed_deliveries_again_page_by_page<S: CallbackStore>(store: &S) {
    let (clock, queue, tenant, id) =
        (FixedClock::at(at(100_000)), MemoryQueue::default(), organization(), endpoint_id("e#1"));
    for n in 0..50 {
        store.save_delivery(None, &failed(&format!("e{n}"), n)).await.unwrap();
    }
    let pending = delivery("pending", 30).parked(None, at(0));
    store.save_delivery(None, &pending).await.unwrap();
    assert_eq!(replay(store, &queue, &clock, &tenant, &pending.id).await.unwrap(), Replayed::Pending);
    let unknown = DeliveryId::new(&id, "none", at(0));
    assert_eq!(replay(store, &queue, &clock, &tenant, &unknown).await.unwrap(), Replayed::Unknown);
    let one = failed("e3", 3);
    assert_eq!(replay(store, &queue, &clock, &tenant, &one.id).await.unwrap(), Replayed::Queued);
    let again = store.load_delivery(&tenant, &one.id).await.unwrap().unwrap().delivery;
    assert_eq!((again.state, again.tries, again.attempts.len()), (DeliveryState::Pending, 0, 1));
    let (mut after, mut queued, mut calls) = (None, 0, 0);
    loop {
        // No time: each call does one page.
        let whose = (&tenant, &id);
        let progress = replay_since((store, &queue, &clock), whose, at(2), after, at(0)).await.unwrap();
        (queued, calls) = (queued + progress.queued, calls + 1);
        after = progress.after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(queued, 47, "those since then, without the one that was replayed before");
    assert!(calls >= 3);
    assert_eq!(queue.bodies(QueueName::Callbacks).len(), 48);
}

pub async fn arrival_is_found_with_its_body_and_replayed<S: CallbackStore>(store: &S) {
    let (clock, queue, tenant) = (FixedClock::at(at(100_000)), MemoryQueue::default(), organization());
    let arrival = |n: i64, body: Option<String>| {
        let Delivery { id, event_id, event, store, .. } = delivery(&format!("log{n}"), n);
        Arrival { id, event_id, event, store, body, attempt: tried(Some(204)).attempt }
    };
    let body = |n: i64| Some(format!("{{\"n\":{n},\"text\":\"\u{1f980}\"}}"));
    for batch in 0..20 {
        let arrived: Vec<_> = (batch * 10..batch * 10 + 10).map(|n| arrival(n, body(n))).collect();
        let (organization, endpoint) = (tenant.clone(), endpoint_id("e#1"));
        store.log_arrivals(&Arrivals { organization, endpoint, at: at(batch * 10 + 2000), arrived }).await.unwrap();
    }
    let without = arrival(900, None);
    let (organization, endpoint) = (tenant.clone(), endpoint_id("e#1"));
    let lost = Arrivals { organization, endpoint, at: at(901), arrived: vec![without.clone()] };
    store.log_arrivals(&lost).await.unwrap();
    for n in [0, 77, 199] {
        let wanted = arrival(n, body(n));
        assert_eq!(store.find_arrival(&tenant, &wanted.id).await.unwrap(), Some(wanted));
    }
    assert_eq!(store.find_arrival(&tenant, &without.id).await.unwrap(), Some(without.clone()));
    let unknown = DeliveryId::new(&endpoint_id("e#1"), "none", at(0));
    assert_eq!(store.find_arrival(&tenant, &unknown).await.unwrap(), None);
    for unknown in [unknown, without.id] {
        assert_eq!(replay(store, &queue, &clock, &tenant, &unknown).await.unwrap(), Replayed::Unknown);
    }
    let wanted = arrival(77, body(77));
    for expected in [Replayed::Queued, Replayed::Pending] {
        assert_eq!(replay(store, &queue, &clock, &tenant, &wanted.id).await.unwrap(), expected);
    }
    let again = store.load_delivery(&tenant, &wanted.id).await.unwrap().unwrap().delivery;
    assert_eq!((Some(again.body), again.store, again.attempts), (wanted.body, wanted.store, vec![wanted.attempt]));
    assert_eq!((again.state, again.tries, again.next_attempt_at), (DeliveryState::Pending, 0, Some(at(100_000))));
    assert_eq!(queue.bodies(QueueName::Callbacks).len(), 1);
}
