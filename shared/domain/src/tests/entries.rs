//! What an entry comes to, and its bytes.

use rstest::rstest;

use super::*;
use crate::codec::get;

fn entry(kind: EntryKind, available: i64, reserved: i64) -> Entry {
    Entry {
        id: EventId([7; 8]),
        kind,
        available,
        reserved,
        source: 0,
        actor: ActorCode(0),
        time: at(0),
        committed_at: at(1),
        fingerprint: [1; 4],
    }
}

const COUNT: EntryKind = EntryKind::Count { means: Means::OnHand, stated: 3 };
const MERGED: EntryKind = EntryKind::Merged { stated: 3 };

#[rstest]
#[case::sale(EntryKind::Delta, (-1, 0), "StockDecreased")]
#[case::arrival(EntryKind::Delta, (1, 0), "StockIncreased")]
#[case::taken(EntryKind::Request, (-1, 0), "StockDecreased")]
#[case::added(EntryKind::Request, (1, 0), "StockIncreased")]
#[case::reserved(EntryKind::Request, (-2, 2), "StockReserved")]
#[case::given_back(EntryKind::Request, (2, -2), "StockReleased")]
#[case::released(EntryKind::Settlement, (2, -2), "StockReleased")]
#[case::shipped(EntryKind::Settlement, (0, -2), "StockFulfilled")]
#[case::ended_without_units(EntryKind::Settlement, (0, 0), "StockReleased")]
#[case::given_up(EntryKind::Void, (0, 0), "StockReleased")]
#[case::counted_more(COUNT, (3, 0), "StockSet")]
#[case::counted_less(COUNT, (-3, 0), "StockSet")]
#[case::counted_the_same(COUNT, (0, 0), "StockSet")]
#[case::marketplace_says_the_same(MERGED, (0, 0), "StockSet")]
#[case::marketplace_sold(MERGED, (-1, 0), "StockDecreased")]
#[case::marketplace_restocked(MERGED, (1, 0), "StockIncreased")]
fn change_is_named_by_what_it_comes_to(
    #[case] kind: EntryKind,
    #[case] (available, reserved): (i64, i64),
    #[case] name: &str,
) {
    assert_eq!(entry(kind, available, reserved).change_type().name(), name);
}

#[test]
fn counts_are_never_applied_again_after_a_count_and_effects_are() {
    let again = [EntryKind::Request, EntryKind::Delta, EntryKind::Settlement].map(|kind| entry(kind, 1, 0));
    assert!(again.iter().all(Entry::outlives_counts));
    let contained = [COUNT, MERGED, EntryKind::Void].map(|kind| entry(kind, 1, 0));
    assert!(!contained.iter().any(Entry::outlives_counts));
}

#[test]
fn number_of_more_than_64_bits_is_no_number() {
    let digits = |last: u8| [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, last];
    assert_eq!(get(&mut &digits(1)[..]), Ok(u64::MAX));
    assert_eq!(get(&mut &digits(2)[..]), Err(CorruptEntry));
    assert_eq!(get(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0][..]), Err(CorruptEntry));
    assert_eq!(get(&mut &digits(0)[..]), Ok(u64::MAX >> 1));
}

#[test]
fn bytes_cut_short_or_added_are_no_entry() {
    let bytes = encode_entry(&entry(COUNT, -5, 2));
    assert_eq!(decode_entry(&bytes), Ok(entry(COUNT, -5, 2)));
    assert!((0..bytes.len()).all(|length| decode_entry(&bytes[..length]) == Err(CorruptEntry)));
    assert_eq!(decode_entry(&[&bytes[..], &[0]].concat()), Err(CorruptEntry));
}

#[test]
fn page_is_whole_with_sixteen_entries_from_its_first_version_on() {
    let page = |first_version, entries: usize| Page {
        first_version,
        entries: vec![entry(EntryKind::Delta, 1, 0); entries],
        sources: vec![Source::api()],
    };
    assert!(page(1, 16).is_whole() && page(17, 16).is_whole());
    assert!(!page(1, 15).is_whole() && !page(1, 17).is_whole());
    assert!(!page(2, 16).is_whole() && !page(16, 16).is_whole());
}
