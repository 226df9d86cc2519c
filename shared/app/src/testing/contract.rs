//! The contract of the stores: what every implementation must do, run on each by [`store_contract!`].
//!
//! Each function takes an empty store and panics when the store breaks the contract.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "these functions are test bodies"
)]

use std::sync::Arc;

use evenstock_domain::{
    ActorCode, Delta, Entry, EntryKind, EventBody, EventId, EventIdKey, LevelKey, LocationId, Means, OrganizationId,
    Outcome, PAGE_ENTRIES, Page, Policy, Quantity, Shadow, Sku, Source, StockEvent, StockLevel, Timestamp, Watermark,
};
use futures::future::join_all;

pub use super::feed_contract::*;
pub use super::order_contract::*;
pub use super::state_contract::*;
pub use super::surface_contract::*;
use crate::testing::FixedClock;
pub use crate::testing::callback_contract::*;
pub use crate::testing::reservation_contract::*;
use crate::{
    Answer, Appended, Clock, Commit, IdempotencyStore, ListPosition, StockStore, Stored, Update, UpdateDeps,
    UpdateResult, apply_group, request, update,
};

/// Makes a test of each contract function: `store_contract!(make)` where `make` is an async function that gives a guard
/// whose `store` field is an empty store.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract!(@each $make,
            absent_level_is_none, level_reads_back_whole, commit_under_another_rev_conflicts,
            blind_append_changes_the_level, blind_append_is_refused_with_the_level, backorder_lets_an_append_through, late_append_passes_only_if_all_that_was_spilled_was_searched,
            pages_are_put_once_and_found_by_time, page_begun_before_its_predecessor_is_found, page_is_dropped_once, odd_names_do_not_collide,
            listing_pages_through_everything_once, organizations_do_not_see_each_other,
            operation_is_claimed_once_until_it_expires, poll_runs_when_due, breaker_is_saved_by_one_of_many,
            breaker_is_listed_while_it_fails, failing_breakers_of_organizations_are_apart, breakers_beyond_the_limit_are_left_out_and_told_of,
            redelivered_batch_of_a_hundred_counts_once, hundreds_of_observations_in_a_millisecond_lose_none,
            sixty_four_decrements_on_ten_apply_ten, sixty_four_updates_under_one_version_apply_one,
            update_is_replayed_long_after_its_entry_left_the_level, concurrent_groups_lose_nothing, store_answers_a_ping,
            safety_stock_is_kept_from_requests, policy_is_set_without_a_change_of_stock,
            pages_before_a_version_come_newest_first, history_pages_back_through_everything_once,
            level_is_created_by_one_of_many, creation_is_recognized_long_after,
            answer_is_kept_once_and_expires_with_its_key, parts_of_a_sync_are_kept_until_it_expires,
            bulk_sync_sets_what_was_seen_and_skips_the_rest, replacement_empties_what_nobody_named_or_changed,
            reservation_reads_back_whole, reservation_is_written_under_its_rev, due_reservations_page_through_once,
            settled_reservation_is_due_no_more, sixty_four_reservations_of_ten_hold_ten,
            reservation_holds_all_lines_or_none, keyed_reservation_is_made_once_and_replayed,
            ended_reservation_gives_back_once, sweep_ends_what_ran_out,
            triple_is_claimed_once, store_reads_back_whole, store_is_written_under_its_rev, token_leads_to_its_store,
            due_stores_page_through_once, receipt_reads_back_whole, receipt_is_written_under_its_rev,
            due_receipts_page_through_once, answers_are_listed_newest_first_and_counted, receipts_page_by_name,
            thirty_two_registrations_get_one_store, thirty_two_imports_make_one_call,
            oversold_order_is_marked_short, sync_asks_about_every_receipt_once,
            endpoints_read_back_whole, endpoint_is_registered_once_by_many, health_is_saved_by_one_of_many,
            delivery_reads_back_whole, waiting_delivery_is_due_until_it_ends, due_deliveries_are_sent_again_once,
            deliveries_list_page_by_page, arrival_is_found_with_its_body_and_replayed, replay_begins_failed_deliveries_again_page_by_page,
            feed_pages_are_put_once_and_read_both_ways, feed_pages_of_the_greatest_size_read_back_whole,
            feeds_of_organizations_are_apart, marker_is_written_over_what_was_read,
            sixty_four_publishers_number_each_change_once, feed_goes_on_above_the_ceiling_when_its_pages_are_gone,
            repair_appends_what_the_feed_lacks, scan_goes_through_all_levels_once, repair_pass_is_written_over_what_was_read
        );
    };
    (@each $make:path, $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let guard = $make().await;
                $crate::testing::contract::$name(&guard.store).await;
            }
        )+
    };
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis).unwrap()
}

