//! How far a decision looks back, and which pages a search takes.

use rstest::rstest;

use super::*;

/// A page of entries that were all committed then.
fn page(first_version: u64, committed_at: Timestamp) -> Page {
    let entry = Entry {
        id: EventIdKey::new(*b"0123456789abcdef").event_id(&first_version.to_string()),
        kind: EntryKind::Delta,
        available: 1,
        reserved: 0,
        source: 0,
        actor: ActorCode(0),
        time: committed_at,
        committed_at,
        fingerprint: [0; 4],
    };
    Page { first_version, entries: vec![entry; PAGE_ENTRIES], sources: vec![Source::api()] }
}

const SIZE: u64 = PAGE_ENTRIES as u64;

/// The page with this number, from 0, begun at that second.
fn nth(n: u64, second: i64) -> Page {
    page(1 + n * SIZE, at(second))
}

/// The versions that a search from second 100 takes of pages that are met in this order, and how many it met.
fn search(pages: &[Page]) -> (Vec<u64>, usize) {
    let (mut search, mut met) = (PageSearch::new(at(100)), 0);
    for page in pages {
        met += 1;
        if search.take(page.clone()) {
            break;
        }
    }
    (search.finish().iter().map(|page| page.first_version / SIZE).collect(), met)
}

#[test]
fn search_takes_the_pages_since_and_the_one_before() {
    assert_eq!(search(&[nth(3, 300), nth(2, 100), nth(1, 99), nth(0, 50)]), (vec![3, 2, 1], 4));
    assert_eq!(search(&[nth(3, 90), nth(2, 50)]), (vec![3], 2), "nothing since: the one before");
    assert_eq!(search(&[nth(1, 300), nth(0, 200)]), (vec![1, 0], 2), "all since");
    assert_eq!(search(&[]), (vec![], 0));
}

/// Clocks of two writers differ, so a page may seem to have been begun before the one in front of it.
#[test]
fn search_takes_a_newer_page_that_a_slow_clock_began() {
    let margin = OWN_CLOCK_MARGIN_MS / 1000;
    let anchor = 99;
    let at_the_edge = nth(2, anchor - margin);
    assert_eq!(search(&[nth(3, 300), nth(1, anchor), at_the_edge, nth(0, 10)]), (vec![3, 1, 2], 4));
    let beyond = page(1 + 2 * SIZE, at(anchor - margin).plus_millis(-1));
    assert_eq!(search(&[nth(3, 300), nth(1, anchor), beyond]), (vec![3, 1], 3), "clocks do not differ so much");
    assert_eq!(
        search(&[nth(2, anchor), nth(1, anchor - 1), nth(0, anchor - 2)]),
        (vec![2], 3),
        "older ones are left out"
    );
}

/// A level with two pages behind it, and one entry of its own.
fn spilled() -> Ledger {
    let mut ledger = Ledger::new();
    let sales: Vec<_> = (0..=2 * PAGE_ENTRIES + 1).map(|n| delta(&n.to_string(), n as i64, 1)).collect();
    for sale in sales {
        ledger.one(sale);
    }
    assert_eq!(ledger.pages.len(), 2);
    ledger
}

#[test]
fn pages_adjoin_when_none_is_missing_before_the_level() {
    let Ledger { level, pages, .. } = spilled();
    let adjoins = |pages: &[Page]| Past::reaching(at(0), pages.to_vec()).adjoins(&level);
    let [first, second] = pages.as_slice() else { panic!("two") };
    assert!(adjoins(&pages) && adjoins(core::slice::from_ref(second)));
    assert!(adjoins(&[second.clone(), first.clone(), second.clone()]), "in any order, and twice");
    assert!(!adjoins(&[]) && !adjoins(core::slice::from_ref(first)), "the last is missing");
    let torn = Page { entries: first.entries[1..].to_vec(), ..first.clone() };
    assert!(!adjoins(&[torn, second.clone()]));
    let shifted = Page { first_version: 1 + SIZE + 1, ..second.clone() };
    assert!(!adjoins(&[first.clone(), shifted]));
    assert!(Past::reaching(at(0), Vec::new()).adjoins(&StockLevel::new()), "nothing is missing before the first entry");
    let ahead = Page { first_version: level.first_recent_version(), ..second.clone() };
    assert!(adjoins(&[first.clone(), second.clone(), ahead]), "a copy of what is still in the level");
}

