//! Jobs: one at a time of a kind and subject, moved by whoever does the work, looked up by whoever asked.
//!
//! A place (organization, kind, subject) holds the job that was started last there, as it was asked for. Taking the place
//! is what starts a job; whoever finds it there unwritten writes it. A job loses its place only after it has ended, so no
//! two run at once.

use core::future::Future;

use evenstock_domain::{Job, JobId, JobKind, JobReport, OrganizationId, Timestamp};

use crate::{Clock, StoreError};

/// Tries of a write that others outpace.
const ATTEMPTS_MAX: u32 = 8;

/// A job as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJob {
    /// Counts every write: the optimistic lock.
    pub rev: u64,
    /// The job.
    pub job: Job,
}

/// What became of a conditional write of a job.
#[expect(clippy::large_enum_variant, reason = "it lives for one match; a box would only move the job about")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobWrite {
    /// It is durable.
    Saved,
    /// Another writer was faster. Carries what stands there now.
    Conflict(Option<StoredJob>),
}

/// A page of an organization's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobPage {
    /// Jobs, newest first.
    pub jobs: Vec<Job>,
    /// Whether there may be more behind the last of them.
    pub more: bool,
}

/// Jobs and their places.
pub trait JobStore: Send + Sync {
    /// Reads a job as the last completed write left it. `None` when it does not exist.
    fn load_job(
        &self,
        organization: &OrganizationId,
        id: &JobId,
    ) -> impl Future<Output = Result<Option<StoredJob>, StoreError>> + Send;

    /// Writes a job if its `rev` is still `expected` (`None`: if it does not exist).
    fn save_job(&self, expected: Option<u64>, job: &Job) -> impl Future<Output = Result<JobWrite, StoreError>> + Send;

    /// Lists an organization's jobs, at most `limit` behind `after`, newest first.
    fn list_jobs(
        &self,
        organization: &OrganizationId,
        after: Option<&JobId>,
        limit: u32,
    ) -> impl Future<Output = Result<JobPage, StoreError>> + Send;

    /// The job that holds a place, as it was asked for.
    fn load_place(
        &self,
        organization: &OrganizationId,
        kind: JobKind,
        subject: &str,
    ) -> impl Future<Output = Result<Option<Job>, StoreError>> + Send;

    /// Gives a job its place, if `holder` still holds it (`None`: if nobody does). `false` when another does.
    fn take_place(&self, job: &Job, holder: Option<&JobId>) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The job that somebody who asked for one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedJob {
    /// His own, or the one that runs already.
    pub job: Job,
    /// Whether it is his own.
    pub new: bool,
}

/// Starts a job, unless one of its kind and subject runs: then that one is given. A job that was abandoned makes room.
///
/// The same job may be started again: whoever did not learn that it had its place is told so. A job that is given and
/// still `queued` may have lost its starter, so its work is to be queued (again) by the caller.
///
/// # Errors
/// [`StoreError`] when the store fails, or others are faster again and again.
pub async fn start_job<S: JobStore, C: Clock>(store: &S, clock: &C, job: &Job) -> Result<StartedJob, StoreError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let placed = store.load_place(&job.organization, job.kind, &job.subject).await?;
        if let Some(placed) = &placed {
            let held = written(store, placed).await?;
            if placed.id == job.id {
                return Ok(StartedJob { job: held.job, new: true });
            }
            if held.job.is_abandoned(clock.now()) {
                let ended = held.job.as_of(clock.now());
                if store.save_job(Some(held.rev), &ended).await? != JobWrite::Saved {
                    continue;
                }
                tell_parent(store, clock, &ended).await?;
            } else if !held.job.is_ended() {
                return Ok(StartedJob { job: held.job, new: false });
            }
        }
        if store.take_place(job, placed.as_ref().map(|placed| &placed.id)).await? {
            return Ok(StartedJob { job: written(store, job).await?.job, new: true });
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}

/// The job of a place, written if its starter did not get so far.
async fn written<S: JobStore>(store: &S, placed: &Job) -> Result<StoredJob, StoreError> {
    if let Some(stored) = store.load_job(&placed.organization, &placed.id).await? {
        return Ok(stored);
    }
    match store.save_job(None, placed).await? {
        JobWrite::Conflict(Some(stored)) => Ok(stored),
        JobWrite::Saved | JobWrite::Conflict(None) => Ok(StoredJob { rev: 1, job: placed.clone() }),
    }
}

/// Says that somebody works on a job, and on the one that waits for it. `None` when there is no such job; a job that has
/// ended is given as it is, and needs no work.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn begin_job<S: JobStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &JobId,
) -> Result<Option<StoredJob>, StoreError> {
    let begun = update(store, clock, organization, id, Job::begin).await?;
    if let Some(parent) = begun.as_ref().and_then(|stored| stored.job.parent.as_ref()) {
        update(store, clock, organization, parent, Job::begin).await?;
    }
    Ok(begun)
}

