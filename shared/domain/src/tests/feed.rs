//! The feed's decisions, one by one. What they come to together is held by the model in `evenstock-app`.

use proptest::prelude::*;

use super::*;
use crate::{
    Change, ChangePage, ChangeType, FeedLimits, FeedMarker, FeedTail, FeedWrite, Offset, decode_change, encode_change,
    events_behind, next_write, place_offset,
};

const HOUR_MS: i64 = 60 * 60 * 1000;

fn time(millis: i64) -> Timestamp {
    Timestamp::EPOCH.plus_millis(1_700_000_000_000 + millis)
}

fn change(version: u64) -> Change {
    Change {
        sku: Sku::parse("sku").unwrap(),
        location: LocationId::parse("main").unwrap(),
        version,
        kind: ChangeType::StockSet,
        delta: 1,
        quantity: 1,
        reserved: 0,
        source: Source::api(),
        event_id: EventId([1; 8]),
        at: time(0),
    }
}

fn limits() -> FeedLimits {
    FeedLimits { ceiling_step: 10, ..FeedLimits::keeping_hours(24) }
}

fn page(first_seq: u64, count: u64, appended_ms: i64) -> ChangePage {
    let changes = (0..count).map(change).collect();
    ChangePage { first_seq, changes, appended_at: time(appended_ms), expires: time(appended_ms + 24 * HOUR_MS) }
}

fn marker(start: u64, ceiling: u64, set_ms: i64) -> FeedMarker {
    FeedMarker { start, ceiling, set_at: time(set_ms) }
}

fn write(marker: Option<FeedMarker>, newest: Option<ChangePage>, missing: u64, now_ms: i64) -> FeedWrite {
    let tail = FeedTail { marker, pages: newest.into_iter().collect() };
    let missing: Vec<_> = (0..missing).map(change).collect();
    next_write(&limits(), &tail, &missing, time(now_ms))
}

#[test]
fn feed_begins_with_its_marker() {
    assert_eq!(write(None, None, 1, 5), FeedWrite::Mark(marker(1, 10, 5)));
    assert_eq!(write(Some(marker(1, 10, 5)), None, 3, 6), FeedWrite::Put(page(1, 3, 6)));
}

#[test]
fn page_adjoins_the_newest_and_is_never_older() {
    let written = write(Some(marker(1, 10, 0)), Some(page(1, 4, 100)), 3, 50);
    assert_eq!(written, FeedWrite::Put(page(5, 3, 100)), "our clock is behind");
}

