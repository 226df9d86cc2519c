//! Jobs: work that somebody asked for and looks up later. A job that consists of others waits for them as its parts.
//!
//! Must not know what the work is, nor who does it: workers report, the job keeps the sum.

use crate::{JobId, OrganizationId, Sku, Timestamp};

/// Differences that a job lists; it counts them all.
pub const DRIFT_MAX: usize = 100;

/// Errors that a job lists; `failed` counts them all.
pub const JOB_ERRORS_MAX: usize = 20;

/// How long a worker may say nothing before its job counts as abandoned, in milliseconds. A message whose worker died
/// comes again within six minutes, so that two more tries fit.
const LEASE_MS: i64 = 15 * 60 * 1000;

/// The same for a job that only waits for its parts, which renew their own leases.
const LEASE_OF_PARTS_MS: i64 = 6 * 60 * 60 * 1000;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// Everything at once: its parts are jobs of the other kinds.
    Trigger,
    /// Asks one marketplace for what changed.
    Poll,
    /// Compares one warehouse's whole stock with ours.
    Warehouse,
    /// Queues the stores with receipts that are due. Only ever a part: whoever starts the whole does it at once.
    Stores,
}

impl JobKind {
    /// The kind's name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Poll => "poll",
            Self::Warehouse => "warehouse",
            Self::Stores => "stores",
        }
    }

    /// Reads a kind's name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Trigger, Self::Poll, Self::Warehouse, Self::Stores].into_iter().find(|kind| kind.as_str() == text)
    }

    const fn lease_ms(self) -> i64 {
        match self {
            Self::Trigger => LEASE_OF_PARTS_MS,
            Self::Poll | Self::Warehouse | Self::Stores => LEASE_MS,
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// Nobody has begun.
    Queued,
    /// Somebody works on it.
    Running,
    /// It did all of its work.
    Completed,
    /// It did not; `errors` says why, and the counters what was done before.
    Failed,
}

impl JobStatus {
    /// The status's name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads a status's name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Completed, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

/// What was done, in items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobCounters {
    /// Items looked at.
    pub processed: u64,
    /// Items that changed something, or were sent on to do so.
    pub applied: u64,
    /// Items that were older than what we know.
    pub stale: u64,
    /// Items about which two sides disagree.
    pub conflicts: u64,
    /// Items that could not be used.
    pub failed: u64,
}

/// A difference between what a warehouse said and what we had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The product.
    pub sku: Sku,
    /// Units that the warehouse stated.
    pub warehouse: i64,
    /// Units that we had.
    pub central: i64,
}

/// A piece of work done, to be added to a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobReport {
    /// What was done.
    pub counters: JobCounters,
    /// Differences, or the first of them.
    pub drift: Vec<Drift>,
    /// How many there were.
    pub drift_count: u64,
    /// What went wrong, without bodies or secrets.
    pub errors: Vec<String>,
}

/// A job that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPart {
    /// The job to be.
    pub id: JobId,
    /// Its kind.
    pub kind: JobKind,
    /// What it is about.
    pub subject: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Whose job it is.
    pub organization: OrganizationId,
    /// Its name. Names of later jobs are greater.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// What it is about, such as a warehouse; empty when it is about everything. Of one kind and subject, one job runs.
    pub subject: String,
    /// The job that waits for this one.
    pub parent: Option<JobId>,
    /// Where it stands.
    pub status: JobStatus,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When somebody began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Counts as abandoned from then on, unless it has ended.
    pub leased_until: Timestamp,
    /// The sum of what was reported.
    pub report: JobReport,
    /// Where the next worker goes on; its meaning is the worker's.
    pub checkpoint: Option<String>,
    /// The jobs that it still waits for.
    pub parts: Vec<JobPart>,
    /// Whether one of its parts has failed, so that it will.
    pub failing: bool,
}

