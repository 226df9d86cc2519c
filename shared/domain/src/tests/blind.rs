//! The conditions of a blind write: stricter than the decision, and no stricter than they must be.

use proptest::prelude::*;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW).unwrap()
}

fn asking(available: i64, reserved: i64, expected_version: Option<u64>) -> StockEvent {
    event("asked", at(0), "api", EventBody::Request { available, reserved, expected_version })
}

fn blind(available: i64, reserved: i64) -> BlindRequest {
    BlindRequest::new(&asking(available, reserved, None), now()).unwrap()
}

fn holding(available: i64, reserved: i64) -> StockLevel {
    StockLevel { available, reserved, ..StockLevel::new() }
}

#[test]
fn only_what_api_asks_or_ends_can_be_written_blindly() {
    let ended = |available, reserved| event("e", at(0), "api", EventBody::Settlement { available, reserved });
    let blindly = |event: &StockEvent| BlindRequest::new(event, now()).map(|blind| blind.entry.kind);
    assert_eq!(blindly(&asking(-1, 1, None)), Some(EntryKind::Request));
    assert_eq!(blindly(&ended(3, -3)), Some(EntryKind::Settlement));
    assert_eq!(blindly(&ended(0, 0)), Some(EntryKind::Settlement));
    assert_eq!(blindly(&ended(-1, 0)), None, "it takes units");
    assert_eq!(blindly(&ended(0, 1)), None, "it reserves");
    assert_eq!(blindly(&delta("d", 0, 1)), None);
    assert_eq!(blindly(&StockEvent { source: source("orders"), ..asking(-1, 0, None) }), None);
}

#[test]
fn units_that_are_taken_must_be_there_to_the_last() {
    assert_eq!(
        (blind(-4, 0).units_needed(), blind(0, 1).units_needed(), blind(4, 0).units_needed()),
        (Some(4), None, None)
    );
    assert!(blind(-4, 0).fits(&holding(4, 0)));
    assert!(!blind(-4, 0).fits(&holding(3, 0)));
    assert!(blind(0, -1).fits(&holding(-3, 9)), "who takes nothing is not kept out by an oversold level");
    let safety_stock = Quantity::new(2).unwrap();
    let careful =
        |available| StockLevel { policy: Policy { safety_stock, ..Policy::default() }, ..holding(available, 0) };
    assert!(blind(-4, 0).fits(&careful(6)));
    assert!(!blind(-4, 0).fits(&careful(5)));
}

#[test]
fn numbers_stay_within_their_range_to_the_last_unit() {
    assert_eq!(
        (blind(4, 0).available_max(), blind(0, 1).available_max(), blind(-4, 0).available_max()),
        (Some(Quantity::MAX - 4), None, None)
    );
    assert_eq!(
        (blind(-4, 4).reserved_max(), blind(4, 0).reserved_max(), blind(0, -4).reserved_max()),
        (Some(Quantity::MAX - 4), None, None)
    );
    assert!(blind(4, 0).fits(&holding(Quantity::MAX - 4, 0)));
    assert!(!blind(4, 0).fits(&holding(Quantity::MAX - 3, 0)));
    assert!(blind(-4, 4).fits(&holding(4, Quantity::MAX - 4)));
    assert!(!blind(-4, 4).fits(&holding(4, Quantity::MAX - 3)));
}

#[test]
fn expected_version_is_the_one_that_stands() {
    let expecting = |version| BlindRequest::new(&asking(1, 0, Some(version)), now()).unwrap();
    let level = StockLevel { version: 7, spilled_through: Timestamp::EPOCH, ..holding(5, 0) };
    assert!(expecting(7).fits(&level));
    assert!(!expecting(6).fits(&level));
    assert!(!expecting(8).fits(&level));
}

#[test]
fn full_tail_is_never_appended_to() {
    let older: Vec<_> = (0..20).map(|n| delta(&format!("d{n}"), -100, 1)).collect();
    let nineteen = decide(&StockLevel::new(), &older[..19], &Past::none(), now()).level;
    assert!(blind(1, 0).fits(&nineteen));
    let twenty = decide(&nineteen, &older[19..], &Past::none(), now()).level;
    assert_eq!(twenty.recent.len(), RECENT_ENTRIES_MAX);
    assert!(!blind(1, 0).fits(&twenty));
}

#[test]
fn request_that_may_stand_in_a_page_is_not_written_blindly() {
    let spilled = |through| StockLevel { spilled_through: through, ..holding(5, 0) };
    assert!(blind(-1, 0).fits(&spilled(at(-1))));
    assert!(!blind(-1, 0).fits(&spilled(at(0))), "an entry of its own time has left the level");
    assert!(!blind(-1, 0).fits(&spilled(at(1))));
}

#[test]
fn request_that_was_searched_for_fits_while_no_further_page_left() {
    let searched = |version| BlindRequest { absent_through: Some(version), ..blind(-1, 0) };
    assert_eq!(
        (blind(-1, 0).pages_max(), searched(15).pages_max(), searched(16).pages_max(), searched(40).pages_max()),
        (None, Some(0), Some(1), Some(2))
    );
    let spilled = |version| StockLevel { spilled_through: at(1), version, ..holding(5, 0) };
    assert!(searched(40).fits(&spilled(47)));
    assert!(!searched(40).fits(&spilled(48)), "a page left that may hold it");
}

#[test]
fn repetition_that_stands_in_the_tail_is_not_written_again() {
    let mut level = holding(5, 0);
    let request = blind(-1, 1);
    assert!(request.fits(&level));
    request.apply(&mut level);
    assert_eq!((level.available, level.reserved, level.version), (4, 1, 1));
    assert!(!request.fits(&level));
    assert!(BlindRequest::new(&request_named("other"), now()).unwrap().fits(&level));
}

fn request_named(name: &str) -> StockEvent {
    request(name, 0, -1)
}

proptest! {
    #[test]
    fn what_fits_is_what_the_decision_applies_with_the_same_result(
        (available, reserved) in (-6_i64..=6, -6_i64..=6), (had, held) in (-8_i64..12, 0_i64..8),
        expected in proptest::option::of(0_u64..3), before in 0_u64..3,
        (allow_backorder, safety) in (any::<bool>(), 0_i64..4), near_the_end in any::<bool>(),
    ) {
        let shift = if near_the_end { Quantity::MAX - 4 } else { 0 };
        let policy = Policy { allow_backorder, safety_stock: Quantity::new(safety).unwrap(), low_stock: None };
        let mut level = StockLevel { policy, ..holding(had.saturating_add(shift), held.saturating_add(shift)) };
        for n in 0..before {
            level = decide(&level, &[delta(&format!("d{n}"), -1, 1)], &Past::none(), now()).level;
        }
        let event = asking(available, reserved, expected);
        let decision = decide(&level, core::slice::from_ref(&event), &Past::none(), now());
        let blind = BlindRequest::new(&event, now()).unwrap();
        if blind.fits(&level) {
            prop_assert_eq!(decision.outcomes, vec![Outcome::Applied]);
            blind.apply(&mut level);
            prop_assert_eq!(decision.level, level);
        } else {
            // Nothing here needs a reading: what does not fit is refused.
            prop_assert_ne!(decision.outcomes, vec![Outcome::Applied]);
        }
    }
}
