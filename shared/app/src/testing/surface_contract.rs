//! The store contract of what stands around updates: policies, histories, creation, kept answers and bulk syncs.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "these functions are test bodies"
)]

use evenstock_domain::{
    ActorCode, BlindRequest, Delta, EventBody, LocationId, OrganizationId, Outcome, Policy, Quantity, Sku, Source,
    StockEvent, StockLevel, Timestamp,
};
use futures::future::join_all;

use super::contract::{at, ids, key, level_of, loaded, page, stock, take};
use crate::testing::FixedClock;
use crate::{
    Answer, Appended, BulkCounters, BulkMode, BulkOutcome, BulkProduct, BulkRequest, BulkSync, BulkSyncStore, Clock,
    Commit, Create, CreateResult, IdempotencyStore, OperationClaim, OperationRecord, PolicyChange, StockStore,
    UpdateDeps, apply_group, bulk_sync, create, history, request, set_policy,
};

fn quantity(units: i64) -> Quantity {
    Quantity::new(units).unwrap()
}

fn organization(name: &str) -> OrganizationId {
    OrganizationId::parse(name).unwrap()
}

fn sold(name: &str, millis: i64) -> StockEvent {
    let body = EventBody::Delta(Delta::new(-1).unwrap());
    StockEvent { id: ids().event_id(name), time: at(millis), source: Source::api(), actor: ActorCode(3), body }
}

pub async fn safety_stock_is_kept_from_requests<S: StockStore>(store: &S) {
    let (key, clock) = (key("a", "b"), FixedClock::at(at(60_000)));
    let policy = Policy { safety_stock: quantity(3), ..Policy::default() };
    let level = StockLevel { policy, ..level_of(5) };
    assert_eq!(store.commit(&key, None, &level).await.unwrap(), Commit::Committed);
    let blind = |name: &str, units| BlindRequest::new(&take(name, 900, units), at(950)).unwrap();
    assert!(matches!(store.append(&key, &blind("r1", 3)).await.unwrap(), Appended::Refused(Some(_))));
    assert!(matches!(store.append(&key, &blind("r2", 2)).await.unwrap(), Appended::Applied(_)), "down to the floor");
    assert!(matches!(store.append(&key, &blind("r3", 1)).await.unwrap(), Appended::Refused(Some(_))));
    let refused = request(store, &clock, &key, &take("r4", 60_000, 1)).await.unwrap();
    assert_eq!((refused.answer, refused.level.available), (Answer::Insufficient, 3));
    let fact = apply_group(store, &clock, &key, &[sold("order", 60_000)]).await;
    assert_eq!(fact.outcomes, [Outcome::Applied], "facts are never refused");
    let more = request(store, &clock, &key, &take("r5", 60_000, -9)).await.unwrap();
    assert!(matches!(more.answer, Answer::Applied(_)), "adding needs no headroom");
    assert!(matches!(store.append(&key, &blind("r6", 8)).await.unwrap(), Appended::Applied(_)));
    assert_eq!(loaded(store, &key).await.level.available, 3);
}

pub async fn policy_is_set_without_a_change_of_stock<S: StockStore>(store: &S) {
    let (key, clock) = (key("a", "b"), FixedClock::at(at(60_000)));
    let change = PolicyChange { safety_stock: Some(quantity(2)), ..PolicyChange::default() };
    assert_eq!(set_policy(store, &clock, &key, change).await.unwrap(), None, "no level, no policy");
    stock(store, &clock, &key, 10).await;
    let low = PolicyChange { low_stock: Some(Some(quantity(4))), ..PolicyChange::default() };
    let (one, other) = tokio::join!(set_policy(store, &clock, &key, change), set_policy(store, &clock, &key, low));
    assert!(one.unwrap().is_some() && other.unwrap().is_some());
    let stored = loaded(store, &key).await;
    let policy = Policy { allow_backorder: false, low_stock: Some(quantity(4)), safety_stock: quantity(2) };
    assert_eq!((stored.rev, stored.level.version, stored.level.policy), (3, 1, policy), "neither loses the other's");
    set_policy(store, &clock, &key, low).await.unwrap();
    assert_eq!(loaded(store, &key).await.rev, 3, "what it is already is not written");
    let none = PolicyChange { low_stock: Some(None), allow_backorder: Some(true), ..PolicyChange::default() };
    let policy = set_policy(store, &clock, &key, none).await.unwrap().unwrap();
    assert_eq!(policy, Policy { allow_backorder: true, low_stock: None, safety_stock: quantity(2) });
    let most = BlindRequest::new(&take("most", 90_000, 10 + Quantity::MAX), at(90_000)).unwrap();
    assert!(matches!(store.append(&key, &most).await.unwrap(), Appended::Applied(_)), "backorder is above safety");
}

