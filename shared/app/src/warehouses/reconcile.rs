//! Comparing a warehouse's whole stock with ours, and repairing what drifted: page by page, in slices.
//!
//! A slice ends with its time and is continued from the job's checkpoint. Within one job a level is repaired once: the
//! job's name is the event's, so that a page read again after a crash finds its repairs and counts them once.

use core::future::Future;

use evenstock_domain::{
    ActorCode, Admission, BreakerConfig, Drift, EntryKind, EventBody, Job, JobCounters, JobReport, LevelKey,
    LocationId, Means, Outcome, Past, ProbeToken, Quantity, Sku, Source, StockEvent, StockLevel, Timestamp,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::apply_counts::CountDeps;
use super::count::{WAREHOUSE_SOURCE, warehouse_source};
use super::warehouse::Warehouse;
use crate::apply::{Step, settle};
use crate::{
    BreakerStore, Circuit, Clock, FeedError, JobStore, ListPosition, StockStore, StoreError, StoredJob, admit,
    advance_job, report_failure, report_success,
};

/// Pages that one job reads, at most: an endpoint that pages for ever is found out.
const PAGES_MAX: u32 = 10_000;

/// Tries before one level gives up.
const ATTEMPTS_MAX: u32 = 12;

/// Our own levels that are looked at between two checkpoints.
const LEVELS_A_PAGE: u32 = 200;

/// The longest wait between two tries, in milliseconds: a job that is silent for longer would count as abandoned.
const WAIT_MS_MAX: i64 = 300_000;

/// Levels that are worked on at once.
const LEVELS_AT_ONCE: usize = 16;

/// A row of a warehouse's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarehouseRow {
    /// The product.
    pub sku: Sku,
    /// Units on the shelf.
    pub quantity: Quantity,
}

/// A page of a warehouse's list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WarehouseStockPage {
    /// Its rows; why one cannot be used.
    pub rows: Vec<Result<WarehouseRow, String>>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Warehouses that are asked for their whole stock.
pub trait WarehouseFeed: Send + Sync {
    /// Reads the page at `cursor`, the first one without.
    fn stock_page(
        &self,
        warehouse: &Warehouse,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<WarehouseStockPage, FeedError>> + Send;
}

/// The body of a message on `warehouse-sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WarehouseSyncJob {
    /// The job.
    pub job_id: String,
    /// Whose it is.
    pub organization: String,
    /// The warehouse.
    pub warehouse: String,
}

/// How a slice of a reconciliation ended.
#[derive(Debug)]
pub enum SliceEnd {
    /// The warehouse's list is at its end.
    Completed(JobReport),
    /// More is left: send the same message again.
    Unfinished,
    /// The warehouse does not answer now: send it again after so many milliseconds.
    Waiting(i64),
    /// The rest cannot be done, for this reason.
    Failed(String),
    /// Another worker is at it, or it has ended.
    Superseded,
}

