//! The part of the contract that is about the change feed.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are test bodies"
)]

use std::collections::BTreeSet;

use evenstock_domain::{
    ActorCode, Change, ChangePage, ChangeType, Delta, EventBody, EventId, EventIdKey, FEED_PAGE_BYTES_MAX, FeedLimits,
    FeedMarker, FeedWrite, LevelKey, LocationId, OrganizationId, Past, Sku, Source, StockEvent, Timestamp,
    changes_since, next_write,
};
use futures::future::join_all;

use super::contract::at;
use crate::testing::FixedClock;
use crate::{
    Behind, Candidate, FeedDeps, FeedStore, LevelScan, RecentPages, RepairLimits, RepairPass, RepairStore, StockStore,
    apply_group, changes_behind, head_of_feed, publish, repair, snapshot_offset,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn organization(name: &str) -> OrganizationId {
    OrganizationId::parse(name).unwrap()
}

fn change(sku: &str, version: u64) -> Change {
    Change {
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("shop #1").unwrap(),
        version,
        kind: ChangeType::StockDecreased,
        delta: -1,
        quantity: -7,
        reserved: i64::MAX,
        source: Source::api(),
        event_id: EventId([7; 8]),
        at: at(3),
    }
}

fn page(first_seq: u64, changes: Vec<Change>) -> ChangePage {
    ChangePage { first_seq, changes, appended_at: at(10), expires: at(10 + 7 * DAY_MS) }
}

fn numbers(pages: &[ChangePage]) -> Vec<u64> {
    pages.iter().map(|page| page.first_seq).collect()
}

pub async fn feed_pages_are_put_once_and_read_both_ways<S: FeedStore>(store: &S) {
    let us = organization("us");
    let marker = FeedMarker { start: 1, ceiling: 100, set_at: at(0) };
    assert!(store.mark_feed(&us, None, &marker).await.unwrap());
    // Numbers of different lengths, so that the order of text would show.
    for first_seq in [9, 10, 1, 100, 2] {
        assert!(store.put_change_page(&us, &page(first_seq, vec![change("a", first_seq)])).await.unwrap());
    }
    assert!(!store.put_change_page(&us, &page(10, vec![change("b", 1)])).await.unwrap());
    let tail = store.feed_tail(&us, 2).await.unwrap();
    assert_eq!((tail.marker, numbers(&tail.pages)), (Some(marker), vec![100, 10]));
    assert_eq!(tail.pages[1], page(10, vec![change("a", 10)]));
    assert_eq!(numbers(&store.feed_tail(&us, 9).await.unwrap().pages), [100, 10, 9, 2, 1]);
    assert_eq!(numbers(&store.feed_back(&us, 10, 2).await.unwrap()), [10, 9]);
    assert_eq!(numbers(&store.feed_back(&us, 8, 9).await.unwrap()), [2, 1]);
    assert_eq!(numbers(&store.feed_back(&us, 0, 9).await.unwrap()), [0; 0]);
    assert_eq!(numbers(&store.feed_forward(&us, 2, 2).await.unwrap()), [9, 10]);
    assert_eq!(numbers(&store.feed_forward(&us, 0, 9).await.unwrap()), [1, 2, 9, 10, 100]);
    assert_eq!(numbers(&store.feed_forward(&us, 100, 9).await.unwrap()), [0; 0]);
}

/// A page at the limit, of the longest names.
pub async fn feed_pages_of_the_greatest_size_read_back_whole<S: FeedStore>(store: &S) {
    let us = organization("us");
    let longest = "🦀".repeat(32);
    let named = |version| Change {
        location: LocationId::parse(&longest).unwrap(),
        source: Source::parse(&longest).unwrap(),
        ..change(&longest, version)
    };
    let limits = FeedLimits::keeping_hours(168);
    let clock = FixedClock::at(at(0));
    let candidates: Vec<_> =
        (1..=2500).map(|version| Candidate { change: named(version), recorded_at: at(0) }).collect();
    let recent = RecentPages::default();
    let deps = FeedDeps { store, clock: &clock, limits: &limits, recent: &recent };
    assert_eq!(publish(deps, &us, &candidates).await.unwrap(), (1..=2500).collect::<Vec<_>>());
    let pages = store.feed_back(&us, u64::MAX / 4, 500).await.unwrap();
    let size = |page: &ChangePage| -> usize {
        page.changes.iter().map(|one| evenstock_domain::encode_change(one).len()).sum()
    };
    assert!(pages.iter().all(|page| size(page) <= FEED_PAGE_BYTES_MAX));
    assert!(pages[1..].iter().all(|page| size(page) > FEED_PAGE_BYTES_MAX - 500), "and they are filled");
    let again = publish(FeedDeps { recent: &RecentPages::default(), ..deps }, &us, &candidates).await.unwrap();
    assert_eq!(again, (1..=2500).collect::<Vec<_>>(), "found again by one who knows nothing");
    let Behind::Events { events, head } = changes_behind(store, &us, 700, 1000, at(0)).await.unwrap() else {
        unreachable!("nothing is gone");
    };
    assert_eq!((events.len(), events[0].seq, events[999].seq, head), (1000, 701, 1700, 2500));
    assert_eq!(events[0].change, named(701));
}

pub async fn feeds_of_organizations_are_apart<S: FeedStore>(store: &S) {
    let names = ["a", "a#F", "a#F#", "P", "b"].map(organization);
    let (clock, limits, recent) = (FixedClock::at(at(0)), FeedLimits::keeping_hours(168), RecentPages::default());
    let deps = FeedDeps { store, clock: &clock, limits: &limits, recent: &recent };
    for (place, name) in names.iter().enumerate() {
        let candidates: Vec<_> =
            (0..=place).map(|n| Candidate { change: change(&format!("{name}-{n}"), 1), recorded_at: at(0) }).collect();
        publish(deps, name, &candidates).await.unwrap();
    }
    for (place, name) in names.iter().enumerate() {
        let tail = store.feed_tail(name, 9).await.unwrap();
        assert_eq!(tail.pages.len(), 1);
        assert!(tail.pages[0].changes.iter().all(|change| change.sku.as_str().starts_with(&format!("{name}-"))));
        assert_eq!(tail.head(at(0)), place as u64 + 1);
    }
    assert_eq!(head_of_feed(store, &organization("c"), at(0)).await.unwrap(), 0);
}

pub async fn marker_is_written_over_what_was_read<S: FeedStore>(store: &S) {
    let us = organization("us");
    let first = FeedMarker { start: 1, ceiling: 10, set_at: at(0) };
    assert_eq!(store.feed_tail(&us, 1).await.unwrap().marker, None);
    assert!(!store.mark_feed(&us, Some(&first), &first).await.unwrap(), "there is none");
    assert!(store.mark_feed(&us, None, &first).await.unwrap());
    assert!(!store.mark_feed(&us, None, &first).await.unwrap(), "there is one");
    let others =
        [FeedMarker { start: 2, ..first }, FeedMarker { ceiling: 11, ..first }, FeedMarker { set_at: at(1), ..first }];
    for other in others {
        assert!(!store.mark_feed(&us, Some(&other), &other).await.unwrap());
    }
    let written = join_all(others.iter().map(|other| store.mark_feed(&us, Some(&first), other))).await;
    let won: Vec<_> = written.into_iter().map(Result::unwrap).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = won.iter().position(|won| *won).map(|place| others[place]);
    assert_eq!(store.feed_tail(&us, 1).await.unwrap().marker, winner);
}

pub async fn sixty_four_publishers_number_each_change_once<S: FeedStore>(store: &S) {
    let us = organization("us");
    let (clock, limits) = (FixedClock::at(at(0)), FeedLimits::keeping_hours(168));
    // Each overlaps with its neighbours.
    let batches: Vec<Vec<_>> = (0..64_u64)
        .map(|n| (n..n + 8).map(|v| Candidate { change: change("a", v + 1), recorded_at: at(0) }).collect())
        .collect();
    let recents: Vec<_> = (0..64).map(|_| RecentPages::default()).collect();
    let all = join_all(
        batches
            .iter()
            .zip(&recents)
            .map(|(batch, recent)| publish(FeedDeps { store, clock: &clock, limits: &limits, recent }, &us, batch)),
    )
    .await;
    let mut told = BTreeSet::new();
    for (batch, seqs) in batches.iter().zip(all) {
        let seqs = seqs.unwrap();
        assert_eq!(seqs.len(), batch.len());
        told.extend(batch.iter().map(|candidate| candidate.change.version).zip(seqs));
    }
    assert_eq!(told.len(), 71, "everybody was told the same numbers");
    let Behind::Events { events, head } = changes_behind(store, &us, 0, 1000, at(0)).await.unwrap() else {
        unreachable!("nothing is gone");
    };
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=71).collect::<Vec<_>>());
    assert_eq!(events.iter().map(|event| (event.change.version, event.seq)).collect::<BTreeSet<_>>(), told);
    assert_eq!(head, 71);
}

