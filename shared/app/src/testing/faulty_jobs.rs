//! Jobs and breakers under faults.

use evenstock_domain::{Breaker, Job, JobId, JobKind, OrganizationId, Source};

use super::FaultyStore;
use crate::{BreakerStore, JobPage, JobStore, JobWrite, StoreError, StoredJob};

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

impl<S: BreakerStore> BreakerStore for FaultyStore<S> {
    async fn load_breaker(&self, name: &Source) -> Result<(Option<u64>, Breaker), StoreError> {
        self.call("load_breaker", self.inner.load_breaker(name)).await
    }

    async fn save_breaker(&self, name: &Source, expected: Option<u64>, breaker: &Breaker) -> Result<bool, StoreError> {
        self.call("save_breaker", self.inner.save_breaker(name, expected, breaker)).await
    }
}
