//! Syncs that somebody asks for: one job of a kind at once, or everything as one job with parts.
//!
//! What was begun and broken off is gone through again by whoever asks next: every step finds what is done already.

use evenstock_domain::{Job, JobCounters, JobId, JobKind, JobPart, JobReport, JobStatus, OrganizationId};

use crate::{
    Clock, JobStore, MarketplaceStores, Outgoing, PollJob, Queue, QueueError, QueueName, StartedJob, StoreError,
    SweepLimits, SwitchStore, WarehouseSyncJob, enqueue_due_stores_of, finish_job, finish_part, start_job,
};

/// Due stores of one page.
const PAGE: u32 = 50;

/// How long a trigger queues stores, in milliseconds: whoever asked waits for it.
const STORES_MS: i64 = 5_000;

/// Why a sync could not be set going. Asking again goes on where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The jobs are out of reach.
    #[error("the jobs are out of reach")]
    Store(#[from] StoreError),
    /// The work could not be queued.
    #[error("the work could not be queued")]
    Queue(#[from] QueueError),
}

/// What triggering needs.
#[derive(Debug)]
pub struct TriggerDeps<'a, S, Q, C> {
    /// Jobs.
    pub store: &'a S,
    /// Where their work goes.
    pub queue: &'a Q,
    /// Time.
    pub clock: &'a C,
}

impl<S, Q, C> Clone for TriggerDeps<'_, S, Q, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, Q, C> Copy for TriggerDeps<'_, S, Q, C> {}

/// Starts one job and queues its work, unless one of its kind and subject runs: then that one is given. Work whose job
/// is still queued is queued again, because its starter may have died before; workers do it once.
///
/// # Errors
/// [`TriggerError`]; asking again for the same job is harmless.
pub async fn trigger_one<S: JobStore, Q: Queue, C: Clock>(
    deps: TriggerDeps<'_, S, Q, C>,
    job: &Job,
) -> Result<StartedJob, TriggerError> {
    let started = start_job(deps.store, deps.clock, job).await?;
    if started.job.status == JobStatus::Queued {
        queue_work(deps.queue, &started.job).await?;
    }
    Ok(started)
}

/// Starts a job that sets all of `parts` going and ends with the last of them, unless one runs: then that one is given,
/// and what its starter left undone is done.
///
/// A part whose work another job does already is left to that one. Due stores are queued here and now, and counted: a
/// part of this kind has no job of its own.
///
/// # Errors
/// [`TriggerError`]; asking again is harmless.
pub async fn trigger_all<S, Q, C>(
    deps: TriggerDeps<'_, S, Q, C>,
    organization: &OrganizationId,
    id: JobId,
    parts: Vec<JobPart>,
) -> Result<StartedJob, TriggerError>
where
    S: JobStore + MarketplaceStores + SwitchStore,
    Q: Queue,
    C: Clock,
{
    let TriggerDeps { store, clock, .. } = deps;
    let asked = Job::queued(organization.clone(), id, JobKind::Trigger, "", clock.now());
    let started = start_job(store, clock, &Job { parts, ..asked }).await?;
    let whole = &started.job;
    for part in &whole.parts {
        if part.kind == JobKind::Stores {
            let report = queue_stores(deps, organization).await?;
            finish_part(store, clock, organization, &whole.id, &part.id, &report, None).await?;
            continue;
        }
        let job = Job::queued(organization.clone(), part.id.clone(), part.kind, part.subject.clone(), clock.now());
        let job = Job { parent: Some(whole.id.clone()), ..job };
        let done = trigger_one(deps, &job).await?.job;
        let nothing = JobReport::default();
        if done.id != part.id {
            finish_part(store, clock, organization, &whole.id, &part.id, &nothing, None).await?;
        } else if done.is_ended() {
            // It has ended, and whoever ended it died before he could tell.
            finish_job(store, clock, organization, &part.id, &nothing, None).await?;
        }
    }
    if whole.parts.is_empty() {
        finish_job(store, clock, organization, &whole.id, &JobReport::default(), None).await?;
    }
    Ok(started)
}

/// Queues the organization's stores that are due. Those that could not be queued stay due.
async fn queue_stores<S, Q, C>(
    TriggerDeps { store, queue, clock }: TriggerDeps<'_, S, Q, C>,
    organization: &OrganizationId,
) -> Result<JobReport, StoreError>
where
    S: MarketplaceStores + SwitchStore,
    Q: Queue,
    C: Clock,
{
    let limits = SweepLimits { page: PAGE, until: clock.now().plus_millis(STORES_MS) };
    let queued = enqueue_due_stores_of(store, queue, clock, organization, limits).await?;
    let counters = JobCounters {
        processed: u64::from(queued.scanned_stores),
        applied: u64::from(queued.enqueued_jobs),
        failed: u64::from(queued.failed),
        ..JobCounters::default()
    };
    let failed = (queued.failed > 0).then(|| format!("{} due stores could not be queued", queued.failed));
    let unfinished = (!queued.finished).then(|| "there was no time to look at all due stores".to_owned());
    Ok(JobReport { counters, errors: failed.into_iter().chain(unfinished).collect(), ..JobReport::default() })
}

/// Queues a job's work where the workers of its kind look for it.
async fn queue_work<Q: Queue>(queue: &Q, job: &Job) -> Result<(), QueueError> {
    let (name, body) = match job.kind {
        JobKind::Poll => {
            let (job_id, organization) = (job.id.to_string(), job.organization.to_string());
            let message = PollJob { job_id, organization, requested_at: job.created_at.to_string() };
            (QueueName::PollJobs, serde_json::to_string(&message))
        }
        JobKind::Warehouse => {
            let (job_id, organization) = (job.id.to_string(), job.organization.to_string());
            let message = WarehouseSyncJob { job_id, organization, warehouse: job.subject.clone() };
            (QueueName::WarehouseSync, serde_json::to_string(&message))
        }
        JobKind::Trigger | JobKind::Stores => {
            return Err(QueueError(format!("no worker takes jobs of the kind {}", job.kind.as_str()).into()));
        }
    };
    let body = body.map_err(|error| QueueError(Box::new(error)))?;
    queue.send(name, vec![Outgoing::now(body, job.organization.clone())]).await
}
