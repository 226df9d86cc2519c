//! Polling a marketplace: when it is due and the breaker allows it, read what changed, queue it, move the cursor.
//!
//! The cursor moves only over what is queued, so a crash or a full queue means reading again, never skipping. Rows read
//! twice are recognized by the ids of their events.

use std::collections::HashSet;

use evenstock_domain::{Admission, BreakerConfig, OrganizationId, ProbeToken, SOURCE_LEAD_MAX_MS, Source, Timestamp};
use tracing::{info, instrument, warn};

use crate::breaker::{Circuit, admit, report_failure, report_success};
use crate::{
    BreakerStore, ChangeBody, Clock, FeedError, FeedPage, FeedRow, Outgoing, PollRun, PollStore, Queue, QueueError,
    QueueName, StockChange, StockFeed, StoreError,
};

/// Rows that a page is asked for.
const PAGE_ROWS: u32 = 100;

/// Rows that a page is asked for at most, when one second holds more than a page.
const PAGE_ROWS_MAX: u32 = 12_800;

/// Pages of one run; the next run goes on from the cursor.
const PAGES_MAX: u32 = 50;

/// How far the cursor stays behind the newest row: a row may be stored later than its own second.
const OVERLAP_MS: i64 = 5_000;

/// When a run is due again that could not do its work for reasons of our own, in milliseconds.
const RETRY_MS: i64 = 60_000;

/// Bits of the sequence that number the rows of a run; the run's number stands above them.
const ROW_BITS: u32 = 20;

/// Marketplace B's only store, the one source that is polled.
pub const MARKETPLACE_B: &str = "marketplace-b/default";

/// What is polled, for whom and how often.
#[derive(Debug, Clone)]
pub struct PollPlan {
    /// The marketplace and store.
    pub source: Source,
    /// Whose stock it is.
    pub organization: OrganizationId,
    /// Time between scheduled polls, in milliseconds.
    pub interval_ms: i64,
    /// The breaker's settings.
    pub breaker: BreakerConfig,
}

/// Why a poll starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollTrigger {
    /// The schedule ticked: run if due.
    Schedule,
    /// Somebody asked for it: run now.
    Manual,
}

/// How a poll ended.
#[derive(Debug)]
pub enum PollOutcome {
    /// Everything that changed is queued.
    Completed,
    /// More is left than one run may read; the next goes on.
    Unfinished,
    /// It was not due, or the marketplace asked us to wait.
    NotDue,
    /// The breaker is open.
    BreakerOpen {
        /// The earliest time of the next try.
        until: Timestamp,
    },
    /// The marketplace failed. What came before is queued.
    Failed(FeedError),
}

/// What a poll did.
#[derive(Debug)]
pub struct PollReport {
    /// How it ended.
    pub outcome: PollOutcome,
    /// Rows queued.
    pub queued: u32,
    /// Rows that could not be used; each was logged with its reason.
    pub skipped: u32,
}

/// What a poll needs.
#[derive(Debug)]
pub struct Poller<'a, S, Q, F, C> {
    /// Cursor and breaker.
    pub store: &'a S,
    /// Where changes go.
    pub queue: &'a Q,
    /// The marketplace.
    pub feed: &'a F,
    /// Time.
    pub clock: &'a C,
}

