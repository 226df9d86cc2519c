//! The edges of the decision's rules: the last unit, the same millisecond, whose word it is.

use rstest::rstest;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW).unwrap()
}

fn decided(level: &StockLevel, event: &StockEvent) -> Decision {
    decide(level, core::slice::from_ref(event), &Past::none(), now())
}

fn asked(level: &StockLevel, available: i64, reserved: i64) -> Outcome {
    let event = event("asked", at(0), "api", EventBody::Request { available, reserved, expected_version: None });
    decided(level, &event).outcomes[0]
}

fn contested(name: &str, seconds: i64, units: i64, stands: bool) -> StockEvent {
    let quantity = Quantity::new(units).unwrap();
    event(name, at(seconds), "authority", EventBody::Contested { quantity, sequence: 0, stands })
}

fn own_count(name: &str, seconds: i64, units: i64, means: Means) -> StockEvent {
    StockEvent { source: Source::api(), ..count(name, seconds, units, means) }
}

#[test]
fn decision_says_whether_there_is_anything_to_write() {
    let level = StockLevel { available: 2, ..StockLevel::new() };
    assert!(decided(&level, &request("taken", 0, -2)).changed);
    assert!(!decided(&level, &request("refused", 0, -3)).changed);
}

const FULL: i64 = Quantity::MAX;
const OUT: Outcome = Outcome::Rejected(Rejection::OutOfRange);

#[rstest]
#[case::up_to_the_greatest((FULL - 1, 0), (1, 0), Outcome::Applied)]
#[case::beyond_the_greatest((FULL, 0), (1, 0), OUT)]
#[case::reserves_up_to_the_greatest((9, FULL - 1), (-1, 1), Outcome::Applied)]
#[case::reserves_beyond_the_greatest((9, FULL), (-1, 1), OUT)]
#[case::takes_from_what_facts_brought_beyond((FULL + 9, 0), (-1, 0), Outcome::Applied)]
#[case::adds_nothing_to_what_facts_brought_beyond((FULL + 9, 0), (0, 1), Outcome::Applied)]
#[case::gives_back_of_what_was_reserved_beyond((0, FULL + 9), (1, -1), Outcome::Applied)]
#[case::reserves_nothing_of_what_was_reserved_beyond((5, FULL + 9), (-1, 0), Outcome::Applied)]
#[case::takes_nothing_from_an_oversold_level((-3, 0), (0, 1), Outcome::Applied)]
#[case::adds_to_an_oversold_level((-3, 0), (2, 0), Outcome::Applied)]
fn request_stays_within_the_range_by_its_own_effect_only(
    #[case] (available, reserved): (i64, i64),
    #[case] (more, held): (i64, i64),
    #[case] expected: Outcome,
) {
    let level = StockLevel { available, reserved, ..StockLevel::new() };
    assert_eq!(asked(&level, more, held), expected);
}

#[rstest]
#[case::down_to_the_least(-FULL + 1, (-1, 0), Outcome::Applied)]
#[case::beyond_the_least(-FULL, (-1, 0), OUT)]
#[case::adds_below_the_least(-FULL - 9, (1, 0), Outcome::Applied)]
#[case::takes_nothing_below_the_least(-FULL - 9, (0, 1), Outcome::Applied)]
fn backorder_ends_at_the_least_number(
    #[case] available: i64,
    #[case] (more, held): (i64, i64),
    #[case] expected: Outcome,
) {
    let policy = Policy { allow_backorder: true, ..Policy::default() };
    assert_eq!(asked(&StockLevel { available, policy, ..StockLevel::new() }, more, held), expected);
}

#[test]
fn overruled_warehouse_is_remembered_and_its_older_counts_are_stale() {
    let mut ledger = Ledger::new();
    ledger.one(own_count("ours", 10, 5, Means::Available));
    assert_eq!(ledger.one(contested("theirs", 30, 9, false)), Outcome::Applied);
    assert_eq!(ledger.level.available, 5, "it was only remembered");
    assert_eq!(ledger.one(contested("theirs", 30, 9, false)), Outcome::Duplicate);
    assert_eq!(ledger.one(contested("older", 20, 8, true)), Outcome::Stale);
    assert_eq!(ledger.one(count("late", 20, 8, Means::OnHand)), Outcome::Stale, "the warehouse has said more since");
    assert_eq!(ledger.one(own_count("own", 20, 8, Means::OnHand)), Outcome::Applied, "our word is measured by ours");
    assert_eq!(ledger.one(count("newer", 40, 7, Means::OnHand)), Outcome::Applied);
    assert_eq!(ledger.level.available, 7);
}

#[test]
fn decided_count_sets_the_level_even_below_a_newer_word_of_ours() {
    let mut ledger = Ledger::new();
    ledger.one(own_count("ours", 30, 5, Means::Available));
    assert_eq!(ledger.one(contested("theirs", 20, 9, true)), Outcome::Applied);
    assert_eq!(ledger.level.available, 9);
    assert_eq!(ledger.level.counted.as_ref().unwrap().time, at(20), "the warehouse's last word");
    let observed = ledger.level.observed.as_ref().unwrap();
    assert_eq!(observed.time, at(30), "the watermark never falls");
    assert_eq!(ledger.one(delta("old sale", 25, -1)), Outcome::Absorbed);
    assert_eq!(ledger.one(contested("newer", 40, 9, true)), Outcome::Applied);
    assert_eq!(ledger.level.observed.as_ref().unwrap().time, at(40), "and rises, although nothing changed");
    assert_eq!(ledger.level.version, 2, "a count that says what we know is no entry");
}

