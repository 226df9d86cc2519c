//! A job's item, and the item of its place.

use evenstock_app::{StoreError, StoredJob};
use evenstock_domain::{
    Drift, Job, JobCounters, JobId, JobKind, JobPart, JobReport, JobStatus, OrganizationId, Sku, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;

/// How long a job is kept after it was asked for, in seconds: 90 days.
const KEPT_S: i64 = 90 * 24 * 60 * 60;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobItem {
    pk: String,
    sk: String,
    /// Rev, the optimistic lock.
    rv: u64,
    /// Organization.
    og: String,
    /// Name.
    id: String,
    /// Kind.
    ki: String,
    /// Subject; absent when it is about everything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    su: String,
    /// The job that waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pa: Option<String>,
    /// Status.
    st: String,
    /// Created, begun, finished, leased until, milliseconds.
    ca: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ba: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fa: Option<i64>,
    le: i64,
    /// Counters: processed, applied, stale, conflicts, failed, differences.
    co: [u64; 6],
    /// Differences: product, what the warehouse said, what we had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dr: Vec<(String, i64, i64)>,
    /// Errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    er: Vec<String>,
    /// Checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cp: Option<String>,
    /// Parts that it waits for: name, kind, subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pt: Vec<(String, String, String)>,
    /// Whether a part has failed.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    fl: bool,
    /// When it may be deleted, seconds; absent in a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<i64>,
}

impl JobItem {
    /// The item of a job.
    pub(crate) fn of_job(rev: u64, job: &Job) -> Self {
        let x = Some(job.created_at.as_millis() / 1000 + KEPT_S);
        Self { x, ..Self::new(keys::job(&job.organization, &job.id), rev, job) }
    }

    /// The item of the job's place: the job as it was asked for.
    pub(crate) fn of_place(job: &Job) -> Self {
        Self::new(keys::job_place(&job.organization, job.kind, &job.subject), 1, job)
    }

    fn new(key: Key, rev: u64, job: &Job) -> Self {
        let counters = &job.report.counters;
        let drift = |drift: &Drift| (drift.sku.to_string(), drift.warehouse, drift.central);
        let part = |part: &JobPart| (part.id.to_string(), part.kind.as_str().to_owned(), part.subject.clone());
        Self {
            pk: key.pk,
            sk: key.sk,
            rv: rev,
            og: job.organization.to_string(),
            id: job.id.to_string(),
            ki: job.kind.as_str().to_owned(),
            su: job.subject.clone(),
            pa: job.parent.as_ref().map(ToString::to_string),
            st: job.status.as_str().to_owned(),
            ca: job.created_at.as_millis(),
            ba: job.started_at.map(Timestamp::as_millis),
            fa: job.finished_at.map(Timestamp::as_millis),
            le: job.leased_until.as_millis(),
            co: [
                counters.processed,
                counters.applied,
                counters.stale,
                counters.conflicts,
                counters.failed,
                job.report.drift_count,
            ],
            dr: job.report.drift.iter().map(drift).collect(),
            er: job.report.errors.clone(),
            cp: job.checkpoint.clone(),
            pt: job.parts.iter().map(part).collect(),
            fl: job.failing,
            x: None,
        }
    }

    fn into_job(self) -> Option<Job> {
        let time = |millis| Timestamp::from_millis(millis).ok();
        let times = |millis: Option<i64>| millis.map_or(Some(None), |millis| time(millis).map(Some));
        let drift = |(sku, warehouse, central): (String, i64, i64)| {
            Some(Drift { sku: Sku::parse(&sku).ok()?, warehouse, central })
        };
        let part = |(id, kind, subject): (String, String, String)| {
            Some(JobPart { id: JobId::parse(&id).ok()?, kind: JobKind::parse(&kind)?, subject })
        };
        let [processed, applied, stale, conflicts, failed, drift_count] = self.co;
        Some(Job {
            organization: OrganizationId::parse(&self.og).ok()?,
            id: JobId::parse(&self.id).ok()?,
            kind: JobKind::parse(&self.ki)?,
            subject: self.su,
            parent: self.pa.map_or(Some(None), |parent| JobId::parse(&parent).ok().map(Some))?,
            status: JobStatus::parse(&self.st)?,
            created_at: time(self.ca)?,
            started_at: times(self.ba)?,
            finished_at: times(self.fa)?,
            leased_until: time(self.le)?,
            report: JobReport {
                counters: JobCounters { processed, applied, stale, conflicts, failed },
                drift: self.dr.into_iter().map(drift).collect::<Option<_>>()?,
                drift_count,
                errors: self.er,
            },
            checkpoint: self.cp,
            parts: self.pt.into_iter().map(part).collect::<Option<_>>()?,
            failing: self.fl,
        })
    }
}

pub(crate) fn read(attributes: Attributes) -> Result<StoredJob, StoreError> {
    let name = item_name(&attributes);
    let item: JobItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let rev = item.rv;
    item.into_job().map(|job| StoredJob { rev, job }).ok_or_else(|| corrupt(name, "not a job"))
}
