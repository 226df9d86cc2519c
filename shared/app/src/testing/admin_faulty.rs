//! Faults of the audit log.

use evenstock_domain::OrganizationId;

use super::FaultyStore;
use crate::{AuditEntry, AuditLog, AuditPage, AuditPosition, StoreError};

impl<S: AuditLog> AuditLog for FaultyStore<S> {
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.call("append_audit", self.inner.append_audit(entry)).await
    }

    async fn audit(
        &self,
        organization: &OrganizationId,
        after: Option<&AuditPosition>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        self.call("audit", self.inner.audit(organization, after, limit)).await
    }
}
