//! Syncs that somebody asks for: one job of a kind at once, or everything as one job with parts.
//!
//! What was begun and broken off is gone through again by whoever asks next: every step finds what is done already.

use evenstock_domain::{Job, JobId, JobKind, JobPart, JobReport, JobStatus, OrganizationId};

use crate::{
    Clock, JobStore, Outgoing, PollJob, Queue, QueueError, QueueName, StartedJob, StoreError, WarehouseSyncJob,
    finish_job, finish_part, start_job,
};

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
/// A part whose work another job does already is left to that one.
///
/// # Errors
/// [`TriggerError`]; asking again is harmless.
pub async fn trigger_all<S: JobStore, Q: Queue, C: Clock>(
    deps: TriggerDeps<'_, S, Q, C>,
    organization: &OrganizationId,
    id: JobId,
    parts: Vec<JobPart>,
) -> Result<StartedJob, TriggerError> {
    let TriggerDeps { store, clock, .. } = deps;
    let asked = Job::queued(organization.clone(), id, JobKind::Trigger, "", clock.now());
    let started = start_job(store, clock, &Job { parts, ..asked }).await?;
    let whole = &started.job;
    for part in &whole.parts {
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
        JobKind::Trigger => {
            return Err(QueueError(format!("no worker takes jobs of the kind {}", job.kind.as_str()).into()));
        }
    };
    let body = body.map_err(|error| QueueError(Box::new(error)))?;
    queue.send(name, vec![Outgoing::now(body, job.organization.clone())]).await
}