pub async fn pages_before_a_version_come_newest_first<S: StockStore>(store: &S) {
    let (sku, other) = (key("a", "b"), key("a", "b2"));
    for number in 0..4 {
        store.put_page(&sku, &page(number)).await.unwrap();
    }
    store.put_page(&other, &page(3)).await.unwrap();
    let before = async |version, until, limit| store.pages_before(&sku, version, until, limit).await.unwrap();
    assert_eq!(before(64, Timestamp::MAX, 9).await, [page(3), page(2), page(1), page(0)]);
    assert_eq!(before(64, Timestamp::MAX, 2).await, [page(3), page(2)]);
    assert_eq!(before(48, Timestamp::MAX, 2).await, [page(2), page(1)]);
    assert_eq!(before(49, Timestamp::MAX, 1).await, [page(3)], "its first version is enough");
    assert_eq!(before(64, page(1).committed_at(), 9).await, [page(1), page(0)]);
    assert_eq!(before(64, page(1).committed_at().plus_millis(-1), 9).await, [page(0)]);
    assert_eq!(before(0, Timestamp::MAX, 9).await, []);
}

pub async fn history_pages_back_through_everything_once<S: StockStore>(store: &S) {
    let (key, clock) = (key("a", "b"), FixedClock::at(at(60_000)));
    assert_eq!(history(store, &key, None, 5).await.unwrap(), None);
    stock(store, &clock, &key, 100).await;
    for n in 0..69 {
        // Clocks of writers differ: every other change seems to be committed five seconds earlier.
        clock.advance_ms(if n % 2 == 0 { 6000 } else { -5000 });
        apply_group(store, &clock, &key, &[sold(&format!("s{n}"), 60_000)]).await;
    }
    let version = loaded(store, &key).await.level.version;
    assert_eq!(version, 70);
    for limit in [1, 3, 16, 17, 33, 500] {
        let (mut seen, mut position) = (Vec::new(), None);
        loop {
            let page = history(store, &key, position, limit).await.unwrap().unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        let shown: Vec<_> = seen.iter().map(|item| (item.version, item.available_after)).collect();
        let expected: Vec<_> = (1..=70).rev().map(|version| (version, 101 - version as i64)).collect();
        assert_eq!(shown, expected, "{limit} a page");
    }
    let page = history(store, &key, None, 1).await.unwrap().unwrap();
    assert_eq!((page.items[0].entry.actor, &page.items[0].source), (ActorCode(3), &Source::api()));
}

fn creation(name: &str, millis: i64, units: i64) -> Create {
    let (actor, operation) = (ActorCode(1), name.to_owned());
    Create { key: key("a", "b"), quantity: quantity(units), actor, operation, time: at(millis) }
}

pub async fn level_is_created_by_one_of_many<S: StockStore>(store: &S) {
    let clock = FixedClock::at(at(60_000));
    let creations: Vec<_> = (0..16).map(|n| creation(&format!("c{n}"), 60_000, n)).collect();
    let key = ids();
    let results = join_all(creations.iter().map(|asked| create(store, &clock, &key, asked))).await;
    let made: Vec<_> = results
        .into_iter()
        .filter_map(|result| match result.unwrap() {
            CreateResult::Created { first, repeated: false } => Some(first),
            CreateResult::Created { .. } => panic!("nobody was there before"),
            CreateResult::Exists(_) => None,
        })
        .collect();
    assert_eq!(made.len(), 1);
    let level = loaded(store, &creations[0].key).await.level;
    assert_eq!((level.version, level.available), (1, made[0].available_after));
}

pub async fn creation_is_recognized_long_after<S: StockStore>(store: &S) {
    let clock = FixedClock::at(at(60_000));
    let asked = creation("c", 60_000, 0);
    let CreateResult::Created { first, repeated: false } = create(store, &clock, &ids(), &asked).await.unwrap() else {
        panic!("created")
    };
    assert_eq!((first.version, first.available_after), (1, 0), "also with nothing in it");
    for n in 0..40 {
        clock.advance_ms(1000);
        apply_group(store, &clock, &asked.key, &[sold(&format!("s{n}"), 61_000 + n * 1000)]).await;
    }
    assert!(loaded(store, &asked.key).await.level.first_recent_version() > 1);
    let again = create(store, &clock, &ids(), &asked).await.unwrap();
    assert_eq!(again, CreateResult::Created { first, repeated: true });
    let other = create(store, &clock, &ids(), &creation("other", 90_000, 0)).await.unwrap();
    assert!(matches!(other, CreateResult::Exists(level) if level.version == 41));
}

pub async fn answer_is_kept_once_and_expires_with_its_key<S: IdempotencyStore>(store: &S) {
    let organization = organization("org");
    let record = |millis| OperationRecord {
        organization: organization.clone(),
        key: "k".to_owned(),
        request_hash: [1; 32],
        time: at(millis),
        expires_at: at(millis + 1000),
        answer: None,
    };
    let keep = async |millis, answer| store.keep_answer(&organization, "k", at(millis), answer).await.unwrap();
    assert_eq!(keep(0, "early").await, None, "nobody claimed the key");
    store.claim(&record(0)).await.unwrap();
    assert_eq!(keep(0, "first").await.as_deref(), Some("first"));
    assert_eq!(keep(0, "second").await.as_deref(), Some("first"), "the first answer counts");
    let known = OperationRecord { answer: Some("first".to_owned()), ..record(0) };
    assert_eq!(store.claim(&record(500)).await.unwrap(), OperationClaim::Existing(known));
    assert_eq!(store.claim(&record(1000)).await.unwrap(), OperationClaim::New, "and goes with its key");
    assert_eq!(keep(0, "late").await, None);
    assert_eq!(store.claim(&record(1500)).await.unwrap(), OperationClaim::Existing(record(1000)));
}

pub async fn parts_of_a_sync_are_kept_until_it_expires<S: BulkSyncStore>(store: &S) {
    let sync = |name: &str, millis: i64| BulkSync {
        organization: organization(name),
        id: "night #1".to_owned(),
        location: LocationId::parse("main").unwrap(),
        started_at: at(millis),
        expires_at: at(millis + 1000),
    };
    let skus = |names: &[&str]| names.iter().map(|name| Sku::parse(name).unwrap()).collect::<Vec<_>>();
    let first = store.begin_sync(&sync("us", 0)).await.unwrap();
    assert_eq!(first, sync("us", 0));
    assert_eq!(store.begin_sync(&sync("us", 999)).await.unwrap(), first, "the one under way");
    assert_eq!(store.begin_sync(&sync("them", 999)).await.unwrap(), sync("them", 999));
    for (part, names) in [("p1", vec!["a", "b"]), ("p2", vec!["b", "c#d"]), ("p1", vec!["a", "b"])] {
        store.add_part(&first, part, &skus(&names)).await.unwrap();
    }
    let named = store.named(&first, 2).await.unwrap().unwrap();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), skus(&["a", "b", "c#d"]));
    assert_eq!(store.named(&first, 1).await.unwrap(), None, "too many parts");
    assert!(store.named(&sync("them", 999), 9).await.unwrap().unwrap().is_empty());
    let anew = store.begin_sync(&sync("us", 1000)).await.unwrap();
    assert_eq!(anew, sync("us", 1000), "the name is free again");
    assert!(store.named(&anew, 9).await.unwrap().unwrap().is_empty(), "and stands for nothing");
}

