//! The reservation's state machine, and what its ends do to a level, by example.

use rstest::rstest;

use super::*;

fn ids() -> EventIdKey {
    EventIdKey::new(*b"0123456789abcdef")
}

fn line(sku: &str, location: &str, units: i64) -> Line {
    Line { sku: Sku::parse(sku).unwrap(), location: LocationId::parse(location).unwrap(), units }
}

/// Begun at second 0, runs out at second 900.
fn pending() -> Reservation {
    let organization = OrganizationId::parse("org").unwrap();
    let id = ReservationId::parse("r-1").unwrap();
    Reservation::begin(organization, id, None, vec![line("a", "main", 3)], at(0), 900, ActorCode(7))
}

fn moved(transition: Transition) -> Reservation {
    match transition {
        Transition::Moved(next) => *next,
        other => panic!("{other:?}"),
    }
}

fn held() -> Reservation {
    moved(pending().hold(at(1)))
}

#[test]
fn lines_of_one_level_are_summed_in_the_order_of_their_first() {
    let lines = vec![line("b", "x", 1), line("a", "x", 2), line("b", "x", 4), line("b", "y", 8)];
    assert_eq!(sum_lines(lines), Ok(vec![line("b", "x", 5), line("a", "x", 2), line("b", "y", 8)]));
}

#[rstest]
#[case::none(vec![], InvalidLines::Count)]
#[case::fifty_one(vec![line("a", "x", 1); 51], InvalidLines::Count)]
#[case::no_units(vec![line("a", "x", 0)], InvalidLines::Units)]
#[case::negative_hidden_in_a_sum(vec![line("a", "x", -5)], InvalidLines::Units)]
#[case::sum_out_of_range(vec![line("a", "x", Quantity::MAX), line("a", "x", 1)], InvalidLines::Units)]
#[case::sum_out_of_numbers(vec![line("a", "x", i64::MAX), line("a", "x", i64::MAX)], InvalidLines::Units)]
fn lines_that_cannot_be_reserved_are_refused(#[case] lines: Vec<Line>, #[case] expected: InvalidLines) {
    assert_eq!(sum_lines(lines), Err(expected));
}

#[test]
fn fifty_lines_are_the_most() {
    assert_eq!(sum_lines(vec![line("a", "x", 2); 50]), Ok(vec![line("a", "x", 100)]));
}

#[test]
fn each_end_can_be_repeated_and_is_no_other_end() {
    let (now, key) = (at(10), ActorCode(1));
    let released = moved(held().release(now, key));
    let fulfilled = moved(held().fulfil(now, key));
    let expired = moved(held().expire(at(900)));
    assert_eq!(released.release(now, key), Transition::Repeated);
    assert_eq!(fulfilled.fulfil(now, key), Transition::Repeated);
    assert_eq!(expired.expire(at(901)), Transition::Repeated);
    for end in [&released, &fulfilled, &expired] {
        assert_eq!((end.settled_at.is_some(), end.due_at()), (true, None));
        let conflict = Transition::Conflict(end.state);
        assert!(end.state == ReservationState::Released || end.release(now, key) == conflict);
        assert!(end.state == ReservationState::Fulfilled || end.fulfil(now, key) == conflict);
        assert!(end.state == ReservationState::Expired || end.expire(at(2000)) == conflict);
        assert_eq!(end.extend(now, at(5000), key), conflict);
        assert_eq!(end.hold(now), conflict);
        assert_eq!(end.restart(now, 1, key), conflict, "it had an effect");
    }
}

#[test]
fn time_decides_between_fulfilment_and_expiry() {
    let key = ActorCode(1);
    assert!(matches!(held().fulfil(at(899), key), Transition::Moved(_)));
    assert_eq!(held().expire(at(899)), Transition::Conflict(ReservationState::Held));
    assert_eq!(held().fulfil(at(900), key), Transition::Conflict(ReservationState::Expired));
    assert_eq!(held().extend(at(900), at(2000), key), Transition::Conflict(ReservationState::Expired));
    assert!(matches!(held().release(at(2000), key), Transition::Moved(_)), "giving back is never too late");
}

#[test]
fn extension_never_shortens() {
    let key = ActorCode(1);
    assert_eq!(held().extend(at(10), at(899), key), Transition::Repeated);
    assert_eq!(moved(held().extend(at(10), at(901), key)).due_at(), Some(at(901)));
}

#[test]
fn reservation_in_the_making_is_given_up_after_two_minutes() {
    assert_eq!(pending().expire(at(119)), Transition::Conflict(ReservationState::Pending));
    let given_up = moved(pending().expire(at(120)));
    assert_eq!((given_up.state, given_up.held_at), (ReservationState::Released, None));
    assert_eq!(pending().release(at(5), ActorCode(1)), Transition::Conflict(ReservationState::Pending));
    assert_eq!(given_up.hold(at(121)), Transition::Conflict(ReservationState::Released));
}

#[test]
fn refused_reservation_begins_again_under_other_ids() {
    let refused = moved(pending().refuse(at(1)));
    assert_eq!(refused.refuse(at(2)), Transition::Repeated);
    let again = moved(refused.restart(at(50), 60, ActorCode(9)));
    assert_eq!((again.state, again.expires_at), (ReservationState::Pending, at(110)));
    assert_ne!(again.reserves(&ids(), None)[0].1.id, pending().reserves(&ids(), None)[0].1.id);
}