#[test]
fn first_decided_count_of_a_level_is_an_entry_even_of_nothing() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.one(contested("first", 0, 0, true)), Outcome::Applied);
    assert_eq!((ledger.level.version, ledger.level.available), (1, 0));
}

#[test]
fn decided_count_cannot_join_merged_sources() {
    let mut ledger = Ledger::new();
    ledger.one(merged("m", 0, "market", 5));
    assert_eq!(ledger.one(contested("c", 10, 9, true)), Outcome::Rejected(Rejection::MixedAuthority));
    assert_eq!(ledger.level.counted, None);
}

#[rstest]
#[case::counted_by_a_warehouse("authority", Means::OnHand, true)]
#[case::counted_by_a_marketplace("authority", Means::Available, false)]
#[case::our_own_word("api", Means::OnHand, false)]
fn only_a_warehouse_is_remembered_by_its_count(#[case] from: &str, #[case] means: Means, #[case] expected: bool) {
    let mut ledger = Ledger::new();
    ledger.one(StockEvent { source: source(from), ..count("c", 0, 5, means) });
    assert_eq!(ledger.level.counted.is_some(), expected);
}

#[test]
fn our_own_count_comes_after_every_other_whatever_the_clocks_say() {
    let far = 3600 + 121;
    let mut ledger = Ledger::new();
    assert_eq!(ledger.one(own_count("ours", far, 5, Means::Available)), Outcome::Applied);
    let ahead = Outcome::Rejected(Rejection::AheadOfClock);
    assert_eq!(Ledger::new().one(count("theirs", far, 5, Means::Available)), ahead);
    assert_eq!(Ledger::new().one(contested("theirs", far, 5, true)), ahead);
    assert_eq!(Ledger::new().one(merged("theirs", far, "market", 5)), ahead);
}

#[test]
fn void_stands_at_the_time_of_the_request_that_it_keeps_out() {
    let mut ledger = Ledger::new();
    let reserve = reserve("r", 5, 2);
    let body = EventBody::Undo { reserve: reserve.id, reserved_at: reserve.time, units: 2 };
    assert_eq!(ledger.one(event("undo", at(50), "api", body)), Outcome::Applied);
    let void = &ledger.level.recent[0];
    assert_eq!((void.id, void.time, void.kind), (reserve.id, at(5), EntryKind::Void));
}

#[rstest]
#[case::in_stock(3, (3, 0))]
#[case::none_left(0, (0, 0))]
#[case::oversold(-3, (0, 3))]
fn level_shows_what_can_be_sold_or_what_was_oversold(#[case] available: i64, #[case] expected: (i64, i64)) {
    let level = StockLevel { available, reserved: 4, ..StockLevel::new() };
    assert_eq!((level.sellable(), level.oversold()), expected);
    assert_eq!(level.on_hand(), available + 4);
}

#[test]
fn headroom_is_what_stands_above_the_floor() {
    let safety_stock = Quantity::new(2).unwrap();
    let level = |allow_backorder| StockLevel {
        available: 5,
        policy: Policy { allow_backorder, safety_stock, low_stock: None },
        ..StockLevel::new()
    };
    assert_eq!((level(false).policy.floor(), level(false).headroom()), (2, 3));
    assert_eq!((level(true).policy.floor(), level(true).headroom()), (-FULL, FULL + 5));
}

#[test]
fn full_page_leaves_and_takes_its_newest_time_along() {
    let times = |n: i64| if n == 7 { 90 } else { n };
    let news: Vec<_> = (0..17).map(|n| delta(&format!("d{n}"), times(n), 1)).collect();
    let mut level = decide(&StockLevel::new(), &news[..15], &Past::none(), now()).level;
    assert_eq!(level.full_page(), None);
    level = decide(&level, &news[15..], &Past::none(), now()).level;
    assert_eq!((level.first_recent_version(), level.pages_spilled(), level.recent.len()), (1, 0, 17));
    let page = level.full_page().unwrap();
    assert_eq!((page.first_version, page.entries.len()), (1, 16));
    level.drop_page();
    assert_eq!((level.first_recent_version(), level.pages_spilled(), level.recent.len()), (17, 1, 1));
    assert_eq!(level.spilled_through, at(90), "not that of its last entry");
    let journal: Vec<_> = level.journal(&Past::reaching(Timestamp::EPOCH, vec![page])).collect();
    assert_eq!(journal.len(), 17);
    assert!(journal.iter().all(|placed| u64::try_from(placed.available_after).unwrap() == placed.version));
}

#[test]
fn entry_points_to_the_name_of_its_source() {
    let mut ledger = Ledger::new();
    for (n, from) in ["till", "api", "orders", "till"].into_iter().enumerate() {
        ledger.one(event(&format!("e{n}"), at(0), from, EventBody::Delta(Delta::new(1).unwrap())));
    }
    let level = &ledger.level;
    let names: Vec<_> = level.recent.iter().map(|entry| level.sources[usize::from(entry.source)].as_str()).collect();
    assert_eq!(names, ["till", "api", "orders", "till"]);
    assert_eq!(level.sources.len(), 3, "each name once");
}
