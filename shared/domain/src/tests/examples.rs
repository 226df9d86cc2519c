//! One example for each law and each kind of bad input.

use rstest::rstest;

use super::*;

#[test]
fn request_beyond_stock_is_refused_and_changes_nothing() {
    let mut ledger = Ledger::new();
    ledger.one(count("c", 0, 3, Means::Available));
    assert_eq!(ledger.one(request("r", 1, -4)), Outcome::Insufficient);
    assert_eq!((ledger.level.available, ledger.level.version), (3, 1));
}

#[test]
fn each_request_of_a_batch_is_judged_alone_and_not_by_the_sum() {
    let mut ledger = Ledger::new();
    ledger.one(count("c", 0, 3, Means::Available));
    let outcomes = ledger.apply(&[request("a", 1, -4), request("b", 1, 2), request("c2", 1, -5)]);
    assert_eq!(outcomes, [Outcome::Insufficient, Outcome::Applied, Outcome::Applied]);
    assert_eq!(ledger.level.available, 0);
}

#[test]
fn backorder_lets_requests_below_zero() {
    let mut ledger = Ledger::new();
    ledger.level.policy.allow_backorder = true;
    assert_eq!(ledger.one(request("r", 1, -4)), Outcome::Applied);
    assert_eq!((ledger.level.sellable(), ledger.level.oversold()), (0, 4));
}

#[test]
fn facts_are_never_refused_and_show_as_oversold() {
    let mut ledger = Ledger::new();
    ledger.one(count("c", 0, 3, Means::Available));
    assert_eq!(ledger.one(delta("order", 1, -5)), Outcome::Applied);
    assert_eq!((ledger.level.available, ledger.level.sellable(), ledger.level.oversold()), (-2, 0, 2));
}

#[test]
fn later_sales_survive_a_count_and_earlier_ones_are_in_it() {
    let mut ledger = Ledger::new();
    ledger.apply(&[count("c1", 0, 10, Means::Available), delta("early", 5, -1), delta("late", 20, -2)]);
    assert_eq!(ledger.one(count("c2", 10, 9, Means::Available)), Outcome::Applied);
    assert_eq!(ledger.level.available, 7, "9 counted, 2 sold afterwards");
    assert_eq!(ledger.one(delta("earlier", 9, -3)), Outcome::Absorbed);
    assert_eq!(ledger.level.available, 7);
}

#[test]
fn on_hand_count_leaves_reserved_units_alone() {
    let mut ledger = Ledger::new();
    ledger.apply(&[count("c1", 0, 10, Means::OnHand), reserve("r", 5, 4)]);
    assert_eq!((ledger.level.available, ledger.level.reserved), (6, 4));
    ledger.one(count("c2", 10, 8, Means::OnHand));
    assert_eq!((ledger.level.available, ledger.level.reserved, ledger.level.on_hand()), (4, 4, 8));
}

#[test]
fn on_hand_count_taken_before_a_fulfilment_loses_the_shipped_units() {
    let mut ledger = Ledger::new();
    ledger.apply(&[count("c1", 0, 10, Means::OnHand), reserve("r", 5, 4)]);
    let shipped = EventBody::Settlement { available: 0, reserved: -4 };
    ledger.one(event("r/fulfil", at(20), "api", shipped));
    ledger.one(count("c2", 10, 10, Means::OnHand));
    assert_eq!((ledger.level.available, ledger.level.reserved), (6, 0));
}

#[test]
fn older_count_is_stale_whenever_it_arrives() {
    let mut ledger = Ledger::new();
    ledger.one(count("new", 10, 5, Means::Available));
    assert_eq!(ledger.one(count("old", 9, 50, Means::Available)), Outcome::Stale);
    assert_eq!(ledger.one(count("new", 10, 5, Means::Available)), Outcome::Duplicate);
    assert_eq!((ledger.level.available, ledger.level.version), (5, 1));
}

#[test]
fn count_that_says_what_we_know_moves_the_watermark_only() {
    let mut ledger = Ledger::new();
    ledger.one(count("c1", 0, 0, Means::Available));
    assert_eq!(ledger.level.version, 1, "the first count is news even when it says 0");
    assert_eq!(ledger.one(count("c2", 5, 0, Means::Available)), Outcome::Applied);
    assert_eq!((ledger.level.version, ledger.level.recent.len()), (1, 1));
    assert_eq!(ledger.one(delta("d", 4, -1)), Outcome::Absorbed);
    assert_eq!(ledger.one(count("c2", 5, 0, Means::Available)), Outcome::Duplicate);
}