/// Adds a piece of work to a job, and where to go on, in one write. `None` when another worker was faster or the job has
/// ended: then this one should stop.
///
/// A worker that did not learn whether this was written goes on from what [`begin_job`] gives it next.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn advance_job<S: JobStore, C: Clock>(
    store: &S,
    clock: &C,
    stored: StoredJob,
    report: &JobReport,
    checkpoint: Option<String>,
) -> Result<Option<StoredJob>, StoreError> {
    let StoredJob { rev, mut job } = stored;
    if !job.advance(report, checkpoint, clock.now()) {
        return Ok(None);
    }
    Ok(match store.save_job(Some(rev), &job).await? {
        JobWrite::Saved => Some(StoredJob { rev: rev.saturating_add(1), job }),
        JobWrite::Conflict(_) => None,
    })
}

/// Ends a job, and the part that it is of another; `failure` says why it could not do its work. Ending a job again
/// changes nothing. `None` when there is no such job.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn finish_job<S: JobStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &JobId,
    report: &JobReport,
    failure: Option<&str>,
) -> Result<Option<Job>, StoreError> {
    let finish = |job: &mut Job, now| job.finish(report, failure, now);
    let Some(StoredJob { job, .. }) = update(store, clock, organization, id, finish).await? else {
        return Ok(None);
    };
    tell_parent(store, clock, &job).await?;
    Ok(Some(job))
}

/// Ends a part of a job that needs no job of its own, or whose work another job does already.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub async fn finish_part<S: JobStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &JobId,
    part: &JobId,
    report: &JobReport,
    failure: Option<&str>,
) -> Result<Option<Job>, StoreError> {
    let finish = |job: &mut Job, now| job.finish_part(part, report, failure, now);
    Ok(update(store, clock, organization, id, finish).await?.map(|stored| stored.job))
}

async fn tell_parent<S: JobStore, C: Clock>(store: &S, clock: &C, job: &Job) -> Result<(), StoreError> {
    if let Some(parent) = &job.parent {
        finish_part(store, clock, &job.organization, parent, &job.id, &job.report, job.failure()).await?;
    }
    Ok(())
}

/// Reads a job, changes it and writes it, until nobody came in between. What `change` does must be recognized when it is
/// done again; it answers whether it changed anything.
async fn update<S: JobStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &JobId,
    change: impl Fn(&mut Job, Timestamp) -> bool + Send,
) -> Result<Option<StoredJob>, StoreError> {
    let mut current = store.load_job(organization, id).await?;
    for attempt in 1..=ATTEMPTS_MAX {
        let Some(StoredJob { rev, mut job }) = current else {
            return Ok(None);
        };
        if !change(&mut job, clock.now()) {
            return Ok(Some(StoredJob { rev, job }));
        }
        match store.save_job(Some(rev), &job).await? {
            JobWrite::Saved => return Ok(Some(StoredJob { rev: rev.saturating_add(1), job })),
            JobWrite::Conflict(found) => current = found,
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(ATTEMPTS_MAX))
}
