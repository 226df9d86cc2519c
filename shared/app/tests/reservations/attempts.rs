//! Two who work on one reservation in the making: its maker, and who refuses it, gives it up or makes it again. One scene
//! each, at every point where it can come in between, and without the stream that would give units back later. Knows no
//! faults of the store; the model has those.

use core::pin::pin;

use evenstock_app::testing::worlds::{turns, turns_until};
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    ReservationDeps, Reserve, ReserveResult, StockStore, StoreError, SweepLimits, apply_group, reserve, sweep,
};
use evenstock_domain::{
    ActorCode, Delta, EventBody, EventIdKey, LevelKey, Line, LocationId, OrganizationId, Outcome, Reservation,
    ReservationId, ReservationState, Sku, Source, StockEvent, Timestamp,
};

/// More turns than anything here takes.
const TURNS: usize = 60;

/// Longer than a reservation may be in the making.
const GIVEN_UP_AFTER_MS: i64 = 130_000;

/// Two products of which there are five each.
struct Scene {
    store: FaultyStore<MemoryStore>,
    clock: FixedClock,
    /// The clock of somebody who is ahead of everybody else: to him all that is in the making has become old.
    ahead: FixedClock,
    ids: EventIdKey,
    shirt: LevelKey,
    socks: LevelKey,
}