/// Why a poll could not do its work; what was queued stays queued, and the cursor stays behind it.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The state of the poll could not be read or written.
    #[error("the poll's state is out of reach")]
    Store(#[from] StoreError),
    /// The changes could not be queued.
    #[error("the changes could not be queued")]
    Queue(#[from] QueueError),
}

/// Polls a marketplace once. `job` names this run in logs and holds the breaker's probe.
///
/// # Errors
/// [`PollError`] when our own store or queue fails. A failing marketplace is an outcome, not an error.
#[instrument(name = "PollMarketplace", skip_all, fields(source = %plan.source, job.id = job))]
pub async fn poll<S, Q, F, C>(
    poller: &Poller<'_, S, Q, F, C>,
    plan: &PollPlan,
    trigger: PollTrigger,
    job: &str,
) -> Result<PollReport, PollError>
where
    S: PollStore + BreakerStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    let Poller { store, clock, .. } = *poller;
    let mut report = PollReport { outcome: PollOutcome::NotDue, queued: 0, skipped: 0 };
    let now = clock.now();
    let forced = trigger == PollTrigger::Manual;
    // Due again soon, until this run has done its work: one that fails for our own reasons should not cost an interval.
    let retry = now.plus_millis(plan.interval_ms.min(RETRY_MS));
    let Some(run) = store.begin_run(&plan.source, job, now, retry, forced).await? else {
        return Ok(report);
    };
    let next = now.plus_millis(plan.interval_ms);
    let token = ProbeToken(job.to_owned());
    let circuit = Circuit::of(plan.organization.clone(), plan.source.clone());
    let admission = admit(store, clock, &circuit, &token, &plan.breaker).await?;
    if let Admission::Open { until } = admission {
        // An alarm counts these lines.
        warn!(breaker = %plan.source, %until, job.id = job, "breaker_open");
        store.finish_run(&plan.source, next).await?;
        report.outcome = PollOutcome::BreakerOpen { until };
        return Ok(report);
    }
    report.outcome = match read_pages(poller, plan, run, job, &mut report).await? {
        Ok(outcome) => {
            report_success(store, clock, &circuit, &admission).await?;
            outcome
        }
        Err(error) => {
            if let Some(seconds) = error.retry_after_seconds() {
                store.defer(&plan.source, clock.now().plus_millis(i64::from(seconds) * 1000)).await?;
            }
            if error.counts_as_failure() {
                report_failure(store, clock, &circuit, &admission, &plan.breaker).await?;
            } else {
                report_success(store, clock, &circuit, &admission).await?;
            }
            PollOutcome::Failed(error)
        }
    };
    store.finish_run(&plan.source, next).await?;
    info!(
        source = %plan.source, job.id = job, queued = report.queued, skipped = report.skipped,
        outcome = ?report.outcome, "poll of {} ended", plan.source
    );
    Ok(report)
}

async fn read_pages<S, Q, F, C>(
    poller: &Poller<'_, S, Q, F, C>,
    plan: &PollPlan,
    run: PollRun,
    job: &str,
    report: &mut PollReport,
) -> Result<Result<PollOutcome, FeedError>, PollError>
where
    S: PollStore,
    Q: Queue,
    F: StockFeed,
    C: Clock,
{
    let mut since = run.cursor.unwrap_or(Timestamp::EPOCH);
    let mut limit = PAGE_ROWS;
    let mut rows_seen: u64 = 0;
    let mut rows_before = 0;
    let mut ids_seen = HashSet::new();
    for _ in 0..PAGES_MAX {
        let page = match poller.feed.changed_since(since, limit).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let newest = newest_time(&page, poller.clock.now());
        let row_count = u32::try_from(page.rows.len()).unwrap_or(u32::MAX);
        let messages = messages_of(page, plan, run, job, &mut rows_seen, &mut ids_seen, poller.clock.now(), report);
        report.queued = report.queued.saturating_add(u32::try_from(messages.len()).unwrap_or(u32::MAX));
        if !messages.is_empty() {
            poller.queue.send(QueueName::StockChanges, messages).await?;
        }
        if let Some(newest) = newest {
            // A row may stand a little ahead of our clock; the cursor must not, or rows to come would lie behind it.
            let seen = newest.min(poller.clock.now());
            poller.store.advance(&plan.source, seen.plus_millis(-OVERLAP_MS)).await?;
        }
        if row_count < limit && newest == Some(since) && row_count <= rows_before {
            // It was asked for more and gave no more: either there are no more, or it cuts its pages off.
            return Ok(end_of_second(poller, since).await);
        }
        if row_count < limit {
            return Ok(Ok(PollOutcome::Completed));
        }
        rows_before = 0;
        match newest {
            Some(newest) if newest > since => (since, limit) = (newest, PAGE_ROWS),
            // One second holds more rows than a page: a larger page shows the rest of it.
            _ if limit < PAGE_ROWS_MAX => (rows_before, limit) = (row_count, limit.saturating_mul(2)),
            _ => {
                let reason = format!("more than {PAGE_ROWS_MAX} rows in one second");
                return Ok(Err(FeedError::Malformed { reason }));
            }
        }
    }
    Ok(Ok(PollOutcome::Unfinished))
}