#[test]
fn sequence_decides_between_counts_of_one_millisecond() {
    let row = |name: &str, units, sequence| {
        event(
            name,
            at(7),
            "b",
            EventBody::Count { quantity: Quantity::new(units).unwrap(), means: Means::Available, sequence },
        )
    };
    let (mut forward, mut backward) = (Ledger::new(), Ledger::new());
    forward.apply(&[row("first", 4, 1), row("second", 9, 2)]);
    assert_eq!(backward.apply(&[row("second", 9, 2), row("first", 4, 1)]), [Outcome::Applied, Outcome::Stale]);
    assert_eq!((forward.level.available, backward.level.available), (9, 9));
}

#[test]
fn lagging_channel_cannot_undo_a_sale_made_elsewhere() {
    let mut ledger = Ledger::new();
    ledger.one(merged("m1", 0, "shop", 10));
    ledger.one(delta("sold elsewhere", 5, -3));
    assert_eq!(ledger.one(merged("m2", 6, "shop", 10)), Outcome::Applied, "moves the shadow only");
    assert_eq!((ledger.level.available, ledger.level.version), (7, 2));
    ledger.one(merged("m3", 8, "shop", 9));
    assert_eq!(ledger.level.available, 6, "the shop sold one");
    assert_eq!(ledger.one(merged("m2", 6, "shop", 10)), Outcome::Stale);
}

#[test]
fn second_merged_source_begins_with_a_base() {
    let mut ledger = Ledger::new();
    ledger.one(merged("a", 0, "shop-a", 10));
    ledger.one(merged("b", 1, "shop-b", 4));
    assert_eq!((ledger.level.available, ledger.level.version), (10, 1));
    ledger.one(merged("b2", 2, "shop-b", 3));
    assert_eq!(ledger.level.available, 9);
}

#[test]
fn authority_and_merged_sources_do_not_mix() {
    let mixed = Outcome::Rejected(Rejection::MixedAuthority);
    let (mut counted, mut shared) = (Ledger::new(), Ledger::new());
    counted.one(count("c", 0, 10, Means::Available));
    assert_eq!(counted.one(merged("m", 5, "shop", 4)), mixed);
    shared.one(merged("m", 0, "shop", 4));
    assert_eq!(shared.one(count("c", 5, 10, Means::Available)), mixed);
}

#[test]
fn id_used_with_another_content_is_rejected() {
    let mut ledger = Ledger::new();
    ledger.one(delta("order-1", 0, -1));
    assert_eq!(ledger.one(delta("order-1", 0, -2)), Outcome::Rejected(Rejection::IdReused));
    assert_eq!(ledger.level.available, -1);
}

#[test]
fn request_under_another_version_conflicts_unless_it_was_applied() {
    let versioned = |name: &str, version| {
        let body = EventBody::Request { available: -1, reserved: 0, expected_version: Some(version) };
        event(name, at(1), "api", body)
    };
    let mut ledger = Ledger::new();
    ledger.one(count("c", 0, 5, Means::Available));
    assert_eq!(ledger.one(versioned("a", 0)), Outcome::VersionConflict);
    assert_eq!(ledger.one(versioned("a", 1)), Outcome::Applied);
    assert_eq!(ledger.one(versioned("a", 1)), Outcome::Duplicate, "its own change is no conflict");
    assert_eq!(ledger.one(versioned("b", 99)), Outcome::VersionConflict);
}

#[rstest]
#[case::fast_clock(3600 + 121, Outcome::Rejected(Rejection::AheadOfClock))]
#[case::just_tolerable(3600 + 120, Outcome::Applied)]
#[case::beyond_memory(3600 - 15 * 86_400 - 1, Outcome::Rejected(Rejection::TooOld))]
#[case::just_remembered(3600 - 15 * 86_400, Outcome::Applied)]
fn deltas_far_from_our_clock_are_rejected(#[case] seconds: i64, #[case] expected: Outcome) {
    assert_eq!(Ledger::new().one(delta("d", seconds, 1)), expected);
}

#[rstest]
#[case::delta(-1)]
#[case::other_delta(1)]
fn hundred_redelivered_deltas_of_one_sku_count_once(#[case] units: i64) {
    let batch: Vec<_> = (0..100).map(|n| delta(&format!("order-{n}"), n, units)).collect();
    let mut ledger = Ledger::new();
    assert!(ledger.apply(&batch).iter().all(|outcome| *outcome == Outcome::Applied));
    assert!(ledger.apply(&batch).iter().all(|outcome| *outcome == Outcome::Duplicate));
    assert_eq!((ledger.level.available, ledger.level.version), (units * 100, 100));
}

