//! Reconciliations, from the message to the job's report.

use std::collections::BTreeMap;
use std::sync::Mutex;

use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryQueue, MemoryStore};
use evenstock_app::{
    ConflictStore, FeedError, KeyChange, Warehouse, WarehouseCount, WarehouseRow, WarehouseSettings,
    WarehouseStockPage, apply_counts, start_job,
};
use evenstock_domain::{
    ConflictPolicy, Drift, Job, JobKind, JobStatus, LevelKey, Quantity, Sku, StockLevel, Timestamp,
};
use evenstock_runtime::{keep_reasons, take_reason};
use rstest::rstest;
use serde_json::json;

use super::*;

const NOW: i64 = 1_700_000_000_000;

/// A warehouse that lists these units, two a page, and answers so many questions first with an error.
struct Listed {
    units: Vec<(String, i64)>,
    errors: Mutex<Vec<FeedError>>,
    asked: Mutex<Vec<Option<String>>>,
}

impl WarehouseFeed for Listed {
    async fn stock_page(&self, _: &Warehouse, cursor: Option<&str>) -> Result<WarehouseStockPage, FeedError> {
        self.asked.lock().unwrap().push(cursor.map(str::to_owned));
        if let Some(error) = self.errors.lock().unwrap().pop() {
            return Err(error);
        }
        let start: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let row = |(name, units): &(String, i64)| match Quantity::new(*units) {
            Ok(quantity) => Ok(WarehouseRow { sku: Sku::parse(name).unwrap(), quantity }),
            Err(issue) => Err(format!("{name}: quantity: {issue}")),
        };
        let rows = self.units.iter().skip(start).take(2).map(row).collect();
        let next = (start + 2 < self.units.len()).then(|| (start + 2).to_string());
        Ok(WarehouseStockPage { rows, next })
    }
}

type Store = FaultyStore<MemoryStore>;

fn organization() -> OrganizationId {
    OrganizationId::parse("org").unwrap()
}

fn id() -> JobId {
    JobId::parse("sync-1").unwrap()
}

fn name() -> LocationId {
    LocationId::parse("wh-1").unwrap()
}

fn count(sku: &str, units: i64) -> WarehouseCount {
    WarehouseCount {
        sku: Sku::parse(sku).unwrap(),
        warehouse: name(),
        quantity: Quantity::new(units).unwrap(),
        before: None,
        time: Timestamp::from_millis(NOW - 60_000).unwrap(),
        position: Some(1),
    }
}

fn key(sku: &str) -> LevelKey {
    LevelKey { organization: organization(), sku: Sku::parse(sku).unwrap(), location: name() }
}