/// How a reconciliation works.
#[derive(Debug, Clone, Copy)]
pub struct ReconcilePlan {
    /// No page is asked for after this time.
    pub until: Timestamp,
    /// The breaker of each warehouse.
    pub breaker: BreakerConfig,
    /// How long after its beginning a job goes on trying a warehouse that does not answer, in milliseconds.
    pub patience_ms: i64,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Checkpoint {
    /// In the warehouse's list, behind so many pages.
    Named { cursor: Option<String>, pages: u32 },
    /// Among our own levels, behind this one, looking for those that the list did not name.
    Unnamed { behind: Option<(String, String)> },
}

/// Works on a reconciliation until it is done or its slice is over.
///
/// # Errors
/// [`StoreError`] when our own store fails; the same call goes on from the last page that was finished.
pub async fn reconcile<S, F, C>(
    deps: CountDeps<'_, S, C>,
    feed: &F,
    warehouse: &Warehouse,
    mut stored: StoredJob,
    plan: &ReconcilePlan,
) -> Result<SliceEnd, StoreError>
where
    S: StockStore + JobStore + BreakerStore,
    F: WarehouseFeed,
    C: Clock,
{
    loop {
        if deps.clock.now() >= plan.until {
            return Ok(SliceEnd::Unfinished);
        }
        let here = match stored.job.checkpoint.as_deref().map(serde_json::from_str).transpose() {
            Ok(checkpoint) => checkpoint.unwrap_or(Checkpoint::Named { cursor: None, pages: 0 }),
            Err(error) => return Ok(SliceEnd::Failed(format!("the job's checkpoint cannot be read: {error}"))),
        };
        let stepped = match here {
            Checkpoint::Named { cursor, pages } => {
                Box::pin(named_page(deps, feed, warehouse, &stored.job, plan, cursor.as_deref(), pages)).await?
            }
            Checkpoint::Unnamed { behind } => Box::pin(unnamed_page(deps, warehouse, &stored.job, behind)).await?,
        };
        let (report, there) = match stepped {
            Stepped::On(report, there) => (report, there),
            Stepped::End(end) => return Ok(end),
        };
        let checkpoint = serde_json::to_string(&there).map_err(|error| StoreError::Refused(Box::new(error)))?;
        match advance_job(deps.store, deps.clock, stored, &report, Some(checkpoint)).await? {
            Some(next) => stored = next,
            None => return Ok(SliceEnd::Superseded),
        }
    }
}

/// What one page came to.
enum Stepped {
    On(JobReport, Checkpoint),
    End(SliceEnd),
}

/// Asks for a page of the warehouse's list and repairs what it names.
async fn named_page<S, F, C>(
    deps: CountDeps<'_, S, C>,
    feed: &F,
    warehouse: &Warehouse,
    job: &Job,
    plan: &ReconcilePlan,
    cursor: Option<&str>,
    pages: u32,
) -> Result<Stepped, StoreError>
where
    S: StockStore + BreakerStore,
    F: WarehouseFeed,
    C: Clock,
{
    let failed = |reason: String| Ok(Stepped::End(SliceEnd::Failed(reason)));
    if pages >= PAGES_MAX {
        return failed(format!("the warehouse gives more than {PAGES_MAX} pages"));
    }
    let Ok(breaker) = Source::parse(&breaker_name(warehouse)) else {
        return failed("the warehouse's name cannot name a breaker".to_owned());
    };
    let token = ProbeToken(job.id.to_string());
    let circuit = Circuit::of(warehouse.organization.clone(), breaker);
    let admission = admit(deps.store, deps.clock, &circuit, &token, &plan.breaker).await?;
    let asked_at = deps.clock.now();
    if let Admission::Open { until } = admission {
        // An alarm counts these lines.
        tracing::warn!(breaker = %circuit.name, %until, job.id = %job.id, "breaker_open");
        return Ok(Stepped::End(wait(job, plan, asked_at, until.millis_since(asked_at), "breaker_open")));
    }
    let page = match feed.stock_page(warehouse, cursor).await {
        Ok(page) => page,
        Err(error) => {
            if error.counts_as_failure() {
                report_failure(deps.store, deps.clock, &circuit, &admission, &plan.breaker).await?;
            } else {
                report_success(deps.store, deps.clock, &circuit, &admission).await?;
            }
            return Ok(Stepped::End(after_failure(job, plan, asked_at, &error)));
        }
    };
    report_success(deps.store, deps.clock, &circuit, &admission).await?;
    if page.next.is_some() && page.next.as_deref() == cursor {
        return failed("the warehouse's page leads to itself".to_owned());
    }
    // Not before the job began, whatever this process's clock says: what no page names is emptied as of then.
    let as_of = asked_at.max(begun(job));
    let report = apply_page(deps, warehouse, &event_of(deps, &named(job), as_of), page.rows).await?;
    Ok(match page.next {
        Some(cursor) => Stepped::On(report, Checkpoint::Named { cursor: Some(cursor), pages: pages.saturating_add(1) }),
        None => after_list(job, report),
    })
}

/// The list is at its end. Only one that was read whole can tell what is not in it.
fn after_list(job: &Job, mut report: JobReport) -> Stepped {
    let sum = |of: fn(&JobCounters) -> u64| of(&job.report.counters).saturating_add(of(&report.counters));
    let (processed, failed) = (sum(|counters| counters.processed), sum(|counters| counters.failed));
    if processed > 0 && failed == 0 {
        return Stepped::On(report, Checkpoint::Unnamed { behind: None });
    }
    let why = if processed == 0 { "the warehouse names nothing" } else { "rows could not be used" };
    report.errors.push(format!("levels that were not named are left as they are: {why}"));
    Stepped::End(SliceEnd::Completed(report))
}

/// Empties those of our levels that the warehouse counted once and does not name any more.
///
/// Nothing remembers what was named: a level that a page named was counted after the job began, and so was one that has
/// changed since. The others are told that nothing lay there when the job began.
async fn unnamed_page<S: StockStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    warehouse: &Warehouse,
    job: &Job,
    behind: Option<(String, String)>,
) -> Result<Stepped, StoreError> {
    let position = |(sku, location): (String, String)| {
        Some(ListPosition { sku: Sku::parse(&sku).ok()?, location: LocationId::parse(&location).ok()? })
    };
    let behind = behind.and_then(position);
    let page = deps.store.list(&warehouse.organization, behind.as_ref(), LEVELS_A_PAGE).await?;
    let event = event_of(deps, &format!("{}/unnamed", named(job)), begun(job));
    let is_left = |level: &StockLevel| {
        // Those that this job has emptied already, before a crash, still have to be counted.
        level
            .counted
            .as_ref()
            .is_some_and(|counted| counted.id == event.id || counted.quantity != 0 && counted.time < event.time)
    };
    let left = page.levels.iter().filter(|(key, level)| key.location == warehouse.id && is_left(level));
    let rows = left.map(|(key, _)| Ok(WarehouseRow { sku: key.sku.clone(), quantity: Quantity::default() })).collect();
    let report = apply_page(deps, warehouse, &event, rows).await?;
    Ok(match page.next {
        Some(next) => {
            let behind = Some((next.sku.to_string(), next.location.to_string()));
            Stepped::On(report, Checkpoint::Unnamed { behind })
        }
        None => Stepped::End(SliceEnd::Completed(report)),
    })
}

