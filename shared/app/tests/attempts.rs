//! A reservation that is made in more than one attempt: what becomes of the units of an attempt that was refused, or that
//! somebody else ended while its maker still worked on it.
#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    Answer, Clock, Create, ReservationDeps, Reserve, ReserveResult, Settlement, StockStore, StoreError, create,
    request, reserve, settle_reservation,
};
use evenstock_domain::{
    ActorCode, EventBody, EventIdKey, LevelKey, Line, LocationId, OrganizationId, Quantity, Reservation, ReservationId,
    ReservationState, Sku, Source, StockEvent, StockLevel, Timestamp,
};

/// More turns than a call takes.
const TURNS: usize = 80;

/// After this long a pending reservation is given up, in milliseconds: longer than a call goes on.
const GIVEN_UP_MS: i64 = 2 * 60 * 1000;

/// Two products and somebody who reserves both.
struct Shop {
    store: FaultyStore<MemoryStore>,
    clock: FixedClock,
    ids: EventIdKey,
    cannot_commit: Arc<AtomicBool>,
}

impl Shop {
    async fn with(shirts: i64, caps: i64) -> Self {
        let cannot_commit = Arc::<AtomicBool>::default();
        let down = Arc::clone(&cannot_commit);
        let plan = move |operation| match operation {
            "commit" if down.load(Ordering::SeqCst) => Fault::NotDone,
            _ => Fault::None,
        };
        let shop = Self {
            store: FaultyStore::new(MemoryStore::default(), plan),
            clock: FixedClock::at(Timestamp::EPOCH.plus_millis(1_800_000_000_000)),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            cannot_commit,
        };
        for (sku, units) in [("SHIRT", shirts), ("CAP", caps)] {
            let first = Create {
                key: key(sku),
                quantity: Quantity::new(units).unwrap(),
                actor: ActorCode(0),
                operation: sku.to_owned(),
                time: shop.clock.now(),
            };
            create(&shop.store, &shop.clock, &shop.ids, &first).await.unwrap();
        }
        shop.clock.advance_ms(1);
        shop
    }

    fn deps(&self) -> ReservationDeps<'_, FaultyStore<MemoryStore>, FixedClock> {
        ReservationDeps { store: &self.store, clock: &self.clock, ids: &self.ids }
    }

    /// All shirts and a cap, under one idempotency key: the same request each time.
    async fn reserve(&self) -> Result<ReserveResult, StoreError> {
        let line = |sku, units| Line { sku: key(sku).sku, location: key(sku).location, units };
        let asked = Reserve {
            organization: key("CAP").organization,
            order_id: None,
            lines: vec![line("SHIRT", 5), line("CAP", 1)],
            ttl_seconds: 600,
            expected_version: None,
            idempotency: Some(("key".to_owned(), [7; 32])),
            new_id: ReservationId::parse("unused").unwrap(),
            actor: ActorCode(0),
        };
        reserve(self.deps(), &asked).await
    }

    /// Changes the level at once, whoever else works on it.
    async fn change(&self, name: &str, sku: &str, units: i64) -> Answer {
        let event = StockEvent {
            id: self.ids.event_id(name),
            time: self.clock.now(),
            source: Source::api(),
            actor: ActorCode(0),
            body: EventBody::Request { available: units, reserved: 0, expected_version: None },
        };
        request(self.store.inner(), &self.clock, &key(sku), &event).await.unwrap().answer
    }

    /// Gives the reservation up, as the sweeper does.
    async fn expire(&self) {
        let reservation = self.reservation().unwrap();
        let (organization, id) = (&reservation.organization, &reservation.id);
        settle_reservation(self.deps(), organization, id, Settlement::Expire, ActorCode(0)).await.unwrap();
    }

    fn reservation(&self) -> Option<Reservation> {
        self.store.inner().reservations().pop()
    }

    async fn level(&self, sku: &str) -> StockLevel {
        self.store.inner().load(&key(sku)).await.unwrap().unwrap().level
    }

    async fn reserved(&self) -> [i64; 2] {
        [self.level("SHIRT").await.reserved, self.level("CAP").await.reserved]
    }
}

fn key(sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("us").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

/// Gives a call so many turns; what it came to, if it came to its end.
fn turns<T>(call: &mut Pin<&mut impl Future<Output = T>>, count: usize) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    (0..count).find_map(|_| match call.as_mut().poll(&mut context) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    })
}

