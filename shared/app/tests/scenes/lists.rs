//! A warehouse's list, and what happens while one of its pages is on its way to us.

use evenstock_app::{
    Clock, CountDeps, FeedError, JobStore, JobWrite, ReconcilePlan, SliceEnd, Warehouse, WarehouseCount, WarehouseFeed,
    WarehouseRow, WarehouseStockPage, apply_counts, begin_job, reconcile, start_job,
};
use evenstock_domain::{BreakerConfig, ConflictPolicy, Job, JobId, JobKind, LocationId, Quantity, Timestamp};

use crate::stage::{Stage, delta, key, organization};

/// How long a page is on its way, in milliseconds.
const ON_ITS_WAY_MS: i64 = 10_000;

fn depot(stage: &Stage) -> Warehouse {
    Warehouse {
        id: LocationId::parse("depot").unwrap(),
        organization: organization(),
        endpoint: "https://depot.example".to_owned(),
        api_key: None,
        policy: ConflictPolicy::Manual,
        claimed_at: stage.clock.now(),
        updated_at: stage.clock.now(),
    }
}

/// What somebody else does while a page is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// A shirt is sold, after the warehouse wrote its page.
    Sale,
    /// Another worker writes the job's progress.
    Progress,
}

/// A warehouse that lists seven shirts and nothing else.
struct Listed<'a>(&'a Stage, Meanwhile);

impl WarehouseFeed for Listed<'_> {
    async fn stock_page(&self, _: &Warehouse, _: Option<&str>) -> Result<WarehouseStockPage, FeedError> {
        let Self(stage, meanwhile) = self;
        stage.clock.advance_ms(ON_ITS_WAY_MS / 2);
        match meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Sale => {
                stage.apply(&key("SHIRT", "depot"), &[stage.event("sale", "till", delta(-1))]).await;
            }
            Meanwhile::Progress => {
                let stored = stage.store.inner().load_job(&organization(), &id()).await.unwrap().unwrap();
                assert_eq!(stage.store.inner().save_job(Some(stored.rev), &stored.job).await.unwrap(), JobWrite::Saved);
            }
        }
        stage.clock.advance_ms(ON_ITS_WAY_MS / 2);
        let row = WarehouseRow { sku: key("SHIRT", "depot").sku, quantity: Quantity::new(7).unwrap() };
        Ok(WarehouseStockPage { rows: vec![Ok(row)], next: None })
    }
}

fn id() -> JobId {
    JobId::parse("sync").unwrap()
}

async fn reconciled(stage: &Stage, meanwhile: Meanwhile) -> SliceEnd {
    let (store, clock) = (stage.store.inner(), &stage.clock);
    let job = Job::queued(organization(), id(), JobKind::Warehouse, "depot", clock.now());
    start_job(store, clock, &job).await.unwrap();
    let stored = begin_job(store, clock, &organization(), &id()).await.unwrap().unwrap();
    clock.advance_ms(1_000);
    let breaker = BreakerConfig { threshold: 3, cooldown_ms: 30_000, probe_ms: 120_000 };
    let plan = ReconcilePlan { until: Timestamp::MAX, breaker, patience_ms: 0 };
    let deps = CountDeps { store, clock, ids: &stage.ids };
    reconcile(deps, &Listed(stage, meanwhile), &depot(stage), stored, &plan).await.unwrap()
}

#[tokio::test]
async fn sale_while_a_page_is_on_its_way_is_sold_from_what_the_page_names() {
    let stage = Stage::new();
    let end = reconciled(&stage, Meanwhile::Sale).await;
    assert!(matches!(&end, SliceEnd::Completed(report) if report.counters.failed == 0), "{end:?}");
    assert_eq!(stage.level(&key("SHIRT", "depot")).await.unwrap().available, 6);
}

#[tokio::test]
async fn slice_whose_job_somebody_else_goes_on_with_ends() {
    let end = reconciled(&Stage::new(), Meanwhile::Progress).await;
    assert!(matches!(end, SliceEnd::Superseded), "{end:?}");
}

#[tokio::test]
async fn level_of_another_warehouse_is_no_business_of_a_list() {
    let stage = Stage::new();
    let elsewhere = key("CAP", "elsewhere");
    let count = WarehouseCount {
        sku: elsewhere.sku.clone(),
        warehouse: elsewhere.location.clone(),
        quantity: Quantity::new(5).unwrap(),
        before: None,
        time: stage.clock.now(),
        position: None,
    };
    let deps = CountDeps { store: stage.store.inner(), clock: &stage.clock, ids: &stage.ids };
    let applied = apply_counts(deps, &elsewhere, ConflictPolicy::Manual, &[count]).await;
    assert!(applied.failure.is_none());
    stage.clock.advance_ms(1_000);
    let end = reconciled(&stage, Meanwhile::Nothing).await;
    assert!(matches!(&end, SliceEnd::Completed(report) if report.counters.processed == 0), "{end:?}");
    assert_eq!(stage.level(&elsewhere).await.unwrap().available, 5);
    assert_eq!(stage.level(&key("CAP", "depot")).await, None, "nobody ever had a cap in the depot");
}