pub(super) fn key(sku: &str, location: &str) -> LevelKey {
    level_key("org", sku, location)
}

pub(super) fn level_key(organization: &str, sku: &str, location: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse(organization).unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
    }
}

pub(super) fn ids() -> EventIdKey {
    EventIdKey::new(*b"0123456789abcdef")
}

pub(super) fn event(name: &str, millis: i64, body: EventBody) -> StockEvent {
    StockEvent { id: ids().event_id(name), time: at(millis), source: Source::api(), actor: ActorCode(7), body }
}

pub(super) fn take(name: &str, millis: i64, units: i64) -> StockEvent {
    event(name, millis, EventBody::Request { available: -units, reserved: 0, expected_version: None })
}

pub(super) fn counted(name: &str, millis: i64, units: i64) -> StockEvent {
    let quantity = Quantity::new(units).unwrap();
    event(name, millis, EventBody::Count { quantity, means: Means::Available, sequence: 0 })
}

pub(super) fn entry(n: u64) -> Entry {
    Entry {
        id: EventId(n.to_be_bytes()),
        kind: EntryKind::Delta,
        available: 1,
        reserved: 0,
        source: 0,
        actor: ActorCode(n as u32),
        time: at(n as i64),
        committed_at: at(n as i64 * 1000),
        fingerprint: [1, 2, 3, 4],
    }
}

pub(super) fn level_of(entries: u64) -> StockLevel {
    StockLevel {
        available: entries as i64,
        version: entries,
        updated_at: at(0),
        recent: (1..=entries).map(entry).collect(),
        ..StockLevel::new()
    }
}

pub(super) async fn stock<S: StockStore>(store: &S, clock: &FixedClock, key: &LevelKey, units: i64) {
    let result = apply_group(store, clock, key, &[counted("initial", 0, units)]).await;
    assert_eq!(result.outcomes, [Outcome::Applied]);
}

pub(super) async fn loaded<S: StockStore>(store: &S, key: &LevelKey) -> Stored {
    store.load(key).await.unwrap().expect("the level exists")
}

pub async fn absent_level_is_none<S: StockStore>(store: &S) {
    assert_eq!(store.load(&key("sku", "main")).await.unwrap(), None);
    let blind = evenstock_domain::BlindRequest::new(&take("t", 1, 1), at(1)).unwrap();
    assert_eq!(store.append(&key("sku", "main"), &blind).await.unwrap(), Appended::Refused(None));
    assert!(!store.drop_page(&key("sku", "main"), &level_of(16)).await.unwrap());
}

pub async fn level_reads_back_whole<S: StockStore>(store: &S) {
    let shop = Source::parse("shop #1 🦀").unwrap();
    let shadow = Shadow { quantity: 12, time: at(3), sequence: u64::MAX, id: EventId([9; 8]) };
    let level = StockLevel {
        available: -5,
        reserved: 3,
        observed: Some(Watermark { time: at(2), sequence: 77, source: shop.clone(), id: EventId([0; 8]) }),
        counted: Some(Shadow { quantity: 7, time: at(4), sequence: 2, id: EventId([4; 8]) }),
        shadows: [(shop.clone(), shadow)].into(),
        spilled_through: at(1),
        sources: vec![Source::api(), shop],
        policy: Policy {
            allow_backorder: false,
            low_stock: Some(Quantity::new(7).unwrap()),
            safety_stock: Quantity::new(Quantity::MAX).unwrap(),
        },
        ..level_of(20)
    };
    assert_eq!(store.commit(&key("a", "b"), None, &level).await.unwrap(), Commit::Committed);
    assert_eq!(loaded(store, &key("a", "b")).await, Stored { rev: 1, level });
}

