//! What a level's journal tells the feed: which changes, with which quantities, in how many bytes; and the margins that
//! all search by.

use super::*;

fn names() -> (Sku, LocationId) {
    (Sku::parse("a").unwrap(), LocationId::parse("main").unwrap())
}

/// Counted as 10, 3 reserved, one sold.
fn level() -> StockLevel {
    let mut ledger = Ledger::new();
    ledger.apply(&[count("counted", 0, 10, Means::Available), reserve("held", 1, 3), delta("sold", 2, -1)]);
    ledger.level
}

#[test]
fn changes_tell_what_there_was_after_each() {
    let (sku, location) = names();
    let told = changes_since((&sku, &location), 0, &level(), &Past::none());
    let shown: Vec<_> =
        told.iter().map(|change| (change.version, change.delta, change.quantity, change.reserved)).collect();
    assert_eq!(shown, [(1, 10, 10, 0), (2, -3, 7, 3), (3, -1, 6, 3)]);
    assert!(told.iter().all(|change| (&change.sku, &change.location) == (&sku, &location)));
    assert_eq!(told[2].source, source("orders"));
}

#[test]
fn changes_up_to_a_version_are_left_out() {
    let (sku, location) = names();
    let versions = |before| {
        let told = changes_since((&sku, &location), before, &level(), &Past::none());
        told.iter().map(|change| change.version).collect::<Vec<_>>()
    };
    assert_eq!([0, 1, 2, 3, 4].map(versions), [vec![1, 2, 3], vec![2, 3], vec![3], vec![], vec![]]);
}

#[test]
fn largest_change_has_as_many_bytes_as_are_promised_at_most() {
    let (sku, location) = (Sku::parse(&"s".repeat(128)).unwrap(), LocationId::parse(&"l".repeat(128)).unwrap());
    let mut change = changes_since((&sku, &location), 2, &level(), &Past::none()).remove(0);
    change.source = source(&"o".repeat(128));
    (change.version, change.delta, change.quantity, change.reserved) = (u64::MAX, i64::MIN, i64::MIN, i64::MIN);
    let bytes = encode_change(&change).len();
    assert!(bytes <= CHANGE_BYTES_MAX && bytes + 10 > CHANGE_BYTES_MAX, "{bytes}");
}

/// The laws were checked with these: another number is another decision.
#[test]
fn margins_are_what_the_laws_were_checked_with() {
    assert_eq!((PAGE_ENTRIES, RECENT_ENTRIES_MAX), (16, 20));
    assert_eq!((SEARCH_MARGIN_MS, OWN_CLOCK_MARGIN_MS), (600_000, 15_000));
    assert_eq!((SOURCE_LEAD_MAX_MS, DELTA_AGE_MAX_MS), (120_000, 1_296_000_000));
    assert_eq!((FEED_PAGE_BYTES_MAX, FEED_CLOCK_MARGIN_MS, FEED_PAGE_GRACE_MS), (16_384, 300_000, 172_800_000));
}

#[test]
fn key_of_event_ids_shows_itself_nowhere() {
    let key = EventIdKey::new(*b"0123456789abcdef");
    assert_eq!(format!("{key:?}"), "EventIdKey([redacted])");
}

/// An undo stands in the place of a reserve that was made before it.
#[test]
fn undo_is_searched_for_from_its_reserve_on() {
    let mut ledger = Ledger::new();
    for n in 0..=i64::try_from(2 * PAGE_ENTRIES).unwrap() {
        ledger.one(delta(&n.to_string(), n, 1));
    }
    let undo = |reserved_at| {
        let body = EventBody::Undo { reserve: reserve("held", 3, 1).id, reserved_at, units: 1 };
        Past::needed(&ledger.level, &[event("undo", at(1000), "api", body)])
    };
    assert_eq!(undo(at(3)), Some(at(3).plus_millis(-OWN_CLOCK_MARGIN_MS)));
    assert_eq!(undo(at(2000)), None);
}