/// Levels `a` 1, `b` 2, … as the warehouse once said, a job, and what the warehouse lists now.
async fn world(
    levels: &[(&str, i64)],
    listed: &[(&str, i64)],
    fault: impl FnMut(&'static str) -> Fault + Send + 'static,
) -> Worker<Store, MemoryQueue, Listed, FixedClock> {
    let (store, clock) = (MemoryStore::default(), FixedClock::at(Timestamp::from_millis(NOW).unwrap()));
    let ids = EventIdKey::new(*b"0123456789abcdef");
    let settings = WarehouseSettings {
        id: name(),
        organization: organization(),
        endpoint: "https://wh.example".to_owned(),
        api_key: KeyChange::Keep,
        policy: ConflictPolicy::Manual,
        at: clock.now(),
    };
    store.set_up_warehouse(&settings).await.unwrap();
    for (sku, units) in levels {
        let deps = CountDeps { store: &store, clock: &clock, ids: &ids };
        let done = apply_counts(deps, &key(sku), ConflictPolicy::Manual, &[count(sku, *units)]).await;
        assert!(done.failure.is_none());
    }
    start_job(&store, &clock, &Job::queued(organization(), id(), JobKind::Warehouse, "wh-1", clock.now()))
        .await
        .unwrap();
    let units = listed.iter().map(|(sku, units)| ((*sku).to_owned(), *units)).collect();
    let feed = Listed { units, errors: Mutex::default(), asked: Mutex::default() };
    let breaker = BreakerConfig { threshold: 3, cooldown_ms: 30_000, probe_ms: 120_000 };
    clock.advance_ms(1000);
    let store = FaultyStore::new(store, fault);
    Worker { store, queue: MemoryQueue::default(), feed, clock, ids, breaker }
}

async fn work(worker: &Worker<Store, MemoryQueue, Listed, FixedClock>) -> usize {
    let message =
        WarehouseSyncJob { job_id: "sync-1".to_owned(), organization: "org".to_owned(), warehouse: "wh-1".to_owned() };
    let body = serde_json::to_string(&message).unwrap();
    let event = serde_json::from_value(json!({ "Records": [{ "messageId": "m", "body": body }] })).unwrap();
    handle(worker, event).await.unwrap().batch_item_failures.len()
}

async fn job(worker: &Worker<Store, MemoryQueue, Listed, FixedClock>) -> Job {
    worker.store.inner().load_job(&organization(), &id()).await.unwrap().unwrap().job
}

async fn level(worker: &Worker<Store, MemoryQueue, Listed, FixedClock>, sku: &str) -> StockLevel {
    worker.store.inner().load(&key(sku)).await.unwrap().unwrap().level
}

fn drift(sku: &str, warehouse: i64, central: i64) -> Drift {
    Drift { sku: Sku::parse(sku).unwrap(), warehouse, central }
}

const LEVELS: [(&str, i64); 5] = [("a", 1), ("b", 2), ("c", 3), ("gone", 4), ("empty", 0)];
const LISTED: [(&str, i64); 5] = [("a", 1), ("b", 7), ("new", 5), ("c", 0), ("empty", 0)];

#[tokio::test]
async fn drifted_warehouse_is_repaired_with_an_exact_report() {
    let worker = world(&LEVELS, &LISTED, |_| Fault::None).await;
    assert_eq!(work(&worker).await, 0);
    let job = job(&worker).await;
    assert_eq!(job.status, JobStatus::Completed, "{job:?}");
    let expected = [drift("b", 7, 2), drift("new", 5, 0), drift("c", 0, 3), drift("gone", 0, 4)];
    assert_eq!((job.report.drift.as_slice(), job.report.drift_count), (&expected[..], 4));
    assert_eq!((job.report.counters.processed, job.report.counters.applied), (6, 4));
    for (sku, units) in [("a", 1), ("b", 7), ("new", 5), ("c", 0), ("gone", 0), ("empty", 0)] {
        assert_eq!(level(&worker, sku).await.available, units, "{sku}");
    }
    assert_eq!(level(&worker, "a").await.version, 1, "a count that confirms is no change");
    assert_eq!(*worker.feed.asked.lock().unwrap(), [None, Some("2".to_owned()), Some("4".to_owned())]);
    assert_eq!(work(&worker).await, 0, "a job that has ended needs no work");
    assert_eq!(worker.feed.asked.lock().unwrap().len(), 3);
    assert_eq!(worker.store.inner().conflicts(&organization(), None, None, 9).await.unwrap().conflicts, []);
}

#[tokio::test]
async fn crash_anywhere_leaves_the_report_exact() {
    for (calls, kind) in (0..60).flat_map(|calls| [(calls, Fault::NotDone), (calls, Fault::UnknownDone)]) {
        let mut left = calls;
        // From this call on everything fails for a while, as if the process had died and come back.
        let worker = world(&LEVELS, &LISTED, move |_| {
            left -= 1;
            if (-40..0).contains(&left) { kind } else { Fault::None }
        })
        .await;
        for _ in 0..60 {
            if work(&worker).await == 0 && job(&worker).await.is_ended() {
                break;
            }
            worker.clock.advance_ms(1000);
        }
        let job = job(&worker).await;
        assert_eq!((job.status, job.report.drift_count), (JobStatus::Completed, 4), "{calls} {kind:?}: {job:?}");
        let found: BTreeMap<_, _> = job.report.drift.iter().map(|one| (one.sku.as_str(), one.central)).collect();
        assert_eq!(found, BTreeMap::from([("b", 2), ("new", 0), ("c", 3), ("gone", 4)]));
        assert_eq!(level(&worker, "b").await.version, 2, "repaired once");
    }
}

#[tokio::test]
async fn slice_that_is_over_is_continued_from_its_checkpoint() {
    let worker = world(&LEVELS, &LISTED, |_| Fault::None).await;
    let body = json!({ "jobId": "sync-1", "organization": "org", "warehouse": "wh-1" }).to_string();
    let stored = begin_job(worker.store.inner(), &worker.clock, &organization(), &id()).await.unwrap().unwrap();
    let warehouse = worker.store.inner().load_warehouse(&name()).await.unwrap().unwrap();
    let plan = ReconcilePlan { until: worker.clock.now(), breaker: worker.breaker, patience_ms: 0 };
    let deps = CountDeps { store: worker.store.inner(), clock: &worker.clock, ids: &worker.ids };
    let end = reconcile(deps, &worker.feed, &warehouse, stored, &plan).await.unwrap();
    assert!(matches!(end, SliceEnd::Unfinished), "{end:?} {body}");
    assert_eq!(work(&worker).await, 0);
    assert_eq!(job(&worker).await.report.drift_count, 4);
}

#[tokio::test]
async fn warehouse_that_is_down_is_asked_again_and_given_up_in_the_end() {
    let worker = world(&LEVELS, &LISTED, |_| Fault::None).await;
    let down = || FeedError::Unavailable { reason: "no connection".to_owned(), retry_after_seconds: None };
    worker.feed.errors.lock().unwrap().extend((0..2).map(|_| down()));
    for waits in 1..=2 {
        assert_eq!(work(&worker).await, 0);
        assert_eq!(worker.queue.bodies(QueueName::WarehouseSync).len(), waits, "it is queued again");
        worker.clock.advance_ms(31_000);
    }
    assert_eq!(work(&worker).await, 0);
    assert_eq!(job(&worker).await.status, JobStatus::Completed);

    let worker = world(&LEVELS, &LISTED, |_| Fault::None).await;
    worker.feed.errors.lock().unwrap().extend((0..500).map(|_| down()));
    while !job(&worker).await.is_ended() {
        assert_eq!(work(&worker).await, 0);
        worker.clock.advance_ms(31_000);
    }
    assert_eq!(job(&worker).await.failure(), Some("the marketplace is unavailable: no connection"));
    let asked = worker.feed.asked.lock().unwrap().len();
    assert!((3..25).contains(&asked), "the breaker spares it: {asked}");
    assert_eq!(level(&worker, "gone").await.available, 4, "and nothing was emptied");
}

#[rstest]
#[case::nothing(&[], "the warehouse names nothing")]
#[case::bad_rows(&[("a", 1), ("b", -1)], "rows could not be used")]
#[tokio::test]
async fn list_that_was_not_read_whole_empties_nothing(#[case] listed: &[(&str, i64)], #[case] why: &str) {
    let worker = world(&LEVELS, listed, |_| Fault::None).await;
    assert_eq!(work(&worker).await, 0);
    let job = job(&worker).await;
    assert_eq!((job.status, job.report.drift_count), (JobStatus::Completed, 0));
    assert!(job.report.errors.iter().any(|error| error.contains(why)), "{job:?}");
    assert_eq!(level(&worker, "gone").await.available, 4);
}

#[tokio::test]
async fn endpoint_that_pages_for_ever_is_found_out() {
    let worker = world(&LEVELS, &[("a", 1); 20_010], |_| Fault::None).await;
    assert_eq!(work(&worker).await, 0);
    assert_eq!(job(&worker).await.failure(), Some("the warehouse gives more than 10000 pages"));
    assert_eq!(worker.feed.asked.lock().unwrap().len(), 10_000);
}

#[tokio::test]
async fn message_that_comes_back_says_why() {
    keep_reasons();
    let worker = world(&[], &LISTED, |_| Fault::None).await;
    let body = json!({ "jobId": "sync-7", "organization": "org", "warehouse": "wh-1" }).to_string();
    let event = serde_json::from_value(json!({ "Records": [{ "messageId": "why", "body": body }] })).unwrap();
    assert_eq!(handle(&worker, event).await.unwrap().batch_item_failures.len(), 1);
    assert_eq!(take_reason("why").as_deref(), Some("the job does not exist"));
}

#[tokio::test]
async fn warehouse_of_another_organization_is_not_read() {
    let worker = world(&[], &LISTED, |_| Fault::None).await;
    let other = Job { subject: "wh-2".to_owned(), id: JobId::parse("sync-2").unwrap(), ..job(&worker).await };
    start_job(worker.store.inner(), &worker.clock, &other).await.unwrap();
    let body = json!({ "jobId": "sync-2", "organization": "org", "warehouse": "wh-2" }).to_string();
    let event = serde_json::from_value(json!({ "Records": [{ "messageId": "m", "body": body }] })).unwrap();
    assert_eq!(handle(&worker, event).await.unwrap().batch_item_failures.len(), 0);
    let ended = worker.store.inner().load_job(&organization(), &other.id).await.unwrap().unwrap().job;
    assert_eq!(ended.failure(), Some("the warehouse is not known"));
    assert_eq!(*worker.feed.asked.lock().unwrap(), [None::<String>; 0]);
}