fn key(sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("us").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

impl Scene {
    async fn new() -> Self {
        let now = Timestamp::EPOCH.plus_millis(1_800_000_000_000);
        let scene = Self {
            store: FaultyStore::new(MemoryStore::default(), |_| Fault::None),
            clock: FixedClock::at(now),
            ahead: FixedClock::at(now.plus_millis(GIVEN_UP_AFTER_MS)),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            shirt: key("SHIRT"),
            socks: key("SOCKS"),
        };
        scene.change("first shirts", &scene.shirt, 5).await;
        scene.change("first socks", &scene.socks, 5).await;
        scene
    }

    /// Somebody else's change, at once.
    async fn change(&self, name: &str, key: &LevelKey, units: i64) {
        let event = StockEvent {
            id: self.ids.event_id(name),
            time: evenstock_app::Clock::now(&self.clock),
            source: Source::parse("till").unwrap(),
            actor: ActorCode(0),
            body: EventBody::Delta(Delta::new(units).unwrap()),
        };
        let applied = apply_group(self.memory(), &self.clock, key, &[event]).await;
        assert_eq!(applied.outcomes, [Outcome::Applied]);
    }

    const fn memory(&self) -> &MemoryStore {
        self.store.inner()
    }

    /// The same request each time: all shirts and one pair of socks.
    async fn make(&self) -> Result<ReserveResult, StoreError> {
        let line = |key: &LevelKey, units| Line { sku: key.sku.clone(), location: key.location.clone(), units };
        let asked = Reserve {
            organization: self.shirt.organization.clone(),
            order_id: None,
            lines: vec![line(&self.shirt, 5), line(&self.socks, 1)],
            ttl_seconds: 100_000,
            expected_version: None,
            idempotency: Some(("key".to_owned(), [1; 32])),
            new_id: ReservationId::parse("r").unwrap(),
            actor: ActorCode(1),
        };
        reserve(ReservationDeps { store: &self.store, clock: &self.clock, ids: &self.ids }, &asked).await
    }

    /// Gives up what is in the making for too long, by this clock.
    async fn give_up(&self, clock: &FixedClock) {
        let limits = SweepLimits { page: 10, until: Timestamp::MAX };
        let deps = ReservationDeps { store: &self.store, clock, ids: &self.ids };
        assert_eq!(sweep(deps, limits).await.unwrap().failed, 0);
    }

    fn reservation(&self) -> Option<Reservation> {
        self.memory().reservations().pop()
    }

    fn is_refused(&self) -> bool {
        self.reservation().is_some_and(|reservation| reservation.was_refused())
    }

    /// What is available and reserved of the shirts and of the socks.
    async fn units(&self) -> [(i64, i64); 2] {
        let mut units = [(0, 0); 2];
        for (units, key) in units.iter_mut().zip([&self.shirt, &self.socks]) {
            let level = self.memory().load(key).await.unwrap().unwrap().level;
            *units = (level.available, level.reserved);
        }
        units
    }
}

const ALL_HELD: [(i64, i64); 2] = [(0, 5), (4, 1)];

/// Somebody buys the last socks after the maker looked and before he reserved them.
async fn sell_socks_meanwhile<T>(scene: &Scene, maker: core::pin::Pin<&mut impl Future<Output = T>>) {
    turns_until(maker, || scene.reservation().is_some());
    scene.change("sold", &scene.socks, -5).await;
}

#[tokio::test]
async fn refused_reservation_gives_its_other_lines_back_before_it_answers() {
    let scene = Scene::new().await;
    let mut maker = pin!(scene.make());
    sell_socks_meanwhile(&scene, maker.as_mut()).await;
    let Ok(ReserveResult::Refused(lines)) = maker.await else { panic!("there are no socks") };
    assert_eq!(lines.iter().map(|line| line.place).collect::<Vec<_>>(), [1]);
    assert!(scene.is_refused());
    assert_eq!(scene.units().await, [(5, 0), (0, 0)]);
}

#[tokio::test]
async fn refused_reservation_is_begun_again_only_after_its_units_are_back() {
    let mut left_behind = 0;
    for killed_after in 0..TURNS {
        let scene = Scene::new().await;
        {
            let mut maker = pin!(scene.make());
            sell_socks_meanwhile(&scene, maker.as_mut()).await;
            turns(maker.as_mut(), killed_after);
        }
        left_behind += usize::from(scene.is_refused() && scene.units().await[0] == (0, 5));
        scene.change("new socks", &scene.socks, 5).await;
        let made = scene.make().await.unwrap();
        assert!(matches!(made, ReserveResult::Reserved { .. }), "killed after {killed_after} turns: {made:?}");
        assert_eq!(scene.units().await, ALL_HELD, "killed after {killed_after} turns");
    }
    assert!(left_behind > 0, "no maker died after he had refused it and before he gave the shirts back");
}

#[tokio::test]
async fn lines_that_were_given_up_meanwhile_are_reserved_anew_and_refuse_nothing() {
    let mut begun_again = 0;
    for given_up_after in 0..TURNS {
        let scene = Scene::new().await;
        let mut maker = pin!(scene.make());
        let done = turns(maker.as_mut(), given_up_after);
        scene.give_up(&scene.ahead).await;
        let made = match done {
            Some(made) => made,
            None => maker.await,
        };
        let made = made.unwrap();
        assert!(matches!(made, ReserveResult::Reserved { .. }), "given up after {given_up_after} turns: {made:?}");
        assert_eq!(scene.units().await, ALL_HELD, "given up after {given_up_after} turns");
        begun_again += scene.reservation().unwrap().attempt;
    }
    assert!(begun_again > 0, "it was never given up in the making");
}

/// The maker is slow. His attempt is given up, another call begins the reservation again and dies before it has reserved
/// a line.
#[tokio::test]
async fn attempt_is_not_held_by_the_lines_of_the_one_before() {
    let mut met = 0;
    for given_up_after in 0..TURNS {
        let scene = Scene::new().await;
        let mut maker = pin!(scene.make());
        let done = turns(maker.as_mut(), given_up_after);
        if done.is_some() {
            break;
        }
        scene.give_up(&scene.ahead).await;
        if !scene.is_refused() {
            continue;
        }
        {
            let mut twin = pin!(scene.make());
            turns_until(twin.as_mut(), || !scene.is_refused());
        }
        met += 1;
        let made = maker.await.unwrap();
        assert!(matches!(made, ReserveResult::Reserved { .. }), "given up after {given_up_after} turns: {made:?}");
        assert_eq!(scene.units().await, ALL_HELD, "given up after {given_up_after} turns");
    }
    assert!(met > 0, "it was never begun again while its maker was under way");
}

/// Whoever gave the reservation up died before he gave its units back, and its maker has no time to begin again.
#[tokio::test]
async fn maker_who_wakes_too_late_gives_back_what_he_reserved() {
    let mut woke_late = 0;
    for sleeps_after in 0..TURNS {
        let scene = Scene::new().await;
        let mut maker = pin!(scene.make());
        if turns(maker.as_mut(), sleeps_after).is_some() {
            break;
        }
        scene.clock.advance_ms(GIVEN_UP_AFTER_MS);
        {
            let mut sweeper = pin!(scene.give_up(&scene.clock));
            while !scene.is_refused() && turns(sweeper.as_mut(), 1).is_none() {}
        }
        let was_given_up = scene.is_refused();
        woke_late += usize::from(was_given_up);
        let made = maker.await;
        let (is_held, units) = (made.is_ok(), if made.is_ok() { ALL_HELD } else { [(5, 0), (5, 0)] });
        assert_eq!(is_held, !was_given_up, "slept after {sleeps_after} turns: {made:?}");
        assert_eq!(scene.units().await, units, "slept after {sleeps_after} turns");
        let state = scene.reservation().unwrap().state;
        assert_eq!(state == ReservationState::Held, is_held, "slept after {sleeps_after} turns: {state:?}");
    }
    assert!(woke_late > 0, "it was never given up while its maker slept");
}
