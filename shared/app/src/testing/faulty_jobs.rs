//! Faults of the stores of jobs, switches and counters, and of what is only looked at.

use std::collections::BTreeMap;

use evenstock_domain::{Job, JobId, JobKind, OrganizationId, Source, Timestamp};

use super::FaultyStore;
use crate::{
    CounterStore, Counts, JobPage, JobStore, JobWrite, PartitionRead, PartitionStore, PollStatus, PollStatusStore,
    StoreError, StoreProbe, StoredJob, SwitchStore, SyncSwitch,
};

impl<S: JobStore> JobStore for FaultyStore<S> {
    async fn load_job(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<StoredJob>, StoreError> {
        self.call("load_job", self.inner.load_job(organization, id)).await
    }

    async fn save_job(&self, expected: Option<u64>, job: &Job) -> Result<JobWrite, StoreError> {
        self.call("save_job", self.inner.save_job(expected, job)).await
    }

    async fn list_jobs(
        &self,
        organization: &OrganizationId,
        after: Option<&JobId>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        self.call("list_jobs", self.inner.list_jobs(organization, after, limit)).await
    }

    async fn load_place(
        &self,
        organization: &OrganizationId,
        kind: JobKind,
        subject: &str,
    ) -> Result<Option<Job>, StoreError> {
        self.call("load_place", self.inner.load_place(organization, kind, subject)).await
    }

    async fn take_place(&self, job: &Job, holder: Option<&JobId>) -> Result<bool, StoreError> {
        self.call("take_place", self.inner.take_place(job, holder)).await
    }
}

impl<S: SwitchStore> SwitchStore for FaultyStore<S> {
    async fn load_switch(&self, organization: &OrganizationId) -> Result<SyncSwitch, StoreError> {
        self.call("load_switch", self.inner.load_switch(organization)).await
    }

    async fn set_switch(
        &self,
        organization: &OrganizationId,
        on: bool,
        interval_ms: Option<i64>,
        now: Timestamp,
    ) -> Result<SyncSwitch, StoreError> {
        self.call("set_switch", self.inner.set_switch(organization, on, interval_ms, now)).await
    }

    async fn mark_run(&self, organization: &OrganizationId, now: Timestamp) -> Result<(), StoreError> {
        self.call("mark_run", self.inner.mark_run(organization, now)).await
    }
}

impl<S: CounterStore> CounterStore for FaultyStore<S> {
    async fn add_counts(&self, function: &str, token: &str, counts: &Counts) -> Result<(), StoreError> {
        self.call("add_counts", self.inner.add_counts(function, token, counts)).await
    }

    async fn all_counts(&self) -> Result<BTreeMap<String, Counts>, StoreError> {
        self.call("all_counts", self.inner.all_counts()).await
    }

    async fn reset_counts(&self) -> Result<(), StoreError> {
        self.call("reset_counts", self.inner.reset_counts()).await
    }
}

impl<S: PartitionStore> PartitionStore for FaultyStore<S> {
    async fn note_partition(&self, read: &PartitionRead) -> Result<(), StoreError> {
        self.call("note_partition", self.inner.note_partition(read)).await
    }

    async fn partitions(&self) -> Result<Vec<PartitionRead>, StoreError> {
        self.call("partitions", self.inner.partitions()).await
    }
}

impl<S: PollStatusStore> PollStatusStore for FaultyStore<S> {
    async fn poll_status(&self, source: &Source) -> Result<PollStatus, StoreError> {
        self.call("poll_status", self.inner.poll_status(source)).await
    }
}

impl<S: StoreProbe> StoreProbe for FaultyStore<S> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.call("ping", self.inner.ping()).await
    }
}
