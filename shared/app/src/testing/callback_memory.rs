//! Callbacks in memory.

use std::collections::BTreeMap;

use evenstock_domain::{Delivery, DeliveryId, EndpointHealth, EndpointId, OrganizationId, Registry, Timestamp};

use super::MemoryStore;
use crate::{Arrival, Arrivals, CallbackStore, DeliveryPage, DueDelivery, Listed, StoreError, StoredDelivery};

type Endpoint = (OrganizationId, EndpointId);

/// What stands there of callbacks.
#[derive(Debug, Default)]
pub(super) struct CallbackState {
    registries: BTreeMap<OrganizationId, (u64, Registry)>,
    health: BTreeMap<Endpoint, (u64, EndpointHealth)>,
    /// By endpoint, event time and hash.
    deliveries: BTreeMap<(Endpoint, Timestamp, String), StoredDelivery>,
    /// By endpoint, time and the first one's hash.
    log: BTreeMap<(Endpoint, Timestamp, String), Arrivals>,
    registry_reads: usize,
}

fn place(organization: &OrganizationId, id: &DeliveryId) -> (Endpoint, Timestamp, String) {
    ((organization.clone(), id.endpoint.clone()), id.time, id.digest().to_owned())
}

impl MemoryStore {
    /// Every stored delivery of every tenant.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.with_callbacks(|state| state.deliveries.values().map(|stored| stored.delivery.clone()).collect())
    }

    /// Everything that arrived at once.
    pub fn arrivals(&self) -> Vec<Arrivals> {
        self.with_callbacks(|state| state.log.values().cloned().collect())
    }

    /// How often endpoints were read.
    pub fn registry_reads(&self) -> usize {
        self.with_callbacks(|state| state.registry_reads)
    }
}

fn write<K: Ord, V>(map: &mut BTreeMap<K, (u64, V)>, key: K, expected: Option<u64>, value: V) -> bool {
    if map.get(&key).map(|(rev, _)| *rev) != expected {
        return false;
    }
    map.insert(key, (expected.unwrap_or_default() + 1, value));
    true
}

impl CallbackStore for MemoryStore {
    async fn load_registry(&self, organization: &OrganizationId) -> Result<(Option<u64>, Registry), StoreError> {
        let known = self.with_callbacks(|state| {
            state.registry_reads += 1;
            state.registries.get(organization).cloned()
        });
        Ok(known.map_or_else(|| (None, Registry::empty(organization.clone())), |(rev, registry)| (Some(rev), registry)))
    }

    async fn save_registry(&self, expected: Option<u64>, registry: &Registry) -> Result<bool, StoreError> {
        let organization = registry.organization.clone();
        Ok(self.with_callbacks(|state| write(&mut state.registries, organization, expected, registry.clone())))
    }