/// When the job began: the same for each of its slices.
fn begun(job: &Job) -> Timestamp {
    job.started_at.unwrap_or(job.created_at)
}

/// Names the job's repair of a level.
fn named(job: &Job) -> String {
    format!("{WAREHOUSE_SOURCE}/{}", job.id)
}

/// The count that repairs a level, but for its quantity.
fn event_of<S, C>(deps: CountDeps<'_, S, C>, name: &str, time: Timestamp) -> StockEvent {
    let body = EventBody::Count { quantity: Quantity::default(), means: Means::OnHand, sequence: 0 };
    let (id, source) = (deps.ids.event_id(name), warehouse_source());
    StockEvent { id, time, source, actor: ActorCode::default(), body }
}

/// The breaker's name: the warehouse's, cut to what a name may hold.
fn breaker_name(warehouse: &Warehouse) -> String {
    let mut name = format!("{WAREHOUSE_SOURCE}/{}", warehouse.id);
    while name.len() > 128 {
        name.pop();
    }
    name.trim_end().to_owned()
}

fn after_failure(job: &Job, plan: &ReconcilePlan, now: Timestamp, error: &FeedError) -> SliceEnd {
    match error {
        FeedError::Unavailable { .. } | FeedError::RateLimited { .. } => {
            let asked = error.retry_after_seconds().map_or(30_000, |seconds| i64::from(seconds) * 1000);
            wait(job, plan, now, asked, &error.to_string())
        }
        FeedError::Unauthorized | FeedError::Malformed { .. } => SliceEnd::Failed(error.to_string()),
    }
}

fn wait(job: &Job, plan: &ReconcilePlan, now: Timestamp, millis: i64, reason: &str) -> SliceEnd {
    if now.millis_since(begun(job)).saturating_add(millis) > plan.patience_ms {
        return SliceEnd::Failed(reason.to_owned());
    }
    SliceEnd::Waiting(millis.clamp(1000, WAIT_MS_MAX))
}

