//! Warehouses and conflicts in memory, and under faults.

use evenstock_domain::{LocationId, OrganizationId, Timestamp};

use super::{FaultyStore, MemoryStore};
use crate::{Conflict, ConflictPage, ConflictStore, KeyChange, Warehouse, WarehousePage, WarehouseSettings};
use crate::{StoreError, WarehouseStore};

impl WarehouseStore for MemoryStore {
    async fn load_warehouse(&self, id: &LocationId) -> Result<Option<Warehouse>, StoreError> {
        Ok(self.state().warehouses.get(id).cloned())
    }

    async fn set_up_warehouse(&self, settings: &WarehouseSettings) -> Result<Option<Warehouse>, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let known = state.warehouses.get(&settings.id);
        if known.is_some_and(|known| known.organization != settings.organization) {
            return Ok(None);
        }
        let api_key = match &settings.api_key {
            KeyChange::Keep => known.and_then(|known| known.api_key.clone()),
            KeyChange::Set(key) => Some(key.clone()),
            KeyChange::Remove => None,
        };
        let warehouse = Warehouse {
            id: settings.id.clone(),
            organization: settings.organization.clone(),
            endpoint: settings.endpoint.clone(),
            api_key,
            policy: settings.policy,
            claimed_at: known.map_or(settings.at, |known| known.claimed_at),
            updated_at: settings.at,
        };
        state.warehouses.insert(settings.id.clone(), warehouse.clone());
        Ok(Some(warehouse))
    }

    async fn warehouses_of(
        &self,
        organization: &OrganizationId,
        after: Option<(Timestamp, &LocationId)>,
        limit: u32,
    ) -> Result<WarehousePage, StoreError> {
        let state = self.state();
        let own = state.warehouses.values().filter(|warehouse| warehouse.organization == *organization);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by(|one, other| (one.claimed_at, &one.id).cmp(&(other.claimed_at, &other.id)));
        own.retain(|warehouse| after.is_none_or(|after| (warehouse.claimed_at, &warehouse.id) > after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = own.len() > limit;
        own.truncate(limit);
        Ok(WarehousePage { warehouses: own, more })
    }
}

impl ConflictStore for MemoryStore {
    async fn record_conflict(&self, conflict: &Conflict) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writes += 1;
        let key = (conflict.organization.clone(), conflict.id.clone());
        state.conflicts.entry(key).or_insert_with(|| conflict.clone());
        Ok(())
    }

    async fn load_conflict(&self, organization: &OrganizationId, id: &str) -> Result<Option<Conflict>, StoreError> {
        Ok(self.state().conflicts.get(&(organization.clone(), id.to_owned())).cloned())
    }

    async fn settle_conflict(&self, conflict: &Conflict) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.writes += 1;
        match state.conflicts.get_mut(&(conflict.organization.clone(), conflict.id.clone())) {
            Some(open) if open.resolution.is_none() => {
                *open = conflict.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn conflicts(
        &self,
        organization: &OrganizationId,
        open: Option<bool>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<ConflictPage, StoreError> {
        let state = self.state();
        let own = state.conflicts.values().filter(|conflict| conflict.organization == *organization);
        let behind = own.filter(|conflict| after.is_none_or(|after| conflict.id.as_str() > after));
        let mut conflicts: Vec<_> =
            behind.filter(|conflict| open.is_none_or(|open| open == conflict.resolution.is_none())).cloned().collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = conflicts.len() > limit;
        conflicts.truncate(limit);
        let next = conflicts.last().filter(|_| more).map(|last| last.id.clone());
        Ok(ConflictPage { conflicts, next })
    }
}

impl<S: WarehouseStore> WarehouseStore for FaultyStore<S> {
    async fn load_warehouse(&self, id: &LocationId) -> Result<Option<Warehouse>, StoreError> {
        self.call("load_warehouse", self.inner.load_warehouse(id)).await
    }

    async fn set_up_warehouse(&self, settings: &WarehouseSettings) -> Result<Option<Warehouse>, StoreError> {
        self.call("set_up_warehouse", self.inner.set_up_warehouse(settings)).await
    }

    async fn warehouses_of(
        &self,
        organization: &OrganizationId,
        after: Option<(Timestamp, &LocationId)>,
        limit: u32,
    ) -> Result<WarehousePage, StoreError> {
        self.call("warehouses_of", self.inner.warehouses_of(organization, after, limit)).await
    }
}

impl<S: ConflictStore> ConflictStore for FaultyStore<S> {
    async fn record_conflict(&self, conflict: &Conflict) -> Result<(), StoreError> {
        self.call("record_conflict", self.inner.record_conflict(conflict)).await
    }

    async fn load_conflict(&self, organization: &OrganizationId, id: &str) -> Result<Option<Conflict>, StoreError> {
        self.call("load_conflict", self.inner.load_conflict(organization, id)).await
    }

    async fn settle_conflict(&self, conflict: &Conflict) -> Result<bool, StoreError> {
        self.call("settle_conflict", self.inner.settle_conflict(conflict)).await
    }

    async fn conflicts(
        &self,
        organization: &OrganizationId,
        open: Option<bool>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<ConflictPage, StoreError> {
        self.call("conflicts", self.inner.conflicts(organization, open, after, limit)).await
    }
}
