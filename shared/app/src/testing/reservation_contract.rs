//! The contract of the stores, continued: reservations.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use evenstock_domain::{
    ActorCode, DUE_BUCKETS, Line, LocationId, OrderId, OrganizationId, Reservation, ReservationId, ReservationState,
    Sku, Transition,
};
use futures::future::join_all;

use super::contract::{at, ids, key, loaded, stock};
use crate::testing::FixedClock;
use crate::{
    Answer, Clock, IdempotencyStore, ReservationDeps, ReservationStore, ReservationWrite, Reserve, ReserveResult,
    SettleResult, Settlement, StockStore, StoredReservation, SweepLimits, reserve, settle_reservation, sweep,
};

fn organization() -> OrganizationId {
    OrganizationId::parse("org").unwrap()
}

fn id(text: &str) -> ReservationId {
    ReservationId::parse(text).unwrap()
}

fn line(sku: &str, units: i64) -> Line {
    Line { sku: Sku::parse(sku).unwrap(), location: LocationId::parse("main").unwrap(), units }
}

fn pending(name: &str) -> Reservation {
    let order = OrderId::parse("order #1 🦀").ok();
    Reservation::begin(organization(), id(name), order, vec![line("a#b", 2), line("c", 3)], at(0), 900, ActorCode(7))
}

fn moved(transition: Transition) -> Reservation {
    match transition {
        Transition::Moved(next) => *next,
        other => panic!("{other:?}"),
    }
}

fn asked(name: &str, lines: Vec<Line>) -> Reserve {
    Reserve {
        organization: organization(),
        order_id: None,
        lines,
        ttl_seconds: 900,
        expected_version: None,
        idempotency: None,
        new_id: id(name),
        actor: ActorCode(7),
    }
}

pub async fn reservation_reads_back_whole<S: ReservationStore>(store: &S) {
    assert_eq!(store.load_reservation(&organization(), &id("none")).await.unwrap(), None);
    let held = moved(pending("r").hold(at(5)));
    for (n, reservation) in [pending("r0"), held.clone(), moved(held.release(at(9), ActorCode(1)))].iter().enumerate() {
        let reservation = Reservation { id: id(&format!("r#{n}")), ..reservation.clone() };
        assert_eq!(store.save_reservation(None, &reservation).await.unwrap(), ReservationWrite::Saved);
        let stored = store.load_reservation(&organization(), &reservation.id).await.unwrap();
        assert_eq!(stored, Some(StoredReservation { rev: 1, reservation: reservation.clone() }));
        let theirs = OrganizationId::parse("them").unwrap();
        assert_eq!(store.load_reservation(&theirs, &reservation.id).await.unwrap(), None);
    }
}

pub async fn reservation_is_written_under_its_rev<S: ReservationStore>(store: &S) {
    let (pending, held) = (pending("r"), moved(pending("r").hold(at(5))));
    assert_eq!(store.save_reservation(Some(1), &pending).await.unwrap(), ReservationWrite::Conflict(None));
    assert_eq!(store.save_reservation(None, &pending).await.unwrap(), ReservationWrite::Saved);
    let current = ReservationWrite::Conflict(Some(StoredReservation { rev: 1, reservation: pending.clone() }));
    assert_eq!(store.save_reservation(None, &held).await.unwrap(), current);
    assert_eq!(store.save_reservation(Some(2), &held).await.unwrap(), current);
    assert_eq!(store.save_reservation(Some(1), &held).await.unwrap(), ReservationWrite::Saved);
    let stored = store.load_reservation(&organization(), &id("r")).await.unwrap();
    assert_eq!(stored, Some(StoredReservation { rev: 2, reservation: held }));
}

/// Names of what is due in every group, page by page.
async fn due<S: ReservationStore>(store: &S, now: i64, page: u32) -> Vec<String> {
    let mut names = Vec::new();
    for bucket in 0..DUE_BUCKETS {
        let mut after = None;
        loop {
            let found = store.due_reservations(bucket, at(now), page, after.as_ref()).await.unwrap();
            assert!(found.due.len() <= page as usize && found.due.is_sorted_by_key(|due| due.due_at));
            names.extend(found.due.iter().map(|due| due.id.to_string()));
            after = found.due.last().cloned();
            if !found.more || after.is_none() {
                break;
            }
        }
    }
    names.sort();
    names
}

pub async fn due_reservations_page_through_once<S: ReservationStore>(store: &S) {
    let mut expected = Vec::new();
    for n in 0..40 {
        let reservation = moved(pending(&format!("r{n:02}")).hold(at(1)));
        // Two of each due time, so that the order needs more than the time.
        let reservation = Reservation { expires_at: at(1000 + n / 2), ..reservation };
        store.save_reservation(None, &reservation).await.unwrap();
        if n < 30 {
            expected.push(reservation.id.to_string());
        }
    }
    assert_eq!(due(store, 999, 3).await, Vec::<String>::new());
    assert_eq!(due(store, 1014, 1).await, expected);
    assert_eq!(due(store, 1014, 100).await, expected);
}