impl JobReport {
    fn add(&mut self, more: &Self) {
        let (sum, counters) = (&mut self.counters, &more.counters);
        sum.processed = sum.processed.saturating_add(counters.processed);
        sum.applied = sum.applied.saturating_add(counters.applied);
        sum.stale = sum.stale.saturating_add(counters.stale);
        sum.conflicts = sum.conflicts.saturating_add(counters.conflicts);
        sum.failed = sum.failed.saturating_add(counters.failed);
        self.drift_count = self.drift_count.saturating_add(more.drift_count);
        self.drift.extend(more.drift.iter().take(DRIFT_MAX.saturating_sub(self.drift.len())).cloned());
        self.errors.extend(more.errors.iter().take(JOB_ERRORS_MAX.saturating_sub(self.errors.len())).cloned());
    }

    /// The reason of a failure comes first, whatever else is listed.
    fn add_reason(&mut self, reason: &str) {
        self.errors.insert(0, reason.to_owned());
        self.errors.truncate(JOB_ERRORS_MAX);
    }
}

impl Job {
    /// A job that nobody has begun.
    pub fn queued(
        organization: OrganizationId,
        id: JobId,
        kind: JobKind,
        subject: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            organization,
            id,
            kind,
            subject: subject.into(),
            parent: None,
            status: JobStatus::Queued,
            created_at: now,
            started_at: None,
            finished_at: None,
            leased_until: now.plus_millis(kind.lease_ms()),
            report: JobReport::default(),
            checkpoint: None,
            parts: Vec::new(),
            failing: false,
        }
    }

    /// Whether it has ended.
    pub const fn is_ended(&self) -> bool {
        matches!(self.status, JobStatus::Completed | JobStatus::Failed)
    }

    /// Whether its worker was silent for too long.
    pub fn is_abandoned(&self, now: Timestamp) -> bool {
        !self.is_ended() && now >= self.leased_until
    }

    /// Somebody works on it. `false` when it has ended.
    pub fn begin(&mut self, now: Timestamp) -> bool {
        if self.is_ended() {
            return false;
        }
        self.status = JobStatus::Running;
        self.started_at = self.started_at.or(Some(now));
        self.leased_until = self.leased_until.max(now.plus_millis(self.kind.lease_ms()));
        true
    }

    /// A piece of it is done, up to `checkpoint`. `false` when it has ended.
    pub fn advance(&mut self, report: &JobReport, checkpoint: Option<String>, now: Timestamp) -> bool {
        if !self.begin(now) {
            return false;
        }
        self.report.add(report);
        self.checkpoint = checkpoint;
        true
    }

    /// The rest of it is done, or `failure` says why not. `false` when it has ended.
    pub fn finish(&mut self, report: &JobReport, failure: Option<&str>, now: Timestamp) -> bool {
        if !self.begin(now) {
            return false;
        }
        self.report.add(report);
        if let Some(reason) = failure {
            self.report.add_reason(reason);
        }
        self.status = if failure.is_some() || self.failing { JobStatus::Failed } else { JobStatus::Completed };
        self.finished_at = Some(now);
        true
    }

    /// A job that it waits for has ended; with the last of them it ends too. `false` when it does not wait for it.
    pub fn finish_part(&mut self, part: &JobId, report: &JobReport, failure: Option<&str>, now: Timestamp) -> bool {
        let before = self.parts.len();
        if self.is_ended() {
            return false;
        }
        self.parts.retain(|waiting| waiting.id != *part);
        if self.parts.len() == before {
            return false;
        }
        self.failing |= failure.is_some();
        if self.parts.is_empty() { self.finish(report, None, now) } else { self.advance(report, None, now) }
    }

    /// Why it failed; `None` unless it has.
    pub fn failure(&self) -> Option<&str> {
        let failed = self.status == JobStatus::Failed;
        failed.then(|| self.report.errors.first().map_or("failed", String::as_str))
    }

    /// The job as somebody who looks at `now` should see it: abandoned work has failed.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        if self.is_abandoned(now) {
            let end = self.leased_until;
            self.finish(&JobReport::default(), Some("abandoned"), end);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn id(text: &str) -> JobId {
        JobId::parse(text).unwrap()
    }

    fn job(kind: JobKind) -> Job {
        Job::queued(OrganizationId::parse("org").unwrap(), id("sync-1"), kind, "w1", at(0))
    }

    fn applied(applied: u64) -> JobReport {
        JobReport { counters: JobCounters { processed: applied, applied, ..Default::default() }, ..Default::default() }
    }

    #[test]
    fn counts_everything_and_lists_the_first() {
        let drift = |n: i64| Drift { sku: Sku::parse(&format!("s{n}")).unwrap(), warehouse: n, central: 0 };
        let page = JobReport {
            drift: (0..70).map(drift).collect(),
            drift_count: 70,
            errors: (0..15).map(|n| n.to_string()).collect(),
            ..applied(70)
        };
        let mut job = job(JobKind::Warehouse);
        assert!(job.advance(&page, Some("p2".to_owned()), at(1)));
        assert!(job.finish(&page, Some("warehouse_unavailable"), at(2)));
        assert_eq!((job.report.drift.len(), job.report.drift_count), (DRIFT_MAX, 140));
        assert_eq!(job.report.counters.applied, 140);
        assert_eq!(job.report.errors.len(), JOB_ERRORS_MAX);
        assert_eq!((job.failure(), job.started_at), (Some("warehouse_unavailable"), Some(at(1))));
    }

    #[test]
    fn nothing_moves_a_job_that_has_ended() {
        let mut ended = job(JobKind::Poll);
        assert!(ended.finish(&applied(1), None, at(5)));
        let before = ended.clone();
        assert!(!ended.begin(at(6)) && !ended.advance(&applied(1), None, at(6)));
        assert!(!ended.finish(&applied(1), Some("late"), at(6)));
        assert_eq!(ended, before);
        assert_eq!(ended.clone().as_of(Timestamp::MAX), before);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in [JobKind::Trigger, JobKind::Poll, JobKind::Warehouse, JobKind::Stores] {
            assert_eq!(JobKind::parse(kind.as_str()), Some(kind));
        }
        for status in [JobStatus::Queued, JobStatus::Running, JobStatus::Completed, JobStatus::Failed] {
            assert_eq!(JobStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!((JobKind::Poll.as_str(), JobStatus::Running.as_str()), ("poll", "running"));
        assert_eq!((JobKind::parse(""), JobStatus::parse("")), (None, None));
    }

    #[test]
    fn silent_worker_is_waited_for_a_quarter_of_an_hour_and_parts_for_six_hours() {
        let minute = 60_000;
        for (kind, minutes) in [(JobKind::Poll, 15), (JobKind::Warehouse, 15), (JobKind::Trigger, 360)] {
            let mut begun = job(kind);
            assert!(begun.begin(at(0)));
            assert!(!begun.is_abandoned(at(minutes * minute - 1)), "{kind:?}");
            assert!(begun.is_abandoned(at(minutes * minute)), "{kind:?}");
        }
    }

    #[test]
    fn last_part_ends_the_whole_and_each_counts_once() {
        let part = |name| JobPart { id: id(name), kind: JobKind::Poll, subject: name.to_owned() };
        let mut whole = job(JobKind::Trigger);
        whole.parts = vec![part("a"), part("b")];
        assert!(whole.finish_part(&id("a"), &applied(3), Some("breaker_open"), at(1)));
        assert_eq!(whole.parts, [part("b")]);
        assert!(!whole.finish_part(&id("a"), &applied(3), None, at(2)), "told twice");
        assert_eq!(whole.status, JobStatus::Running);
        assert!(whole.finish_part(&id("b"), &applied(4), None, at(3)));
        assert_eq!((whole.status, whole.finished_at), (JobStatus::Failed, Some(at(3))));
        assert_eq!(whole.report.counters.applied, 7);
    }

    #[test]
    fn silent_worker_loses_its_job_after_the_lease() {
        let mut job = job(JobKind::Warehouse);
        assert!(job.advance(&applied(1), Some("p2".to_owned()), at(1000)));
        let lease_end = at(1000 + LEASE_MS);
        assert_eq!(job.clone().as_of(at(lease_end.as_millis() - 1)).status, JobStatus::Running);
        let seen = job.as_of(lease_end);
        assert_eq!((seen.status, seen.failure()), (JobStatus::Failed, Some("abandoned")));
    }
}
