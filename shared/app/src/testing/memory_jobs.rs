//! Jobs, switches, counters and partitions in memory.

use std::collections::BTreeMap;

use evenstock_domain::{Job, JobId, JobKind, OrganizationId, Timestamp};

use super::MemoryStore;
use crate::{
    CounterStore, Counts, JobPage, JobStore, JobWrite, PartitionRead, PartitionStore, StoreError, StoredJob,
    SwitchStore, SyncSwitch,
};

/// The part of the memory that holds jobs.
#[derive(Debug, Default)]
pub(super) struct JobState {
    jobs: BTreeMap<(OrganizationId, JobId), StoredJob>,
    places: BTreeMap<(OrganizationId, JobKind, String), Job>,
    switches: BTreeMap<OrganizationId, SyncSwitch>,
    counters: BTreeMap<String, (String, Counts)>,
    partitions: BTreeMap<(String, i64), PartitionRead>,
}

impl JobStore for MemoryStore {
    async fn load_job(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<StoredJob>, StoreError> {
        Ok(self.state().jobs.jobs.get(&(organization.clone(), id.clone())).cloned())
    }

    async fn save_job(&self, expected: Option<u64>, job: &Job) -> Result<JobWrite, StoreError> {
        let mut state = self.state();
        let key = (job.organization.clone(), job.id.clone());
        let current = state.jobs.jobs.get(&key).cloned();
        if current.as_ref().map(|stored| stored.rev) != expected {
            return Ok(JobWrite::Conflict(current));
        }
        let rev = expected.unwrap_or_default() + 1;
        state.jobs.jobs.insert(key, StoredJob { rev, job: job.clone() });
        Ok(JobWrite::Saved)
    }

    async fn list_jobs(
        &self,
        organization: &OrganizationId,
        after: Option<&JobId>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        let state = self.state();
        let of_organization = state.jobs.jobs.values().rev().map(|stored| &stored.job);
        let mut behind = of_organization
            .filter(|job| job.organization == *organization && after.is_none_or(|after| job.id < *after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let jobs = behind.by_ref().take(limit).cloned().collect();
        Ok(JobPage { jobs, more: behind.next().is_some() })
    }

    async fn load_place(
        &self,
        organization: &OrganizationId,
        kind: JobKind,
        subject: &str,
    ) -> Result<Option<Job>, StoreError> {
        Ok(self.state().jobs.places.get(&(organization.clone(), kind, subject.to_owned())).cloned())
    }

    async fn take_place(&self, job: &Job, holder: Option<&JobId>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let place = (job.organization.clone(), job.kind, job.subject.clone());
        if state.jobs.places.get(&place).map(|held| &held.id) != holder {
            return Ok(false);
        }
        state.jobs.places.insert(place, job.clone());
        Ok(true)
    }
}

impl SwitchStore for MemoryStore {
    async fn load_switch(&self, organization: &OrganizationId) -> Result<SyncSwitch, StoreError> {
        Ok(self.state().jobs.switches.get(organization).copied().unwrap_or_default())
    }

    async fn set_switch(
        &self,
        organization: &OrganizationId,
        on: bool,
        interval_ms: Option<i64>,
        now: Timestamp,
    ) -> Result<SyncSwitch, StoreError> {
        let mut state = self.state();
        let switch = state.jobs.switches.entry(organization.clone()).or_default();
        if switch.changed_at.is_none_or(|changed_at| changed_at <= now) {
            let interval_ms = interval_ms.or(switch.interval_ms);
            *switch = SyncSwitch { on, interval_ms, changed_at: Some(now), ..*switch };
        }
        Ok(*switch)
    }

    async fn mark_run(&self, organization: &OrganizationId, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let switch = state.jobs.switches.entry(organization.clone()).or_default();
        switch.last_run_at = switch.last_run_at.max(Some(now));
        Ok(())
    }
}

impl CounterStore for MemoryStore {
    async fn add_counts(&self, function: &str, token: &str, counts: &Counts) -> Result<(), StoreError> {
        let mut state = self.state();
        let (last, sums) = state.jobs.counters.entry(function.to_owned()).or_default();
        if last != token {
            token.clone_into(last);
            for (name, count) in counts {
                *sums.entry(name.clone()).or_default() += count;
            }
        }
        Ok(())
    }

    async fn all_counts(&self) -> Result<BTreeMap<String, Counts>, StoreError> {
        let state = self.state();
        Ok(state.jobs.counters.iter().map(|(name, (_, counts))| (name.clone(), counts.clone())).collect())
    }

    async fn reset_counts(&self) -> Result<(), StoreError> {
        self.state().jobs.counters.clear();
        Ok(())
    }
}

impl PartitionStore for MemoryStore {
    async fn note_partition(&self, read: &PartitionRead) -> Result<(), StoreError> {
        let mut state = self.state();
        let known = state.jobs.partitions.entry((read.topic.clone(), read.partition)).or_insert_with(|| read.clone());
        if known.seen_at <= read.seen_at {
            *known = read.clone();
        }
        Ok(())
    }

    async fn partitions(&self) -> Result<Vec<PartitionRead>, StoreError> {
        Ok(self.state().jobs.partitions.values().cloned().collect())
    }
}