pub async fn settled_reservation_is_due_no_more<S: ReservationStore>(store: &S) {
    let (pending, late) = (pending("r"), 10_000_000);
    store.save_reservation(None, &pending).await.unwrap();
    assert_eq!(due(store, 120_000, 5).await, ["r"], "in the making for two minutes");
    let held = moved(pending.hold(at(5)));
    store.save_reservation(Some(1), &held).await.unwrap();
    assert_eq!(due(store, 120_000, 5).await, Vec::<String>::new());
    assert_eq!(due(store, late, 5).await, ["r"]);
    store.save_reservation(Some(2), &moved(held.fulfil(at(9), ActorCode(1)))).await.unwrap();
    assert_eq!(due(store, late, 5).await, Vec::<String>::new());
}

pub async fn sixty_four_reservations_of_ten_hold_ten<S>(store: &S)
where
    S: StockStore + ReservationStore + IdempotencyStore,
{
    let (clock, ids) = (FixedClock::at(at(60_000)), ids());
    let deps = ReservationDeps { store, clock: &clock, ids: &ids };
    stock(store, &clock, &key("hot", "main"), 10).await;
    let all: Vec<_> = (0..64).map(|n| asked(&format!("r{n}"), vec![line("hot", 1)])).collect();
    let results = join_all(all.iter().map(|asked| reserve(deps, asked))).await;
    let held = results.iter().filter(|result| matches!(result, Ok(ReserveResult::Reserved { .. }))).count();
    let short = results.iter().filter(|result| matches!(result, Ok(ReserveResult::Refused(_)))).count();
    assert_eq!((held, short), (10, 54), "{:?}", results.iter().find(|result| result.is_err()));
    let level = loaded(store, &key("hot", "main")).await.level;
    assert_eq!((level.available, level.reserved), (0, 10));
}

pub async fn reservation_holds_all_lines_or_none<S>(store: &S)
where
    S: StockStore + ReservationStore + IdempotencyStore,
{
    let (clock, ids) = (FixedClock::at(at(60_000)), ids());
    let deps = ReservationDeps { store, clock: &clock, ids: &ids };
    stock(store, &clock, &key("a", "main"), 5).await;
    stock(store, &clock, &key("b", "main"), 1).await;
    let lines = vec![line("a", 2), line("b", 2), line("none", 1)];
    let ReserveResult::Refused(short) = reserve(deps, &asked("r1", lines)).await.unwrap() else { panic!("short") };
    let short: Vec<_> =
        short.iter().map(|line| (line.place, line.level.as_ref().map(|level| level.available))).collect();
    assert_eq!(short, [(1, Some(1)), (2, None)], "every short line is named");
    assert_eq!(loaded(store, &key("a", "main")).await.level.available, 5);
    assert_eq!(store.load(&key("none", "main")).await.unwrap(), None, "no level comes of it");
    let result = reserve(deps, &asked("r2", vec![line("a", 2), line("b", 1)])).await.unwrap();
    assert!(matches!(result, ReserveResult::Reserved { replayed: false, .. }));
    let level = loaded(store, &key("a", "main")).await.level;
    assert_eq!((level.available, level.reserved), (3, 2));
}

pub async fn keyed_reservation_is_made_once_and_replayed<S>(store: &S)
where
    S: StockStore + ReservationStore + IdempotencyStore,
{
    let (clock, ids) = (FixedClock::at(at(60_000)), ids());
    let deps = ReservationDeps { store, clock: &clock, ids: &ids };
    stock(store, &clock, &key("a", "main"), 3).await;
    let keyed = |name: &str, units, hash| Reserve {
        idempotency: Some(("key".to_owned(), [hash; 32])),
        ..asked(name, vec![line("a", units)])
    };
    let refused = reserve(deps, &keyed("unused", 4, 9)).await.unwrap();
    assert!(matches!(refused, ReserveResult::Refused(_)));
    assert_eq!(reserve(deps, &keyed("unused", 2, 1)).await.unwrap(), ReserveResult::KeyReused);
    let keyed =
        |name: &str| Reserve { idempotency: Some(("key2".to_owned(), [1; 32])), ..asked(name, vec![line("a", 2)]) };
    let twins = [keyed("x"), keyed("y"), keyed("z")];
    let mut found = Vec::new();
    for result in join_all(twins.iter().map(|asked| reserve(deps, asked))).await {
        let ReserveResult::Reserved { reservation, placed, .. } = result.unwrap() else { panic!("held") };
        found.push((reservation.id, placed[0].clone().map(|placed| (placed.version, placed.available_after))));
    }
    assert!(found.iter().all(|twin| *twin == found[0] && twin.1 == Some((2, 1))), "{found:?}");
    settle_reservation(deps, &organization(), &found[0].0, Settlement::Release, ActorCode(1)).await.unwrap();
    clock.advance_ms(1000);
    let again = reserve(deps, &keyed("w")).await.unwrap();
    let ReserveResult::Reserved { reservation, placed, replayed: true } = again else { panic!("replayed: {again:?}") };
    assert_eq!((&reservation.id, reservation.state), (&found[0].0, ReservationState::Released));
    assert_eq!(placed[0].as_ref().map(|placed| placed.version), Some(2), "the first answer");
    assert_eq!(loaded(store, &key("a", "main")).await.level.available, 3);
}

