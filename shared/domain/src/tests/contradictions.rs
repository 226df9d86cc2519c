//! What a warehouse's count contradicts, and the names of it.

use rstest::rstest;

use super::*;

#[test]
fn names_are_read_as_they_are_written() {
    for policy in ConflictPolicy::ALL {
        assert_eq!(ConflictPolicy::parse(policy.as_str()), Some(policy));
    }
    use Contradiction::{Before, CentralDiffers, CentralRefuses, OlderThanSet};
    for contradiction in [Before, OlderThanSet, CentralDiffers, CentralRefuses] {
        assert_eq!(Contradiction::parse(contradiction.as_str()), Some(contradiction));
        assert_eq!(contradiction.is_central(), matches!(contradiction, CentralDiffers | CentralRefuses));
    }
    assert_eq!((ConflictPolicy::Manual.as_str(), Before.as_str()), ("manual", "before_differs"));
    assert_eq!((ConflictPolicy::parse(""), Contradiction::parse("")), (None, None));
}

fn on_hand(name: &str, second: i64, units: i64) -> StockEvent {
    StockEvent { source: source("warehouse"), ..count(name, second, units, Means::OnHand) }
}

/// The warehouse counted 10 at second 100.
fn counted() -> Ledger {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.one(on_hand("first", 100, 10)), Outcome::Applied);
    ledger
}

#[rstest]
#[case::says_nothing_of_before(on_hand("x", 200, 7), None, None)]
#[case::begins_with_what_we_know(on_hand("x", 200, 7), Some(10), None)]
#[case::begins_with_something_else(on_hand("x", 200, 7), Some(9), Some(Contradiction::Before))]
#[case::comes_to_what_we_know(on_hand("x", 200, 10), Some(9), None)]
#[case::was_overtaken(on_hand("x", 99, 7), Some(9), None)]
#[case::repetition(on_hand("first", 100, 10), Some(9), None)]
#[case::no_count(delta("x", 200, 1), Some(9), None)]
fn count_contradicts_the_last_one_when_it_begins_with_another(
    #[case] event: StockEvent,
    #[case] before: Option<i64>,
    #[case] expected: Option<Contradiction>,
) {
    assert_eq!(contradiction(&counted().level, &event, before), expected);
}

#[test]
fn first_count_of_a_level_contradicts_nothing() {
    assert_eq!(contradiction(&StockLevel::new(), &on_hand("x", 1, 7), Some(9)), None);
}

#[rstest]
#[case::before_it(149, Some(Contradiction::OlderThanSet))]
#[case::in_the_same_moment(150, Some(Contradiction::OlderThanSet))]
#[case::after_it(151, None)]
fn count_from_before_we_set_the_level_contradicts_that(#[case] second: i64, #[case] expected: Option<Contradiction>) {
    let mut ledger = counted();
    let set = StockEvent { source: Source::api(), ..count("set", 150, 30, Means::Available) };
    assert_eq!(ledger.one(set), Outcome::Applied);
    assert_eq!(contradiction(&ledger.level, &on_hand("x", second, 7), None), expected);
    let marketplace = count("stated", 160, 20, Means::Available);
    assert_eq!(ledger.one(marketplace), Outcome::Applied);
    assert_eq!(contradiction(&ledger.level, &on_hand("x", second, 7), None), None, "it was not we who spoke last");
}