struct Books<'a, S> {
    store: &'a S,
    clock: FixedClock,
}

impl<S: StockStore + BulkSyncStore> Books<'_, S> {
    async fn sync(&self, operation: &str, mode: BulkMode, products: &[(&str, i64, u64)]) -> BulkCounters {
        self.clock.advance_ms(1000);
        self.sync_as_of(operation, mode, products, self.clock.now()).await
    }

    async fn sync_as_of(
        &self,
        operation: &str,
        mode: BulkMode,
        products: &[(&str, i64, u64)],
        time: Timestamp,
    ) -> BulkCounters {
        let product = |(sku, units, version): &(&str, i64, u64)| BulkProduct {
            sku: Sku::parse(sku).unwrap(),
            quantity: quantity(*units),
            version: *version,
        };
        let asked = BulkRequest {
            organization: organization("org"),
            location: LocationId::parse("main").unwrap(),
            mode,
            products: products.iter().map(product).collect(),
            actor: ActorCode(1),
            operation: operation.to_owned(),
            time,
        };
        let deps = UpdateDeps { store: self.store, clock: &self.clock, ids: &ids() };
        match bulk_sync(&deps, &asked).await.unwrap() {
            BulkOutcome::Done(counters) => counters,
            refused => panic!("{refused:?}"),
        }
    }

    async fn level(&self, sku: &str) -> (i64, u64) {
        let level = loaded(self.store, &key(sku, "main")).await.level;
        (level.available, level.version)
    }
}