async fn apply_page<S, C>(
    deps: CountDeps<'_, S, C>,
    warehouse: &Warehouse,
    event: &StockEvent,
    rows: Vec<Result<WarehouseRow, String>>,
) -> Result<JobReport, StoreError>
where
    S: StockStore,
    C: Clock,
{
    let mut report = JobReport::default();
    let mut work = Vec::new();
    for row in rows {
        report.counters.processed += 1;
        match row {
            // Boxed: the type of many nested futures is more than the compiler wants to look through.
            Ok(row) => work.push(Box::pin(repair(deps, warehouse, event, row))),
            Err(issue) => {
                report.counters.failed += 1;
                report.errors.push(issue);
            }
        }
    }
    let mut repaired = futures::stream::iter(work).buffered(LEVELS_AT_ONCE);
    while let Some(one) = repaired.next().await {
        count(&mut report, one?);
    }
    Ok(report)
}

fn count(report: &mut JobReport, one: Repaired) {
    let JobCounters { applied, stale, failed, .. } = &mut report.counters;
    match one {
        Repaired::Agreed => {}
        Repaired::Stale => *stale += 1,
        Repaired::Drifted(drift) => {
            *applied += 1;
            report.drift_count += 1;
            report.drift.push(drift);
        }
        Repaired::Failed(reason) => {
            *failed += 1;
            report.errors.push(reason);
        }
    }
}

/// What became of a level.
enum Repaired {
    /// We knew it.
    Agreed,
    /// A newer word than the page stands there.
    Stale,
    /// It was something else, and is set right.
    Drifted(Drift),
    /// It cannot be set.
    Failed(String),
}

async fn repair<S: StockStore, C: Clock>(
    deps: CountDeps<'_, S, C>,
    warehouse: &Warehouse,
    event: &StockEvent,
    row: WarehouseRow,
) -> Result<Repaired, StoreError> {
    let (organization, location) = (warehouse.organization.clone(), warehouse.id.clone());
    let key = LevelKey { organization, sku: row.sku, location };
    let body = EventBody::Count { quantity: row.quantity, means: Means::OnHand, sequence: 0 };
    let event = StockEvent { body, ..event.clone() };
    for attempt in 1..=ATTEMPTS_MAX {
        let tried = match deps.store.load(&key).await {
            Ok(current) => settle(deps.store, &key, current, core::slice::from_ref(&event), deps.clock.now()).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(Step::Settled { outcomes, level, past, .. }) => {
                if let Some(outcome) = outcomes.first() {
                    return Ok(repaired(&key.sku, &event, *outcome, &level, &past));
                }
            }
            Ok(Step::Outpaced(_)) => {}
            Err(error) if error.is_passing() && attempt < ATTEMPTS_MAX => {}
            // Nothing but an operator mends it, and the other levels must not wait for him.
            Err(error @ StoreError::Corrupt { .. }) => return Ok(Repaired::Failed(format!("{}: {error}", key.sku))),
            Err(error) => return Err(error),
        }
        deps.clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// The drift is the effect that the repair had, now or before a crash: exactly what we were wrong by.
fn repaired(sku: &Sku, event: &StockEvent, outcome: Outcome, level: &StockLevel, past: &Past) -> Repaired {
    // The entry that this job made before a crash may state another number than the page says now.
    let entry = level.find(event.id, past).map(|placed| placed.entry);
    match (outcome, entry) {
        (_, Some(entry)) if entry.available == 0 => Repaired::Agreed,
        (_, Some(entry)) => match entry.kind {
            EntryKind::Count { stated, .. } => {
                let central = stated.saturating_sub(entry.available);
                Repaired::Drifted(Drift { sku: sku.clone(), warehouse: stated, central })
            }
            _ => Repaired::Failed(format!("{sku}: the job's name stands for another event")),
        },
        (Outcome::Applied | Outcome::Duplicate, None) => Repaired::Agreed,
        (Outcome::Rejected(reason), None) => Repaired::Failed(format!("{sku}: {reason}")),
        (_, None) => Repaired::Stale,
    }
}
