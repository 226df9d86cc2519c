//! Compares a warehouse's whole stock with ours and repairs what drifted, in slices: a message is one slice of one job,
//! and the slice that does not finish sends the next.
//!
//! What makes it correct is not that one worker works at a time, but that each repair is applied once a job and that a
//! job's progress is written under its `rev`.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use evenstock_app::{
    BreakerStore, Clock, CountDeps, JobStore, Outgoing, Queue, QueueError, QueueName, ReconcilePlan, SliceEnd,
    StockStore, StoreError, WarehouseFeed, WarehouseStore, WarehouseSyncJob, begin_job, finish_job, reconcile,
    with_causes,
};
use evenstock_domain::{BreakerConfig, EventIdKey, JobId, JobReport, LocationId, OrganizationId};
use evenstock_runtime::metrics::{Counter, count};
use evenstock_runtime::{Batch, MissingMessageId};
use tracing::field::Empty;
use tracing::{error, info, info_span, warn};

/// How long one slice begins new pages, in milliseconds.
const SLICE_MS: i64 = 45_000;

/// How long a job goes on trying a warehouse that does not answer, in milliseconds.
const PATIENCE_MS: i64 = 10 * 60 * 1000;

/// What the function needs.
#[derive(Debug)]
pub struct Worker<S, Q, F, C> {
    /// Warehouses, jobs, levels and breakers.
    pub store: S,
    /// Where continuations go.
    pub queue: Q,
    /// The warehouses themselves.
    pub feed: F,
    /// Time.
    pub clock: C,
    /// Names events.
    pub ids: EventIdKey,
    /// The breaker of each warehouse.
    pub breaker: BreakerConfig,
}

/// Why a slice could not do its work; its message comes back.
#[derive(Debug, thiserror::Error)]
enum SliceError {
    #[error("the message names no job: {0}")]
    Message(String),
    #[error("the job does not exist")]
    UnknownJob,
    #[error("our own store failed")]
    Store(#[from] StoreError),
    #[error("the continuation could not be queued")]
    Queue(#[from] QueueError),
}

/// Works on a batch of `warehouse-sync`.
///
/// # Errors
/// [`MissingMessageId`] when a record cannot be named in the answer: the whole batch comes back.
pub async fn handle<S, Q, F, C>(
    worker: &Worker<S, Q, F, C>,
    event: SqsEvent,
) -> Result<SqsBatchResponse, MissingMessageId>
where
    S: StockStore + WarehouseStore + JobStore + BreakerStore,
    Q: Queue,
    F: WarehouseFeed,
    C: Clock,
{
    let mut batch = Batch::new(event)?;
    let (origins, mut failed) = (batch.origins(), Vec::new());
    for (place, (message_id, body)) in batch.records().enumerate() {
        // Boxed: the type of so many nested futures is more than the compiler wants to look through.
        let open =
            || info_span!("ReconcileWarehouse", otel.kind = "consumer", message.id = message_id, trace_id = Empty);
        if let Err(reason) = origins.only(place).trace(open, Box::pin(slice(worker, body))).await {
            let reason = with_causes(&reason);
            error!(message.id = message_id, error = reason, "a slice of a reconciliation comes back");
            failed.push((place, reason));
        }
    }
    failed.into_iter().for_each(|(place, reason)| batch.fail_because(place, reason));
    Ok(batch.into_response())
}

async fn slice<S, Q, F, C>(worker: &Worker<S, Q, F, C>, body: &str) -> Result<(), SliceError>
where
    S: StockStore + WarehouseStore + JobStore + BreakerStore,
    Q: Queue,
    F: WarehouseFeed,
    C: Clock,
{
    let wrong = |error: &dyn core::fmt::Display| SliceError::Message(error.to_string());
    let message: WarehouseSyncJob = serde_json::from_str(body).map_err(|error| wrong(&error))?;
    let organization = OrganizationId::parse(&message.organization).map_err(|error| wrong(&error))?;
    let id = JobId::parse(&message.job_id).map_err(|error| wrong(&error))?;
    let name = LocationId::parse(&message.warehouse).map_err(|error| wrong(&error))?;
    let Worker { store, queue, feed, clock, ids, breaker } = worker;
    let stored = begin_job(store, clock, &organization, &id).await?.ok_or(SliceError::UnknownJob)?;
    if stored.job.is_ended() {
        return Ok(());
    }
    let warehouse = store.load_warehouse(&name).await?.filter(|warehouse| warehouse.organization == organization);
    let end = match warehouse {
        None => SliceEnd::Failed("the warehouse is not known".to_owned()),
        Some(warehouse) => {
            let until = clock.now().plus_millis(SLICE_MS);
            let plan = ReconcilePlan { until, breaker: *breaker, patience_ms: PATIENCE_MS };
            Box::pin(reconcile(CountDeps { store, clock, ids }, feed, &warehouse, stored, &plan)).await?
        }
    };
    let delay_ms = match end {
        SliceEnd::Completed(report) => {
            let job = finish_job(store, clock, &organization, &id, &report, None).await?;
            let drift = job.map_or(0, |job| job.report.drift_count);
            count(Counter::Reconciliations, 1);
            count(Counter::DriftRepaired, drift);
            info!(job.id = %id, location.id = %name, drift, "warehouse {name} is reconciled");
            return Ok(());
        }
        SliceEnd::Failed(reason) => {
            warn!(job.id = %id, location.id = %name, reason, "reconciliation of {name} failed: {reason}");
            finish_job(store, clock, &organization, &id, &JobReport::default(), Some(&reason)).await?;
            count(Counter::ReconciliationsFailed, 1);
            return Ok(());
        }
        SliceEnd::Superseded => return Ok(()),
        SliceEnd::Unfinished => 0,
        SliceEnd::Waiting(millis) => millis,
    };
    let delay_seconds = u16::try_from(delay_ms / 1000).unwrap_or(Outgoing::DELAY_SECONDS_MAX);
    let again = Outgoing { delay_seconds, ..Outgoing::now(body.to_owned(), organization) };
    Ok(queue.send(QueueName::WarehouseSync, vec![again]).await?)
}

#[cfg(test)]
mod tests;