const fn counters(updated: u64, created: u64, skipped: u64) -> BulkCounters {
    BulkCounters { updated, created, skipped }
}

pub async fn bulk_sync_sets_what_was_seen_and_skips_the_rest<S: StockStore + BulkSyncStore>(store: &S) {
    let books = Books { store, clock: FixedClock::at(at(60_000)) };
    let first = [("a", 5, 0), ("b", 0, 7), ("c", 9, 0)];
    assert_eq!(books.sync("one", BulkMode::Merge, &first).await, counters(0, 3, 0), "whatever version was named");
    // An authority whose clock runs a minute and a half ahead of ours has counted since.
    let ahead = EventBody::Count { quantity: quantity(6), means: evenstock_domain::Means::Available, sequence: 0 };
    let time = books.clock.now().plus_millis(90_000);
    let counted =
        StockEvent { id: ids().event_id("far"), time, source: Source::api(), actor: ActorCode(0), body: ahead };
    apply_group(store, &books.clock, &key("a", "main"), &[counted]).await;
    let second = [("a", 8, 2), ("b", 1, 3), ("c", 9, 1), ("d", 4, 0)];
    let asked_at = books.clock.now();
    let done = books.sync_as_of("two", BulkMode::Merge, &second, asked_at).await;
    assert_eq!(done, counters(1, 1, 2));
    assert_eq!(books.level("a").await, (8, 3), "our own word comes after a count that is ahead of our clock");
    assert_eq!((books.level("b").await, books.level("c").await), ((0, 1), (9, 1)));
    assert_eq!(books.sync_as_of("two", BulkMode::Merge, &second, asked_at).await, done, "a redo finds its own work");
    assert_eq!(books.level("a").await, (8, 3));
    assert_eq!(
        books.sync("three", BulkMode::Merge, &second).await,
        counters(0, 0, 4),
        "another has seen no such version"
    );
    assert_eq!(books.sync("four", BulkMode::Merge, &[]).await, counters(0, 0, 0));
}

pub async fn replacement_empties_what_nobody_named_or_changed<S: StockStore + BulkSyncStore>(store: &S) {
    let books = Books { store, clock: FixedClock::at(at(60_000)) };
    let all: Vec<_> = ["a", "b", "c", "d", "zero"].into_iter().zip([1, 2, 3, 4, 0]).map(|(n, q)| (n, q, 0)).collect();
    books.sync("stock", BulkMode::Merge, &all).await;
    stock(store, &books.clock, &key("a", "elsewhere"), 7).await;
    let reserve = EventBody::Request { available: -1, reserved: 1, expected_version: None };
    let held = StockEvent { body: reserve, ..take("held", 61_000, 1) };
    request(store, &books.clock, &key("c", "main"), &held).await.unwrap();

    let part = |last| BulkMode::Part { sync: "night".to_owned(), last };
    assert_eq!(books.sync("part 1", part(false), &[("a", 10, 1)]).await, counters(1, 0, 0));
    books.clock.advance_ms(1);
    request(store, &books.clock, &key("d", "main"), &take("sale", 62_000, 1)).await.unwrap();
    assert_eq!(books.level("b").await, (2, 1), "nothing is emptied before the last part");
    let done = books.sync("part 2", part(true), &[("e", 5, 0)]).await;
    assert_eq!(done, counters(2, 1, 1), "b and c emptied, e created, d changed since the first part");
    assert_eq!((books.level("a").await, books.level("b").await), ((10, 2), (0, 2)));
    let c = loaded(store, &key("c", "main")).await.level;
    assert_eq!((c.available, c.reserved), (0, 1), "reserved units stay");
    assert_eq!(books.level("d").await, (3, 2));
    assert_eq!(loaded(store, &key("a", "elsewhere")).await.level.available, 7);

    assert_eq!(books.sync("all", BulkMode::Replace, &[]).await, counters(3, 0, 0), "an empty list empties all");
    let levels = store.list(&organization("org"), None, 100).await.unwrap().levels;
    let left: i64 = levels.iter().filter(|(key, _)| key.location.as_str() == "main").map(|(_, l)| l.available).sum();
    assert_eq!(left, 0);
}