pub async fn commit_under_another_rev_conflicts<S: StockStore>(store: &S) {
    let key = key("a", "b");
    assert_eq!(store.commit(&key, Some(3), &level_of(1)).await.unwrap(), Commit::Conflict(None));
    assert_eq!(store.commit(&key, None, &level_of(1)).await.unwrap(), Commit::Committed);
    let current = Some(Stored { rev: 1, level: level_of(1) });
    assert_eq!(store.commit(&key, None, &level_of(2)).await.unwrap(), Commit::Conflict(current.clone()));
    assert_eq!(store.commit(&key, Some(2), &level_of(2)).await.unwrap(), Commit::Conflict(current));
    assert_eq!(store.commit(&key, Some(1), &level_of(2)).await.unwrap(), Commit::Committed);
    assert_eq!(loaded(store, &key).await, Stored { rev: 2, level: level_of(2) });
}

pub async fn blind_append_changes_the_level<S: StockStore>(store: &S) {
    let key = key("a", "b");
    store.commit(&key, None, &level_of(5)).await.unwrap();
    let body = EventBody::Request { available: -2, reserved: 2, expected_version: Some(5) };
    let blind = evenstock_domain::BlindRequest::new(&event("r", 900, body), at(950)).unwrap();
    let mut expected = level_of(5);
    blind.apply(&mut expected);
    let stored = Stored { rev: 2, level: expected };
    assert_eq!(store.append(&key, &blind).await.unwrap(), Appended::Applied(stored.clone()));
    assert_eq!(loaded(store, &key).await, stored);
    assert_eq!((stored.level.available, stored.level.reserved, stored.level.version), (3, 2, 6));
}

pub async fn blind_append_is_refused_with_the_level<S: StockStore>(store: &S) {
    let tried = |name: &str, millis, available, version| {
        let body = EventBody::Request { available, reserved: 0, expected_version: version };
        evenstock_domain::BlindRequest::new(&event(name, millis, body), at(999)).unwrap()
    };
    let mut known = level_of(5);
    tried("known", 900, -1, None).apply(&mut known);
    let spilled = StockLevel { spilled_through: at(900), ..level_of(5) };
    let brimming = StockLevel { available: Quantity::MAX, ..level_of(5) };
    let cases = [
        ("insufficient", level_of(5), tried("r", 900, -6, None)),
        ("version", level_of(5), tried("r", 900, -1, Some(4))),
        ("known", known, tried("known", 900, -1, None)),
        ("full", level_of(20), tried("r", 900, -1, None)),
        ("late", spilled, tried("r", 900, -1, None)),
        ("out of range", brimming, tried("r", 900, 1, None)),
    ];
    for (name, level, blind) in cases {
        let key = key(name, "main");
        store.commit(&key, None, &level).await.unwrap();
        let current = Stored { rev: 1, level };
        assert_eq!(store.append(&key, &blind).await.unwrap(), Appended::Refused(Some(current.clone())), "{name}");
        assert_eq!(loaded(store, &key).await, current, "{name}");
    }
}

pub async fn late_append_passes_only_if_all_that_was_spilled_was_searched<S: StockStore>(store: &S) {
    let key = key("a", "b");
    store.commit(&key, None, &level_of(20)).await.unwrap();
    assert!(store.drop_page(&key, &level_of(20)).await.unwrap());
    let mut late = evenstock_domain::BlindRequest::new(&take("late", 1, 1), at(950)).unwrap();
    assert!(
        matches!(store.append(&key, &late).await.unwrap(), Appended::Refused(Some(_))),
        "older than what was spilled"
    );
    late.absent_through = Some(15);
    assert!(
        matches!(store.append(&key, &late).await.unwrap(), Appended::Refused(Some(_))),
        "version 16 was not searched"
    );
    late.absent_through = Some(16);
    assert!(
        matches!(store.append(&key, &late).await.unwrap(), Appended::Applied(stored) if stored.level.version == 21)
    );
    assert!(matches!(store.append(&key, &late).await.unwrap(), Appended::Refused(Some(_))), "once");
}