/// A writer died between storing a page and dropping its entries.
#[test]
fn entry_that_stands_in_a_page_and_in_the_level_is_one() {
    let mut ledger = Ledger::new();
    for n in 0..i64::try_from(PAGE_ENTRIES).unwrap() {
        ledger.one(delta(&n.to_string(), n, 1));
    }
    let Ledger { level, pages, .. } = &ledger;
    let copy = Past::reaching(at(0), vec![level.full_page().unwrap()]);
    assert!(pages.is_empty());
    assert_eq!(level.journal(&copy).count(), PAGE_ENTRIES);
}

#[test]
fn event_is_not_decided_on_a_search_that_did_not_reach_back_to_it() {
    let Ledger { level, pages, now } = spilled();
    let late = [delta("x", 0, 1)];
    let start = Past::needed(&level, &late).unwrap();
    let decided = |past: &Past| decide(&level, &late, past, now).outcomes.len();
    assert_eq!(decided(&Past::none()), 0);
    assert_eq!(decided(&Past::reaching(start.plus_millis(1), pages.clone())), 0);
    assert_eq!(decided(&Past::reaching(start, pages)), 1);
}

#[rstest]
#[case::delta(delta("x", 0, 1), SEARCH_MARGIN_MS)]
#[case::count(count("x", 0, 1, Means::Available), SEARCH_MARGIN_MS)]
#[case::merged(merged("x", 0, "a", 1), SEARCH_MARGIN_MS)]
#[case::request(request("x", 0, -1), OWN_CLOCK_MARGIN_MS)]
fn search_starts_so_much_before_the_event(#[case] event: StockEvent, #[case] margin_ms: i64) {
    let level = spilled().level;
    assert_eq!(Past::needed(&level, &[event]), Some(at(0).plus_millis(-margin_ms)));
}

#[test]
fn search_starts_for_the_oldest_of_several_events() {
    let events = [delta("x", 5, 1), delta("y", 2, 1)];
    assert_eq!(Past::needed(&spilled().level, &events), Some(at(2).plus_millis(-SEARCH_MARGIN_MS)));
}

#[test]
fn event_after_everything_that_left_the_level_needs_no_search() {
    let level = spilled().level;
    let since = level.spilled_through;
    let at_the_edge = StockEvent { time: since, ..delta("x", 0, 1) };
    assert!(Past::needed(&level, core::slice::from_ref(&at_the_edge)).is_some());
    assert_eq!(Past::needed(&level, &[StockEvent { time: since.plus_millis(1), ..at_the_edge }]), None);
}

/// Observed at second 9, counted in a contest at second 5.
#[rstest]
#[case::delta_that_the_count_contains(delta("x", 9, 1), false)]
#[case::delta_since(delta("x", 10, 1), true)]
#[case::stale_count(count("x", 8, 1, Means::Available), false)]
#[case::count_of_the_same_moment(count("x", 9, 1, Means::Available), true)]
#[case::contested_before_the_counted(contested(4), false)]
#[case::contested_at_the_counted(contested(5), true)]
#[case::known_shadow(merged("x", 6, "shop", 1), false)]
#[case::unknown_shadow(merged("x", 6, "other", 1), true)]
#[case::request(request("x", 1, -1), true)]
fn only_what_may_still_count_is_searched_for(#[case] event: StockEvent, #[case] needed: bool) {
    let (sequence, id) = (0, event.id);
    let mut level = spilled().level;
    level.observed = Some(Watermark { time: at(9), sequence, source: source("authority"), id });
    level.counted = Some(Shadow { quantity: 1, time: at(5), sequence, id });
    let mut shadowed = Ledger::new();
    shadowed.one(merged("m", 0, "shop", 1));
    level.shadows = shadowed.level.shadows;
    assert_eq!(Past::needed(&level, core::slice::from_ref(&event)).is_some(), needed);
}

fn contested(second: i64) -> StockEvent {
    let body = EventBody::Contested { quantity: Quantity::new(1).unwrap(), sequence: 0, stands: true };
    event("x", at(second), "authority", body)
}