/// After a second that fills a page however large: the end, if nothing comes after it. Else rows of that second are out
/// of reach, which somebody must know.
async fn end_of_second<S: Sync, Q: Sync, F: StockFeed, C: Sync>(
    poller: &Poller<'_, S, Q, F, C>,
    second: Timestamp,
) -> Result<PollOutcome, FeedError> {
    let after = poller.feed.changed_since(second.plus_millis(1000), PAGE_ROWS).await?;
    if after.rows.is_empty() {
        return Ok(PollOutcome::Completed);
    }
    let reason = format!("it gives no more rows of {second} than fit its page, and there are later ones");
    Err(FeedError::Malformed { reason })
}

/// The newest row time that can be trusted: a time ahead of our clock would carry the cursor past rows to come.
fn newest_time(page: &FeedPage, now: Timestamp) -> Option<Timestamp> {
    let times = page.rows.iter().filter_map(|row| match row {
        Ok(row) => Some(row.last_modified),
        Err(issue) => issue.last_modified,
    });
    times.filter(|time| !is_ahead(*time, now)).max()
}

fn is_ahead(time: Timestamp, now: Timestamp) -> bool {
    time.millis_since(now) > SOURCE_LEAD_MAX_MS
}

#[expect(clippy::too_many_arguments, reason = "the loop's state, spelled out rather than bundled for one caller")]
fn messages_of(
    page: FeedPage,
    plan: &PollPlan,
    run: PollRun,
    job: &str,
    rows_seen: &mut u64,
    ids_seen: &mut HashSet<(String, String, String)>,
    now: Timestamp,
    report: &mut PollReport,
) -> Vec<Outgoing> {
    let mut messages = Vec::with_capacity(page.rows.len());
    for row in page.rows {
        *rows_seen = rows_seen.saturating_add(1);
        let row = match row {
            Ok(row) if is_ahead(row.last_modified, now) => {
                skip(plan, job, row.sku.as_str(), "last_modified: is more than two minutes ahead", report);
                continue;
            }
            Ok(row) => row,
            Err(issue) => {
                skip(plan, job, issue.sku.as_deref().unwrap_or_default(), &issue.issue, report);
                continue;
            }
        };
        let change = change_of(&row, plan, (run.number << ROW_BITS) | (*rows_seen).min((1 << ROW_BITS) - 1), job);
        // Pages overlap by design; a row seen twice in one run is sent once.
        if !ids_seen.insert((change.sku.clone(), change.location.clone(), change.event_id.clone())) {
            continue;
        }
        match change.to_json() {
            Ok(body) => messages.push(Outgoing::now(body, plan.organization.clone())),
            Err(error) => skip(plan, job, row.sku.as_str(), &error.to_string(), report),
        }
    }
    messages
}

fn skip(plan: &PollPlan, job: &str, sku: &str, issue: &str, report: &mut PollReport) {
    report.skipped = report.skipped.saturating_add(1);
    warn!(source = %plan.source, job.id = job, sku.id = sku, issue, "row of {} skipped", plan.source);
}

fn change_of(row: &FeedRow, plan: &PollPlan, sequence: u64, job: &str) -> StockChange {
    let quantity = row.quantity.get();
    StockChange {
        // The quantity belongs to the id: a row read again within its second may say something new. The sequence does
        // not: it belongs to the reading.
        event_id: format!("{}@{}={}", plan.source, row.last_modified.as_millis(), quantity),
        organization: plan.organization.to_string(),
        sku: row.sku.to_string(),
        location: row.location.to_string(),
        source: plan.source.to_string(),
        time: row.last_modified.to_string(),
        job_id: job.to_owned(),
        change: ChangeBody::CountAvailable { quantity, sequence },
    }
}