pub async fn backorder_lets_an_append_through<S: StockStore>(store: &S) {
    let key = key("a", "b");
    let level = StockLevel { policy: Policy { allow_backorder: true, ..Policy::default() }, ..level_of(5) };
    store.commit(&key, None, &level).await.unwrap();
    let most = evenstock_domain::BlindRequest::new(&take("r", 900, Quantity::MAX), at(950)).unwrap();
    assert!(
        matches!(store.append(&key, &most).await.unwrap(), Appended::Applied(stored) if stored.level.available == 5 - Quantity::MAX)
    );
    let beyond = evenstock_domain::BlindRequest::new(&take("s", 900, 6), at(950)).unwrap();
    assert!(matches!(store.append(&key, &beyond).await.unwrap(), Appended::Refused(Some(_))));
}

pub(super) fn page(number: u64) -> Page {
    let first_version = number * PAGE_ENTRIES as u64 + 1;
    let entries = (first_version..first_version + PAGE_ENTRIES as u64).map(entry).collect();
    Page { first_version, entries, sources: vec![Source::api()] }
}

pub async fn pages_are_put_once_and_found_by_time<S: StockStore>(store: &S) {
    let (key, other) = (key("a", "b"), key("a", "b2"));
    for number in [2, 0, 1, 0] {
        store.put_page(&key, &page(number)).await.unwrap();
    }
    store.put_page(&other, &page(0)).await.unwrap();
    let found = async |start| {
        let mut pages = store.pages_since(&key, start).await.unwrap();
        pages.sort_by_key(|page| page.first_version);
        pages
    };
    assert_eq!(found(Timestamp::EPOCH).await, [page(0), page(1), page(2)]);
    assert_eq!(found(page(0).committed_at()).await, [page(0), page(1), page(2)]);
    assert_eq!(found(page(1).committed_at()).await, [page(0), page(1), page(2)], "and the page before");
    assert_eq!(found(page(1).committed_at().plus_millis(1)).await, [page(1), page(2)]);
    assert_eq!(found(Timestamp::MAX).await, [page(2)]);
    assert_eq!(store.pages_since(&level_key("org", "a", "none"), Timestamp::EPOCH).await.unwrap(), []);
}

pub async fn page_begun_before_its_predecessor_is_found<S: StockStore>(store: &S) {
    let key = key("a", "b");
    let begun = |number: u64, millis| {
        let mut page = page(number);
        page.entries[0].committed_at = at(millis);
        page
    };
    // The second page's first writer had read its clock before the first page's did, and wrote after.
    let pages = [begun(0, 100), begun(1, 95), begun(2, 900_000)];
    for page in &pages {
        store.put_page(&key, page).await.unwrap();
    }
    let mut found = store.pages_since(&key, at(500)).await.unwrap();
    found.sort_by_key(|page| page.first_version);
    assert_eq!(found, pages, "what lies side by side with the newest");
}

pub async fn page_is_dropped_once<S: StockStore>(store: &S) {
    let key = key("a", "b");
    let seen = level_of(18);
    store.commit(&key, None, &seen).await.unwrap();
    let append = evenstock_domain::BlindRequest::new(&take("r", 900, 1), at(950)).unwrap();
    assert!(
        matches!(store.append(&key, &append).await.unwrap(), Appended::Applied(_)),
        "appends do not collide with it"
    );
    assert!(store.drop_page(&key, &seen).await.unwrap());
    assert!(!store.drop_page(&key, &seen).await.unwrap());
    let stored = loaded(store, &key).await;
    assert_eq!((stored.rev, stored.level.recent.len(), stored.level.version), (3, 3, 19));
    assert_eq!(stored.level.spilled_through, at(16));
    assert_eq!(stored.level.first_recent_version(), 17);
}

