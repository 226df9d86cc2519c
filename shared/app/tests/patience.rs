//! A call that the store lets down must answer before its function is cut off.

use core::sync::atomic::{AtomicI64, Ordering};

use evenstock_app::testing::{Fault, FaultyStore, MemoryStore};
use evenstock_app::{Answer, Clock, Create, ReservationDeps, Reserve, create, request, reserve};
use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, Line, LocationId, OrganizationId, Quantity, ReservationId, Sku, Source,
    StockEvent, Timestamp,
};

/// The timeout of the functions that answer HTTP, less what one more call to the store may take.
const FUNCTION_MS: i64 = 14_000;

/// A clock that only waiting moves, by as much as the real one waits at most.
struct WaitingClock(AtomicI64);

impl Clock for WaitingClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus_millis(self.0.load(Ordering::SeqCst))
    }

    async fn back_off(&self, attempt: u32) {
        self.0.fetch_add((10_i64 << attempt.min(6)).min(400), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn reservation_gives_up_in_time_when_levels_cannot_be_written() {
    let clock = WaitingClock(AtomicI64::new(1_800_000_000_000));
    let store =
        FaultyStore::new(
            MemoryStore::default(),
            |called| {
                if called == "append" { Fault::UnknownNotDone } else { Fault::None }
            },
        );
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let organization = OrganizationId::parse("us").unwrap();
    let (sku, location) = (Sku::parse("SHIRT").unwrap(), LocationId::parse("main").unwrap());
    let level = Create {
        key: LevelKey { organization: organization.clone(), sku: sku.clone(), location: location.clone() },
        quantity: Quantity::new(5).unwrap(),
        actor: ActorCode(1),
        operation: "stock".to_owned(),
        time: clock.now(),
    };
    create(&store, &clock, &ids, &level).await.unwrap();
    let asked = Reserve {
        organization,
        order_id: None,
        lines: vec![Line { sku, location, units: 1 }],
        ttl_seconds: 60,
        expected_version: None,
        idempotency: Some(("k".to_owned(), [0; 32])),
        new_id: ReservationId::parse("r").unwrap(),
        actor: ActorCode(1),
    };
    let begun = clock.now();
    let deps = ReservationDeps { store: &store, clock: &clock, ids: &ids };
    assert!(reserve(deps, &asked).await.unwrap_err().is_passing());
    let took = clock.now().millis_since(begun);
    assert!(took < FUNCTION_MS, "{took} ms");
}

#[tokio::test]
async fn update_whose_write_was_not_answered_is_settled_without_its_caller() {
    for fault in [Fault::UnknownNotDone, Fault::UnknownDone] {
        let clock = WaitingClock(AtomicI64::new(1_800_000_000_000));
        let mut appends = 0;
        let store = FaultyStore::new(MemoryStore::default(), move |called| {
            appends += i32::from(called == "append");
            if called == "append" && appends == 1 { fault } else { Fault::None }
        });
        let key = LevelKey {
            organization: OrganizationId::parse("us").unwrap(),
            sku: Sku::parse("SHIRT").unwrap(),
            location: LocationId::parse("main").unwrap(),
        };
        let event = StockEvent {
            id: EventIdKey::new(*b"0123456789abcdef").event_id("u"),
            time: clock.now(),
            source: Source::api(),
            actor: ActorCode(1),
            body: EventBody::Request { available: 5, reserved: 0, expected_version: None },
        };
        let settled = request(&store, &clock, &key, &event).await.unwrap();
        assert!(matches!(settled.answer, Answer::Applied(_)), "{settled:?}");
        assert_eq!((settled.level.available, settled.level.version), (5, 1), "once");
    }
}