/// Runs a call until the reservation stands as pending; then somebody else takes the only cap.
async fn refused_for_the_cap(shop: &Shop) -> ReserveResult {
    let mut call = pin!(shop.reserve());
    while shop.reservation().is_none() {
        assert!(turns(&mut call, 1).is_none(), "it looked, and both were there");
    }
    assert!(matches!(shop.change("sale", "CAP", -1).await, Answer::Applied(_)));
    call.await.unwrap()
}

fn names_the_cap(result: &ReserveResult) -> bool {
    matches!(result, ReserveResult::Refused(lines)
        if matches!(lines.as_slice(), [line] if line.place == 1 && line.answer == Answer::Insufficient))
}

#[tokio::test]
async fn units_of_a_refused_reservation_are_back_when_it_is_answered() {
    let shop = Shop::with(5, 1).await;
    let refused = refused_for_the_cap(&shop).await;
    assert!(names_the_cap(&refused), "{refused:?}");
    assert_eq!((shop.level("SHIRT").await.available, shop.reserved().await), (5, [0, 0]));
}

#[tokio::test]
async fn refused_reservation_is_begun_again_only_after_its_units_are_back() {
    let shop = Shop::with(5, 1).await;
    shop.cannot_commit.store(true, Ordering::SeqCst);
    let refused = refused_for_the_cap(&shop).await;
    assert!(names_the_cap(&refused), "{refused:?}");
    assert_eq!(shop.reserved().await, [5, 0], "nothing could be given back");
    shop.cannot_commit.store(false, Ordering::SeqCst);
    assert!(matches!(shop.change("delivery", "CAP", 1).await, Answer::Applied(_)));
    let again = shop.reserve().await.unwrap();
    assert!(matches!(again, ReserveResult::Reserved { replayed: false, .. }), "{again:?}");
    assert_eq!(shop.reserved().await, [5, 1]);
}

/// The maker is slow, the sweeper gives its attempt up, and the client's repetition begins the next one.
#[tokio::test]
async fn maker_of_an_ended_attempt_neither_holds_nor_refuses_the_next() {
    for stopped_after in 1..TURNS {
        for repeated_for in 0..TURNS {
            let shop = Shop::with(5, 1).await;
            let mut slow = pin!(shop.reserve());
            if turns(&mut slow, stopped_after).is_some() {
                break;
            }
            if shop.reservation().is_none_or(|reservation| reservation.state != ReservationState::Pending) {
                break;
            }
            shop.clock.advance_ms(GIVEN_UP_MS);
            shop.expire().await;
            drop(turns(&mut pin!(shop.reserve()), repeated_for));
            let race = format!("stopped after {stopped_after} turns, repeated for {repeated_for}");
            let result = slow.await;
            match &result {
                Ok(ReserveResult::Reserved { .. }) => assert_eq!(shop.reserved().await, [5, 1], "{race}"),
                Err(error) => assert!(error.is_passing(), "{race}: {error}"),
                refused => panic!("{race}: nothing was short, but {refused:?}"),
            }
            let again = shop.reserve().await;
            assert!(matches!(again, Ok(ReserveResult::Reserved { .. })), "{race}: {again:?}");
            assert_eq!(shop.reserved().await, [5, 1], "{race}");
        }
    }
}

/// The sweeper dies at any point, and nobody reads the stream.
#[tokio::test]
async fn maker_gives_back_what_it_reserved_for_an_attempt_that_somebody_else_ended() {
    let mut ended = 0;
    for stopped_after in 1..TURNS {
        for swept_for in 0..TURNS {
            let shop = Shop::with(5, 1).await;
            let mut slow = pin!(shop.reserve());
            if turns(&mut slow, stopped_after).is_some() || shop.reservation().is_none() {
                break;
            }
            shop.clock.advance_ms(GIVEN_UP_MS);
            turns(&mut pin!(shop.expire()), swept_for);
            let result = slow.await;
            let (state, reserved) = (shop.reservation().unwrap().state, shop.reserved().await);
            let race = format!("stopped after {stopped_after} turns, swept for {swept_for}: {result:?}");
            if state == ReservationState::Released {
                ended += 1;
                assert_eq!(reserved, [0, 0], "{race}");
            } else {
                assert_eq!((state, reserved), (ReservationState::Held, [5, 1]), "{race}");
            }
        }
    }
    assert!(ended > 10, "{ended} attempts were ended by the sweeper");
}
