//! Jobs as they go over the wire.

use evenstock_domain::{Drift, Job, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobBody {
    job_id: String,
    /// `trigger`, `poll` or `warehouse`.
    kind: &'static str,
    /// What it is about; "" when it is about everything.
    subject: String,
    /// `queued`, `running`, `completed` or `failed`.
    status: &'static str,
    created_at: String,
    /// `null` until somebody began.
    started_at: Option<String>,
    /// `null` until it ended.
    finished_at: Option<String>,
    /// Items looked at.
    processed: u64,
    /// Items that changed something, or were sent on to do so.
    applied: u64,
    /// Items that were older than what is known.
    stale: u64,
    /// Items about which two sides disagree.
    conflicts: u64,
    /// Items that could not be used.
    failed: u64,
    /// The first hundred differences.
    #[schema(max_items = 100)]
    drift: Vec<DriftBody>,
    drift_count: u64,
    /// The first of what went wrong. Of a failed job, the first one says why.
    errors: Vec<String>,
}

/// A difference between a warehouse and us.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftBody {
    sku: String,
    warehouse: i64,
    central: i64,
}

/// Jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobListBody {
    pub(crate) items: Vec<JobBody>,
    pub(crate) next_cursor: String,
}

/// A job that was asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuedJobBody {
    pub(crate) job_id: String,
    pub(crate) status: String,
}

/// The name of a job.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobIdBody {
    pub(crate) job_id: String,
}

/// A job that was asked for, or has ended already.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct JobAnswer {
    pub(crate) success: bool,
    pub(crate) message: String,
    pub(crate) data: JobIdBody,
}

impl JobBody {
    /// The job as it is to be seen at `now`.
    pub(crate) fn new(job: Job, now: Timestamp) -> Self {
        let job = job.as_of(now);
        let counters = job.report.counters;
        let drift =
            |drift: Drift| DriftBody { sku: drift.sku.to_string(), warehouse: drift.warehouse, central: drift.central };
        Self {
            job_id: job.id.to_string(),
            kind: job.kind.as_str(),
            subject: job.subject,
            status: job.status.as_str(),
            created_at: job.created_at.to_string(),
            started_at: job.started_at.map(|time| time.to_string()),
            finished_at: job.finished_at.map(|time| time.to_string()),
            processed: counters.processed,
            applied: counters.applied,
            stale: counters.stale,
            conflicts: counters.conflicts,
            failed: counters.failed,
            drift: job.report.drift.into_iter().map(drift).collect(),
            drift_count: job.report.drift_count,
            errors: job.report.errors,
        }
    }
}

impl JobAnswer {
    pub(crate) fn new(message: &str, job_id: String) -> Self {
        Self { success: true, message: message.to_owned(), data: JobIdBody { job_id } }
    }
}