/// Without deleting: a marker set long ago and no page is what a long idle tenant looks like.
pub async fn feed_goes_on_above_the_ceiling_when_its_pages_are_gone<S: FeedStore>(store: &S) {
    let us = organization("us");
    let old = FeedMarker { start: 1, ceiling: 10_000, set_at: at(0) };
    assert!(store.mark_feed(&us, None, &old).await.unwrap());
    let now = at(10 * DAY_MS);
    assert_eq!(snapshot_offset(store, &us, now).await.unwrap(), 10_000);
    let ask = async |offset| changes_behind(store, &us, offset, 10, now).await.unwrap();
    assert_eq!(ask(0).await, Behind::Gone);
    assert_eq!(ask(9999).await, Behind::Gone);
    assert_eq!(ask(10_000).await, Behind::Events { events: vec![], head: 10_000 });
    assert_eq!(ask(10_001).await, Behind::Ahead);
    let (clock, limits, recent) = (FixedClock::at(now), FeedLimits::keeping_hours(168), RecentPages::default());
    let deps = FeedDeps { store, clock: &clock, limits: &limits, recent: &recent };
    let candidates = [Candidate { change: change("a", 9), recorded_at: now }];
    assert_eq!(publish(deps, &us, &candidates).await.unwrap(), [10_001]);
    assert_eq!(ask(9999).await, Behind::Gone, "never silently skipped");
    assert!(matches!(ask(10_000).await, Behind::Events { events, .. } if events.len() == 1));
    let tail = store.feed_tail(&us, 1).await.unwrap();
    assert!(tail.marker.is_some_and(|marker| marker.start == 10_001 && marker.ceiling >= 10_001));
    assert!(matches!(next_write(&limits, &tail, &[change("a", 10)], now), FeedWrite::Put(_)));
}

