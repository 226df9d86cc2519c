//! Keys and the audit log in memory.

use core::ops::Bound;

use evenstock_domain::{OrganizationId, Timestamp};

use super::MemoryStore;
use crate::{
    ApiKey, AuditEntry, AuditLog, AuditPage, AuditPosition, KeyAdminStore, KeyPage, KeyRecord, KeyStore, StoreError,
};

/// How long a noted use stands for later ones, in milliseconds.
const USE_NOTED_MS: i64 = 60 * 60 * 1000;

impl KeyStore for MemoryStore {
    async fn find_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let found = self.state().keys.get(hash).filter(|record| record.revoked_at.is_none()).cloned();
        Ok(found.map(|record| record.key))
    }

    async fn note_use(&self, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        if let Some(record) = self.state().keys.get_mut(hash) {
            let noted = record.last_used_at.is_some_and(|used| now.millis_since(used) < USE_NOTED_MS);
            record.last_used_at = if noted { record.last_used_at } else { Some(now) };
        }
        Ok(())
    }
}

impl KeyAdminStore for MemoryStore {
    async fn insert_key(&self, record: &KeyRecord) -> Result<(), StoreError> {
        self.state().keys.entry(record.hash).or_insert_with(|| record.clone());
        Ok(())
    }

    async fn key_by_id(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.state().keys.values().find(|record| record.key.id == id).cloned())
    }

    async fn revoke_key(&self, hash: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        if let Some(record) = self.state().keys.get_mut(hash) {
            record.revoked_at = record.revoked_at.or(Some(at));
        }
        Ok(())
    }

    async fn keys_of(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<KeyPage, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let state = self.state();
        let listed = |record: &&KeyRecord| record.key.organization == *organization && record.revoked_at.is_none();
        let mut keys: Vec<_> = state.keys.values().filter(listed).cloned().collect();
        keys.sort_by(|one, other| one.key.id.cmp(&other.key.id));
        keys.retain(|record| after.is_none_or(|after| record.key.id.as_str() > after));
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().map(|record| record.key.id.clone()).filter(|_| more);
        Ok(KeyPage { keys, next })
    }
}

impl AuditLog for MemoryStore {
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let place = (entry.organization.clone(), entry.at, entry.id.clone());
        self.state().audit.entry(place).or_insert_with(|| entry.clone());
        Ok(())
    }

    async fn audit(
        &self,
        organization: &OrganizationId,
        after: Option<&AuditPosition>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let state = self.state();
        let first = Bound::Included((organization.clone(), Timestamp::EPOCH, String::new()));
        let end = match after {
            None => Bound::Included((organization.clone(), Timestamp::MAX, String::from(char::MAX))),
            Some(AuditPosition { at, id }) => Bound::Excluded((organization.clone(), *at, id.clone())),
        };
        let mut entries = state.audit.range((first, end)).rev().map(|(_, entry)| entry.clone());
        let page: Vec<_> = entries.by_ref().take(limit).collect();
        let more = entries.next().is_some();
        let last = page.last().filter(|_| more);
        let next = last.map(|entry| AuditPosition { at: entry.at, id: entry.id.clone() });
        Ok(AuditPage { entries: page, next })
    }
}