pub async fn ended_reservation_gives_back_once<S>(store: &S)
where
    S: StockStore + ReservationStore + IdempotencyStore,
{
    let (clock, ids) = (FixedClock::at(at(60_000)), ids());
    let deps = ReservationDeps { store, clock: &clock, ids: &ids };
    stock(store, &clock, &key("a", "main"), 9).await;
    for (n, first) in [Settlement::Release, Settlement::Fulfil, Settlement::Expire].into_iter().enumerate() {
        let name = id(&format!("r{n}"));
        let result = reserve(deps, &asked(name.as_str(), vec![line("a", 3)])).await.unwrap();
        assert!(matches!(result, ReserveResult::Reserved { .. }));
        if first == Settlement::Expire {
            clock.advance_ms(900_000);
        }
        let racing = [first, Settlement::Release, Settlement::Fulfil, Settlement::Expire, first];
        let tenant = organization();
        let ends = racing.iter().map(|end| settle_reservation(deps, &tenant, &name, *end, ActorCode(1)));
        for end in join_all(ends).await {
            assert!(!matches!(end.unwrap(), SettleResult::Unknown));
        }
    }
    let mut fulfilled = 0;
    for n in 0..3 {
        let stored = store.load_reservation(&organization(), &id(&format!("r{n}"))).await.unwrap().unwrap();
        assert!(stored.reservation.state.is_end());
        fulfilled += if stored.reservation.state == ReservationState::Fulfilled { 3 } else { 0 };
    }
    let level = loaded(store, &key("a", "main")).await.level;
    assert_eq!((level.available, level.reserved), (9 - fulfilled, 0));
}

pub async fn sweep_ends_what_ran_out<S>(store: &S)
where
    S: StockStore + ReservationStore + IdempotencyStore,
{
    let (clock, ids) = (FixedClock::at(at(60_000)), ids());
    let deps = ReservationDeps { store, clock: &clock, ids: &ids };
    stock(store, &clock, &key("a", "main"), 100).await;
    for n in 0..30 {
        let ttl_seconds = if n < 25 { 10 } else { 1000 };
        let asked = Reserve { ttl_seconds, ..asked(&format!("r{n}"), vec![line("a", 1)]) };
        assert!(matches!(reserve(deps, &asked).await.unwrap(), ReserveResult::Reserved { .. }));
    }
    // One that its maker never finished: one line reserved, one not.
    let broken_off = Reservation { created_at: clock.now(), ..pending("broken-off") };
    let broken_off = Reservation { lines: vec![line("a", 4), line("b", 4)], ..broken_off };
    stock(store, &clock, &key("b", "main"), 9).await;
    store.save_reservation(None, &broken_off).await.unwrap();
    let (level, event) = broken_off.reserves(&ids, None).remove(0);
    let settled = crate::request(store, &clock, &level, &event).await.unwrap();
    assert!(matches!(settled.answer, Answer::Applied(_)));
    let swept = async |limit| sweep(deps, SweepLimits { page: 3, until: limit }).await.unwrap();
    assert_eq!(swept(clock.now().plus_millis(1)).await.ended, 0);
    clock.advance_ms(130_000);
    assert!(!swept(clock.now()).await.finished, "no time, no work");
    let report = swept(clock.now().plus_millis(1)).await;
    assert_eq!((report.ended, report.failed, report.finished), (26, 0, true));
    let level = loaded(store, &key("a", "main")).await.level;
    assert_eq!((level.available, level.reserved), (95, 5));
    assert_eq!(loaded(store, &key("b", "main")).await.level.available, 9);
    let late = broken_off.reserves(&ids, None).remove(1);
    let late = crate::request(store, &clock, &late.0, &late.1).await.unwrap();
    assert_eq!(late.answer, Answer::Rejected(evenstock_domain::Rejection::Voided), "a late line finds itself void");
}