    async fn load_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
    ) -> Result<(Option<u64>, EndpointHealth), StoreError> {
        let key = (organization.clone(), endpoint.clone());
        let known = self.with_callbacks(|state| state.health.get(&key).cloned());
        Ok(known.map_or_else(|| (None, EndpointHealth::default()), |(rev, health)| (Some(rev), health)))
    }

    async fn save_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        expected: Option<u64>,
        health: &EndpointHealth,
    ) -> Result<bool, StoreError> {
        let key = (organization.clone(), endpoint.clone());
        Ok(self.with_callbacks(|state| write(&mut state.health, key, expected, health.clone())))
    }

    async fn load_delivery(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> Result<Option<StoredDelivery>, StoreError> {
        Ok(self.with_callbacks(|state| state.deliveries.get(&place(organization, id)).cloned()))
    }

    async fn save_delivery(&self, expected: Option<u64>, delivery: &Delivery) -> Result<bool, StoreError> {
        let key = place(&delivery.organization, &delivery.id);
        Ok(self.with_callbacks(|state| {
            if state.deliveries.get(&key).map(|stored| stored.rev) != expected {
                return false;
            }
            let rev = expected.unwrap_or_default() + 1;
            state.deliveries.insert(key, StoredDelivery { rev, delivery: delivery.clone() });
            true
        }))
    }

    async fn log_arrivals(&self, arrivals: &Arrivals) -> Result<(), StoreError> {
        let digest = arrivals.arrived.first().map(|arrival| arrival.id.digest().to_owned()).unwrap_or_default();
        let key = ((arrivals.organization.clone(), arrivals.endpoint.clone()), arrivals.at, digest);
        self.with_callbacks(|state| {
            state.log.entry(key).or_insert_with(|| arrivals.clone());
        });
        Ok(())
    }

    async fn find_arrival(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> Result<Option<Arrival>, StoreError> {
        let whose = (organization.clone(), id.endpoint.clone());
        Ok(self.with_callbacks(|state| {
            let of_endpoint = state.log.iter().filter(|((of, ..), _)| *of == whose);
            let mut arrived = of_endpoint.flat_map(|(_, arrivals)| &arrivals.arrived);
            arrived.find(|arrival| arrival.id == *id).cloned()
        }))
    }

    async fn list_deliveries(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DeliveryPage, StoreError> {
        let whose = (organization.clone(), endpoint.clone());
        let name = |kind: &str, time: &Timestamp, digest: &str| format!("{kind}{:014}{digest}", time.as_millis());
        let mut all: Vec<(String, Listed)> = self.with_callbacks(|state| {
            let stored = state.deliveries.iter().filter(|((of, ..), _)| *of == whose);
            let stored = stored.map(|((_, time, digest), stored)| {
                (name("D", time, digest), Listed::Delivery(Box::new(stored.delivery.clone())))
            });
            let logged = state.log.iter().filter(|((of, ..), _)| *of == whose);
            let logged = logged.map(|((_, time, digest), arrivals)| {
                (name("A", time, digest), Listed::Arrivals(arrivals.arrived.clone()))
            });
            stored.chain(logged).collect()
        });
        all.sort_by(|left, right| right.0.cmp(&left.0));
        all.retain(|(name, _)| after.is_none_or(|after| name.as_str() < after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = all.len() > limit;
        all.truncate(limit);
        let next = all.last().filter(|_| more).map(|(name, _)| name.clone());
        Ok(DeliveryPage { entries: all.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    async fn deliveries_since(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        since: Timestamp,
        after: Option<&DeliveryId>,
        limit: u32,
    ) -> Result<(Vec<StoredDelivery>, bool), StoreError> {
        let whose = (organization.clone(), endpoint.clone());
        let after = after.map(|id| place(organization, id));
        let mut found: Vec<_> = self.with_callbacks(|state| {
            let of_endpoint = state.deliveries.iter().filter(|((of, time, _), _)| *of == whose && *time >= since);
            let behind = of_endpoint.filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
            behind.map(|(_, stored)| stored.clone()).collect()
        });
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    async fn due_deliveries(&self, bucket: u8, now: Timestamp, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        let mut due: Vec<_> = self.with_callbacks(|state| {
            let in_bucket = state.deliveries.values().map(|stored| &stored.delivery);
            let in_bucket = in_bucket.filter(|delivery| delivery.due_bucket() == bucket);
            in_bucket
                .filter_map(|delivery| {
                    let due_at = delivery.due_at.filter(|due_at| *due_at <= now)?;
                    Some(DueDelivery { organization: delivery.organization.clone(), id: delivery.id.clone(), due_at })
                })
                .collect()
        });
        due.sort_by_key(|due| due.due_at);
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due)
    }

    async fn postpone(&self, due: &DueDelivery, until: Timestamp) -> Result<bool, StoreError> {
        Ok(self.with_callbacks(|state| match state.deliveries.get_mut(&place(&due.organization, &due.id)) {
            Some(stored) if stored.delivery.due_at == Some(due.due_at) => {
                stored.delivery.due_at = Some(until);
                true
            }
            _ => false,
        }))
    }
}
