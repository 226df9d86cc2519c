//! Callbacks on a store that fails on purpose.

use evenstock_domain::{Delivery, DeliveryId, EndpointHealth, EndpointId, OrganizationId, Registry, Timestamp};

use super::FaultyStore;
use crate::{Arrival, Arrivals, CallbackStore, DeliveryPage, DueDelivery, StoreError, StoredDelivery};

impl<S: CallbackStore> CallbackStore for FaultyStore<S> {
    async fn load_registry(&self, organization: &OrganizationId) -> Result<(Option<u64>, Registry), StoreError> {
        self.call("load_registry", self.inner().load_registry(organization)).await
    }

    async fn save_registry(&self, expected: Option<u64>, registry: &Registry) -> Result<bool, StoreError> {
        self.call("save_registry", self.inner().save_registry(expected, registry)).await
    }

    async fn load_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
    ) -> Result<(Option<u64>, EndpointHealth), StoreError> {
        self.call("load_health", self.inner().load_health(organization, endpoint)).await
    }

    async fn save_health(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        expected: Option<u64>,
        health: &EndpointHealth,
    ) -> Result<bool, StoreError> {
        self.call("save_health", self.inner().save_health(organization, endpoint, expected, health)).await
    }

    async fn load_delivery(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> Result<Option<StoredDelivery>, StoreError> {
        self.call("load_delivery", self.inner().load_delivery(organization, id)).await
    }

    async fn save_delivery(&self, expected: Option<u64>, delivery: &Delivery) -> Result<bool, StoreError> {
        self.call("save_delivery", self.inner().save_delivery(expected, delivery)).await
    }

    async fn log_arrivals(&self, arrivals: &Arrivals) -> Result<(), StoreError> {
        self.call("log_arrivals", self.inner().log_arrivals(arrivals)).await
    }

    async fn find_arrival(
        &self,
        organization: &OrganizationId,
        id: &DeliveryId,
    ) -> Result<Option<Arrival>, StoreError> {
        self.call("find_arrival", self.inner().find_arrival(organization, id)).await
    }

    async fn list_deliveries(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DeliveryPage, StoreError> {
        self.call("list_deliveries", self.inner().list_deliveries(organization, endpoint, after, limit)).await
    }

    async fn deliveries_since(
        &self,
        organization: &OrganizationId,
        endpoint: &EndpointId,
        since: Timestamp,
        after: Option<&DeliveryId>,
        limit: u32,
    ) -> Result<(Vec<StoredDelivery>, bool), StoreError> {
        let work = self.inner().deliveries_since(organization, endpoint, since, after, limit);
        self.call("deliveries_since", work).await
    }

    async fn due_deliveries(&self, bucket: u8, now: Timestamp, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        self.call("due_deliveries", self.inner().due_deliveries(bucket, now, limit)).await
    }

    async fn postpone(&self, due: &DueDelivery, until: Timestamp) -> Result<bool, StoreError> {
        self.call("postpone", self.inner().postpone(due, until)).await
    }
}