fn level_key(organization: &str, sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse(organization).unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

/// Changes a level `times` times.
async fn busy<S: StockStore>(store: &S, now: Timestamp, key: &LevelKey, times: usize) {
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let event = |n: usize| StockEvent {
        id: ids.event_id(&format!("{}-{n}", now.as_millis())),
        time: now,
        source: Source::api(),
        actor: ActorCode(0),
        body: EventBody::Delta(Delta::new(1).unwrap()),
    };
    let events: Vec<_> = (0..times).map(event).collect();
    assert!(apply_group(store, &FixedClock::at(now), key, &events).await.failure.is_none());
}

pub async fn repair_appends_what_the_feed_lacks<S>(store: &S)
where
    S: StockStore + FeedStore + LevelScan + RepairStore,
{
    let now = at(5 * DAY_MS);
    let hour_ago = now.plus_millis(-DAY_MS / 24);
    busy(store, at(0), &level_key("org", "old"), 3).await;
    busy(store, hour_ago, &level_key("org", "busy"), 70).await;
    busy(store, hour_ago, &level_key("other", "quiet"), 2).await;
    busy(store, now, &level_key("other", "young"), 1).await;
    let org = organization("org");
    let (clock, limits, recent) = (FixedClock::at(now), FeedLimits::keeping_hours(168), RecentPages::default());
    let deps = FeedDeps { store, clock: &clock, limits: &limits, recent: &recent };
    // The stream brought all but versions 5 and 70.
    let level = store.load(&level_key("org", "busy")).await.unwrap().unwrap().level;
    let past = Past::reaching(at(0), store.pages_since(&level_key("org", "busy"), at(0)).await.unwrap());
    let key = level_key("org", "busy");
    let changes = changes_since((&key.sku, &key.location), 0, &level, &past);
    assert_eq!(changes.len(), 70);
    let brought = changes.into_iter().filter(|change| ![5, 70].contains(&change.version));
    let candidates: Vec<_> = brought.map(|change| Candidate { change, recorded_at: hour_ago }).collect();
    publish(deps, &org, &candidates).await.unwrap();

    let report = repair(deps, RepairLimits { until: now.plus_millis(1) }).await.unwrap();
    assert_eq!((report.levels, report.offered, report.finished), (4, 72, true));
    let versions = async |organization: &OrganizationId| {
        let Behind::Events { events, .. } = changes_behind(store, organization, 0, 1000, now).await.unwrap() else {
            unreachable!("nothing is gone");
        };
        events.iter().map(|event| (event.change.sku.to_string(), event.change.version)).collect::<Vec<_>>()
    };
    let repaired = versions(&org).await;
    assert_eq!(repaired.len(), 70);
    assert_eq!(repaired[68..], [("busy".to_owned(), 5), ("busy".to_owned(), 70)]);
    let theirs = versions(&organization("other")).await;
    assert_eq!(theirs, [("quiet".to_owned(), 1), ("quiet".to_owned(), 2)], "the young one is the stream's");
    let again = repair(deps, RepairLimits { until: now.plus_millis(1) }).await.unwrap();
    assert_eq!((again.levels, again.finished), (0, true), "once a day");
}

pub async fn scan_goes_through_all_levels_once<S: StockStore + LevelScan>(store: &S) {
    let mut keys = BTreeSet::new();
    for organization in ["a", "b", "c"] {
        for n in 0..5 {
            let key = level_key(organization, &format!("sku #{n}"));
            busy(store, at(0), &key, 1).await;
            keys.insert(key);
        }
    }
    for limit in [1, 4, 100] {
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = store.scan_levels(after.as_ref(), limit).await.unwrap();
            found.extend(page.levels.into_iter().map(|(key, level)| {
                assert_eq!(level.version, 1);
                key
            }));
            pages += 1;
            assert!(pages < 20, "it ends");
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        assert_eq!(found.len(), 15, "limit {limit}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), keys);
    }
}

pub async fn repair_pass_is_written_over_what_was_read<S: RepairStore>(store: &S) {
    assert_eq!(store.repair_pass().await.unwrap(), None);
    let begun = RepairPass { started_at: at(0), after: None, finished: false };
    let further = RepairPass { after: Some(level_key("org #", "%sku")), ..begun.clone() };
    assert!(!store.save_repair_pass(Some(&begun), &further).await.unwrap());
    assert!(store.save_repair_pass(None, &begun).await.unwrap());
    assert!(!store.save_repair_pass(None, &begun).await.unwrap());
    assert!(store.save_repair_pass(Some(&begun), &further).await.unwrap());
    assert!(!store.save_repair_pass(Some(&begun), &further).await.unwrap());
    assert_eq!(store.repair_pass().await.unwrap(), Some(further.clone()));
    let ended = RepairPass { after: None, finished: true, ..further.clone() };
    assert!(store.save_repair_pass(Some(&further), &ended).await.unwrap());
    assert_eq!(store.repair_pass().await.unwrap(), Some(ended));
}