#[test]
fn late_count_taken_before_sales_that_left_the_item_keeps_them() {
    let mut ledger = Ledger::new();
    ledger.one(count("c1", 0, 100, Means::Available));
    let sales: Vec<_> = (0..60).map(|n| delta(&format!("sale-{n}"), 10 + n, -1)).collect();
    ledger.apply(&sales);
    assert!(ledger.level.spilled_through > at(20), "the sales have left the item");
    assert_eq!(ledger.one(count("c2", 20, 90, Means::Available)), Outcome::Applied);
    assert_eq!(ledger.level.available, 90 - 49, "the 49 sales after second 20 are not in the count");
}

#[test]
fn quantities_at_the_ends_of_their_range() {
    let mut ledger = Ledger::new();
    ledger.one(count("c", 0, Quantity::MAX, Means::Available));
    assert_eq!(ledger.one(request("r", 1, 1)), Outcome::Rejected(Rejection::OutOfRange));
    assert_eq!(ledger.one(delta("fact", 1, Quantity::MAX)), Outcome::Applied, "a fact is never refused");
    assert_eq!(ledger.level.available, 2 * Quantity::MAX);
    assert_eq!(ledger.one(request("all", 2, -Quantity::MAX)), Outcome::Applied);
    assert_eq!(ledger.one(count("zero", 10, 0, Means::OnHand)), Outcome::Applied);
    assert_eq!(ledger.level.available, 0);
    ledger.level.available = i64::MAX;
    assert_eq!(ledger.one(delta("beyond", 20, 1)), Outcome::Rejected(Rejection::OutOfRange));
    assert_eq!(ledger.level.available, i64::MAX);
}

#[test]
fn pages_that_do_not_adjoin_are_found_out() {
    let mut ledger = Ledger::new();
    ledger.apply(&(0..60).map(|n| delta(&format!("d{n}"), n, 1)).collect::<Vec<_>>());
    assert_eq!(ledger.pages.iter().map(|page| page.first_version).collect::<Vec<_>>(), [1, 17, 33]);
    let whole = Past::reaching(Timestamp::EPOCH, ledger.pages.clone());
    assert!(whole.adjoins(&ledger.level));
    let mut holed = ledger.pages.clone();
    holed.remove(1);
    assert!(!Past::reaching(Timestamp::EPOCH, holed).adjoins(&ledger.level));
    ledger.pages.pop();
    assert!(!Past::reaching(Timestamp::EPOCH, ledger.pages.clone()).adjoins(&ledger.level));
}

#[rstest]
#[case("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000Z")]
#[case("2026-11-20T09:00:00.1239+01:00", "2026-11-20T08:00:00.123Z")]
#[case("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z")]
fn times_are_read_with_any_offset_and_written_in_utc(#[case] text: &str, #[case] written: &str) {
    assert_eq!(Timestamp::parse(text).unwrap().to_string(), written);
}

#[rstest]
#[case("yesterday")]
#[case("")]
#[case("2026-11-20")]
#[case("20261120T080000Z")]
#[case("2026-11-20T08:00:00")]
#[case("2026-11-20T08:00:00+0100")]
#[case("2026-11-20T08:00:00,5Z")]
#[case("2026-11-20T08:00:00.Z")]
#[case("2026-11-20T08:00:00Z[Europe/Berlin]")]
#[case("2026-13-20T08:00:00Z")]
#[case("1969-12-31T23:59:59Z")]
#[case("-009999-01-01T00:00:00Z")]
fn absurd_times_are_refused(#[case] text: &str) {
    assert_eq!(Timestamp::parse(text), Err(InvalidTime));
}

#[rstest]
#[case("shirt/blue #1 50% 🦀", Ok(()))]
#[case(&"é".repeat(64), Ok(()))]
#[case(&"x".repeat(300), Err(InvalidId::TooLong))]
#[case("", Err(InvalidId::Empty))]
#[case(" x", Err(InvalidId::OuterSpace))]
#[case("a\u{0}b", Err(InvalidId::ControlCharacter))]
fn names_may_hold_anything_printable(#[case] text: &str, #[case] expected: Result<(), InvalidId>) {
    assert_eq!(Sku::parse(text).map(|_| ()), expected);
}

#[test]
fn twenty_entries_leave_room_for_the_rest_within_a_kilobyte() {
    let mut ledger = Ledger::new();
    ledger.apply(&(0..20).map(|n| count(&format!("c{n}"), n, 1_000_000 - n, Means::Available)).collect::<Vec<_>>());
    let size: usize = ledger.level.recent.iter().map(|entry| encode_entry(entry).len()).sum();
    assert!(size <= 640, "{size}");
}

#[test]
fn every_time_that_exists_can_be_written_and_read() {
    for time in [Timestamp::EPOCH, Timestamp::MAX] {
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
    }
    assert_eq!(Timestamp::from_millis(Timestamp::MAX.as_millis() + 1), Err(InvalidTime));
}
