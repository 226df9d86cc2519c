//! Stores that fail, for everything, for one level, or without saying whether they did.

use evenstock_app::testing::{Fault, FaultyStore, MemoryStore};
use evenstock_app::{
    Appended, ChangeBody, Commit, ListPage, ListPosition, StockChange, StockStore, StoreError, Stored,
};
use evenstock_domain::{BlindRequest, LevelKey, LocationId, OrganizationId, Page, Sku, StockLevel, Timestamp};
use rstest::rstest;

use crate::{MARKETPLACE, at, available, change, count, delta, key, level, work, worker};

/// A store that refuses to write one level.
struct OneLevelDown {
    inner: MemoryStore,
    down: LevelKey,
}

impl StockStore for OneLevelDown {
    async fn load(&self, key: &LevelKey) -> Result<Option<Stored>, StoreError> {
        self.inner.load(key).await
    }

    async fn commit(&self, key: &LevelKey, expected: Option<u64>, level: &StockLevel) -> Result<Commit, StoreError> {
        if *key == self.down {
            return Err(StoreError::Unavailable("down".into()));
        }
        self.inner.commit(key, expected, level).await
    }

    async fn append(&self, key: &LevelKey, request: &BlindRequest) -> Result<Appended, StoreError> {
        self.inner.append(key, request).await
    }

    async fn put_page(&self, key: &LevelKey, page: &Page) -> Result<(), StoreError> {
        self.inner.put_page(key, page).await
    }

    async fn drop_page(&self, key: &LevelKey, seen: &StockLevel) -> Result<bool, StoreError> {
        self.inner.drop_page(key, seen).await
    }

    async fn pages_since(&self, key: &LevelKey, start: Timestamp) -> Result<Vec<Page>, StoreError> {
        self.inner.pages_since(key, start).await
    }

    async fn pages_before(
        &self,
        key: &LevelKey,
        version: u64,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Page>, StoreError> {
        self.inner.pages_before(key, version, until, limit).await
    }

    async fn levels_of(
        &self,
        organization: &OrganizationId,
        sku: &Sku,
    ) -> Result<Vec<(LocationId, StockLevel)>, StoreError> {
        self.inner.levels_of(organization, sku).await
    }

    async fn list(
        &self,
        organization: &OrganizationId,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        self.inner.list(organization, after, limit).await
    }
}

fn count_of(sku: &str, quantity: i64) -> StockChange {
    let body = ChangeBody::CountAvailable { quantity, sequence: 0 };
    change(sku, &format!("count={quantity}"), MARKETPLACE, at(0), body)
}

#[tokio::test]
async fn only_the_failing_levels_records_come_back() {
    let worker = worker(OneLevelDown { inner: MemoryStore::default(), down: key("SKU-1", "main") });
    let changes = [count_of("SKU-0", 1), count(0, 7), count_of("SKU-2", 3), delta("a", 1000, -2), count_of("SKU-3", 4)];
    assert_eq!(work(&worker, &changes).await, [1, 3]);
    for (sku, expected) in [("SKU-0", Some(1)), ("SKU-1", None), ("SKU-2", Some(3)), ("SKU-3", Some(4))] {
        let level = level(&worker.store.inner, &key(sku, "main")).await;
        assert_eq!(level.map(|level| level.available), expected, "{sku}");
    }
}

#[tokio::test]
async fn level_with_a_missing_page_comes_back_and_is_never_taken_for_new() {
    let worker = worker(MemoryStore::default());
    let changes: Vec<_> = (0..40).map(|n| delta(n, 9_000 + n, 1)).collect();
    assert_eq!(work(&worker, &changes).await, [0; 0]);
    let Stored { rev, level: mut torn } = worker.store.load(&key("SKU-1", "main")).await.unwrap().unwrap();
    torn.version += 16;
    worker.store.commit(&key("SKU-1", "main"), Some(rev), &torn).await.unwrap();
    assert_eq!(work(&worker, &[delta("late", 1000, -1), count_of("SKU-2", 3)]).await, [0]);
    assert_eq!(worker.store.load(&key("SKU-1", "main")).await.unwrap().unwrap().level, torn);
    assert!(level(&worker.store, &key("SKU-2", "main")).await.is_some());
}

#[tokio::test]
async fn store_that_is_down_sends_everything_back() {
    let worker = worker(FaultyStore::new(MemoryStore::default(), |_| Fault::NotDone));
    assert_eq!(work(&worker, &[count(0, 7), delta("a", 1000, -2), count_of("SKU-2", 3)]).await, [0, 1, 2]);
    assert_eq!(worker.store.inner().writes(), 0);
}

#[rstest]
#[tokio::test]
async fn call_that_fails_once_is_settled_without_counting_twice(
    #[values("load", "commit", "put_page", "pages_since")] operation: &'static str,
    #[values(Fault::NotDone, Fault::UnknownNotDone, Fault::UnknownDone)] fault: Fault,
    #[values(0, 1, 2)] healthy_calls: usize,
) {
    let mut calls = 0;
    let plan = move |called: &'static str| {
        calls += usize::from(called == operation);
        if called == operation && calls == healthy_calls + 1 { fault } else { Fault::None }
    };
    let worker = worker(FaultyStore::new(MemoryStore::default(), plan));
    let changes: Vec<_> = core::iter::once(count(0, 100)).chain((1..=50).map(|n| delta(n, n * 100, -1))).collect();
    for changes in [&changes[..], &changes[20..], &[count(2_000, 90)]] {
        assert_eq!(work(&worker, changes).await, [0; 0]);
    }
    assert_eq!(available(worker.store.inner()).await, 90 - 30);
}

#[tokio::test]
async fn every_second_commit_of_unknown_outcome_still_counts_once() {
    let mut calls = 0;
    let plan = move |called: &'static str| {
        calls += usize::from(called == "commit");
        if called == "commit" && calls % 2 == 0 { Fault::UnknownDone } else { Fault::None }
    };
    let worker = worker(FaultyStore::new(MemoryStore::default(), plan));
    let changes: Vec<_> = (0..100).map(|n| delta(n, n, 1)).collect();
    for batch in changes.chunks(3) {
        assert_eq!(work(&worker, batch).await, [0; 0]);
    }
    assert_eq!(available(worker.store.inner()).await, 100);
}