#[test]
fn page_takes_as_many_changes_as_its_bytes_hold() {
    let tail = FeedTail { marker: Some(marker(1, 10, 0)), pages: Vec::new() };
    let large = |version| Change { source: source(&"o".repeat(128)), ..change(version) };
    let missing: Vec<_> = (0..8).map(large).collect();
    let limits = FeedLimits { page_bytes: 4 * encode_change(&missing[0]).len(), ..limits() };
    match next_write(&limits, &tail, &missing, time(1)) {
        FeedWrite::Put(page) => assert_eq!(page.changes, missing[..4]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ceiling_is_raised_before_it_is_reached() {
    let at = |missing| write(Some(marker(1, 10, 0)), Some(page(1, 7, 0)), missing, 1);
    assert_eq!(at(3), FeedWrite::Put(page(8, 3, 1)));
    assert_eq!(at(4), FeedWrite::Mark(marker(1, 20, 0)));
}

#[test]
fn feed_goes_on_from_an_expired_page_only_over_the_marker() {
    let day = 24 * HOUR_MS;
    assert!(matches!(write(Some(marker(1, 10, 0)), Some(page(1, 4, 0)), 1, day - 1), FeedWrite::Put(_)));
    let moved = marker(5, 10, day);
    assert_eq!(write(Some(marker(1, 10, 0)), Some(page(1, 4, 0)), 1, day), FeedWrite::Mark(moved));
    assert_eq!(write(Some(moved), Some(page(1, 4, 0)), 1, day + 1), FeedWrite::Put(page(5, 1, day + 1)));
}

#[test]
fn page_that_may_be_deleted_in_a_moment_counts_as_gone_so_that_no_reader_is_ahead() {
    let day = 24 * HOUR_MS;
    let known = marker(1, 10, 0);
    assert_eq!(write(Some(known), Some(page(1, 4, 0)), 1, 2 * day - 1), FeedWrite::Mark(marker(5, 10, 2 * day - 1)));
    // A publisher reads the page, then it is deleted, then a reader copies the levels, then the publisher goes on.
    let now = 3 * day - 1;
    let gone = FeedTail { marker: Some(known), pages: Vec::new() };
    let copied = gone.head(time(now));
    let FeedWrite::Mark(moved) = write(Some(known), Some(page(1, 4, 0)), 1, now) else { unreachable!("it expired") };
    assert_eq!((copied, moved), (10, marker(11, 20, now)));
    let marked = FeedTail { marker: Some(moved), pages: Vec::new() };
    assert_eq!(place_offset(&marked, copied, time(now)), Offset::AtHead);
    let put = FeedTail { marker: Some(moved), pages: vec![page(11, 1, now)] };
    assert_eq!(place_offset(&put, copied, time(now)), Offset::Behind, "and misses nothing");
}

#[test]
fn feed_without_pages_goes_on_above_the_ceiling_once_it_may_have_had_some() {
    let (minute, day) = (60_000, 24 * HOUR_MS);
    assert_eq!(write(Some(marker(5, 10, 0)), None, 1, 9 * minute), FeedWrite::Put(page(5, 1, 9 * minute)));
    assert_eq!(write(Some(marker(5, 10, 0)), None, 1, 10 * minute), FeedWrite::Mark(marker(5, 10, 10 * minute)));
    assert_eq!(write(Some(marker(5, 10, 0)), None, 1, day), FeedWrite::Mark(marker(11, 20, day)));
    // A page from before the start counts as none.
    assert_eq!(write(Some(marker(5, 10, 0)), Some(page(1, 4, 0)), 1, 1), FeedWrite::Put(page(5, 1, 1)));
}

#[test]
fn offsets_stand_ahead_at_behind_or_are_gone() {
    let tail = |marker, pages: &[ChangePage]| FeedTail { marker: Some(marker), pages: pages.to_vec() };
    let fresh = FeedTail::default();
    assert_eq!([0, 1].map(|offset| place_offset(&fresh, offset, time(0))), [Offset::AtHead, Offset::Ahead]);
    let living = tail(marker(5, 10, 0), &[page(5, 3, 0)]);
    let placed = [3, 4, 6, 7, 8].map(|offset| place_offset(&living, offset, time(1)));
    assert_eq!(placed, [Offset::Gone, Offset::Behind, Offset::Behind, Offset::AtHead, Offset::Ahead]);
    let moved = tail(marker(8, 10, 0), &[page(5, 3, 0)]);
    let placed = [6, 7, 8].map(|offset| place_offset(&moved, offset, time(1)));
    assert_eq!(placed, [Offset::Gone, Offset::AtHead, Offset::Ahead]);
    let idle = tail(marker(5, 10, 0), &[]);
    let placed = [4, 9, 10, 11].map(|offset| place_offset(&idle, offset, time(24 * HOUR_MS)));
    assert_eq!(placed, [Offset::Gone, Offset::Gone, Offset::AtHead, Offset::Ahead]);
    assert_eq!(place_offset(&living, u64::MAX, time(1)), Offset::Ahead);
}

#[test]
fn reading_stops_where_pages_do_not_adjoin_or_have_expired() {
    let seqs = |pages: &[ChangePage], offset, limit, now| {
        let events = events_behind(pages, offset, limit, time(now));
        events.map(|events| events.iter().map(|event| event.seq).collect::<Vec<_>>())
    };
    let pages = [page(1, 3, 0), page(4, 2, 100), page(7, 2, 200)];
    assert_eq!(seqs(&pages, 0, 9, 1), Some(vec![1, 2, 3, 4, 5]), "6 is missing");
    assert_eq!(seqs(&pages, 1, 3, 1), Some(vec![2, 3, 4]));
    assert_eq!(seqs(&pages, 5, 9, 1), None);
    assert_eq!(seqs(&pages, 6, 9, 1), Some(vec![7, 8]));
    assert_eq!(seqs(&pages, 0, 9, 24 * HOUR_MS), None, "the first has expired");
    assert_eq!(seqs(&pages, 3, 9, 24 * HOUR_MS), Some(vec![4, 5]));
    assert_eq!(seqs(&pages, u64::MAX, 9, 1), None);
}

proptest! {
    #[test]
    fn changes_read_back_as_they_were_written(
        sku in "[^\\p{C}\\s][^\\p{C}]{0,20}[^\\p{C}\\s]", version: u64, delta: i64, quantity: i64, reserved: i64, kind in 0_usize..6,
    ) {
        use ChangeType::{StockDecreased, StockFulfilled, StockIncreased, StockReleased, StockReserved, StockSet};
        let kind = [StockIncreased, StockDecreased, StockSet, StockReserved, StockReleased, StockFulfilled][kind];
        let Ok(sku) = Sku::parse(&sku) else { return Ok(()) };
        let change = Change { sku, version, kind, delta, quantity, reserved, ..change(1) };
        let bytes = encode_change(&change);
        prop_assert!(bytes.len() <= crate::CHANGE_BYTES_MAX);
        prop_assert_eq!(decode_change(&bytes), Ok(change));
        for cut in 0..bytes.len() {
            prop_assert!(decode_change(&bytes[..cut]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(decode_change(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_a_change_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(change) = decode_change(&bytes) {
            prop_assert_eq!(decode_change(&encode_change(&change)), Ok(change));
        }
    }
}
