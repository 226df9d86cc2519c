//! What becomes of a level by what the central system says to its push, where that is not simply "applied".

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use evenstock_app::testing::{FixedClock, MemoryStore};
use evenstock_app::{
    CentralAnswer, CentralCopies, CentralError, CentralStock, CentralUpdate, Clock, ConflictStore, PropagateDeps,
    PropagatePlan, PropagateReport, PushFate, StockStore, apply_group, propagate,
};
use evenstock_domain::{
    ActorCode, BreakerConfig, CentralCopy, CentralDispute, Delta, DisputeReason, EventBody, EventIdKey, Holding,
    LevelKey, LocationId, OrganizationId, Sku, Source, StockEvent, Timestamp,
};
use futures::future::BoxFuture;

/// A central system that holds nothing and says what it was told to say.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Vec<CentralAnswer>>>,
    pushes: Mutex<Vec<Vec<CentralUpdate>>>,
    /// What happens while it is asked what it holds.
    meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl CentralStock for Scripted {
    async fn push(&self, _: &LocationId, updates: &[CentralUpdate]) -> Result<Vec<CentralAnswer>, CentralError> {
        self.pushes.lock().unwrap().push(updates.to_vec());
        Ok(self.answers.lock().unwrap().pop_front().unwrap())
    }

    async fn holding(&self, _: &LocationId, _: &Sku) -> Result<Option<Holding>, CentralError> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        Ok(None)
    }
}

struct Shop {
    store: Arc<MemoryStore>,
    clock: FixedClock,
    ids: EventIdKey,
    centre: Scripted,
}

fn key(sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

impl Shop {
    /// Levels of ten units, which the central system was never told of, and its answers.
    async fn with(skus: &[&str], answers: &[&[CentralAnswer]]) -> Self {
        let answers = Mutex::new(answers.iter().map(|answer| answer.to_vec()).collect());
        let shop = Self {
            store: Arc::default(),
            clock: FixedClock::at(Timestamp::from_millis(1_700_000_000_000).unwrap()),
            ids: EventIdKey::new(*b"0123456789abcdef"),
            centre: Scripted { answers, ..Scripted::default() },
        };
        for sku in skus {
            let event = StockEvent {
                id: shop.ids.event_id(sku),
                time: shop.clock.now(),
                source: Source::api(),
                actor: ActorCode::default(),
                body: EventBody::Delta(Delta::new(10).unwrap()),
            };
            apply_group(&*shop.store, &shop.clock, &key(sku), &[event]).await;
        }
        shop
    }

    async fn propagate(&self, skus: &[&str], again: bool, patience_ms: i64) -> PropagateReport {
        let deps = PropagateDeps { store: &*self.store, central: &self.centre, clock: &self.clock, ids: &self.ids };
        let plan = PropagatePlan {
            theirs: None,
            breaker: BreakerConfig { threshold: 1_000, cooldown_ms: 1, probe_ms: 1 },
            grace_seconds: 30,
            until: self.clock.now().plus_millis(patience_ms),
            name: "batch",
        };
        let levels: Vec<_> = skus.iter().map(|sku| (key(sku), again)).collect();
        propagate(deps, &plan, &levels).await
    }

    fn disputed(&self) -> CentralCopy {
        let (ours, theirs) = (Holding { quantity: 10, version: 1 }, Holding { quantity: 4, version: 7 });
        let (reason, at) = (DisputeReason::Differs, self.clock.now());
        let dispute = Some(CentralDispute { reason, ours, ours_at: at, theirs, expected: 10, at });
        CentralCopy { through: 1, version: 7, quantity: 4, correction: None, dispute }
    }

    async fn conflicts(&self) -> usize {
        self.store.conflicts(&key("CAP").organization, None, None, 10).await.unwrap().conflicts.len()
    }
}

fn fate<'a>(report: &'a PropagateReport, sku: &str) -> &'a PushFate {
    report.fates.get(&key(sku)).unwrap_or_else(|| panic!("{sku} has no fate: {report:?}"))
}

#[tokio::test]
async fn push_that_is_put_off_or_refused_is_told_with_its_reason() {
    let answers = [CentralAnswer::Later("it is closed".to_owned()), CentralAnswer::Rejected("unknown unit".to_owned())];
    let shop = Shop::with(&["CAP", "SHIRT"], &[&answers]).await;
    let report = shop.propagate(&["CAP", "SHIRT"], false, 1_000).await;
    assert_eq!(*fate(&report, "CAP"), PushFate::Failed("it is closed".to_owned()));
    assert_eq!(*fate(&report, "SHIRT"), PushFate::Refused("unknown unit".to_owned()));
    assert_eq!((report.pushed, report.failed), (0, 2));
}

#[tokio::test]
async fn answer_for_fewer_updates_settles_none_of_them() {
    let shop = Shop::with(&["CAP", "SHIRT"], &[&[CentralAnswer::Applied { version: 1 }]]).await;
    let report = shop.propagate(&["CAP", "SHIRT"], false, 1_000).await;
    for sku in ["CAP", "SHIRT"] {
        assert!(
            matches!(fate(&report, sku), PushFate::Failed(reason) if reason.contains("did not answer each update"))
        );
        let (_, copy) = shop.store.load_copy(&key(sku)).await.unwrap().unwrap();
        assert_eq!((copy.version, copy.correction), (0, Some(10)), "it is to be told of {sku} as before");
    }
}

#[tokio::test]
async fn level_that_a_batch_has_no_time_for_comes_again() {
    let shop = Shop::with(&["CAP"], &[]).await;
    let report = shop.propagate(&["CAP"], true, 0).await;
    assert_eq!(*fate(&report, "CAP"), PushFate::Later { seconds: 0, again: true, put_off: false });
    assert!(shop.centre.pushes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn dispute_whose_conflict_was_not_recorded_is_recorded_by_the_next_batch() {
    let shop = Shop::with(&["CAP"], &[]).await;
    assert!(shop.store.save_copy(&key("CAP"), None, &shop.disputed()).await.unwrap());
    for _ in 0..2 {
        assert_eq!(*fate(&shop.propagate(&["CAP"], false, 1_000).await, "CAP"), PushFate::Done);
        assert_eq!(shop.conflicts().await, 1);
    }
}

/// It was told that a version is stale, and asks what the central system holds; until it knows, another batch has settled
/// the difference.
#[tokio::test]
async fn difference_that_another_batch_settled_meanwhile_is_no_conflict() {
    let shop = Shop::with(&["CAP"], &[&[CentralAnswer::Stale]]).await;
    let level = shop.store.load(&key("CAP")).await.unwrap().unwrap().level;
    let behind = CentralCopy { through: 0, version: 3, quantity: 4, correction: None, dispute: None };
    let settled = CentralCopy { through: level.version, version: 4, quantity: 10, correction: None, dispute: None };
    assert!(shop.store.save_copy(&key("CAP"), None, &behind).await.unwrap());
    let store = Arc::clone(&shop.store);
    let other = settled.clone();
    *shop.centre.meanwhile.lock().unwrap() =
        Some(Box::pin(async move { assert!(store.save_copy(&key("CAP"), Some(1), &other).await.unwrap()) }));
    let report = shop.propagate(&["CAP"], true, 1_000).await;
    assert_eq!((fate(&report, "CAP"), report.conflicts), (&PushFate::Done, 0));
    assert_eq!(shop.conflicts().await, 0, "nobody is to decide anything");
    assert_eq!(shop.store.load_copy(&key("CAP")).await.unwrap(), Some((2, settled)));
}