pub async fn odd_names_do_not_collide<S: StockStore>(store: &S) {
    let longest = "x".repeat(128);
    let names = [
        ("o", "a#b", "c"),
        ("o", "a", "b#c"),
        ("o#a", "b", "c"),
        ("o", "a/b", "c"),
        ("o", "a%23b", "c"),
        ("o", "a b", "c"),
        ("o", "🦀", "L#"),
        ("o", "L", "#"),
        ("o", &longest, &longest),
        ("J#", "S#", "L#"),
    ];
    for (n, (organization, sku, location)) in names.iter().enumerate() {
        let level = StockLevel { available: n as i64, ..level_of(3) };
        let committed = store.commit(&level_key(organization, sku, location), None, &level).await.unwrap();
        assert_eq!(committed, Commit::Committed, "{organization}/{sku}/{location}");
    }
    for (n, (organization, sku, location)) in names.iter().enumerate() {
        let key = level_key(organization, sku, location);
        assert_eq!(loaded(store, &key).await.level.available, n as i64);
        let of_sku = store.levels_of(&key.organization, &key.sku).await.unwrap();
        assert_eq!(of_sku.len(), 1, "{organization}/{sku}/{location}");
        assert_eq!(of_sku[0].0, key.location);
    }
}

pub async fn listing_pages_through_everything_once<S: StockStore>(store: &S) {
    let mut expected = Vec::new();
    for n in 0..11 {
        let key = key(&format!("sku#{}", n / 2), &format!("loc-{n}"));
        store.commit(&key, None, &level_of(n % 5 + 1)).await.unwrap();
        expected.push((key, level_of(n % 5 + 1)));
    }
    let (mut seen, mut after, mut pages): (Vec<_>, Option<ListPosition>, _) = (Vec::new(), None, 0);
    loop {
        let page = store.list(&expected[0].0.organization, after.as_ref(), 3).await.unwrap();
        assert!(page.levels.len() <= 3);
        seen.extend(page.levels);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
        assert!(pages < 10, "the listing ends");
    }
    seen.sort_by(|left, right| left.0.cmp(&right.0));
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(seen, expected);
}

pub async fn organizations_do_not_see_each_other<S: StockStore>(store: &S) {
    let (ours, theirs) = (level_key("us", "a", "b"), level_key("them", "a", "b"));
    store.commit(&ours, None, &level_of(1)).await.unwrap();
    assert_eq!(store.load(&theirs).await.unwrap(), None);
    assert_eq!(store.levels_of(&theirs.organization, &theirs.sku).await.unwrap(), []);
    assert_eq!(store.list(&theirs.organization, None, 10).await.unwrap().levels, []);
    assert_eq!(store.list(&ours.organization, None, 10).await.unwrap().levels.len(), 1);
}

pub async fn redelivered_batch_of_a_hundred_counts_once<S: StockStore>(store: &S) {
    let (key, clock) = (key("hot", "main"), FixedClock::at(at(60_000)));
    let one = Delta::new(-1).unwrap();
    let batch: Vec<_> = (0..100).map(|n| event(&format!("d{n}"), n, EventBody::Delta(one))).collect();
    let first = apply_group(store, &clock, &key, &batch).await;
    assert!(first.failure.is_none());
    assert!(first.outcomes.iter().all(|outcome| *outcome == Outcome::Applied));
    let second = apply_group(store, &clock, &key, &batch).await;
    assert_eq!(second.outcomes, [Outcome::Duplicate; 100]);
    let level = loaded(store, &key).await.level;
    assert_eq!((level.available, level.version), (-100, 100));
}

pub async fn hundreds_of_observations_in_a_millisecond_lose_none<S: StockStore>(store: &S) {
    let (key, clock) = (key("hot", "main"), FixedClock::at(at(60_000)));
    let says: Vec<_> = (0..200).map(|n| counted(&format!("c{n}"), (n * 37) % 200, n)).collect();
    let groups = join_all(says.chunks(20).map(|batch| apply_group(store, &clock, &key, batch))).await;
    let outcomes: Vec<_> = groups.into_iter().flat_map(|group| group.outcomes).collect();
    assert_eq!(outcomes.len(), 200);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied | Outcome::Stale)));
    let newest = says.iter().max_by_key(|event| event.time).unwrap();
    let stated = match newest.body {
        EventBody::Count { quantity, .. } => quantity.get(),
        _ => panic!("a count"),
    };
    assert_eq!(loaded(store, &key).await.level.available, stated, "the last source time wins");
}