/// A level with ten units and the events of a reservation's only line.
fn stocked() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.one(count("initial", -60, 10, Means::Available));
    ledger
}

fn reserve_event(reservation: &Reservation) -> StockEvent {
    reservation.reserves(&ids(), None).remove(0).1
}

fn settlement(reservation: &Reservation) -> StockEvent {
    reservation.settlements(&ids()).remove(0).1
}

fn units(ledger: &Ledger) -> (i64, i64) {
    (ledger.level.available, ledger.level.reserved)
}

#[test]
fn release_and_expiry_give_back_once_and_fulfilment_takes_off_the_shelf() {
    for (end, expected) in [
        (held().release(at(10), ActorCode(1)), (10, 0)),
        (held().expire(at(900)), (10, 0)),
        (held().fulfil(at(10), ActorCode(1)), (7, 0)),
    ] {
        let (mut ledger, end) = (stocked(), moved(end));
        assert_eq!(ledger.one(reserve_event(&end)), Outcome::Applied);
        assert_eq!(units(&ledger), (7, 3));
        assert_eq!(ledger.one(settlement(&end)), Outcome::Applied);
        assert_eq!(ledger.one(settlement(&end)), Outcome::Duplicate);
        assert_eq!(units(&ledger), expected, "{:?}", end.state);
    }
    assert_eq!(pending().settlements(&ids()), [], "nothing before the end");
    assert_eq!(held().settlements(&ids()), [], "nothing before the end");
}

#[rstest]
#[case::at_once(0)]
#[case::long_after_the_void_was_spilled(60)]
fn late_reserve_of_a_reservation_that_was_given_up_is_void(#[case] entries_between: i64) {
    let (mut ledger, given_up) = (stocked(), moved(pending().refuse(at(1))));
    assert_eq!(ledger.one(settlement(&given_up)), Outcome::Applied);
    assert_eq!(ledger.level.recent.last().map(|entry| entry.kind), Some(EntryKind::Void));
    for n in 0..entries_between {
        ledger.one(delta(&format!("d{n}"), n, if n % 2 == 0 { 1 } else { -1 }));
    }
    assert_eq!(ledger.one(settlement(&given_up)), Outcome::Duplicate, "one void is enough");
    let late = reserve_event(&given_up);
    assert!(!BlindRequest::new(&late, ledger.now).unwrap().fits(&ledger.level));
    assert_eq!(ledger.one(late), Outcome::Rejected(Rejection::Voided));
    assert_eq!(units(&ledger), (10, 0));
}

#[rstest]
#[case::at_once(0)]
#[case::long_after_the_reserve_was_spilled(60)]
fn undo_gives_back_what_was_reserved(#[case] entries_between: i64) {
    let (mut ledger, given_up) = (stocked(), moved(pending().refuse(at(1))));
    assert_eq!(ledger.one(reserve_event(&given_up)), Outcome::Applied);
    for n in 0..entries_between {
        ledger.one(delta(&format!("d{n}"), 2000 + n, if n % 2 == 0 { 1 } else { -1 }));
    }
    assert_eq!(ledger.one(settlement(&given_up)), Outcome::Applied);
    assert_eq!(ledger.one(settlement(&given_up)), Outcome::Duplicate);
    assert_eq!(units(&ledger), (10, 0));
    assert_eq!(ledger.one(reserve_event(&given_up)), Outcome::Duplicate, "a late repetition of it changes nothing");
}

#[test]
fn names_of_states_are_read_as_they_are_written() {
    use ReservationState::{Expired, Fulfilled, Held, Pending, Released};
    for state in [Pending, Held, Released, Fulfilled, Expired] {
        assert_eq!(ReservationState::parse(state.as_str()), Some(state));
        assert_eq!(state.is_end(), !matches!(state, Pending | Held), "{state:?}");
    }
    assert_eq!((ReservationState::parse("gone"), Fulfilled.as_str()), (None, "fulfilled"));
}

#[test]
fn one_in_the_making_is_looked_at_after_two_minutes_and_a_held_one_when_it_runs_out() {
    assert_eq!((pending().due_at(), held().due_at()), (Some(at(120)), Some(at(900))));
    assert_eq!(moved(held().expire(at(900))).due_at(), None);
}

#[test]
fn thirty_days_are_the_longest_without_an_extension() {
    assert_eq!(TTL_SECONDS_MAX, 2_592_000);
}

#[test]
fn units_that_were_held_and_given_back_are_no_refusal() {
    let released = moved(held().release(at(2), ActorCode(1)));
    assert_eq!(released.refuse(at(3)), Transition::Conflict(ReservationState::Released));
    assert_eq!(moved(pending().refuse(at(2))).refuse(at(3)), Transition::Repeated);
}

/// The group is stored, so no other version of this program may find another one.
#[test]
fn group_of_the_index_follows_from_the_name_for_ever() {
    let bucket = |id: &str| Reservation { id: ReservationId::parse(id).unwrap(), ..pending() }.due_bucket();
    assert_eq!(["r-1", "r-2", "r-3", "r-4"].map(bucket), [5, 1, 12, 6]);
}