pub async fn sixty_four_decrements_on_ten_apply_ten<S: StockStore>(store: &S) {
    let (key, clock) = (key("hot", "main"), FixedClock::at(at(60_000)));
    stock(store, &clock, &key, 10).await;
    let takes: Vec<_> = (0..64).map(|n| take(&format!("take{n}"), 60_000, 1)).collect();
    let settled = join_all(takes.iter().map(|take| request(store, &clock, &key, take))).await;
    let answers: Vec<_> = settled.into_iter().map(|settled| settled.unwrap().answer).collect();
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Applied(_))).count(), 10);
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Insufficient).count(), 54);
    assert_eq!(loaded(store, &key).await.level.available, 0);
}

pub async fn sixty_four_updates_under_one_version_apply_one<S: StockStore>(store: &S) {
    let (key, clock) = (key("hot", "main"), FixedClock::at(at(60_000)));
    stock(store, &clock, &key, 100).await;
    let versioned = EventBody::Request { available: -1, reserved: 0, expected_version: Some(1) };
    let takes: Vec<_> = (0..64).map(|n| event(&format!("take{n}"), 60_000, versioned.clone())).collect();
    let settled = join_all(takes.iter().map(|take| request(store, &clock, &key, take))).await;
    let answers: Vec<_> = settled.into_iter().map(|settled| settled.unwrap().answer).collect();
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Applied(_))).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::VersionConflict).count(), 63);
}

pub async fn update_is_replayed_long_after_its_entry_left_the_level<S: StockStore + IdempotencyStore>(store: &S) {
    let (key, clock) = (key("sku", "main"), FixedClock::at(at(60_000)));
    stock(store, &clock, &key, 100).await;
    let asked = |name: &str, units: i64| Update {
        key: key.clone(),
        delta: Delta::new(-units).unwrap(),
        version: None,
        idempotency_key: name.to_owned(),
        request_hash: [units as u8; 32],
        actor: ActorCode(1),
    };
    let send = async |asked: &Update| {
        clock.advance_ms(1000);
        update(UpdateDeps { store, clock: &clock, ids: &ids() }, asked).await.unwrap()
    };
    let first = asked("first", 3);
    let UpdateResult::Settled { settled, replayed: false } = send(&first).await else { panic!("new") };
    let Answer::Applied(placed) = settled.answer else { panic!("applied") };
    assert_eq!((placed.available_after, placed.version), (97, 2));
    for n in 0..50 {
        send(&asked(&format!("later{n}"), 1)).await;
    }
    let UpdateResult::Settled { settled, replayed: true } = send(&first).await else { panic!("replayed") };
    assert_eq!(settled.answer, Answer::Applied(placed), "the first answer, though its entry is in a page");
    assert_eq!(loaded(store, &key).await.level.available, 47);
    assert!(matches!(send(&asked("first", 4)).await, UpdateResult::KeyReused));
}

pub async fn concurrent_groups_lose_nothing<S: StockStore>(store: &S) {
    let (key, clock) = (Arc::new(key("hot", "main")), FixedClock::at(at(60_000)));
    let batches: Vec<Vec<_>> = (0..6)
        .map(|b| {
            (0..10).map(|n| event(&format!("d{b}/{n}"), b * 10 + n, EventBody::Delta(Delta::new(1).unwrap()))).collect()
        })
        .collect();
    let results = join_all(batches.iter().map(|batch| apply_group(store, &clock, &key, batch))).await;
    for result in results {
        assert!(result.failure.is_none(), "{:?}", result.failure);
        assert_eq!(result.outcomes, [Outcome::Applied; 10]);
    }
    let level = loaded(store, &key).await.level;
    assert_eq!((level.available, level.version), (60, 60));
    assert!(clock.now() > level.spilled_through);
}
